package metrics

import (
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/health"
	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/internal/discovery"
	"github.com/hacluster/hacluster/internal/hooks"
	"github.com/hacluster/hacluster/vrrpwire"
)

var update = flag.Bool("update", false, "rewrite the golden files and docs/METRICS.md")

// agent stands in for a running one: every source in one value.
type agent struct {
	view      controller.View
	traffic   *controller.Traffic
	raft      election.Status
	reachable []string
	warmth    eip.Warmth
	checks    health.Status
	hooks     hooks.Stats
	found     discovery.Reading
}

func (a *agent) Reading() discovery.Reading       { return a.found }
func (a *agent) View() *controller.View           { return &a.view }
func (a *agent) Traffic() *controller.Traffic     { return a.traffic }
func (a *agent) Reachable(time.Duration) []string { return a.reachable }
func (a *agent) Warm() eip.Warmth                 { return a.warmth }

// The others have methods of the same names, so each source has a type of its own.
type (
	raftOf   struct{ *agent }
	healthOf struct{ *agent }
	hooksOf  struct{ *agent }
)

func (r raftOf) Status() election.Status { return r.raft }
func (h healthOf) Status() health.Status { return h.checks }
func (h hooksOf) Stats() hooks.Stats     { return h.hooks }

// candidate reads what a node with HAProxy and TLS reads.
func (a *agent) candidate() Sources {
	return Sources{Driver: a, Raft: raftOf{a}, Hooks: hooksOf{a}, Health: healthOf{a}, EC2: a, Discovery: a,
		CertificateEnd: func() time.Time { return time.Now().Add(30 * 24 * time.Hour) }}
}

// witness reads what a node without either reads.
func (a *agent) witness() Sources { return Sources{Driver: a, Raft: raftOf{a}, Hooks: hooksOf{a}} }

const (
	first  fsm.AllocationID = "eipalloc-1"
	second fsm.AllocationID = "eipalloc-2"
)

// leader is a Master of two addresses, one of them under guard, with one peer that does not answer.
func leader() *agent {
	committed := fsm.New()
	for _, name := range []fsm.NodeName{"lb-1", "lb-2", "lb-3"} {
		committed.Nodes[name] = fsm.Node{Attributes: fsm.Attributes{Name: name}, Healthy: true, EC2: name != "lb-3"}
	}
	claim := &fsm.GrantedClaim{Node: "lb-1", Confirmed: true}
	committed.Addresses[first] = fsm.Address{Holder: "lb-1", Association: "eipassoc-1", Claim: claim}
	committed.Addresses[second] = fsm.Address{Holder: "lb-1", Association: "eipassoc-2", Claim: claim,
		Fates: map[fsm.AssociationID]fsm.Fate{"eipassoc-2": fsm.Contested}}
	stats := vrrpwire.Stats{Sent: 100, PriorityZeroSent: 1, Suppressed: 2, SendErrors: 3, Unresolved: 4, Received: 50, PriorityZeroReceived: 5,
		HeardDropped: 6, ForeignMaster: 7, IntervalMismatch: 8, BecomeMaster: 9, ReleaseMaster: 8,
		Rejected: map[vrrpwire.Reason]uint64{vrrpwire.ReasonUnknownSender: 10, vrrpwire.ReasonChecksum: 11}}
	return &agent{
		view: controller.View{State: controller.Master, Leadership: controller.Leadership{Term: 7, Leader: "lb-1", Self: true},
			Healthy: true, EC2: true, Addresses: []controller.AddressView{{ID: first}, {ID: second}}, ForeignMoves: 1,
			Hints: controller.HintCounts{Asked: 6, Refuted: 3, Late: 1, Sent: 2, Failed: 1, Stalls: 4, LongestStall: 250}, Committed: committed},
		traffic: &controller.Traffic{Stats: stats, Senders: []controller.Sender{
			{Sender: vrrpwire.Sender{Address: netip.MustParseAddr("10.0.2.11"), Peer: true, Adverts: 50}, Node: "lb-2"},
			{Sender: vrrpwire.Sender{Address: netip.MustParseAddr("10.0.9.11"), Peer: true, Adverts: 3}},
			{Sender: vrrpwire.Sender{Address: netip.MustParseAddr("198.51.100.1"), Adverts: 7}},
		}},
		raft: election.Status{Term: 7, LastIndex: 44, CommitIndex: 43, AppliedIndex: 42, Voters: []string{"lb-1", "lb-2", "lb-3"},
			Refusals: map[string]uint64{"expired": 2}, Generation: "0a1b2c3d/4e5f6a7b"},
		reachable: []string{"lb-2"},
		warmth: eip.Warmth{ConnectedSince: time.Unix(1, 0), Opened: 12, Taken: 3, CredentialsExpire: time.Unix(1_900_000_000, 0),
			CredentialsErr: errors.New("IMDS does not answer")},
		checks: health.Status{Healthy: true, Checks: []health.CheckStatus{{Name: "process", Healthy: true}, {Name: "http"}}},
		hooks:  hooks.Stats{Runs: 5, Failures: 2, Timeouts: 1, Superseded: 3, Refused: 4},
		found:  discovery.Reading{Reads: 9, Failures: 2, Instances: 4, Waits: 1},
	}
}

// follower is a witness that knows the leader.
func follower() *agent {
	a := &agent{view: controller.View{State: controller.Backup, Leadership: controller.Leadership{Term: 7, Leader: "lb-1"}, Committed: fsm.New(),
		Addresses: []controller.AddressView{{ID: first}}}}
	a.raft = election.Status{Term: 7, Voters: []string{"lb-1", "lb-2", "lb-3"}, StoreError: "no space left on device"}
	return a
}

// known are the metrics of a node that has read nothing yet.
func known() *Metrics { return New(Identity{Cluster: "edge", Node: "lb-1", Version: "1.2.3"}) }

// scrape returns what the node tells, without what the Go runtime and the process tell.
func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("a scrape is answered %d: %s", answer.Code, answer.Body)
	}
	var ours strings.Builder
	for line := range strings.Lines(answer.Body.String()) {
		if strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE "), "hacluster_") {
			ours.WriteString(strings.ReplaceAll(line, runtime.Version(), "go1.x"))
		}
	}
	return ours.String()
}

// golden compares with a file, or rewrites it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is out of date; run 'go test ./internal/metrics -update' and look at the difference. Now:\n%s", filepath.Base(path), got)
	}
}

// atMillennium runs a test at a fixed time, that of a bubble.
func atMillennium(t *testing.T, test func(t *testing.T)) { synctest.Test(t, test) }
