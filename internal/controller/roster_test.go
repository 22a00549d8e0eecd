package controller

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
)

// roster stands in for Raft's side of membership.
type roster struct {
	servers []election.Server
	refuses error
	removed []string
}

func (r *roster) Servers() []election.Server                     { return r.servers }
func (r *roster) CheckRemoval(_ context.Context, _ string) error { return r.refuses }
func (r *roster) Remove(_ context.Context, name string) error {
	r.removed = append(r.removed, name)
	return nil
}

func voter(name string) election.Server {
	return election.Server{Name: name, Incarnation: "1", Address: name + ":1", Voter: true, Contact: 20 * time.Millisecond}
}

// TestARemovalIsAgreedOnFirst, and then done by Raft; it is neither if what is left would be no quorum.
func TestARemovalIsAgreedOnFirst(t *testing.T) {
	for name, refuses := range map[string]error{"allowed": nil, "refused": errors.New("removing node-b would leave 1 of 2 voters alive")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.replica.state.Level = membershipLevel
				w.call = func(_ context.Context, permit eip.Permit) (eip.AssociationID, error) { return "x1", permit() }
				r := &roster{servers: []election.Server{voter("node-a"), voter("node-b"), voter("node-c")}, refuses: refuses}
				d := w.driver()
				d.ports.Roster = r
				_, stop := run(d)
				w.lead(t, 2)
				synctest.Wait()
				_, err := d.RequestRemove(t.Context(), "node-b")
				if !errors.Is(err, refuses) || w.replica.Removed("node-b") != (refuses == nil) || (len(r.removed) == 1) != (refuses == nil) {
					t.Errorf("remove: %v; agreed %v, done %q", err, w.replica.Removed("node-b"), r.removed)
				}
				w.follow(3)
				synctest.Wait()
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestALeaderThatMustStayHandsNothingOver: a move of the address cuts connections, and would be for a removal that is refused in the end.
func TestALeaderThatMustStayHandsNothingOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.replica.state.Level = membershipLevel
		w.call = func(_ context.Context, permit eip.Permit) (eip.AssociationID, error) { return "x1", permit() }
		r := &roster{servers: []election.Server{voter("node-a"), voter("node-b"), voter("node-c")}, refuses: errors.New("removing node-a would leave 1 of 2 voters alive")}
		d := w.driver()
		d.ports.Roster = r
		_, stop := run(d)
		w.lead(t, 2)
		synctest.Wait()
		if answer, err := d.removeAsLeader(t.Context(), "node-a", removedByOperator); !errors.Is(err, r.refuses) || answer.HandsOverTo != "" {
			t.Errorf("remove the leader: %+v, %v", answer, err)
		}
		w.follow(3)
		synctest.Wait()
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestTheHistorySaysWhyANodeWasRemoved: by a person, or because it was lost.
func TestTheHistorySaysWhyANodeWasRemoved(t *testing.T) {
	const lost = "its instance is gone"
	for want, remove := range map[string]func(context.Context, *Driver) error{
		removedByOperator: func(ctx context.Context, d *Driver) error { _, err := d.RequestRemove(ctx, "node-b"); return err },
		lost:              func(ctx context.Context, d *Driver) error { return d.RemoveLost(ctx, "node-b", lost) },
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.replica.state.Level = membershipLevel
			w.call = func(_ context.Context, permit eip.Permit) (eip.AssociationID, error) { return "x1", permit() }
			d := w.driver()
			d.ports.Roster = &roster{servers: []election.Server{voter("node-a"), voter("node-b"), voter("node-c")}}
			_, stop := run(d)
			w.lead(t, 2)
			synctest.Wait()
			if err := remove(t.Context(), d); err != nil {
				t.Error(err)
			}
			history := w.replica.State().History
			if last := history[len(history)-1]; last.Event != "removed" || last.Reason != want {
				t.Errorf("the history ends with %+v, want the reason %q", last, want)
			}
			w.follow(3)
			synctest.Wait()
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestANodeIsNotRemovedFromItself: its agent would end before it could answer.
func TestANodeIsNotRemovedFromItself(t *testing.T) {
	if _, err := newWorld().driver().RequestRemove(t.Context(), selfName); err == nil || !strings.Contains(err.Error(), "on another node") {
		t.Errorf("remove this node: %v", err)
	}
}

// TestWhoIsWhat: the standing of a node by what the cluster has agreed on and what Raft says.
func TestWhoIsWhat(t *testing.T) {
	w := newWorld()
	d := w.driver()
	silent := voter("node-b")
	silent.Contact, silent.Voter = -1, false
	d.ports.Roster = &roster{servers: []election.Server{voter("node-a"), silent, voter("node-e")}}
	committed := fsm.New()
	committed.Nodes["node-a"] = fsm.Node{Attributes: fsm.Attributes{Name: "node-a", Address: "10.0.0.1:1", Version: "1.2", Priority: 100}}
	committed.Nodes["node-b"] = fsm.Node{Attributes: fsm.Attributes{Name: "node-b", Address: "10.0.0.2:1", Witness: true}}
	committed.Admitted = map[fsm.NodeName]fsm.Attributes{"node-c": {Name: "node-c", Address: "10.0.0.3:1"}}
	committed.Removed = map[fsm.NodeName]uint64{"node-d": 7, "node-e": 8}
	d.view.Store(&View{Committed: committed, Leadership: Leadership{Self: true, Leader: "node-a"}})
	want := MemberList{From: "node-a", Leader: "node-a", Members: []Member{
		{Name: "node-a", Address: "10.0.0.1:1", Priority: 100, Standing: StandingVoter, Incarnation: "1", ContactMS: 20, Version: "1.2"},
		{Name: "node-b", Address: "10.0.0.2:1", Witness: true, Standing: StandingNonVoter, Incarnation: "1", ContactMS: -1},
		{Name: "node-c", Address: "10.0.0.3:1", Standing: StandingAdmitted, ContactMS: -1},
		{Name: "node-d", Standing: StandingRemoved, ContactMS: -1},
		{Name: "node-e", Address: "node-e:1", Standing: StandingLeaving, Incarnation: "1", ContactMS: 20},
	}}
	if diff := cmp.Diff(want, d.Members(t.Context())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWhatANodeMustSay to be let in.
func TestWhatANodeMustSay(t *testing.T) {
	good := fsm.Attributes{Name: "node-d", Address: "10.0.0.4:7400", VRRPAddress: "10.0.0.4", Priority: 100}
	tests := []struct {
		name   string
		change func(*fsm.Attributes)
		want   string
	}{
		{"all", func(*fsm.Attributes) {}, ""},
		{"a witness has no priority", func(n *fsm.Attributes) { n.Witness, n.Priority = true, 0 }, ""},
		{"a name of a host", func(n *fsm.Attributes) { n.Name = "node.d" }, "name"},
		{"no port", func(n *fsm.Attributes) { n.Address = "10.0.0.4" }, "ip:port"},
		{"port 0", func(n *fsm.Attributes) { n.Address = "10.0.0.4:0" }, "ip:port"},
		{"any address", func(n *fsm.Attributes) { n.Address = "0.0.0.0:7400" }, "ip:port"},
		{"IPv6 adverts", func(n *fsm.Attributes) { n.VRRPAddress = "fe80::1" }, "adverts"},
		{"priority 0", func(n *fsm.Attributes) { n.Priority = 0 }, "1 to 254"},
	}
	for _, tt := range tests {
		n := good
		tt.change(&n)
		if err := checkNode(n); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestVoterWarning(t *testing.T) {
	for voters, want := range map[int]string{0: "", 1: "single voter", 2: "survive no failure", 3: "", 4: "no more failures than 3", 5: "", 6: "no more failures than 5"} {
		if got := VoterWarning(voters); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%d voters: %q, want %q", voters, got, want)
		}
	}
}

// TestAForwardedRequestGoesNoFurther: two nodes that take each other for the leader would pass it to and fro.
func TestAForwardedRequestGoesNoFurther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		d, stop := start(t, w)
		w.follow(3)
		synctest.Wait()
		const node = `"node":{"name":"node-d","address":"10.0.0.4:7400","vrrp_address":"10.0.0.4","priority":100}`
		for body, want := range map[string]string{`{` + node + `,"forwarded":true}`: "not the leader", `{` + node + `}`: "connection refused"} {
			answer := httptest.NewRecorder()
			d.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodPost, election.AdmitPath, strings.NewReader(body)))
			if answer.Code != http.StatusConflict || !strings.Contains(answer.Body.String(), want) {
				t.Errorf("%s: %d %s, want %q", body, answer.Code, answer.Body, want)
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestOneNodeForAnAddressOnTheWire: a node of the configuration file that never came, and one that was let in at its VRRP address. The wire
// refuses a list of peers with one twice, and would go on with the old one whoever comes later.
func TestOneNodeForAnAddressOnTheWire(t *testing.T) {
	at := func(name fsm.NodeName, vrrp string) fsm.Attributes {
		return fsm.Attributes{Name: name, Address: vrrp + ":7400", VRRPAddress: vrrp, Priority: 100}
	}
	c := NewCore(Config{Self: at("node-b", "10.0.0.2"), Configured: []fsm.Attributes{at("node-b", "10.0.0.2"), at("node-z", "10.0.0.1")}})
	c.committed.Nodes["node-b"] = fsm.Node{Attributes: at("node-b", "10.0.0.2")}
	c.committed.Nodes["node-c"] = fsm.Node{Attributes: at("node-c", "fe80::3")} // says what no configuration file may
	c.committed.Admitted = map[fsm.NodeName]fsm.Attributes{"node-a": at("node-a", "10.0.0.1")}
	first, self := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	want := Wiring{Senders: map[netip.Addr]fsm.NodeName{first: "node-a", self: "node-b"}, Peers: []netip.Addr{first}}
	if got := c.wiring(); !got.equal(want) {
		t.Errorf("%v, want %v", got, want)
	}
}
