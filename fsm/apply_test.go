package fsm

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const eip AllocationID = "eipalloc-1"

// cluster is a state in which entries can be applied as in a story.
type cluster struct {
	t     *testing.T
	state State
	index uint64
	term  uint64
	now   int64 // Unix milliseconds of what is applied
}

// newCluster returns a state with three healthy members in term 1.
func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t, state: New(), term: 1}
	for _, n := range []NodeName{"a", "b", "c"} {
		c.apply(UpsertNode{Origin: c.origin(), Node: Attributes{Name: n, Priority: 100, ENI: "eni-" + string(n)}})
		c.apply(SetHealth{Origin: c.origin(), Node: n, Healthy: true, EC2: true})
	}
	return c
}

func (c *cluster) origin() Origin { return Origin{Term: c.term, UnixMilli: c.now} }

func (c *cluster) apply(command Command) Result {
	c.t.Helper()
	b, err := Encode(command)
	if err != nil {
		c.t.Fatal(err)
	}
	c.index++
	return c.state.Apply(c.index, c.term, b)
}

func (c *cluster) claim(n NodeName, f Fencing, m Mode) Result {
	return c.apply(Claim{Origin: c.origin(), Node: n, AllocationID: eip, Fencing: f, Mode: m})
}

func (c *cluster) claimReleased(n NodeName) Result {
	return c.apply(Claim{Origin: c.origin(), Node: n, AllocationID: eip, Fencing: Balanced, Mode: Handover, Released: true})
}

func (c *cluster) claimRead(n NodeName, f Fencing, m Mode, id AssociationID) Result {
	return c.apply(Claim{Origin: c.origin(), Node: n, AllocationID: eip, Fencing: f, Mode: m, Observed: true, Association: id})
}

func (c *cluster) confirm(n NodeName, id AssociationID) Result {
	return c.apply(Confirm{Origin: c.origin(), Node: n, AllocationID: eip, Claim: c.state.Addresses[eip].Claim.Index, Association: id, Settled: true})
}

func (c *cluster) release(n NodeName, settled bool) Result {
	return c.apply(Release{Origin: c.origin(), Node: n, AllocationID: eip, Ends: c.state.Addresses[eip].Claim.Index, Settled: settled})
}

// remove takes n out of the members.
func (c *cluster) remove(n NodeName) {
	c.t.Helper()
	c.state.Level = 2
	c.want(c.apply(RemoveNode{Origin: c.origin(), Node: n}), "", "", "")
}

// holds puts the address on n under id, by a takeover of a free address.
func (c *cluster) holds(n NodeName, f Fencing, id AssociationID) {
	c.t.Helper()
	if r := c.claimRead(n, f, Takeover, ""); r.Denied != "" {
		c.t.Fatalf("claim: %s", r.Denied)
	}
	if r := c.confirm(n, id); r.Denied != "" {
		c.t.Fatalf("confirm: %s", r.Denied)
	}
}

// claims has n make so many claims, one after another.
func (c *cluster) claims(n NodeName, times int) {
	for i := range times {
		c.claimRead(n, Balanced, Takeover, AssociationID(fmt.Sprint("x", i)))
	}
}

func (c *cluster) want(r Result, denied Denial, mode Mode, displaces AssociationID) {
	c.t.Helper()
	if r.Denied != denied || r.Grant.Mode != mode || r.Grant.Displaces != displaces {
		c.t.Fatalf("got denied=%q mode=%q displaces=%q, want %q %q %q", r.Denied, r.Grant.Mode, r.Grant.Displaces, denied, mode, displaces)
	}
}

