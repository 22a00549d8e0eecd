package controller

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/health"
	"github.com/hacluster/hacluster/vrrpwire"
)

// world is everything around one driver: Raft with one voter that commits at once, an EC2, peers, a wire, a HAProxy. It runs
// in a bubble, where its clock is the bubble's.
type world struct {
	mu          sync.Mutex
	begin       time.Time
	replica     *Replica
	leading     uint64
	evidence    time.Duration // start of the newest round; negative = none
	leaderships chan election.Leadership
	healthy     bool
	updates     chan health.Status
	wire        []string
	calls       []string
	address     eip.Address // what a read shows
	call        func(ctx context.Context, permit eip.Permit) (eip.AssociationID, error)
	transferTo  string
	reachable   []string
	hangs       bool // Apply and Transfer end with their context only
	heard       chan vrrpwire.Heard
	unread      []vrrpwire.Heard // in the socket
}

func newWorld() *world {
	return &world{begin: time.Now(), replica: NewReplica(), leaderships: make(chan election.Leadership, 1), updates: make(chan health.Status, 1),
		heard: make(chan vrrpwire.Heard, 8), reachable: []string{"node-b", "node-c"}}
}

func (w *world) now() time.Duration { return time.Since(w.begin) + time.Hour }

func (w *world) Leaderships() <-chan election.Leadership { return w.leaderships }

func (w *world) Leading(term uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.leading == term
}

func (w *world) Apply(ctx context.Context, term uint64, command []byte) (uint64, any, error) {
	if w.hang(ctx) {
		return 0, nil, ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.leading != term {
		return 0, nil, election.ErrNotLeader
	}
	index := w.replica.State().Index + 1
	return index, w.replica.Apply(term, index, command), nil
}

func (w *world) hang(ctx context.Context) bool {
	w.mu.Lock()
	hangs := w.hangs
	w.mu.Unlock()
	if hangs {
		<-ctx.Done()
	}
	return hangs
}

func (w *world) Transfer(ctx context.Context, name string) error {
	if w.hang(ctx) {
		return ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.transferTo = name
	return nil
}

func (w *world) Evidence(uint64) (time.Duration, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.evidence, w.evidence >= 0
}

func (w *world) Reachable(time.Duration) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reachable
}

func (w *world) Refresh(context.Context, uint64, time.Duration) error { return nil }
func (w *world) Voters() []string                                     { return []string{"node-a", "node-b", "node-c"} }

func (w *world) Call(context.Context, string, string, any, any) error {
	return errors.New("connection refused")
}

func (w *world) Observe(context.Context) ([]eip.Address, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.address
	a.AllocationID = eip.AllocationID(testEIP)
	return []eip.Address{a}, nil
}

func (w *world) Associate(ctx context.Context, _ eip.AllocationID, _ bool, permit eip.Permit) (eip.AssociationID, error) {
	w.mu.Lock()
	w.calls = append(w.calls, "associate")
	call := w.call
	w.mu.Unlock()
	return call(ctx, permit)
}

func (w *world) Disassociate(_ context.Context, id eip.AssociationID, _ eip.Permit) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, "disassociate "+string(id))
	return nil
}

func (w *world) Status() health.Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return health.Status{Healthy: w.healthy}
}

func (w *world) Updates() <-chan health.Status { return w.updates }

func (w *world) Reign(time.Duration)  { w.note("reign") }
func (w *world) Resign(reason string) { w.note("resign: " + reason) }

func (w *world) Heard() <-chan vrrpwire.Heard { return w.heard }

func (w *world) Drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.unread {
		w.heard <- h
	}
	w.unread = nil
}

func (w *world) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wire = append(w.wire, what)
}

// members commits three members that are fit.
func (w *world) members(t *testing.T, term uint64) {
	t.Helper()
	for _, n := range []fsm.NodeName{"node-a", "node-b", "node-c"} {
		attributes := fsm.Attributes{Name: n, Priority: 100}
		if n == "node-a" {
			attributes = testConfig().Self
		}
		for _, c := range []fsm.Command{fsm.UpsertNode{Origin: fsm.Origin{Term: term}, Node: attributes},
			fsm.SetHealth{Origin: fsm.Origin{Term: term}, Node: n, Healthy: true, EC2: true}} {
			w.commit(t, term, c)
		}
	}
}

// commit applies an entry that this node did not propose and returns its index.
func (w *world) commit(t *testing.T, term uint64, c fsm.Command) uint64 {
	t.Helper()
	entry, err := fsm.Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	index := w.replica.State().Index + 1
	w.replica.Apply(term, index, entry)
	return index
}

func (w *world) claim(t *testing.T, c fsm.Claim) uint64 {
	t.Helper()
	c.AllocationID, c.Fencing = testEIP, fsm.Strict
	return w.commit(t, c.Term, c)
}

