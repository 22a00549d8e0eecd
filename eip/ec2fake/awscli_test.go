package ec2fake_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// awscli runs the distribution's aws command and returns what it prints, standard error included.
func (w *world) awscli(args ...string) (string, error) {
	w.t.Helper()
	const path = "/usr/bin/aws" // Debian's own, not one that comes first in PATH
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			w.t.Fatal("no aws command: apt-get install awscli")
		}
		w.t.Skip("NOT TESTED: no aws command: apt-get install awscli")
	}
	cmd := exec.CommandContext(w.t.Context(), path, append([]string{"ec2", "--endpoint-url", w.ec2.URL, "--no-cli-pager"}, args...)...)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+keyID, "AWS_SECRET_ACCESS_KEY="+keySecret, "AWS_DEFAULT_REGION="+region,
		"AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent", "AWS_MAX_ATTEMPTS=1", "AWS_EC2_METADATA_DISABLED=true")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// What the well-known notify script does, by the well-known command.
func TestAWSCommand(t *testing.T) {
	w := newWorld(t)
	addresses := func() string {
		out, err := w.awscli("describe-addresses", "--filters", "Name=tag:hacluster,Values=demo", "--output", "text",
			"--query", "Addresses[].[PublicIp,AllocationId,NetworkInterfaceId,PrivateIpAddress,AssociationId]")
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.Join(strings.Fields(out), " ")
	}
	if got, want := addresses(), strings.Join([]string{public1, alloc1, "None", "None", "None"}, " "); got != want {
		t.Fatalf("free: %q, want %q", got, want)
	}
	id, err := w.awscli("associate-address", "--allocation-id", alloc1, "--network-interface-id", eniB, "--private-ip-address", privateB,
		"--no-allow-reassociation", "--query", "AssociationId", "--output", "text")
	if err != nil {
		t.Fatalf("%v: %s", err, id)
	}
	if got, want := addresses(), strings.Join([]string{public1, alloc1, eniB, privateB, id}, " "); got != want {
		t.Errorf("associated: %q, want %q", got, want)
	}
	out, err := w.awscli("associate-address", "--allocation-id", alloc1, "--instance-id", instanceA, "--no-allow-reassociation")
	if err == nil || !strings.Contains(out, "(Resource.AlreadyAssociated)") || !strings.Contains(out, alloc1+" is already associated with associate-id "+id) {
		t.Errorf("conflict: %v: %s", err, out)
	}
	out, err = w.awscli("associate-address", "--allocation-id", alloc1, "--instance-id", instanceA, "--dry-run")
	if err == nil || !strings.Contains(out, "DryRunOperation") {
		t.Errorf("dry run: %v: %s", err, out)
	}
	if out, err := w.awscli("disassociate-address", "--association-id", id); err != nil || out != "" {
		t.Errorf("disassociate: %v: %s", err, out)
	}
	if at, _ := w.holder(); at != "" {
		t.Errorf("still associated: %s", at)
	}
	// An empty answer is an empty list, not a missing one.
	out, err = w.awscli("describe-addresses", "--filters", "Name=tag:absent,Values=x", "--output", "json")
	if err != nil || strings.Join(strings.Fields(out), "") != `{"Addresses":[]}` {
		t.Errorf("nothing found: %v: %s", err, out)
	}
}