// TestClaimMode: I2: the state machine decides whether a claim may be carried out by one atomic call.
func TestClaimMode(t *testing.T) {
	tests := []struct {
		name      string
		before    func(c *cluster)
		claim     func(c *cluster) Result
		denied    Denial
		mode      Mode
		displaces AssociationID
	}{
		{"a released claim allows one atomic call", func(c *cluster) { c.holds("a", Balanced, "x1"); c.release("a", true) },
			func(c *cluster) Result { return c.claim("b", Balanced, Handover) }, "", Handover, ""},
		{"a standing claim makes it a takeover", func(c *cluster) { c.holds("a", Balanced, "x1") },
			func(c *cluster) Result { return c.claim("b", Balanced, Handover) }, "", Takeover, "x1"},
		{"strict fencing never allows the atomic call", func(c *cluster) { c.holds("a", Strict, "x1"); c.release("a", true) },
			func(c *cluster) Result { return c.claim("b", Strict, Handover) }, "", Takeover, "x1"},
		{"who wants a released claim is not granted a takeover", func(c *cluster) { c.holds("a", Balanced, "x1") },
			func(c *cluster) Result { return c.claimReleased("b") }, DeniedNotReleased, "", ""},
		{"who wants a released claim gets it", func(c *cluster) { c.holds("a", Balanced, "x1"); c.release("a", true) },
			func(c *cluster) Result { return c.claimReleased("b") }, "", Handover, ""},
		{"a release is consumed by the next claim", func(c *cluster) {
			c.holds("a", Balanced, "x1")
			c.release("a", true)
			c.claim("b", Balanced, Handover)
		}, func(c *cluster) Result { return c.claim("c", Balanced, Handover) }, "", Takeover, "x1"},
		{"an atomic call with unknown outcome forbids the next", func(c *cluster) {
			c.holds("a", Balanced, "x1")
			c.release("a", true)
			c.claim("b", Balanced, Handover) // b's answer never came
			c.release("b", false)
		}, func(c *cluster) Result { return c.claim("c", Balanced, Handover) }, "", Takeover, "x1"},
		{"without knowledge and without a read nothing is granted", func(*cluster) {},
			func(c *cluster) Result { return c.claim("a", Balanced, Handover) }, DeniedUnobserved, "", ""},
		{"a free address is taken over from nobody", func(*cluster) {},
			func(c *cluster) Result { return c.claimRead("a", Balanced, Takeover, "") }, "", Takeover, ""},
		{"what was read is displaced", func(c *cluster) { c.holds("a", Balanced, "x1") },
			func(c *cluster) Result { return c.claimRead("b", Balanced, Takeover, "x9") }, "", Takeover, "x9"},
		{"what is ours is adopted", func(*cluster) {},
			func(c *cluster) Result { return c.claimRead("a", Balanced, Adopt, "x1") }, "", Adopt, ""},
		{"adoption wants a read", func(*cluster) {},
			func(c *cluster) Result { return c.claim("a", Balanced, Adopt) }, DeniedUnobserved, "", ""},
		{"a contested id is adopted under guard when balanced", func(c *cluster) {
			c.holds("a", Balanced, "x1")
			c.claim("b", Balanced, Takeover) // names x1
		}, func(c *cluster) Result { return c.claimRead("a", Balanced, Adopt, "x1") }, "", Adopt, ""},
		{"a contested id is refreshed when strict", func(c *cluster) {
			c.holds("a", Strict, "x1")
			c.claim("b", Strict, Takeover)
		}, func(c *cluster) Result { return c.claimRead("a", Strict, Adopt, "x1") }, "", Takeover, "x1"},
		{"an id that was replaced is not adopted from a stale read", func(c *cluster) {
			c.holds("a", Balanced, "x1")
			c.release("a", true)
			c.claim("b", Balanced, Handover)
			c.confirm("b", "x2")
		}, func(c *cluster) Result { return c.claimRead("a", Balanced, Adopt, "x1") }, DeniedSuperseded, "", ""},
		{"an unhealthy node is granted nothing", func(c *cluster) { c.apply(SetHealth{Origin: c.origin(), Node: "b"}) },
			func(c *cluster) Result { return c.claimRead("b", Balanced, Takeover, "") }, DeniedNotCandidate, "", ""},
		{"a drained node is granted nothing", func(c *cluster) { c.apply(SetDrain{Origin: c.origin(), Node: "b", Drained: true}) },
			func(c *cluster) Result { return c.claimRead("b", Balanced, Takeover, "") }, DeniedNotCandidate, "", ""},
		{"a stranger is granted nothing", func(*cluster) {},
			func(c *cluster) Result { return c.claimRead("z", Balanced, Takeover, "") }, DeniedUnknownNode, "", ""},
		{"an unknown mode is granted nothing", func(*cluster) {},
			func(c *cluster) Result { return c.claimRead("a", Balanced, "steal", "") }, DeniedInvalid, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCluster(t)
			tt.before(c)
			c.t = t
			c.want(tt.claim(c), tt.denied, tt.mode, tt.displaces)
		})
	}
}

