package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExitStatuses: 2 says that nothing is known, 1 that something is wrong. Those of status, doctor, import-keepalived and vrrp verify that
// take an agent or a capture have tests of their own.
func TestExitStatuses(t *testing.T) {
	dir := t.TempDir()
	valid, invalid := filepath.Join(dir, "valid.yaml"), filepath.Join(dir, "invalid.yaml")
	for file, text := range map[string]string{valid: validFile, invalid: validFile + "colour: red\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const nobody = "--socket=/nonexistent/admin.sock"
	tests := []struct {
		args string
		want int
	}{
		{"version", 0},
		{"version -o json", 0},
		{"status --help", 0},
		{"config check " + valid, 0},
		{"config check -o json " + valid, 0},
		{"config check " + invalid, 1},
		{"config check -o json " + invalid, 1},
		{"config check /nonexistent", 2},
		{"tls show " + valid, 1},
		{"steer", 2},
		{"status --colour", 2},
		{"status here", 2},
		{"status -o xml", 2},
		{"version -o xml", 2},
		{"drain", 2},
		{"join --config " + valid, 2}, // without --via
		{"tls cert create", 2},
		{"status " + nobody, 2},
		{"history " + nobody, 2},
		{"events " + nobody, 2},
		{"members " + nobody, 2},
		{"transfer " + nobody, 2},
		{"drain lb-1 " + nobody, 2},
		{"undrain lb-1 " + nobody, 2},
		{"reload " + nobody, 2},
		{"remove lb-1 --yes " + nobody, 2},
		{"members add lb-4 --address 10.0.1.14:7400 " + nobody, 2},
		{"doctor --config /nonexistent", 2},
		{"vrrp verify /nonexistent", 2},
		{"vrrp listen -o xml", 2},
		{"config import-keepalived -o xml " + valid, 2},
		{"config import-keepalived --third lb-c " + valid, 2},
		{"config import-keepalived /nonexistent", 2},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.args, dir, ""), func(t *testing.T) {
			root := rootCommand()
			root.SetArgs(strings.Fields(tt.args))
			root.SetOut(io.Discard)
			root.SetErr(io.Discard)
			status := 0
			if err := execute(t.Context(), root); err != nil {
				status = explain(err)
			}
			if status != tt.want {
				t.Errorf("exit status %d, want %d", status, tt.want)
			}
		})
	}
}

const validFile = `
cluster: {name: edge-1}
node: lb-1
nodes:
  - {name: lb-1, address: "10.0.1.11:7400"}
  - {name: lb-2, address: "10.0.2.11:7400"}
  - {name: lb-3, address: "10.0.3.11:7400"}
insecure: true
eip: {allocation_id: eipalloc-0123456789abcdef0}
health: {process: {}}
`
