package judge

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/fsm"
)

const (
	theEIP   = fsm.AllocationID("eipalloc-1")
	freshFor = 300 * time.Millisecond
)

// story tells the judge what happened. Its methods panic on nonsense of the test itself.
type story struct {
	*Judge
	index uint64
	now   time.Duration
}

func newStory(fencing fsm.Fencing) *story {
	s := &story{now: time.Minute}
	s.Judge = New(Config{Now: func() time.Duration { return s.now }, Addresses: []fsm.AllocationID{theEIP}, Fencing: fencing, Respect: true, FreshFor: freshFor})
	return s
}

// commit lets a node apply the next command.
func (s *story) commit(term uint64, c fsm.Command) uint64 {
	s.index++
	b, err := fsm.Encode(c)
	if err != nil {
		panic(err)
	}
	s.Applied("a.1", s.index, term, b)
	return s.index
}

func (s *story) members() {
	for _, name := range []fsm.NodeName{"a", "b"} {
		s.commit(1, fsm.UpsertNode{Origin: fsm.Origin{Term: 1}, Node: fsm.Attributes{Name: name}})
		s.commit(1, fsm.SetHealth{Origin: fsm.Origin{Term: 1}, Node: name, Healthy: true, EC2: true})
	}
}

// claim returns the index of a claim, after a read that showed the association.
func (s *story) claim(term uint64, node fsm.NodeName, mode fsm.Mode, association fsm.AssociationID) uint64 {
	return s.commit(term, fsm.Claim{Origin: fsm.Origin{Term: term}, Node: node, AllocationID: theEIP, Fencing: s.cfg.Fencing,
		Mode: mode, Observed: true, Association: association})
}

func (s *story) release(term, claim uint64, node fsm.NodeName) {
	s.commit(term, fsm.Release{Origin: fsm.Origin{Term: term}, Node: node, AllocationID: theEIP, Ends: claim, Settled: true})
}

var voters = []string{"a", "b", "c"}

// call passes the final check with everything in order, unless spoil changes that: c has just followed.
func (s *story) call(id int, term, claim uint64, node string, spoil ...func(*Call)) {
	s.Followed("c", term, s.now)
	c := Call{ID: id, Address: theEIP, Node: node, Server: node + ".1", Term: term, Claim: claim, Leading: true, Voters: voters, Healthy: true}
	for _, f := range spoil {
		f(&c)
	}
	s.Called(c)
}

// reigns returns two claims under which a and b may advertise; c has just followed both.
func (s *story) reigns() (one, two uint64) {
	s.members()
	s.Followed("c", 3, s.now)
	s.Followed("c", 4, s.now)
	return s.claim(3, "a", fsm.Takeover, ""), s.claim(4, "b", fsm.Takeover, "")
}

func (s *story) advert(node string, reign int, claim uint64, priority uint8) {
	s.Advertised(Advert{Node: node, Reign: reign, Claim: claim, Priority: priority, Voters: voters})
}

