package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// examine runs doctor to its end.
func (n *node) examine(args ...string) (stdout, stderr string, code int) {
	n.t.Helper()
	cmd := n.command(append([]string{"doctor"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		n.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// What keeps doctor from its work is told apart from what it finds, and the reason is a finding all the same.
func TestDoctorThatCannotExamine(t *testing.T) {
	n := newNode(t)
	for _, tc := range []struct {
		name   string
		args   func() []string
		stdout string
		stderr string
	}{
		{"no file", func() []string { return []string{"--config", filepath.Join(n.dir, "nobody.yaml")} }, "nobody.yaml: no such file", ""},
		{"an invalid file", func() []string {
			n.replace = []string{"insecure: true", "insecure: perhaps"}
			return []string{"--config", n.config()}
		}, "insecure", ""},
		{"a node that is not in the file", func() []string {
			n.replace = nil
			return []string{"--config", n.config(), "--node", "node-z"}
		}, "node-z", ""},
		{"an unknown flag", func() []string { return []string{"--fast"} }, "", "unknown flag"},
		{"an unknown output", func() []string { return []string{"-o", "xml"} }, "", "write -o table or -o json"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			stdout, stderr, code := n.examine(tc.args()...)
			if code != 2 || !strings.Contains(stdout, tc.stdout) || !strings.Contains(stderr, tc.stderr) {
				t.Errorf("exit status %d\n%s%s", code, stdout, stderr)
			}
		})
	}
}

// A machine that is not in EC2, whose aws: section says everything, with a HAProxy that does not run.
func TestDoctorFindsAndSaysWhy(t *testing.T) {
	n := newNode(t)
	n.replace = []string{"aws: {", `aws: {imds_endpoint: "http://127.0.0.1:1", `}
	file := n.config()
	stdout, stderr, code := n.examine("--config", file, "--json")
	var report struct {
		Node     string
		Failed   int
		Findings []struct{ Check, About, Status, Remedy string }
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	if code != 1 || report.Node != "node-a" || report.Failed == 0 {
		t.Errorf("exit status %d, node %s, %d failed\n%s", code, report.Node, report.Failed, stdout)
	}
	want := map[string]string{"config": "pass", "port": "pass", "address": "pass", "iam ec2:AssociateAddress": "pass", "iam ec2:DisassociateAddress": "pass",
		"credentials": "pass", "clock": "pass", "certificate": "skip", "agent": "skip", "haproxy tcp": "fail", "vrrp node-b": "skip", "imds": "warn"}
	for _, f := range report.Findings {
		key := strings.TrimSpace(f.Check + " " + f.About)
		if status, asked := want[key]; asked && status == f.Status {
			delete(want, key)
		}
		if f.Status == "fail" && f.Remedy == "" {
			t.Errorf("%s fails without a remedy", key)
		}
	}
	if len(want) > 0 {
		t.Errorf("not found: %v\n%s", want, stdout)
	}
	if _, err := os.Stat(n.data()); !os.IsNotExist(err) {
		t.Errorf("the data directory was made: %v", err)
	}
	table, _, code := n.examine("--config", file)
	if code != 1 || !strings.Contains(table, "FAIL  haproxy") || !strings.Contains(table, "-> ") {
		t.Errorf("exit status %d\n%s", code, table)
	}
}
