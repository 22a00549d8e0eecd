package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// TestDocument compares a small bill of materials with one that SPDX's own validator was asked about.
func TestDocument(t *testing.T) {
	info := &debug.BuildInfo{
		GoVersion: "go1.26.0", Main: debug.Module{Path: "example.org/program"},
		Deps: []*debug.Module{
			{Path: "example.org/a", Version: "v1.2.3"},
			{Path: "example.org/b/v2", Version: "v2.0.0+incompatible"},
			{Path: "example.org/old", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/new", Version: "v1.0.1"}},
		},
	}
	var got bytes.Buffer
	enc := json.NewEncoder(&got)
	enc.SetIndent("", "  ")
	if err := enc.Encode(describe(info, "program_1.0_linux_amd64", "1.0", strings.Repeat("0", 64), "2026-11-23T05:00:00Z")); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/program.spdx.json"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", golden, diff)
	}
}

// TestNothingWithoutALicence is shipped.
func TestNothingWithoutALicence(t *testing.T) {
	dir := t.TempDir()
	var text strings.Builder
	if err := appendLicenses(&text, "example.org/a v1.0.0", dir); err == nil || !strings.Contains(err.Error(), "must not be shipped") {
		t.Errorf("without a licence: %v", err)
	}
	for name, content := range map[string]string{"LICENSE.txt": "do as you like", "NOTICE": "made by us", "licenses_test.go": "package a"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := appendLicenses(&text, "example.org/a v1.0.0", dir); err != nil {
		t.Fatal(err)
	}
	for want, there := range map[string]bool{"do as you like": true, "made by us": true, "package a": false} {
		if strings.Contains(text.String(), want) != there {
			t.Errorf("%q is there: %v, want %v", want, !there, there)
		}
	}
}