// TestStories: what the judge accuses, and what it must let pass.
func TestStories(t *testing.T) {
	tests := []struct {
		name  string
		tell  func(*story)
		wants string // of the invariants, in order; "" = innocent
	}{
		{"a takeover from a dead node", func(s *story) {
			s.members()
			one := s.claim(3, "a", fsm.Takeover, "")
			s.call(1, 3, one, "a")
			s.Changed(1, "", "x1")
			two := s.claim(4, "b", fsm.Takeover, "x1")
			s.call(2, 4, two, "b")
			s.Changed(2, "x1", "")
			s.call(3, 4, two, "b")
			s.Changed(3, "", "x2")
		}, ""},
		{"I1: a claim that was never granted", func(s *story) { s.call(1, 3, 9, "a") }, "I1"},
		{"I1: another node's claim", func(s *story) {
			s.members()
			s.call(1, 3, s.claim(3, "a", fsm.Takeover, ""), "b")
		}, "I1"},
		{"I1: a claim of another term", func(s *story) {
			s.members()
			s.call(1, 4, s.claim(3, "a", fsm.Takeover, ""), "a")
		}, "I1"},
		{"I1: another address's claim", func(s *story) {
			s.members()
			s.call(1, 3, s.claim(3, "a", fsm.Takeover, ""), "a", func(c *Call) { c.Address = "eipalloc-2" })
		}, "I1"},
		{"I1: not the leader any more", func(s *story) {
			s.members()
			s.call(1, 3, s.claim(3, "a", fsm.Takeover, ""), "a", func(c *Call) { c.Leading = false })
		}, "I1"},
		{"I1: HAProxy is unhealthy", func(s *story) {
			s.members()
			s.call(1, 3, s.claim(3, "a", fsm.Takeover, ""), "a", func(c *Call) { c.Healthy = false })
		}, "I1"},
		{"I1: an effect of a call that no check let out", func(s *story) { s.Changed(7, "", "x1") }, "I1"},
		{"I1: two leaders of one term", func(s *story) { s.Led("a.1", 3); s.Led("b.1", 3) }, "I1"},
		{"one leader, seen twice", func(s *story) { s.Led("a.1", 3); s.Led("a.1", 3); s.Led("b.1", 4) }, ""},
		{"I1: a claim that was released", func(s *story) {
			s.members()
			one := s.claim(3, "a", fsm.Takeover, "")
			s.release(3, one, "a")
			s.call(1, 3, one, "a")
		}, "I1"},
		{"I4: a quorum followed too long ago", func(s *story) {
			s.members()
			one := s.claim(3, "a", fsm.Takeover, "")
			s.call(1, 3, one, "a", func(*Call) { s.now += freshFor + freshFor/100 + 1 })
		}, "I4"},
		{"a quorum followed as long ago as it may", func(s *story) {
			s.members()
			one := s.claim(3, "a", fsm.Takeover, "")
			s.call(1, 3, one, "a", func(*Call) { s.now += freshFor + freshFor/100 })
		}, ""},
		{"I4: of five, two are no quorum", func(s *story) {
			s.members()
			s.Followed("b", 3, s.now-freshFor*2)
			s.call(1, 3, s.claim(3, "a", fsm.Takeover, ""), "a", func(c *Call) { c.Voters = []string{"a", "b", "c", "d", "e"} })
		}, "I4"},
		{"I4: a quorum followed, but in another term", func(s *story) {
			s.members()
			s.call(1, 3, s.claim(3, "a", fsm.Takeover, ""), "a", func(*Call) { s.followed[4], s.followed[3] = s.followed[3], nil })
		}, "I4"},
		{"I4: who followed does not vote", func(s *story) {
			s.members()
			s.call(1, 3, s.claim(3, "a", fsm.Takeover, ""), "a", func(c *Call) { c.Voters = []string{"a", "b", "d"} })
		}, "I4"},
		{"I2: an old DisassociateAddress ends what was adopted later", func(s *story) {
			s.members()
			one := s.claim(3, "a", fsm.Takeover, "x1")
			s.call(1, 3, one, "a")
			s.cfg.Fencing = fsm.Balanced // lets b adopt, as a broken strict state machine would
			s.claim(4, "b", fsm.Adopt, "x1")
			s.cfg.Fencing = fsm.Strict
			s.Changed(1, "x1", "")
		}, "I2"},
		{"I2: an old call takes the address from an association made later", func(s *story) {
			s.members()
			one := s.claim(3, "a", fsm.Takeover, "")
			s.call(1, 3, one, "a")
			two := s.claim(4, "b", fsm.Takeover, "")
			s.call(2, 4, two, "b")
			s.Changed(2, "", "x2")
			s.Changed(1, "x2", "x3")
		}, "I2"},
		{"a person is bound by no fence", func(s *story) {
			s.members()
			s.call(1, 3, s.claim(3, "a", fsm.Takeover, ""), "a")
			s.Changed(1, "", "x1")
			s.Changed(0, "x1", "x2")
		}, ""},
		{"I3: a reign goes on after another has begun", func(s *story) {
			one, two := s.reigns()
			s.advert("a", 1, one, 100)
			s.advert("b", 2, two, 90)
			s.advert("a", 1, one, 100)
		}, "I3"},
		{"I3: an advert after the reign's own end", func(s *story) {
			one, _ := s.reigns()
			s.advert("a", 1, one, 100)
			s.advert("a", 1, one, 0)
			s.advert("a", 1, one, 100)
		}, "I3"},
		{"reigns in turn", func(s *story) {
			one, two := s.reigns()
			s.advert("a", 1, one, 100)
			s.advert("a", 1, one, 0)
			s.advert("b", 2, two, 90)
			s.advert("a", 3, one, 100)
			s.advert("b", 2, two, 0) // late, but not a claim to be Master
		}, ""},
		{"I3: a Master whom no quorum has followed lately", func(s *story) {
			one, _ := s.reigns()
			s.now += freshFor + freshFor/100 + advertSlack + 1
			s.advert("a", 1, one, 100)
		}, "I3"},
		{"priority 0 needs no quorum", func(s *story) {
			one, _ := s.reigns()
			s.now += time.Hour
			s.advert("a", 1, one, 0)
		}, ""},
		{"I3: a reign without a claim", func(s *story) { s.advert("a", 1, 9, 100) }, "I3"},
		{"I3: a reign under another node's claim", func(s *story) {
			one, _ := s.reigns()
			s.advert("b", 1, one, 100)
		}, "I3"},
		{"I7: a leader under the identity of a lost disk", func(s *story) { s.DiskLost("a.1"); s.Led("a.1", 4) }, "I7"},
		{"I7: a lost identity applies", func(s *story) { s.DiskLost("a.1"); s.members() }, "I7 I7 I7 I7"},
		{"I8: two commands at one index", func(s *story) {
			s.Applied("a.1", 5, 1, []byte("\x01one"))
			s.Applied("b.1", 5, 1, []byte("\x01two"))
		}, "I8"},
		{"I8: a command where nothing was committed", func(s *story) {
			s.Applied("a.1", 5, 1, []byte("\x01one"))
			s.Applied("b.1", 4, 1, []byte("\x01two"))
		}, "I8"},
		{"the same log, after a restart", func(s *story) {
			s.Applied("a.1", 5, 1, []byte("\x01one"))
			s.Applied("a.1", 5, 1, []byte("\x01one"))
		}, ""},
		{"I8: a snapshot of the future", func(s *story) {
			b, _ := fsm.State{Index: 9, Term: 1}.Snapshot()
			s.Restored("a.1", b)
		}, "I8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory(fsm.Strict)
			tt.tell(s)
			if got := invariants(s); got != tt.wants {
				t.Errorf("accused of %q, want %q:\n%v", got, tt.wants, s.Violations())
			}
		})
	}
}

