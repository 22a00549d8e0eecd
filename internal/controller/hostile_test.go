package controller

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/vrrpwire"
)

// flooded is a wire on which adverts come faster than they are taken: whenever somebody looks, the queue is full.
type flooded struct {
	*voters
	forged vrrpwire.Heard
}

func (f flooded) Heard() <-chan vrrpwire.Heard {
	f.forged.At = f.now()
	for {
		select {
		case f.heard <- f.forged:
		default:
			return f.heard
		}
	}
}

// TestAFloodOfAdvertsStarvesNobody: adverts that come faster than they are taken, from a peer as far as one can see. Whoever asks this node
// something is answered all the same.
func TestAFloodOfAdvertsStarvesNobody(t *testing.T) {
	peer := netip.MustParseAddr("10.0.0.2")
	w := &voters{world: newWorld(), words: map[string]string{"node-b": "hears", "node-c": "hears"}}
	cfg := testConfig()
	cfg.Hints, cfg.Configured = true, []fsm.Attributes{{Name: selfName, VRRPAddress: "10.0.0.1"}, {Name: "node-b", VRRPAddress: peer.String()}}
	d := w.driverOf(cfg)
	d.ports.Ballot, d.ports.Peers = w, w
	d.ports.Wire = flooded{w, vrrpwire.Heard{From: peer,
		Advertisement: vrrpwire.Advertisement{Version: 3, Priority: 255, Interval: 10 * time.Millisecond}}}
	_, stop := run(d)
	w.follow(3)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for range 20 {
		if _, err := d.Ask(ctx, func(op Op) Event { return SilenceAsked{Op: op, Term: 3, Suspect: "node-b"} }); err != nil {
			t.Fatalf("no answer under a flood: %v", err)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestANodeSpeaksForItself: what a member says about others is refused, if TLS says who speaks.
func TestANodeSpeaksForItself(t *testing.T) {
	w := newWorld()
	d, stop := start(t, w)
	w.follow(7)
	tests := []struct {
		name, by, path, body string
		code                 int
		want                 string
	}{
		{"its own facts", "node-c", reportPath, `{"node":{"name":"node-c"},"healthy":true}`, http.StatusOK, "{}"},
		{"another's facts", "node-c", reportPath, `{"node":{"name":"node-b"},"healthy":false}`, http.StatusForbidden, `node-c reports as "node-b"`},
		{"facts of a node that there is not", "node-c", reportPath, `{"node":{"name":"node-x"}}`, http.StatusForbidden, "its own facts only"},
		{"a release to another than the leader", "node-c", releasePath, `{"allocation_id":"eipalloc-1","term":7,"ends":1}`, http.StatusConflict, "node-c does not lead in term 7: node-b does"},
		{"a release to the leader", "node-b", releasePath, `{"allocation_id":"eipalloc-1","term":7,"ends":1}`, http.StatusConflict, "claim 1 is not known here"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			waitForTerm(t, d, 7)
			request := httptest.NewRequest(http.MethodPost, tt.path, strings.NewReader(tt.body))
			answer := httptest.NewRecorder()
			d.Handler().ServeHTTP(answer, request.WithContext(election.WithCaller(request.Context(), tt.by)))
			if answer.Code != tt.code || !strings.Contains(answer.Body.String(), tt.want) {
				t.Errorf("%d %q, want %d %q", answer.Code, answer.Body, tt.code, tt.want)
			}
		})
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func waitForTerm(t *testing.T, d *Driver, term uint64) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); d.View().Leadership.Term != term; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the driver is in term %d, want %d", d.View().Leadership.Term, term)
		}
	}
}

// TestWhatOthersSayIsCut: reasons are kept in the log of every node, and shown on terminals.
func TestWhatOthersSayIsCut(t *testing.T) {
	core := NewCore(testConfig())
	core.Step(0, Leadership{Term: 2, Leader: "node-a", Self: true})
	facts := Facts{Node: fsm.Attributes{Name: "node-b"}, Reason: "\x1b[2J" + strings.Repeat("x", 1<<20)}
	core.Step(0, Committed{State: fsm.State{Nodes: map[fsm.NodeName]fsm.Node{"node-b": {Attributes: facts.Node, Healthy: true}}}})
	for _, a := range core.Step(0, PeerReported{Facts: facts}) {
		if p, ok := a.(Propose); ok {
			if reason := p.Command.(fsm.SetHealth).Reason; len(reason) > maxReason || !strings.HasPrefix(reason, `\x1b[2Jxxx`) {
				t.Errorf("the log gets a reason of %d bytes: %.40q", len(reason), reason)
			}
			return
		}
	}
	t.Error("the report was not proposed: nothing was tested")
}