// lead makes this node the leader of a term, among members that are fit.
func (w *world) lead(t *testing.T, term uint64) {
	t.Helper()
	w.members(t, term)
	w.mu.Lock()
	w.leading, w.evidence, w.healthy = term, w.now(), true
	w.mu.Unlock()
	w.updates <- health.Status{Healthy: true, Reason: "all checks pass"}
	w.leaderships <- election.Leadership{Term: term, Leader: "node-a", Self: true}
}

func (w *world) follow(term uint64) {
	w.mu.Lock()
	w.leading = 0
	w.mu.Unlock()
	w.leaderships <- election.Leadership{Term: term, Leader: "node-b"}
}

func (w *world) driver() *Driver { return w.driverOf(testConfig()) }

func (w *world) driverOf(cfg Config) *Driver {
	return NewDriver(cfg, Ports{Raft: w, Quorum: w, Peers: w, EC2: w, Health: w, Wire: w, Replica: w.replica}, w.now, zap.NewNop())
}

// TestFinalCheck: I1 and I4: what the check before each mutating call wants, one thing taken away at a time.
func TestFinalCheck(t *testing.T) {
	tests := []struct {
		name string
		take func(t *testing.T, w *world)
		want error
	}{
		{"all is well", func(*testing.T, *world) {}, nil},
		{"leader of another term", func(_ *testing.T, w *world) { w.leading = 4 }, errNotLeading},
		{"a newer claim", func(t *testing.T, w *world) { w.claimOver(t) }, errNotGranted},
		{"HAProxy is unhealthy", func(_ *testing.T, w *world) { w.healthy = false }, errUnhealthy},
		{"no evidence in this term", func(_ *testing.T, w *world) { w.evidence = -1 }, errNoEvidence},
		{"the newest round began too long ago", func(_ *testing.T, w *world) { w.evidence = w.now() - DefaultTiming().EvidenceMaxAge }, errNoEvidence},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			w.lead(t, 3)
			claim := w.claimOver(t)
			d := w.driver()
			tt.take(t, w)
			if err := d.permit(testEIP, 3, claim)(); !errors.Is(err, tt.want) {
				t.Errorf("permit says %v, want %v", err, tt.want)
			}
		})
	}
}

// claimOver commits a claim of node-a and returns its index.
func (w *world) claimOver(t *testing.T) uint64 {
	t.Helper()
	return w.claim(t, fsm.Claim{Origin: fsm.Origin{Term: 3}, Node: "node-a", Mode: fsm.Takeover, Observed: true})
}

// TestWirePermit: I3: an advert wants evidence that began after a peer was heard, and only while reigning.
func TestWirePermit(t *testing.T) {
	w := newWorld()
	d := w.driver()
	w.leading, w.evidence = 3, w.now()
	if err := d.WirePermit(0); !errors.Is(err, errNotReigning) {
		t.Errorf("not reigning: %v", err)
	}
	d.reigning.Store(3)
	if err := d.WirePermit(0); err != nil {
		t.Errorf("reigning with fresh evidence: %v", err)
	}
	if err := d.WirePermit(w.now()); !errors.Is(err, errNoEvidence) {
		t.Errorf("a peer was heard after the evidence began: %v", err)
	}
	w.leading = 0
	if err := d.WirePermit(0); !errors.Is(err, errNotReigning) {
		t.Errorf("deposed, but not told yet: %v", err)
	}
}

// TestLostLeadershipEndsTheCall: a call hangs on a context that ends with the leadership, and the Master resigns.
func TestLostLeadershipEndsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		ended := make(chan error, 1)
		w.call = func(ctx context.Context, _ eip.Permit) (eip.AssociationID, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return "", ctx.Err()
		}
		d, stop := start(t, w)
		w.lead(t, 2)
		synctest.Wait()
		if step := d.View().Addresses[0].Step; step != string(associating) {
			t.Fatalf("the leader is %q, want %q", step, associating)
		}
		w.follow(3)
		synctest.Wait()
		select {
		case <-ended:
		default:
			t.Error("the call goes on after the leadership")
		}
		stop()
	})
}

// TestShutdownHandsOver: SIGTERM at the Master: resign, release, transfer; the end comes with the new leader.
func TestShutdownHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.call = func(_ context.Context, permit eip.Permit) (eip.AssociationID, error) { return "x1", permit() }
		d, stop := start(t, w)
		w.lead(t, 2)
		time.Sleep(contactEvery * 2) // bubble time: the peers are looked at
		synctest.Wait()
		if d.View().State != Master {
			t.Fatalf("state %s, want Master", d.View().State)
		}
		done := make(chan struct{})
		go func() { stop(); close(done) }()
		synctest.Wait()
		w.mu.Lock()
		to := w.transferTo
		w.mu.Unlock()
		if to != "node-b" || !w.replica.State().Addresses[testEIP].Claim.Released {
			t.Fatalf("transferred to %q, claim %+v: want node-b and a released claim", to, w.replica.State().Addresses[testEIP].Claim)
		}
		w.follow(3)
		<-done
		if got := strings.Join(w.wire, ", "); got != "reign, resign: agent stopping" {
			t.Errorf("on the wire: %s", got)
		}
	})
}