// TestEntryOfAnotherTerm: I1: raft.Apply has no term precondition, so an old goroutine may append in a newer term.
func TestEntryOfAnotherTerm(t *testing.T) {
	c := newCluster(t)
	c.holds("a", Balanced, "x1")
	old := Origin{Term: 1}
	c.term = 2
	before := c.state.Clone()
	for _, command := range []Command{
		Claim{Origin: old, Node: "b", AllocationID: eip, Fencing: Balanced, Mode: Takeover},
		Confirm{Origin: old, Node: "a", AllocationID: eip, Claim: 7, Association: "x2"},
		Release{Origin: old, Node: "a", AllocationID: eip, Ends: 7},
		GuardDone{Origin: old, Node: "a", AllocationID: eip, Association: "x1", Through: 9},
		SetHealth{Origin: old, Node: "a"}, SetDrain{Origin: old, Node: "a", Drained: true},
		UpsertNode{Origin: old, Node: Attributes{Name: "a", Priority: 1}}, RemoveNode{Origin: old, Node: "a"},
		SetLevel{Origin: old, Level: Newest},
	} {
		if r := c.apply(command); r.Denied != DeniedTerm {
			t.Errorf("%T of term 1 in the log of term 2: denied=%q, want %q", command, r.Denied, DeniedTerm)
		}
	}
	before.Index, before.Term = c.state.Index, c.state.Term
	if d := cmp.Diff(before, c.state); d != "" {
		t.Errorf("entries of another term changed the state (-before +after):\n%s", d)
	}
}

// TestConfirm: I2: what a Confirm may claim to be fresh.
func TestConfirm(t *testing.T) {
	t.Run("a contested id is not fresh under strict fencing", func(t *testing.T) {
		c := newCluster(t)
		c.holds("a", Strict, "x1")
		c.claim("b", Strict, Takeover) // names x1
		// AssociateAddress to the same ENI is idempotent: a may get x1 back.
		c.claimRead("a", Strict, Takeover, "")
		c.want(c.confirm("a", "x1"), DeniedContested, "", "")
		if c.state.Addresses[eip].HeldBy("a") {
			t.Error("a holds under a contested id")
		}
	})
	t.Run("balanced fencing takes it under guard", func(t *testing.T) {
		c := newCluster(t)
		c.holds("a", Balanced, "x1")
		c.claim("b", Balanced, Takeover)
		c.claimRead("a", Balanced, Takeover, "")
		c.want(c.confirm("a", "x1"), "", "", "")
		if a := c.state.Addresses[eip]; !a.HeldBy("a") || !a.Guarded() {
			t.Errorf("held=%v guarded=%v, want both", a.HeldBy("a"), a.Guarded())
		}
	})
	t.Run("only for the newest claim of that node", func(t *testing.T) {
		c := newCluster(t)
		c.holds("a", Balanced, "x1")
		stale := c.state.Addresses[eip].Claim.Index
		c.claim("b", Balanced, Takeover)
		r := c.apply(Confirm{Origin: c.origin(), Node: "a", AllocationID: eip, Claim: stale, Association: "x9"})
		c.want(r, DeniedStaleClaim, "", "")
	})
	t.Run("not after its release", func(t *testing.T) {
		c := newCluster(t)
		c.holds("a", Balanced, "x1")
		c.release("a", true)
		c.want(c.confirm("a", "x2"), DeniedStaleClaim, "", "")
	})
}

