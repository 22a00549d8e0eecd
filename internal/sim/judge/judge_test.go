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
	return s.commit(term, fsm.Claim{Origin: fsm.Origin{Term: term}, Node: node, AllocationID: theEIP, Fencing: s.fencing,
		Mode: mode, Observed: true, Association: association})
}

func (s *story) release(term, claim uint64, node fsm.NodeName) {
	s.commit(term, fsm.Release{Origin: fsm.Origin{Term: term}, Node: node, AllocationID: theEIP, Ends: claim, Settled: true})
}

// call passes the final check with everything in order, unless spoil changes that.
func (s *story) call(id int, term, claim uint64, node string, spoil ...func(*Call)) {
	c := Call{ID: id, Node: node, Server: node + ".1", Term: term, Claim: claim, Leading: true, Healthy: true, QuorumAge: 10 * time.Millisecond}
	for _, f := range spoil {
		f(&c)
	}
	s.Called(c)
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
		{"I4: the quorum's word is as old as it may not be", func(s *story) {
			s.members()
			s.call(1, 3, s.claim(3, "a", fsm.Takeover, ""), "a", func(c *Call) { c.QuorumAge = freshFor })
		}, "I4"},
		{"I4: no quorum at all", func(s *story) {
			s.members()
			s.call(1, 3, s.claim(3, "a", fsm.Takeover, ""), "a", func(c *Call) { c.QuorumAge = -1 })
		}, "I4"},
		{"I2: an old DisassociateAddress ends what was adopted later", func(s *story) {
			s.members()
			one := s.claim(3, "a", fsm.Takeover, "x1")
			s.call(1, 3, one, "a")
			s.fencing = fsm.Balanced // lets b adopt, as a broken strict state machine would
			s.claim(4, "b", fsm.Adopt, "x1")
			s.fencing = fsm.Strict
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
			s.Advertised("a", 1, 100)
			s.Advertised("b", 2, 90)
			s.Advertised("a", 1, 100)
		}, "I3"},
		{"I3: an advert after the reign's own end", func(s *story) {
			s.Advertised("a", 1, 100)
			s.Advertised("a", 1, 0)
			s.Advertised("a", 1, 100)
		}, "I3"},
		{"reigns in turn", func(s *story) {
			s.Advertised("a", 1, 100)
			s.Advertised("a", 1, 0)
			s.Advertised("b", 2, 90)
			s.Advertised("a", 3, 100)
			s.Advertised("b", 2, 0) // late, but not a claim to be Master
		}, ""},
		{"I7: a leader under the identity of a lost disk", func(s *story) { s.DiskLost("a.1"); s.Led("a.1", 4) }, "I7"},
		{"I7: a lost identity applies", func(s *story) { s.DiskLost("a.1"); s.members() }, "I7 I7 I7 I7"},
		{"I8: two commands at one index", func(s *story) {
			s.Applied("a.1", 5, 1, []byte("one"))
			s.Applied("b.1", 5, 1, []byte("two"))
		}, "I8"},
		{"I8: a command where nothing was committed", func(s *story) {
			s.Applied("a.1", 5, 1, []byte("one"))
			s.Applied("b.1", 4, 1, []byte("two"))
		}, "I8"},
		{"the same log, after a restart", func(s *story) {
			s.Applied("a.1", 5, 1, []byte("one"))
			s.Applied("a.1", 5, 1, []byte("one"))
		}, ""},
		{"I8: a snapshot of the future", func(s *story) {
			b, _ := fsm.State{Index: 9, Term: 1}.Snapshot()
			s.Restored("a.1", b)
		}, "I8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &story{Judge: New(func() time.Duration { return 0 }, fsm.Strict, theEIP, freshFor, nil)}
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

// TestBalancedFencing: what balanced promises less than strict, and what it promises all the same.
func TestBalancedFencing(t *testing.T) {
	tests := []struct {
		name  string
		tell  func(*story)
		wants string
	}{
		{"a contested association was adopted: excused", func(s *story) {
			s.call(1, 3, s.claim(3, "a", fsm.Takeover, "x1"), "a")
			s.claim(4, "b", fsm.Adopt, "x1")
			s.Changed(1, "x1", "")
		}, ""},
		{"I2: an uncontested one was adopted", func(s *story) {
			one := s.claim(3, "a", fsm.Takeover, "x1")
			s.call(1, 3, one, "a")
			s.claim(4, "b", fsm.Adopt, "x2")
			s.Changed(1, "x2", "")
		}, "I2"},
		{"the atomic call of a handover is not fenced", func(s *story) {
			s.release(3, s.claim(3, "a", fsm.Takeover, ""), "a")
			two := s.claim(4, "b", fsm.Handover, "")
			s.call(2, 4, two, "b")
			three := s.claim(5, "a", fsm.Takeover, "")
			s.call(3, 5, three, "a")
			s.Changed(3, "", "x3")
			s.Changed(2, "x3", "x4")
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &story{Judge: New(func() time.Duration { return 0 }, fsm.Balanced, theEIP, freshFor, nil)}
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
	s := &story{Judge: New(func() time.Duration { return 0 }, fsm.Strict, theEIP, freshFor, nil)}
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
		return Final{Leader: "a", Healthy: map[string]bool{"a": true, "b": true}, Actual: "x1", ActualNode: "a",
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
		{"I6: the address is elsewhere", func(f *Final) { f.ActualNode = "b" }, "I6"},
		{"I6: the address is free", func(f *Final) { f.Actual, f.ActualNode = "", "" }, "I6"},
		{"I6: nobody knows the association", func(f *Final) { f.Actual = "x2" }, "I6"},
		{"I6: the leader is unhealthy", func(f *Final) { f.Healthy["a"] = false }, "I6"},
		{"I6: no Master", func(f *Final) { f.Masters = nil }, "I6"},
		{"I6: two Masters", func(f *Final) { f.Masters = []string{"a", "b"} }, "I6"},
		{"I6: an unhealthy Master where nobody can take over", func(f *Final) { f.NoCandidate, f.Healthy["a"] = true, false }, "I6"},
		{"a drained Master where nobody can take over", func(f *Final) { f.NoCandidate = true }, ""},
		{"no candidate, no Master", func(f *Final) { f.NoCandidate, f.Masters, f.ActualNode = true, nil, "b" }, ""},
		{"somebody else's association is respected", func(f *Final) { f.Respected, f.Masters, f.ActualNode = true, nil, "" }, ""},
		{"I8: the leader has forgotten", func(f *Final) { f.States["a"] = fsm.New() }, "I8 I6"},
		{"I8: a follower disagrees", func(f *Final) {
			other := f.States["b"].Clone()
			delete(other.Nodes, "b")
			f.States["b"] = other
		}, "I8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &story{Judge: New(func() time.Duration { return 0 }, fsm.Strict, theEIP, freshFor, nil)}
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

// TestReport: a violation is told at once and with its time.
func TestReport(t *testing.T) {
	var told []Violation
	j := New(func() time.Duration { return 1500 * time.Millisecond }, fsm.Strict, theEIP, freshFor, func(v Violation) { told = append(told, v) })
	j.Led("a.1", 3)
	j.Led("b.1", 3)
	want := "    1.500000  I1 VIOLATED: a.1 and b.1 both lead in term 3"
	if len(told) != 1 || told[0].String() != want || !slices.Equal(told, j.Violations()) {
		t.Errorf("told %v, want %q", told, want)
	}
}
