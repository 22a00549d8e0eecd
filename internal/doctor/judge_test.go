package doctor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/internal/adminapi"
	"github.com/hacluster/hacluster/internal/config"
	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/internal/keyring"
)

// These tests are about judgements. That the facts are true is tested in the lab, where each thing is really wrong.

// nodeOf returns the facts of node-a of three, with the defaults of a profile.
func nodeOf(t *testing.T, profile string) *facts {
	t.Helper()
	cfg, err := config.Parse("test", fmt.Appendf(nil, `profile: %s
cluster: {name: test}
node: node-a
nodes:
  - {name: node-a, address: "10.0.0.1:7400", priority: 3}
  - {name: node-b, address: "10.0.0.2:7400", priority: 2}
  - {name: node-c, address: "10.0.0.3:7400", priority: 1}
tls: {}
eip: {allocation_id: eipalloc-0123456789abcdef0}
health: {process: {}, stats: {socket: /run/haproxy/admin.sock}}
`, profile))
	if err != nil {
		t.Fatal(err)
	}
	return &facts{cfg: Config{File: cfg}}
}

func want(t *testing.T, got Finding, status Status, says string) {
	t.Helper()
	if got.Status != status || !strings.Contains(got.Text, says) {
		t.Errorf("%s: %s; want %s with %q", got.Status, got.Text, status, says)
	}
	if (got.Status == Fail || got.Status == Warn) && got.Remedy == "" {
		t.Errorf("no remedy: %s", got.Text)
	}
}

func TestWayOut(t *testing.T) {
	ec2, elastic, other := netip.MustParseAddr("52.94.1.1"), netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("198.51.100.7")
	f := nodeOf(t, "default")
	want(t, f.judgeWayOut(ec2, elastic, netip.Addr{}), Pass, "has no public address")
	want(t, f.judgeWayOut(ec2, elastic, elastic), Warn, "the only public address here is the Elastic IP")
	want(t, f.judgeWayOut(ec2, elastic, other), Warn, "198.51.100.7, which the Elastic IP replaces")
}

func TestTiming(t *testing.T) {
	for _, tc := range []struct {
		profile string
		trip    time.Duration
		status  Status
		says    []string
	}{
		{"default", time.Millisecond, Pass, []string{"leave room"}},
		{"default", 20 * time.Millisecond, Pass, []string{"leave room"}},
		{"default", 40 * time.Millisecond, Warn, []string{"release_wait"}},
		{"default", 150 * time.Millisecond, Warn, []string{"evidence_max_age", "release_wait"}},
		{"fast", 2 * time.Millisecond, Pass, []string{"leave room"}},
		{"fast", 20 * time.Millisecond, Warn, []string{"release_wait"}},
	} {
		t.Run(fmt.Sprint(tc.profile, " ", tc.trip), func(t *testing.T) {
			found := nodeOf(t, tc.profile).judgeTiming("node-c", tc.trip)
			if len(found) != len(tc.says) {
				t.Fatalf("%+v", found)
			}
			for i, says := range tc.says {
				want(t, found[i], tc.status, says)
			}
		})
	}
}

func TestPeerErrors(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	alert := &net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}
	for _, tc := range []struct {
		err    error
		status Status
		says   string
	}{
		{refused, Warn, "nothing listens at 10.0.0.2:7400"},
		{&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, Fail, "nothing comes back from 10.0.0.2:7400"},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}, Fail, "no route to host"},
		{alert, Fail, "refuses this node's certificate (tls: bad certificate)"},
		{&keyring.Refusal{Why: keyring.Expired, Err: errors.New("certificate expired yesterday")}, Fail, "expired yesterday"},
		{&election.CallError{Peer: "node-b", Status: 421, Message: "this is node \"node-c\""}, Fail, "this is node"},
		{errOnlyKnocked, Skip, "TLS was not tried"},
	} {
		p := peer{Node: nodeOf(t, "default").cfg.File.Nodes[1], err: fmt.Errorf("call: %w", tc.err)}
		want(t, explainPeer(p), tc.status, tc.says)
	}
}

func TestPeerWithAnotherConfiguration(t *testing.T) {
	f := nodeOf(t, "default")
	p := peer{Node: f.cfg.File.Nodes[1], intro: election.Introduction{Peers: []string{"node-a", "node-b", "node-c"}}, roundTrip: time.Millisecond}
	want(t, f.judgePeer(p), Pass, "10.0.0.2:7400 answers within 1ms")
	p.intro.Peers = []string{"node-a", "node-b", "node-d"}
	want(t, f.judgePeer(p), Warn, "its configuration has the nodes node-a, node-b, node-d")
}