// TestContestedIsASet: a boolean mark, or one cleared by a Confirm, was refuted by a model checker: an id named long ago may
// come back by a stale call's idempotent answer.
func TestContestedIsASet(t *testing.T) {
	c := newCluster(t)
	c.holds("a", Balanced, "x1")
	c.claim("b", Balanced, Takeover)
	c.confirm("b", "x2")
	c.claim("c", Balanced, Takeover)
	c.confirm("c", "x3")
	for _, id := range []AssociationID{"x1", "x2"} {
		if fate := c.state.Addresses[eip].Fates[id]; fate == "" {
			t.Errorf("%s is trusted again", id)
		}
	}
}

// TestContestedThenReplacedIsNotAdopted: a contested id that a later Confirm replaced is gone from EC2; who reads it reads the
// past, and must not adopt it even where a contested one may be adopted (found by the model: contested-outlives).
func TestContestedThenReplacedIsNotAdopted(t *testing.T) {
	c := newCluster(t)
	c.holds("a", Balanced, "x1")
	c.term++
	c.want(c.claim("b", Balanced, Takeover), "", Takeover, "x1")
	c.confirm("b", "x2")
	c.term++
	c.want(c.claimRead("a", Balanced, Adopt, "x1"), DeniedSuperseded, "", "")
}

// TestAttemptOutlives: an atomic attempt with unknown outcome survives later claims and confirms; only its own answer or a
// GuardDone ends it.
func TestAttemptOutlives(t *testing.T) {
	unknown := func(t *testing.T) (*cluster, uint64) {
		c := newCluster(t)
		c.holds("a", Balanced, "x1")
		c.release("a", true)
		attempt := c.claim("b", Balanced, Handover).Grant.Index
		c.claimRead("c", Balanced, Takeover, "x1")
		c.confirm("c", "x3")
		if a := c.state.Addresses[eip]; !slices.ContainsFunc(a.Attempts, func(t Attempt) bool { return t.Claim == attempt }) || !a.Guarded() {
			t.Fatalf("attempts %v: b's is forgotten", a.Attempts)
		}
		return c, attempt
	}
	t.Run("a guard ends it", func(t *testing.T) {
		c, attempt := unknown(t)
		c.apply(GuardDone{Origin: c.origin(), Node: "c", AllocationID: eip, Association: "x3", Through: attempt})
		if a := c.state.Addresses[eip]; a.Guarded() {
			t.Errorf("still guarded: %+v", a)
		}
	})
	t.Run("a guard of somebody else's association does not", func(t *testing.T) {
		c, attempt := unknown(t)
		r := c.apply(GuardDone{Origin: c.origin(), Node: "b", AllocationID: eip, Association: "x3", Through: attempt})
		c.want(r, DeniedStaleClaim, "", "")
	})
	t.Run("its own answer ends it", func(t *testing.T) {
		c := newCluster(t)
		c.holds("a", Balanced, "x1")
		c.release("a", true)
		c.claim("b", Balanced, Handover)
		c.confirm("b", "x2")
		if a := c.state.Addresses[eip]; a.Guarded() {
			t.Errorf("guarded after the answer: %+v", a)
		}
	})
	t.Run("a read that shows the association does not", func(t *testing.T) {
		c := newCluster(t)
		c.holds("a", Balanced, "x1")
		c.release("a", true)
		claim := c.claim("b", Balanced, Handover).Grant.Index
		c.apply(Confirm{Origin: c.origin(), Node: "b", AllocationID: eip, Claim: claim, Association: "x2"})
		if a := c.state.Addresses[eip]; !a.HeldBy("b") || !a.Guarded() {
			t.Errorf("held=%v guarded=%v, want both", a.HeldBy("b"), a.Guarded())
		}
	})
}

