package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Rewrites testdata/*.want from what the package says now; review the diff.
var update = flag.Bool("update", false, "rewrite the golden files")

// host is the hostname that the tests pretend to have.
const host = "lb-1"

// minimal is the shortest file that is accepted.
const minimal = `
cluster: {name: edge-1}
nodes:
  - {name: lb-1, address: "10.0.1.11:7400"}
  - {name: lb-2, address: "10.0.2.11:7400"}
  - {name: lb-3, address: "10.0.3.11:7400"}
insecure: true
eip: {allocation_id: eipalloc-0123456789abcdef0}
health: {process: {}}
`

// TestBrokenFiles parses each testdata/NAME.yaml and compares the whole error with testdata/NAME.want: the operator
// reads every problem at once, by line, with what to write instead.
func TestBrokenFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, err := parse("c.yaml", data, "", host)
			if err == nil {
				t.Fatal("a broken file was accepted")
			}
			if !errors.As(err, new(Errors)) {
				t.Fatalf("error is a %T, not Errors", err)
			}
			if diff := cmp.Diff(Config{}, c, cmpAddrs); diff != "" {
				t.Errorf("part of a broken file was returned (-nothing +got):\n%s", diff)
			}
			checkGolden(t, strings.TrimSuffix(file, ".yaml")+".want", err.Error()+"\n")
		})
	}
}

func checkGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestMinimalFileGetsTheDefaults(t *testing.T) {
	c, err := parse("c.yaml", []byte(minimal), "", host)
	if err != nil {
		t.Fatal(err)
	}
	if self := c.Self(); self.Name != "lb-1" || self.Priority != 100 || self.VRRPAddress.String() != "10.0.1.11" {
		t.Errorf("self = %+v, want lb-1 with priority 100 and the VRRP address of its address", self)
	}
	if peers := c.Peers(); len(peers) != 2 || peers[0].Name != "lb-2" || peers[1].Name != "lb-3" {
		t.Errorf("peers = %+v, want lb-2 and lb-3", peers)
	}
	want := defaults(ProfileDefault)
	got := Config{Profile: c.Profile, DataDir: c.DataDir, EIP: c.EIP, VRRP: c.VRRP, Raft: c.Raft, Placement: c.Placement, Hooks: c.Hooks, Admin: c.Admin, HTTP: c.HTTP,
		Log: c.Log}
	got.EIP.AllocationID = ""
	if diff := cmp.Diff(want, got, cmpAddrs); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

// TestWhoAmI: the same file is shipped to every node, so a node finds itself by the hostname, unless it is told.
func TestWhoAmI(t *testing.T) {
	tests := []struct {
		name, file, override, host string
		want                       string // of Config.Node
		wantErr                    string // part of the error
	}{
		{name: "by hostname", file: minimal, host: "lb-2", want: "lb-2"},
		{name: "by the file", file: minimal + "node: lb-3\n", host: "lb-2", want: "lb-3"},
		{name: "by the caller", file: minimal + "node: lb-3\n", override: "lb-1", host: "lb-2", want: "lb-1"},
		{name: "unknown host", file: minimal, host: "web-7", wantErr: `c.yaml:1: node: is missing, and the host's name, "web-7", is not in nodes; write 'node:' with one of lb-1, lb-2, lb-3`},
		{name: "nameless host", file: minimal, wantErr: "c.yaml:1: node: is missing, and this host has no name; write one of lb-1, lb-2, lb-3"},
		{name: "unknown in the file", file: minimal + "node: lb-9\n", host: "lb-1", wantErr: `c.yaml:10: node: "lb-9" is not in nodes; write one of lb-1, lb-2, lb-3`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parse("c.yaml", []byte(tt.file), tt.override, tt.host)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Fatalf("error = %v, want %s", err, tt.wantErr)
				}
				return
			}
			if err != nil || c.Node != tt.want {
				t.Fatalf("node = %q, %v; want %q", c.Node, err, tt.want)
			}
		})
	}
}

func TestShortHostname(t *testing.T) {
	for name, want := range map[string]string{"lb-1": "lb-1", "LB-1.example.com": "lb-1", "ip-10-0-1-11.ec2.internal": "ip-10-0-1-11"} {
		if got := shortHostname(name); got != want {
			t.Errorf("shortHostname(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestLoadNamesTheFileItCannotOpen(t *testing.T) {
	_, err := Load("testdata/absent.yml")
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "testdata/absent.yml") {
		t.Errorf("error = %v, want one that names the file and is os.ErrNotExist", err)
	}
}

func TestLoadAsReadsTheFileOfAnotherNode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadAs(file, "lb-2")
	if err != nil || c.Self().Name != "lb-2" {
		t.Errorf("self = %q, %v; want lb-2", c.Self().Name, err)
	}
}