func invariants(s *story) string {
	var found []string
	for _, v := range s.Violations() {
		found = append(found, v.Invariant)
	}
	return strings.Join(found, " ")
}

func atomic(c *Call) { c.Associate, c.AllowReassociation = true, true }

// TestWeakerFencing: what balanced and fast promise less than strict, and what they promise all the same.
func TestWeakerFencing(t *testing.T) {
	tests := []struct {
		name  string
		tell  func(*story)
		wants string
	}{
		{"a contested association was adopted: excused, under guard", func(s *story) {
			s.call(1, 3, s.claim(3, "a", fsm.Takeover, "x1"), "a")
			s.claim(4, "b", fsm.Adopt, "x1")
			s.Changed(1, "x1", "")
		}, ""},
		{"I2: a contested one was adopted, and the guard ended too early", func(s *story) {
			s.call(1, 3, s.claim(3, "a", fsm.Takeover, "x1"), "a")
			two := s.claim(4, "b", fsm.Adopt, "x1")
			s.commit(4, fsm.GuardDone{Origin: fsm.Origin{Term: 4}, Node: "b", AllocationID: theEIP, Association: "x1", Through: two})
			s.Changed(1, "x1", "")
		}, "I2"},
		{"I2: an uncontested one was adopted", func(s *story) {
			one := s.claim(3, "a", fsm.Takeover, "x1")
			s.call(1, 3, one, "a")
			s.claim(4, "b", fsm.Adopt, "x2")
			s.Changed(1, "x2", "")
		}, "I2"},
		{"the atomic call of a handover is not fenced", func(s *story) {
			s.release(3, s.claim(3, "a", fsm.Takeover, ""), "a")
			two := s.claim(4, "b", fsm.Handover, "")
			s.call(2, 4, two, "b", atomic)
			three := s.claim(5, "a", fsm.Takeover, "")
			s.call(3, 5, three, "a")
			s.Changed(3, "", "x3")
			s.Changed(2, "x3", "x4")
		}, ""},
		{"nor is the atomic call of a seizure", func(s *story) {
			s.cfg.Fencing = fsm.Fast
			s.claim(3, "a", fsm.Takeover, "")
			two := s.claim(4, "b", fsm.Handover, "")
			s.call(2, 4, two, "b", atomic)
			three := s.claim(5, "a", fsm.Takeover, "")
			s.call(3, 5, three, "a")
			s.Changed(3, "", "x3")
			s.Changed(2, "x3", "x4")
		}, ""},
		{"I2: it lands when it was forgotten", func(s *story) {
			s.cfg.Fencing = fsm.Fast
			s.claim(3, "a", fsm.Takeover, "")
			two := s.claim(4, "b", fsm.Handover, "")
			s.call(2, 4, two, "b", atomic)
			s.release(4, two, "b") // says that it is settled
			three := s.claim(5, "a", fsm.Handover, "")
			s.call(3, 5, three, "a")
			s.Changed(3, "", "x3")
			s.Changed(2, "x3", "x4")
		}, "I2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory(fsm.Balanced)
			s.members()
			tt.tell(s)
			if got := invariants(s); got != tt.wants {
				t.Errorf("accused of %q, want %q:\n%v", got, tt.wants, s.Violations())
			}
		})
	}
}

