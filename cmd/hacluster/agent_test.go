package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

// These tests run the built binary as an operator would, with something wrong. Each wrong thing must end in one clear
// sentence that names the remedy, a non-zero exit, and nothing half-started.

const allocation = "eipalloc-0123456789abcdef0"

// nobody is a user without rights.
const nobody = 65534

var buildOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hacluster-test-")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "hacluster")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return binary, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if binary, err := buildOnce(); err == nil {
		_ = os.RemoveAll(filepath.Dir(binary))
	}
	os.Exit(code)
}

// node is one node's surroundings: a data dir, a configuration, and an EC2 endpoint.
type node struct {
	t        *testing.T
	dir      string
	endpoint string
	secret   string
	replace  []string // pairs: what to replace in the configuration
	asNobody bool
	env      []string // on top of everything
}

func newNode(t *testing.T) *node {
	t.Helper()
	fake, err := ec2fake.New(ec2fake.Config{
		Addresses:  []ec2fake.AddressSpec{{AllocationID: allocation, PublicIP: netip.MustParseAddr("203.0.113.10")}},
		Instances:  []ec2fake.InstanceSpec{{ID: "i-0aaaaaaaaaaaaaaaa", ENI: "eni-0aaaaaaaaaaaaaaaa", PrivateIPs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}},
		AccessKeys: []ec2fake.AccessKey{{ID: "AKIDEXAMPLE", Secret: "right"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(fake.EC2())
	t.Cleanup(server.Close)
	// A short path: unix sockets allow about 100 bytes.
	dir, err := os.MkdirTemp("", "hn")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return &node{t: t, dir: dir, endpoint: server.URL, secret: "right"}
}

func (n *node) data() string   { return filepath.Join(n.dir, "data") }
func (n *node) socket() string { return filepath.Join(n.dir, "admin.sock") }

func (n *node) config() string {
	text := fmt.Sprintf(`cluster: {name: test}
node: node-a
data_dir: %s
insecure: true
nodes:
  - {name: node-a, address: "127.0.0.1:%d", priority: 103}
  - {name: node-b, address: "127.0.0.2:7400", priority: 102}
  - {name: node-c, address: "127.0.0.3:7400", priority: 101}
eip: {allocation_id: %s}
aws: {region: eu-central-1, endpoint: "%s", network_interface_id: eni-0aaaaaaaaaaaaaaaa, private_ip: 127.0.0.1}
health:
  tcp: {address: "127.0.0.1:9"}
admin: {socket: %s}
http: {listen: ""}
`, n.data(), freePort(n.t), allocation, n.endpoint, n.socket())
	text = strings.NewReplacer(n.replace...).Replace(text)
	file := filepath.Join(n.dir, "hacluster.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
	return file
}

// command prepares the agent. It is not started.
func (n *node) command(args ...string) *exec.Cmd {
	n.t.Helper()
	binary, err := buildOnce()
	if err != nil {
		n.t.Fatal(err)
	}
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY="+n.secret, "AWS_EC2_METADATA_DISABLED=true")
	cmd.Env = append(cmd.Env, n.env...)
	if n.asNobody {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return cmd
}

// end runs the agent until it ends by itself and returns its last line.
func (n *node) end() (last string, code int) {
	n.t.Helper()
	var out bytes.Buffer
	cmd := n.command("agent", "--config", n.config())
	cmd.Stderr, cmd.Stdout = &out, &out
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	stuck := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	if !stuck.Stop() {
		n.t.Fatalf("the agent runs on, though something is wrong:\n%s", out.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[len(lines)-1], cmd.ProcessState.ExitCode()
}

// freePort draws a port below those that the kernel gives to others, so nothing takes it while an agent is stopped.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 10000 + rand.IntN(20000)
		if l, err := net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	needRoot(t)
	tests := []struct {
		name    string
		arrange func(t *testing.T, n *node)
		want    []string // all in the last line
	}{
		{"broken configuration", func(_ *testing.T, n *node) {
			n.replace = []string{"fencing", "x", "allocation_id: eipalloc-0123456789abcdef0", "allocation: x"}
		},
			[]string{"hacluster.yaml:9", "allocation"}},
		{"data dir of another node", func(t *testing.T, n *node) { startOnceAs(t, n, "node-b") }, []string{"node-b", "node-a", "data"}},
		{"unreadable data dir", func(t *testing.T, n *node) {
			must(t, os.MkdirAll(n.data(), 0o700))
			must(t, os.Chmod(n.dir, 0o755))
			n.asNobody = true
		}, []string{"data", "permission"}},
		{"data dir is a file", func(t *testing.T, n *node) { must(t, os.WriteFile(n.data(), nil, 0o600)) }, []string{"data"}},
		{"store overwritten with garbage", func(t *testing.T, n *node) {
			must(t, os.MkdirAll(filepath.Join(n.data(), "raft"), 0o700))
			must(t, os.WriteFile(filepath.Join(n.data(), "raft", "raft.db"), bytes.Repeat([]byte{0}, 64<<10), 0o600))
		}, []string{"raft.db"}},
		{"EC2 endpoint refuses connections", func(t *testing.T, n *node) { n.endpoint = fmt.Sprintf("http://127.0.0.1:%d", freePort(t)) },
			[]string{"127.0.0.1", "refused"}},
		{"EC2 denies", func(_ *testing.T, n *node) { n.secret = "wrong" }, []string{"credentials"}},
		{"no such address", func(_ *testing.T, n *node) { n.replace = []string{allocation, "eipalloc-0fffffffffffffff0"} }, []string{"eipalloc-0fffffffffffffff0"}},
		{"data dir that everybody may write to", func(t *testing.T, n *node) {
			must(t, os.Mkdir(n.data(), 0o700))
			must(t, os.Chmod(n.data(), 0o777))
		}, []string{"data", "0777", "chmod o-w"}},
		{"configuration that everybody may write to", func(t *testing.T, n *node) {
			file := n.config()
			must(t, os.Chmod(file, 0o666))
		}, []string{"hacluster.yaml", "0666", "chmod o-w"}},
		{"admin socket where everybody may write", func(t *testing.T, n *node) { must(t, os.Chmod(n.dir, 0o777)) },
			[]string{"admin.socket", "in the agent's place", "/run/hacluster"}},
		{"check script that everybody may write", func(t *testing.T, n *node) {
			script := filepath.Join(n.dir, "check")
			must(t, os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755))
			must(t, os.Chmod(script, 0o777))
			n.replace = []string{`tcp: {address: "127.0.0.1:9"}`, "script: {command: [" + script + "]}"}
		}, []string{"health.script", "writable by others"}},
		{"port in use", func(t *testing.T, n *node) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			must(t, err)
			t.Cleanup(func() { _ = l.Close() })
			n.replace = []string{"node-a, address: \"127.0.0.1:", "node-a, address: \"" + l.Addr().String() + "\", vrrp_address: \"127.0.0.1\"} #"}
		}, []string{"in use"}},
		{"admin socket of a living agent", func(t *testing.T, n *node) {
			l, err := net.Listen("unix", n.socket())
			must(t, err)
			t.Cleanup(func() { _ = l.Close() })
		}, []string{"another agent", "admin.sock"}},
		{"no CAP_NET_RAW", func(t *testing.T, n *node) {
			must(t, os.Chmod(n.dir, 0o755))
			must(t, os.MkdirAll(n.data(), 0o700))
			must(t, os.Chown(n.data(), nobody, nobody))
			n.asNobody = true
		}, []string{"CAP_NET_RAW"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t)
			tt.arrange(t, n)
			if n.asNobody {
				binary, err := buildOnce()
				must(t, err)
				must(t, os.Chmod(filepath.Dir(binary), 0o755))
				must(t, os.Chmod(n.config(), 0o644))
			}
			last, code := n.end()
			t.Log(last)
			if want := exitCode(tt.name); code != want {
				t.Errorf("exit code %d, want %d", code, want)
			}
			for _, w := range tt.want {
				if !strings.Contains(last, w) {
					t.Errorf("the last line does not name %q: %s", w, last)
				}
			}
			if strings.HasPrefix(last, "panic") || strings.HasPrefix(last, "\t") {
				t.Errorf("a panic instead of a sentence: %s", last)
			}
			if l, err := net.Dial("unix", n.socket()); err == nil && tt.name != "admin socket of a living agent" {
				_ = l.Close()
				t.Error("something still answers at the admin socket")
			}
		})
	}
}

// exitCode is 78 for what another start does not make better, whatever happens on the machine meanwhile.
func exitCode(name string) int {
	if name == "broken configuration" || name == "configuration that everybody may write to" {
		return 78
	}
	return 1
}

// TestABrokenConfigurationIsNotTriedAgain: not by systemd, which starts the agent again after everything else, and never gives up.
func TestABrokenConfigurationIsNotTriedAgain(t *testing.T) {
	n := newNode(t)
	n.replace = []string{"allocation_id", "allocation"}
	_, code := n.end()
	unit, err := os.ReadFile("../../deploy/systemd/hacluster.service")
	must(t, err)
	for _, setting := range []string{fmt.Sprintf("RestartPreventExitStatus=%d", code), "Restart=always", "StartLimitIntervalSec=0"} {
		if code == 0 || code == 1 || !slices.Contains(strings.Split(string(unit), "\n"), setting) {
			t.Errorf("the agent ends with status %d, and the unit does not say %s", code, setting)
		}
	}
}

// TestThrottlingKeepsNobodyOut: an agent that ended because EC2 throttles its dry runs would start again and use up what comes back, for
// ever if it has more addresses than come back meanwhile.
func TestThrottlingKeepsNobodyOut(t *testing.T) {
	needRoot(t)
	n := newNode(t)
	cloud := threeAddresses(t)
	must(t, cloud.SetFaults([]ec2fake.Fault{{Kind: ec2fake.Throttle, Action: "AssociateAddress"}}))
	server := httptest.NewServer(cloud.EC2())
	t.Cleanup(server.Close)
	n.endpoint, n.replace = server.URL, []string{allocation, ids()[0], "eni-0aaaaaaaaaaaaaaaa", "eni-0aaaaaaaaaaaaaaa1"}
	cmd := n.command("agent", "--config", n.config())
	log, err := os.Create(filepath.Join(n.dir, "log"))
	must(t, err)
	cmd.Stderr = log
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	waitFor(t, "an agent", func() bool { return socketAnswers(n.socket()) })
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	must(t, cmd.Wait())
	text, err := os.ReadFile(log.Name())
	must(t, err)
	if !strings.Contains(string(text), "EC2 throttles this account") {
		t.Errorf("it does not say so:\n%s", text)
	}
}

// startOnceAs lets a node of another name leave its mark in the data dir.
func startOnceAs(t *testing.T, n *node, name string) {
	n.replace = []string{"node: node-a", "node: " + name}
	cmd := n.command("agent", "--config", n.config())
	must(t, cmd.Start())
	waitFor(t, "the store of "+name, func() bool {
		_, err := os.Stat(filepath.Join(n.data(), "raft", "raft.db"))
		return err == nil && socketAnswers(n.socket())
	})
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	_ = cmd.Wait()
	n.replace = nil
}

// TestFirstBootWaits: with peers missing the node waits, says for whom, and stops on SIGTERM with exit code 0.
func TestFirstBootWaits(t *testing.T) {
	needRoot(t)
	n := newNode(t)
	var log bytes.Buffer
	cmd := n.command("agent", "--config", n.config())
	cmd.Stderr = &log
	must(t, cmd.Start())
	var status string
	waitFor(t, "a status that names both missing peers", func() bool {
		out, _ := n.command("status", "--socket", n.socket()).CombinedOutput()
		status = string(out)
		return strings.Contains(status, "node-b") && strings.Contains(status, "node-c")
	})
	t.Log(status)
	if code := exitStatus(n.command("status", "--socket", n.socket()).Run()); code != 1 {
		t.Errorf("status of a node that waits for its peers: exit status %d, want 1", code)
	}
	if info, err := os.Stat(n.socket()); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("admin socket: %v, %v: want mode 0660", info.Mode(), err)
	}
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, log.String())
	}
	if _, err := os.Stat(n.socket()); err == nil {
		t.Error("the admin socket is left behind")
	}
}

func TestCommandsWithoutAnAgent(t *testing.T) {
	n := newNode(t)
	for _, args := range [][]string{{"status", "--socket", n.socket()}, {"transfer", "--socket", n.socket()}} {
		out, err := n.command(args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "no agent answers") || !strings.Contains(string(out), "--socket") {
			t.Errorf("%v: %v: %s", args, err, out)
		}
	}
	if code := exitStatus(n.command("status", "--socket", n.socket()).Run()); code != 2 {
		t.Errorf("status without an agent: exit status %d, want 2", code)
	}
	out, err := n.command("config", "check", n.config()).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "ok") {
		t.Errorf("config check: %v: %s", err, out)
	}
	out, err = n.command("version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "hacluster") {
		t.Errorf("version: %v: %s", err, out)
	}
}

// exitStatus is what a command ended with, -1 if it did not run.
func exitStatus(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	default:
		return -1
	}
}

func socketAnswers(path string) bool {
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	resp, err := client.Get("http://agent/v1/status")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// needRoot: the agent opens a raw socket. A skip must not hide that in CI.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("this test needs root, and CI must run it as root")
	}
	t.Skip("NOT RUN: this test needs root (raw sockets)")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within a minute", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