// TestGrantClean: I3: whether the predecessor may still be advertising.
func TestGrantClean(t *testing.T) {
	c := newCluster(t)
	if r := c.claimRead("a", Balanced, Takeover, ""); !r.Grant.Clean {
		t.Error("the first claim is not clean")
	}
	c.confirm("a", "x1")
	if r := c.claimRead("a", Balanced, Adopt, "x1"); !r.Grant.Clean {
		t.Error("an own claim before is not clean")
	}
	if r := c.claim("b", Balanced, Takeover); r.Grant.Clean {
		t.Error("a claim over a standing one is clean")
	}
	if r := c.claim("b", Balanced, Takeover); r.Grant.Clean {
		t.Error("claiming again makes it clean, though a may still be advertising")
	}
	c.confirm("b", "x2")
	c.release("b", true)
	if r := c.claim("c", Balanced, Handover); r.Grant.Clean {
		t.Error("a release by b makes it clean, though a may still be advertising")
	}
	c.confirm("c", "x3")
	c.apply(Release{Origin: c.origin(), Node: "c", AllocationID: eip, Ends: c.state.Addresses[eip].Claim.Index, Alone: true})
	if r := c.claim("a", Balanced, Handover); !r.Grant.Clean {
		t.Error("a claim after a release by the only voice is not clean")
	}
	c.confirm("a", "x4")
	c.release("a", true)
	if r := c.claim("b", Balanced, Handover); !r.Grant.Clean {
		t.Error("a claim over a clean one that was released is not clean")
	}
}

// TestGuardStartsAgain: an id whose guard was completed may be named again, by a takeover whose call may then be in flight.
func TestGuardStartsAgain(t *testing.T) {
	c := newCluster(t)
	c.holds("a", Balanced, "x1")
	c.claim("b", Balanced, Takeover) // names x1
	through := c.claimRead("a", Balanced, Adopt, "x1").Grant.Index
	c.apply(GuardDone{Origin: c.origin(), Node: "a", AllocationID: eip, Association: "x1", Through: through})
	if c.state.Addresses[eip].Guarded() {
		t.Fatal("guarded after the guard")
	}
	c.claim("b", Balanced, Takeover) // names x1 again
	c.claimRead("a", Balanced, Adopt, "x1")
	if !c.state.Addresses[eip].Guarded() {
		t.Error("x1 may be disassociated at any moment, and nobody guards")
	}
}

// TestForeignMoveIsRespectedUntilItIsGone: I6 as configured.
func TestForeignMoveIsRespectedUntilItIsGone(t *testing.T) {
	c := newCluster(t)
	c.holds("a", Balanced, "x1")
	c.apply(Release{Origin: c.origin(), Node: "a", AllocationID: eip, Ends: c.state.Addresses[eip].Claim.Index, Foreign: "x7"})
	if f := c.state.Addresses[eip].Foreign; f != "x7" {
		t.Fatalf("foreign is %q", f)
	}
	// Of a leader whose state lags behind the respect, and of one that sees the association still.
	for name, r := range map[string]Result{
		"without a read":       c.claim("b", Balanced, Handover),
		"fast, without a read": c.claim("b", Fast, Handover),
		"if released":          c.claimReleased("b"),
		"of that association":  c.claimRead("b", Balanced, Takeover, "x7"),
		"adopting it":          c.claimRead("b", Balanced, Adopt, "x7"),
	} {
		if r.Denied != DeniedRespected {
			t.Errorf("a claim %s: denied %q, want %q", name, r.Denied, DeniedRespected)
		}
	}
	if r := c.claimRead("b", Balanced, Takeover, ""); r.Denied != "" {
		t.Errorf("a claim after the association is gone: denied %q", r.Denied)
	}
	if f := c.state.Addresses[eip].Foreign; f != "" {
		t.Errorf("foreign is %q after that", f)
	}
}