// Only a Master advertises, so silence means something only there.
func TestWire(t *testing.T) {
	f := nodeOf(t, "default")
	self, other := f.cfg.File.Nodes[0].VRRPAddress, f.cfg.File.Nodes[1].VRRPAddress
	heard := func(state controller.State, from netip.Addr, age time.Duration) controller.Heard {
		h := controller.Heard{State: state, Listens: true}
		if age >= 0 {
			h.Adverts = []controller.HeardAdverts{{From: from, Count: 1, AgeMS: age.Milliseconds()}}
		}
		return h
	}
	const never, now, long = time.Duration(-1), 50 * time.Millisecond, time.Minute
	deaf := controller.Heard{State: controller.Backup}
	for _, tc := range []struct {
		name   string
		mine   controller.Heard // what we hear of the peer, and our state
		theirs controller.Heard
		status Status
		says   string
	}{
		{"nobody is Master", heard(controller.Backup, other, never), heard(controller.Backup, self, never), Skip, "neither of the two is Master"},
		{"the peer is, and is heard", heard(controller.Backup, other, now), heard(controller.Master, self, never), Pass, "its adverts come here; the other way is not known"},
		{"the peer is, and was never heard", heard(controller.Backup, other, never), heard(controller.Master, self, never), Fail, "do not come here"},
		{"the peer is, and is not heard any more", heard(controller.Backup, other, long), heard(controller.Master, self, never), Fail, "do not come here"},
		{"this node is, and is heard", heard(controller.Master, other, never), heard(controller.Backup, self, now), Pass, "it hears the adverts of this node"},
		{"this node is, and is not heard", heard(controller.Master, other, never), heard(controller.Backup, self, never), Fail, "does not hear its adverts"},
		{"this node is, and the peer cannot hear", heard(controller.Master, other, never), deaf, Skip, "not known"},
		{"each was once", heard(controller.Backup, other, long), heard(controller.Backup, self, long), Pass, "its adverts come here, and it hears"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mine := ears{state: tc.mine.State, heard: tc.mine}
			want(t, f.judgeWire(peer{Node: f.cfg.File.Nodes[1]}, mine, tc.theirs), tc.status, tc.says)
		})
	}
	silent := peer{Node: f.cfg.File.Nodes[1], err: errors.New("no answer")}
	want(t, f.judgeWire(silent, ears{}, controller.Heard{}), Skip, "node-b does not say")
	want(t, f.judgeWire(peer{Node: f.cfg.File.Nodes[1]}, ears{err: os.ErrPermission}, heard(controller.Master, self, never)), Skip, "permission")
}

func TestAgentTroubles(t *testing.T) {
	well := adminapi.Status{Node: "node-a", Leader: "node-b", Healthy: true, Phase: "running", Nodes: []adminapi.Node{{Name: "node-a", EC2: true}}}
	if found := agentTroubles(well); len(found) > 0 {
		t.Errorf("%+v", found)
	}
	ill := adminapi.Status{Node: "node-a", Health: "no haproxy process found", Phase: "waiting for node-c", StoreError: "disk full",
		Nodes: []adminapi.Node{{Name: "node-a"}}}
	found := agentTroubles(ill)
	if len(found) != 4 {
		t.Fatalf("%+v", found)
	}
	want(t, found[0], Fail, "disk full")
	want(t, found[1], Warn, "waiting for node-c")
	want(t, found[2], Warn, "no haproxy process found")
	want(t, found[3], Warn, "does not reach EC2")
}

func TestCPUSteal(t *testing.T) {
	parse := func(line string) cpuTimes {
		t.Helper()
		c, err := parseCPU(line)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := parse("cpu  100 0 50 800 10 0 5 20 3 0")
	after := parse("cpu  130 0 60 840 10 0 5 40 9 0") // 100 ticks in all, 20 of them stolen; guest time is part of user time
	if got := after.stolenSince(before); got != 0.2 {
		t.Errorf("%v stolen, want 0.2", got)
	}
	if got := before.stolenSince(after); got != 0 {
		t.Errorf("%v stolen while the clock went backwards", got)
	}
	for _, line := range []string{"", "cpu 1 2 3", "cpu0 1 2 3 4 5 6 7 8 9 10", "cpu a b c d e f g h i j"} {
		if _, err := parseCPU(line); err == nil {
			t.Errorf("%q is read", line)
		}
	}
}

func TestCapabilities(t *testing.T) {
	for status, want := range map[string]bool{
		"CapEff:\t0000000000002000\n":                                true, // CAP_NET_RAW is number 13
		"CapInh:\t0000000000002000\nCapEff:\t0000000000001000\n":     false,
		"Name:\thacluster\nCapEff:\t000001ffffffffff\nCapBnd:\t00\n": true,
	} {
		if got, err := parseNetRaw(status); err != nil || got != want {
			t.Errorf("%q: %t, %v", status, got, err)
		}
	}
	if _, err := parseNetRaw("Name:\tx\n"); err == nil {
		t.Error("no CapEff is an answer")
	}
	for unit, want := range map[string]bool{
		"[Service]\nUser=hacluster\nAmbientCapabilities=CAP_NET_RAW\n": true,
		"[Service]\nUser=hacluster\n":                                  false,
		"[Service]\nExecStart=/usr/bin/hacluster agent\n":              true, // root
		"[Service]\nDynamicUser=yes\n":                                 false,
		"[Service]\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n":      false,
	} {
		path := filepath.Join(t.TempDir(), "hacluster.service")
		if err := os.WriteFile(path, []byte(unit), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := grantsNetRaw(path); got != want {
			t.Errorf("%q grants: %t", unit, got)
		}
	}
	if grantsNetRaw("/nonexistent/hacluster.service") {
		t.Error("a unit that is not there grants something")
	}
}