// TestShutdownIsBounded: a Raft that hangs does not keep the process.
func TestShutdownIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.call = func(_ context.Context, permit eip.Permit) (eip.AssociationID, error) { return "x1", permit() }
		_, stop := start(t, w)
		w.lead(t, 2)
		time.Sleep(contactEvery * 2)
		w.mu.Lock()
		w.hangs = true
		w.mu.Unlock()
		began := time.Now()
		if err := stop(); !errors.Is(err, ErrShutdownTimeout) {
			t.Errorf("the end: %v, want %v", err, ErrShutdownTimeout)
		}
		if took := time.Since(began); took != shutdownWithin {
			t.Errorf("the end took %v, want %v", took, shutdownWithin)
		}
	})
}

// TestRefreshDoesNotCutOff: under strict fencing a contested association is refreshed, but not by the node whose only way to
// EC2 it may be: with other candidates in reach it hands over, though it became leader only this moment.
func TestRefreshDoesNotCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.address = eip.Address{AssociationID: "x1", ENI: mine.ENI, PrivateIP: mine.PrivateIP}
		w.members(t, 1)
		w.claim(t, fsm.Claim{Origin: fsm.Origin{Term: 1}, Node: "node-a", Mode: fsm.Adopt, Observed: true, Association: "x1"})
		w.claim(t, fsm.Claim{Origin: fsm.Origin{Term: 1}, Node: "node-b", Mode: fsm.Takeover})
		cfg := testConfig()
		cfg.Fencing = fsm.Strict
		_, stop := run(w.driverOf(cfg))
		time.Sleep(time.Second) // bubble time: the first read is done
		w.lead(t, 2)
		time.Sleep(contactEvery / 2)
		synctest.Wait()
		w.mu.Lock()
		calls, to := w.calls, w.transferTo
		w.mu.Unlock()
		if len(calls) > 0 || to != "node-b" {
			t.Errorf("called %v, transferred to %q: want no call and node-b", calls, to)
		}
		w.follow(3)
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// start runs a driver in the bubble. stop ends it as SIGTERM does.
func start(t *testing.T, w *world) (*Driver, func() error) {
	t.Helper()
	return run(w.driver())
}

func run(d *Driver) (*Driver, func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- d.Run(ctx) }()
	return d, func() error {
		cancel()
		return <-result
	}
}

// TestRequestsBetweenNodes: the three requests over HTTP, and what a stranger may send.
func TestRequestsBetweenNodes(t *testing.T) {
	defer goleak.VerifyNone(t)
	w := newWorld()
	w.call = func(context.Context, eip.Permit) (eip.AssociationID, error) { return "x1", nil }
	d, stop := start(t, w)
	tests := []struct {
		name, path, body string
		code             int
		want             string
	}{
		{"a report is taken", reportPath, `{"node":{"name":"node-b"},"healthy":true}`, http.StatusOK, "{}"},
		{"a release that is not known is refused with the reason", releasePath, `{"allocation_id":"eipalloc-1","term":9,"ends":4}`, http.StatusConflict, "claim 4 is not known here"},
		{"a release of another address is refused", releasePath, `{"allocation_id":"eipalloc-9","term":9,"ends":4}`, http.StatusConflict, "not in this node's configuration"},
		{"a transfer is the leader's business", transferPath, `{"to":"node-b"}`, http.StatusConflict, "not the leader"},
		{"garbage is refused", releasePath, `{"term":`, http.StatusBadRequest, "read request"},
		{"too much is refused", reportPath, `{"reason":"` + strings.Repeat("x", maxRequest) + `"}`, http.StatusBadRequest, "too large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer := httptest.NewRecorder()
			d.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodPost, tt.path, strings.NewReader(tt.body)))
			if answer.Code != tt.code || !strings.Contains(answer.Body.String(), tt.want) {
				t.Errorf("%d %q, want %d %q", answer.Code, answer.Body, tt.code, tt.want)
			}
		})
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestReplicaSurvivesASnapshot(t *testing.T) {
	w := newWorld()
	w.lead(t, 3)
	w.claimOver(t)
	b, err := w.replica.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	restored := NewReplica()
	if err := restored.Restore(b); err != nil {
		t.Fatal(err)
	}
	one, _ := json.Marshal(w.replica.State())
	two, _ := json.Marshal(restored.State())
	if string(one) != string(two) {
		t.Errorf("restored state differs:\n%s\n%s", one, two)
	}
	select {
	case <-restored.Changed():
	default:
		t.Error("a restored state was not signalled")
	}
}