// TestUnanswered: a late call of the cluster's own is told from a person's move by the claims that nobody confirmed.
func TestUnanswered(t *testing.T) {
	const past, since = 1000, 2000
	tests := []struct {
		name string
		did  func(*cluster)
		want bool
	}{
		{"nothing", func(*cluster) {}, false},
		{"a claim that is confirmed", func(c *cluster) { c.holds("b", Strict, "x1") }, false},
		{"a claim that is not", func(c *cluster) { c.claimRead("b", Strict, Takeover, "") }, true},
		{"of another node", func(c *cluster) { c.claimRead("a", Strict, Takeover, "") }, false},
		{"of another address", func(c *cluster) {
			c.apply(Claim{Origin: c.origin(), Node: "b", AllocationID: "eipalloc-2", Fencing: Strict, Mode: Takeover, Observed: true})
		}, false},
		{"released and not confirmed", func(c *cluster) { c.claimRead("b", Strict, Takeover, ""); c.release("b", false) }, true},
		{"the next one is confirmed", func(c *cluster) { c.claimRead("b", Strict, Takeover, ""); c.holds("b", Strict, "x1") }, true},
		{"another node's is confirmed", func(c *cluster) { c.claimRead("b", Strict, Takeover, ""); c.holds("a", Strict, "x1") }, true},
		{"an adoption, which is no call", func(c *cluster) { c.claimRead("b", Balanced, Adopt, "x1") }, false},
		{"too long ago", func(c *cluster) {
			c.now = past
			c.claimRead("b", Strict, Takeover, "")
			c.claimRead("a", Strict, Takeover, "")
			c.now = since
			c.holds("a", Strict, "x1")
		}, false},
		{"granted too long ago, and it stood until now", func(c *cluster) {
			c.now = past
			c.claimRead("b", Strict, Takeover, "")
			c.now = since
			c.holds("a", Strict, "x1")
		}, true},
		{"released too long ago", func(c *cluster) {
			c.now = past
			c.claimRead("b", Strict, Takeover, "")
			c.release("b", false)
			c.now = since
			c.holds("a", Strict, "x1")
		}, false},
		{"its node was removed", func(c *cluster) { c.claimRead("b", Strict, Takeover, ""); c.remove("b") }, true},
		{"its node was removed too long ago", func(c *cluster) {
			c.now = past
			c.claimRead("b", Strict, Takeover, "")
			c.remove("b")
			c.now = since
			c.holds("a", Strict, "x1")
		}, false},
		{"another node was removed", func(c *cluster) {
			c.holds("b", Strict, "x1")
			c.claimRead("a", Strict, Takeover, "")
			c.remove("b")
		}, false},
		{"another machine has its node's name", func(c *cluster) {
			c.claimRead("b", Strict, Takeover, "")
			c.state.Level = 2
			c.want(c.apply(AdmitNode{Origin: c.origin(), Node: Attributes{Name: "b", Address: "10.0.0.9:1"}}), "", "", "")
			c.apply(UpsertNode{Origin: c.origin(), Node: Attributes{Name: "b", Address: "10.0.0.9:1", ENI: "eni-new"}})
		}, true},
		{"removed after a recovery, when it may have had a claim", func(c *cluster) {
			c.state.Recover("a", nil, since, "the operator says so")
			c.remove("b")
		}, true},
		{"claims may have been lost with a quorum", func(c *cluster) { c.state.Recover("a", nil, since, "the operator says so") }, true},
		{"that was too long ago", func(c *cluster) { c.state.Recover("a", nil, past, "the operator says so") }, false},
		{"the history does not reach back so far", func(c *cluster) { c.now++; c.claims("a", historyLimit) }, true},
		{"it just does", func(c *cluster) { c.claims("a", historyLimit) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCluster(t)
			c.now = since
			tt.did(c)
			if got := c.state.Unanswered(eip, "eni-b", since); got != tt.want {
				t.Errorf("unanswered is %v, want %v, after %+v", got, tt.want, c.state.History)
			}
		})
	}
}