// TestLate: a call is late when somebody else, or a later term, has the newest claim.
func TestLate(t *testing.T) {
	s := newStory(fsm.Strict)
	s.members()
	one := s.claim(3, "a", fsm.Takeover, "")
	s.call(1, 3, one, "a")
	if s.Late(1) {
		t.Error("the newest claim's call is called late")
	}
	s.claim(3, "a", fsm.Takeover, "x1")
	if s.Late(1) {
		t.Error("a second claim of the same node and term makes the call late")
	}
	s.claim(4, "b", fsm.Takeover, "x1")
	if !s.Late(1) {
		t.Error("the call of a deposed node is not called late")
	}
}

// TestSettled: what a run must have come to (I6, I8).
func TestSettled(t *testing.T) {
	good := func(s *story) Final {
		s.members()
		one := s.claim(3, "a", fsm.Takeover, "")
		s.commit(3, fsm.Confirm{Origin: fsm.Origin{Term: 3}, Node: "a", AllocationID: theEIP, Claim: one, Association: "x1", Settled: true})
		return Final{Leader: "a", Healthy: map[string]bool{"a": true, "b": true}, Actual: map[fsm.AllocationID]Place{theEIP: {"x1", "a"}},
			States: map[string]fsm.State{"a": s.state.Clone(), "b": s.state.Clone()}, Masters: []string{"a"}}
	}
	tests := []struct {
		name  string
		spoil func(*Final)
		wants string
	}{
		{"all is well", func(*Final) {}, ""},
		{"a follower lags", func(f *Final) { f.States["b"] = fsm.New() }, ""},
		{"I6: no leader", func(f *Final) { f.Leader = "" }, "I6"},
		{"I6: the address is elsewhere", func(f *Final) { f.Actual[theEIP] = Place{"x1", "b"} }, "I6"},
		{"I6: the address is free", func(f *Final) { clear(f.Actual) }, "I6"},
		{"I6: nobody knows the association", func(f *Final) { f.Actual[theEIP] = Place{"x2", "a"} }, "I6"},
		{"I6: the leader is unhealthy", func(f *Final) { f.Healthy["a"] = false }, "I6"},
		{"I6: no Master", func(f *Final) { f.Masters = nil }, "I6"},
		{"I6: two Masters", func(f *Final) { f.Masters = []string{"a", "b"} }, "I6"},
		{"I6: an unhealthy Master where nobody can take over", func(f *Final) { f.NoCandidate, f.Healthy["a"] = true, false }, "I6"},
		{"a drained Master where nobody can take over", func(f *Final) { f.NoCandidate = true }, ""},
		{"no candidate, no Master", func(f *Final) { f.NoCandidate, f.Masters, f.Actual[theEIP] = true, nil, Place{"x1", "b"} }, ""},
		{"I8: the leader has forgotten", func(f *Final) { f.States["a"] = fsm.New() }, "I8 I6"},
		{"I8: a follower disagrees", func(f *Final) {
			other := f.States["b"].Clone()
			delete(other.Nodes, "b")
			f.States["b"] = other
		}, "I8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory(fsm.Strict)
			final := good(s)
			final.Healthy, final.States = maps.Clone(final.Healthy), maps.Clone(final.States)
			tt.spoil(&final)
			s.Settled(final)
			if got := invariants(s); got != tt.wants {
				t.Errorf("accused of %q, want %q:\n%v", got, tt.wants, s.Violations())
			}
		})
	}
}

