package fsm

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recovered is a cluster whose address was on holder under x1, after node a was recovered alone.
func recovered(t *testing.T, holder NodeName, f Fencing) *cluster {
	c := newCluster(t)
	c.holds(holder, f, "x1")
	c.state.Recover("a", nil, 1, "the operator says so")
	c.term++
	return c
}

// TestClaimsAfterARecovery: I2: what was lost with the quorum may be in flight, so nothing is one atomic call, and nothing that is found is
// trusted.
func TestClaimsAfterARecovery(t *testing.T) {
	tests := []struct {
		name      string
		fencing   Fencing
		before    func(*cluster) // the recovery
		claim     func(*cluster) Result
		mode      Mode
		displaces AssociationID
	}{
		{"a release may have been consumed by a lost claim", Balanced, func(c *cluster) { c.release("b", true) },
			func(c *cluster) Result { return c.claim("a", Balanced, Handover) }, Takeover, "x1"},
		{"not even fast fencing makes one call of it", Fast, func(*cluster) {},
			func(c *cluster) Result { return c.claim("a", Fast, Handover) }, Takeover, "x1"},
		{"what is ours is adopted", Balanced, func(*cluster) {},
			func(c *cluster) Result { return c.claimRead("a", Balanced, Adopt, "x1") }, Adopt, ""},
		{"under strict fencing it is refreshed", Strict, func(*cluster) {},
			func(c *cluster) Result { return c.claimRead("a", Strict, Adopt, "x1") }, Takeover, "x1"},
		{"and so is one that nobody here has ever seen", Strict, func(*cluster) {},
			func(c *cluster) Result { return c.claimRead("a", Strict, Adopt, "x7") }, Takeover, "x7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCluster(t)
			c.holds("b", tt.fencing, "x1")
			tt.before(c)
			c.state.Recover("a", nil, 1, "the operator says so")
			c.term++
			c.want(tt.claim(c), "", tt.mode, tt.displaces)
		})
	}
}

// TestARecoveryIsGuarded until nothing of the past can land any more, whatever is claimed and confirmed meanwhile.
func TestARecoveryIsGuarded(t *testing.T) {
	c := recovered(t, "b", Balanced)
	c.want(c.claimRead("a", Balanced, Adopt, "x7"), "", Adopt, "")
	if a := c.state.Addresses[eip]; !a.Guarded() || a.Fates["x7"] != Contested || a.Fates["x1"] != Superseded {
		t.Errorf("adopted after a recovery: %+v", a)
	}
	c.claimRead("a", Balanced, Takeover, "x7")
	c.confirm("a", "x8")
	a := c.state.Addresses[eip]
	if !a.Guarded() || a.Uncertain {
		t.Errorf("an association of its own, behind a lost atomic call: %+v", a)
	}
	c.apply(GuardDone{Origin: c.origin(), Node: "a", AllocationID: eip, Association: "x8", Through: a.Claim.Index})
	if a := c.state.Addresses[eip]; a.Guarded() {
		t.Errorf("behind the guard: %+v", a)
	}
	c.release("a", true)
	c.want(c.claim("a", Balanced, Handover), "", Handover, "")
}

// TestAnAnswerOfThePastEndsNoGuard: the lost call is not the one that this node knows of.
func TestAnAnswerOfThePastEndsNoGuard(t *testing.T) {
	c := newCluster(t)
	c.holds("b", Balanced, "x1")
	c.release("b", true)
	c.claim("a", Balanced, Handover) // the newest entry that the survivor has
	c.state.Recover("a", nil, 1, "")
	c.term++
	c.confirm("a", "x2")
	if a := c.state.Addresses[eip]; len(a.Attempts) != 1 {
		t.Errorf("attempts %+v, want the lost one", a.Attempts)
	}
}

// TestAnAddressOfWhichTheSurvivorKnowsNothing: the first claim of all may be among what is lost, its calls in flight, its reign on the wire (I2, I3).
func TestAnAddressOfWhichTheSurvivorKnowsNothing(t *testing.T) {
	for _, f := range []Fencing{Strict, Balanced} {
		c := newCluster(t)
		c.state.Recover("a", []AllocationID{eip}, 1, "")
		c.term++
		r := c.claimRead("a", f, Adopt, "x7")
		if f == Strict {
			c.want(r, "", Takeover, "x7")
		} else {
			c.want(r, "", Adopt, "")
		}
		if a := c.state.Addresses[eip]; r.Grant.Clean || a.Fates["x7"] != Contested || !a.Guarded() {
			t.Errorf("%s: granted %+v of %+v: a call of the past is not counted with", f, r.Grant, a)
		}
	}
}

// TestTheSurvivorBelongsToItsOwnCluster, though the last thing that it has heard of the old one was its own removal.
func TestTheSurvivorBelongsToItsOwnCluster(t *testing.T) {
	c := newCluster(t)
	c.state.Level = 2
	for _, name := range []NodeName{"a", "b"} {
		c.apply(RemoveNode{Origin: c.origin(), Node: name})
	}
	c.state.Recover("a", nil, 1, "")
	c.term++
	if r := c.apply(UpsertNode{Origin: c.origin(), Node: Attributes{Name: "a", Address: "10.0.0.1:1"}}); r.Denied != "" {
		t.Errorf("the survivor's word about itself: %s", r.Denied)
	}
	if r := c.apply(UpsertNode{Origin: c.origin(), Node: Attributes{Name: "b", Address: "10.0.0.2:1"}}); r.Denied != DeniedRemoved {
		t.Errorf("that of another removed node: %q, want %q", r.Denied, DeniedRemoved)
	}
}

// TestARecoveryKeepsTheRest: drains, attributes, fates and foreign moves; only others must say anew how they are, and a reign of the past may
// still be on the wire (I3).
func TestARecoveryKeepsTheRest(t *testing.T) {
	c := newCluster(t)
	c.holds("a", Balanced, "x1")
	c.apply(SetDrain{Origin: c.origin(), Node: "b", Drained: true})
	c.release("a", true)
	c.claim("b", Balanced, Handover)
	c.holds("a", Balanced, "x2")
	c.release("a", true)
	before := c.state.Clone()
	c.state.Recover("a", []AllocationID{eip}, 1700000000000, "the others are gone")
	got, want := c.state.Clone(), before.Clone()
	want.Level = 2
	for _, name := range []NodeName{"b", "c"} {
		n := want.Nodes[name]
		n.Healthy, n.EC2, n.Reason = false, false, "not heard of since the recovery"
		want.Nodes[name] = n
	}
	a := want.Addresses[eip]
	claim := *a.Claim
	claim.Released, claim.Clean = false, false
	a.Claim, a.Uncertain = &claim, true
	a.Fates = map[AssociationID]Fate{"x1": Superseded, "x2": Contested}
	a.Attempts = append(a.Attempts, Attempt{Claim: before.Index + 1, Term: before.Term, Node: "a"})
	want.Addresses[eip] = a
	want.History = append(want.History, Transition{Index: before.Index, Term: before.Term, UnixMilli: 1700000000000, Event: "recovered", Node: "a",
		Reason: "the others are gone"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("state after the recovery (-want +got):\n%s", diff)
	}
	b, err := got.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Restore(b)
	if diff := cmp.Diff(got, back); diff != "" || err != nil {
		t.Errorf("read back: %v\n%s", err, diff)
	}
}
