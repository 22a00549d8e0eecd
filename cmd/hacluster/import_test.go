package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/internal/config"
	"github.com/hacluster/hacluster/internal/keepalived/convert"
)

// The classic recipe of package convert's corpus.
const (
	classicA = "../../internal/keepalived/convert/testdata/classic/a/keepalived.conf"
	classicB = "../../internal/keepalived/convert/testdata/classic/b/keepalived.conf"
	lvs      = "../../internal/keepalived/convert/testdata/lvs/keepalived.conf"
)

// importKeepalived runs the command and returns what it prints, and its exit status.
func importKeepalived(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errOut bytes.Buffer
	root := rootCommand()
	root.SetArgs(append([]string{"config", "import-keepalived"}, args...))
	root.SetOut(&out)
	root.SetErr(&errOut)
	if err := execute(t.Context(), root); err != nil {
		status = explain(err)
	}
	return out.String(), errOut.String(), status
}

// TestImportClassic: two files and their scripts need no edit but the third node.
func TestImportClassic(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hacluster.yaml")
	if _, report, status := importKeepalived(t, classicA, classicB, "--third", "lb-c=10.0.3.11,witness", "--out", file); status != 0 {
		t.Fatalf("exit status %d:\n%s", status, report)
	}
	cfg, err := config.LoadAs(file, "lb-b")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.EIP.AllocationID != "eipalloc-0f1e2d3c4b5a69788" || len(cfg.Nodes) != 3 || !cfg.Nodes[2].Witness {
		t.Errorf("the file says %+v", cfg)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v: it holds the password of VRRP's authentication", info.Mode())
	}
}

// TestImportExitStatus: 0 done, 1 with open steps or refused, 2 unreadable.
func TestImportExitStatus(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.conf")
	if err := os.WriteFile(broken, []byte("vrrp_instance a {\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	existing := filepath.Join(dir, "existing.yaml")
	if err := os.WriteFile(existing, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	third := "--third=lb-c=10.0.3.11"
	for _, c := range []struct {
		what   string
		args   []string
		status int
		yaml   bool // on standard output
	}{
		{"complete", []string{classicA, classicB, third}, 0, true},
		{"the third node is missing", []string{classicA, classicB}, 1, true},
		{"LVS", []string{lvs, third}, 1, false},
		{"a syntax error", []string{broken, classicB}, 2, false},
		{"no such file", []string{filepath.Join(dir, "none.conf")}, 2, false},
		{"an existing file", []string{classicA, classicB, third, "--out", existing}, 1, false},
		{"a third node without an address", []string{classicA, classicB, "--third", "lb-c"}, 2, false},
		{"a third node of IPv6", []string{classicA, classicB, "--third", "lb-c=fd00::1"}, 2, false},
		{"a third node with a role that is none", []string{classicA, classicB, "--third", "lb-c=10.0.3.11,arbiter"}, 2, false},
		{"an allocation id that is none", []string{classicA, classicB, third, "--allocation-id", "198.51.100.7"}, 2, false},
		{"both on standard output", []string{classicA, classicB, third, "--report", "-"}, 2, false},
		{"a format that is none", []string{classicA, classicB, third, "-o", "xml"}, 2, false},
	} {
		stdout, stderr, status := importKeepalived(t, c.args...)
		if status != c.status {
			t.Errorf("%s: exit status %d, want %d\n%s", c.what, status, c.status, stderr)
		}
		if yaml := strings.Contains(stdout, "cluster:"); yaml != c.yaml {
			t.Errorf("%s: a configuration on standard output: %t, want %t", c.what, yaml, c.yaml)
		}
	}
	if text, err := os.ReadFile(existing); err != nil || string(text) != "precious" {
		t.Errorf("the existing file is %q (%v)", text, err)
	}
	if _, stderr, status := importKeepalived(t, classicA, classicB, third, "--out", existing, "--force"); status != 0 {
		t.Errorf("--force: exit status %d\n%s", status, stderr)
	}
}

func TestImportReport(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.json")
	stdout, stderr, status := importKeepalived(t, classicA, classicB, "--report", file, "-o", "json")
	if status != 1 || stderr != "" || !strings.Contains(stdout, "cluster:") {
		t.Errorf("exit status %d, on standard error %q", status, stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report convert.Report
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	if report.Result != convert.Incomplete || len(report.Open) != 1 || len(report.Converted) == 0 || report.Refused == nil {
		t.Errorf("the report says:\n%s", text)
	}
}