// TestTried: who could not do it is told by the claims since the last confirmation.
func TestTried(t *testing.T) {
	c := newCluster(t)
	c.holds("a", Balanced, "x1")
	c.claimRead("a", Balanced, Takeover, "x1")
	first := c.state.Index
	c.claimRead("b", Balanced, Takeover, "x1")
	c.want(c.claimRead("a", Balanced, Takeover, "x1"), "", Takeover, "x1")
	last := c.state.Index
	if a, b := c.state.Tried(eip, "a"), c.state.Tried(eip, "b"); a != last || b != first+1 {
		t.Errorf("tried at %d and %d, want %d and %d", a, b, last, first+1)
	}
	if other := c.state.Tried("eipalloc-2", "a"); other != 0 {
		t.Errorf("another address was tried at %d", other)
	}
	c.holds("b", Balanced, "x2")
	if a, b := c.state.Tried(eip, "a"), c.state.Tried(eip, "b"); a != 0 || b != 0 {
		t.Errorf("tried at %d and %d after a confirmation", a, b)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	c := newCluster(t)
	c.claims("a", historyLimit+50)
	if n := len(c.state.History); n != historyLimit {
		t.Errorf("%d transitions kept, want %d", n, historyLimit)
	}
	if last := c.state.History[historyLimit-1]; last.Index != c.index {
		t.Errorf("newest transition is of entry %d, want %d", last.Index, c.index)
	}
}

func TestNodes(t *testing.T) {
	c := newCluster(t)
	c.apply(SetDrain{Origin: c.origin(), Node: "a", Drained: true})
	c.apply(UpsertNode{Origin: c.origin(), Node: Attributes{Name: "a", Priority: 7}})
	if n := c.state.Nodes["a"]; n.Priority != 7 || !n.Drained || !n.Healthy {
		t.Errorf("new attributes lost the condition: %+v", n)
	}
	if n := c.state.Nodes["a"]; n.Candidate() {
		t.Error("a drained node is a candidate")
	}
	if r := c.apply(RemoveNode{Origin: c.origin(), Node: "a"}); r.Denied != "" {
		t.Errorf("remove: %s", r.Denied)
	}
	if r := c.apply(SetHealth{Origin: c.origin(), Node: "a", Healthy: true}); r.Denied != DeniedUnknownNode {
		t.Errorf("health of a removed node: denied=%q", r.Denied)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good, err := Encode(SetHealth{Node: "a"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, bytes, want string }{
		{"nothing", "", "malformed"},
		{"a newer level", "\x63" + string(good[1:]), "level 99"},
		{"another level than the command's", "\x02" + string(good[1:]), "malformed"},
		{"an unknown kind", "\x01" + `{"kind":"explode","body":{}}`, "malformed"},
		{"an unknown field", "\x01" + `{"kind":"set-health","body":{"term":1,"node":"a","sick":true}}`, "malformed"},
		{"no JSON", "\x01{", "malformed"},
		{"trailing bytes", string(good) + "{}", "malformed"},
		{"too much", "\x01" + strings.Repeat(" ", maxCommandSize), "malformed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Decode([]byte(tt.bytes))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// TestFastFencing: fast makes one atomic call of a takeover, except while an earlier atomic call may still land (docs/SAFETY.md).
func TestFastFencing(t *testing.T) {
	c := newCluster(t)
	c.holds("a", Fast, "x1")
	seizure := c.claim("b", Fast, Handover).Grant
	if seizure.Mode != Seizure || !seizure.Atomic() || seizure.Clean {
		t.Errorf("a claim over a standing one = %+v, want an unclean seizure", seizure)
	}
	if a := c.state.Addresses[eip]; !a.Guarded() {
		t.Error("not guarded while the atomic call is out")
	}
	if r := c.claim("c", Fast, Handover); r.Grant.Mode != Takeover || r.Grant.Displaces != "x1" {
		t.Errorf("while b's atomic call may land: %+v, want a takeover of x1", r)
	}
	c.confirm("c", "x2")
	c.release("c", true)
	if r := c.claim("a", Fast, Handover); r.Grant.Mode != Takeover {
		t.Errorf("a release by c does not settle b's call, but granted %+v", r)
	}
	c.confirm("a", "x3")
	through := c.state.Addresses[eip].Claim.Index
	c.apply(GuardDone{Origin: c.origin(), Node: "a", AllocationID: eip, Association: "x3", Through: through})
	c.release("a", true)
	if r := c.claim("b", Fast, Handover); r.Grant.Mode != Handover {
		t.Errorf("after the guard and a release: %+v, want a handover", r)
	}
	if r := c.claim("c", Balanced, Handover); r.Grant.Mode != Takeover {
		t.Errorf("balanced over a standing claim: %+v, want a takeover", r)
	}
}