// TestRespect: what a person did is left alone, as configured, and only what a person did (I6).
func TestRespect(t *testing.T) {
	const x1 = "x1"
	respected := (*story).respected
	// takesIt: b says that it is gone, claims, and takes it away when it finds it there.
	takesIt := func(s *story) {
		s.Proposed("b")
		s.claim(4, "b", fsm.Takeover, "")
		s.Read("b", theEIP, persons)
		s.Proposed("b")
		s.call(2, 4, s.claim(4, "b", fsm.Takeover, persons), "b")
		s.Changed(2, persons, "")
	}
	endsIt := func(s *story) {
		s.commit(3, fsm.Release{Origin: fsm.Origin{Term: 3}, Node: "a", AllocationID: theEIP, Ends: s.state.Addresses[theEIP].Claim.Index})
	}
	end := func(s *story, actual string) {
		s.Settled(Final{Leader: "a", Healthy: map[string]bool{"a": true, "b": true}, Actual: map[fsm.AllocationID]Place{theEIP: {Association: actual}}, States: map[string]fsm.State{"a": s.state.Clone()}})
	}
	tests := []struct {
		name  string
		tell  func(*story)
		wants string
	}{
		{"it stays to the end", func(s *story) { respected(s); end(s, persons) }, ""},
		{"I6: it stays, but the policy is to repair", func(s *story) { respected(s); s.cfg.Respect = false; end(s, persons) }, "I6"},
		{"I6: there is a Master beside it", func(s *story) {
			respected(s)
			s.Settled(Final{Leader: "a", Healthy: map[string]bool{"a": true}, Actual: map[fsm.AllocationID]Place{theEIP: {Association: persons}}, Masters: []string{"a"}, States: map[string]fsm.State{"a": s.state.Clone()}})
		}, "I6"},
		{"I6: what a call of the cluster did is taken for a person's", func(s *story) {
			s.members()
			one := s.claim(3, "a", fsm.Takeover, "")
			s.call(1, 3, one, "a")
			s.Changed(1, "", x1)
			s.commit(3, fsm.Release{Origin: fsm.Origin{Term: 3}, Node: "a", AllocationID: theEIP, Ends: one, Settled: true, Foreign: x1})
			end(s, x1)
		}, "I6"},
		{"I6: a node that has not looked takes it away", func(s *story) { respected(s); s.Read("b", theEIP, persons); s.Read("b", theEIP, persons); takesIt(s) }, "I6"},
		{"I6: a node that has looked once takes it away", func(s *story) { respected(s); s.Read("b", theEIP, persons); s.Read("b", theEIP, x1); takesIt(s) }, "I6"},
		{"I6: a node that has looked once since takes it away", func(s *story) { s.Read("b", theEIP, x1); respected(s); s.Read("b", theEIP, x1); takesIt(s) }, "I6"},
		{"two reads did not show it", func(s *story) { respected(s); s.Read("b", theEIP, x1); s.Read("b", theEIP, x1); takesIt(s) }, ""},
		{"an operator ended it", func(s *story) { respected(s); s.Led("a.1", 3); s.TransferAsked("a.1"); endsIt(s); takesIt(s) }, ""},
		{"I6: a hand-over ended it that no operator asked for", func(s *story) { respected(s); s.Led("a.1", 3); endsIt(s); takesIt(s) }, "I6"},
		{"I6: an operator asked another leader", func(s *story) { respected(s); s.Led("a.1", 3); s.TransferAsked("b.1"); endsIt(s) }, "I6"},
		{"a call from before takes it away", func(s *story) {
			s.call(2, 2, 0, "b", func(c *Call) { s.grants[0] = grant{term: 2, node: "b", address: theEIP} })
			respected(s)
			s.Changed(2, persons, "x9")
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory(fsm.Balanced)
			tt.tell(s)
			if got := invariants(s); got != tt.wants {
				t.Errorf("accused of %q, want %q:\n%v", got, tt.wants, s.Violations())
			}
		})
	}
}

// TestReport: a violation is told at once and with its time.
func TestReport(t *testing.T) {
	var told []Violation
	j := New(Config{Now: func() time.Duration { return 1500 * time.Millisecond }, Report: func(v Violation) { told = append(told, v) }})
	j.Led("a.1", 3)
	j.Led("b.1", 3)
	want := "    1.500000  I1 VIOLATED: a.1 and b.1 both lead in term 3"
	if len(told) != 1 || told[0].String() != want || !slices.Equal(told, j.Violations()) {
		t.Errorf("told %v, want %q", told, want)
	}
}
