package judge

import (
	"testing"

	"github.com/hacluster/hacluster/fsm"
)

// recovered lets node c go on alone with what was committed up to an index, and more that never was.
func (s *story) recovered(until uint64, more ...fsm.Command) (lost, revived int) {
	store := Survivor{Server: "c.1"}
	for index := uint64(1); index <= until; index++ {
		e := s.log[index]
		store.Entries = append(store.Entries, Entry{index, e.term, []byte(e.command)})
	}
	s.index = until
	for _, c := range more {
		b, err := fsm.Encode(c)
		if err != nil {
			panic(err)
		}
		s.index++
		store.Entries = append(store.Entries, Entry{s.index, 2, b})
	}
	return s.Recovered(store, func(state *fsm.State) { state.Recover("c", []fsm.AllocationID{theEIP}, 1, "a test") })
}

// members are committed up to here.
const (
	theMembers = 4
	persons    = "x7"
)

// respected lets a hold the address until a person moves it, which a respects. It returns the index of that.
func (s *story) respected() uint64 {
	s.members()
	one := s.claim(3, "a", fsm.Takeover, "")
	s.call(1, 3, one, "a")
	s.Changed(1, "", "x1")
	s.Changed(0, "x1", persons)
	return s.commit(3, fsm.Release{Origin: fsm.Origin{Term: 3}, Node: "a", AllocationID: theEIP, Ends: one, Settled: true, Foreign: persons})
}

// readmit lets b be a candidate again: a recovery has heard of nobody.
func (s *story) readmit() {
	s.commit(3, fsm.SetHealth{Origin: fsm.Origin{Term: 3}, Node: "b", Healthy: true, EC2: true})
}

// TestRecovered: what the judge forgives a cluster that lost its quorum, and what it does not. Terms and indexes are used twice here.
func TestRecovered(t *testing.T) {
	tests := []struct {
		name    string
		fencing fsm.Fencing
		tell    func(*story)
		wants   string
	}{
		{"what the survivor has not got is lost, and its place is taken", fsm.Strict, func(s *story) {
			s.members()
			s.Led("a.1", 3)
			s.claim(3, "a", fsm.Takeover, "")
			s.recovered(theMembers)
			s.Led("c.2", 3)
			s.readmit()
			s.call(1, 3, s.claim(3, "b", fsm.Takeover, ""), "b")
		}, ""},
		{"the survivor's new store is read", fsm.Strict, func(s *story) {
			s.members()
			s.recovered(theMembers)
			b, _ := s.state.Snapshot()
			s.Restored("c.2", b)
		}, ""},
		{"I8: the survivor had applied what its store has not got", fsm.Strict, func(s *story) {
			s.members()
			last := s.claim(3, "a", fsm.Takeover, "")
			s.Applied("c.1", last, 3, []byte(s.log[last].command))
			s.recovered(theMembers)
		}, "I8"},
		{"I8: the survivor's store has another entry where it had applied one", fsm.Strict, func(s *story) {
			s.members()
			last := s.claim(3, "a", fsm.Takeover, "")
			s.Applied("c.1", last, 3, []byte(s.log[last].command))
			s.recovered(theMembers, fsm.SetDrain{Origin: fsm.Origin{Term: 2}, Node: "a", Drained: true})
		}, "I8"},
		{"I8: an entry of the past is applied again", fsm.Strict, func(s *story) {
			s.members()
			old := s.log[2]
			s.recovered(theMembers)
			s.Applied("b.1", 2, old.term, []byte(old.command))
		}, "I8"},
		{"I8: a snapshot of the past is restored", fsm.Strict, func(s *story) {
			s.members()
			s.claim(3, "a", fsm.Takeover, "")
			b, _ := s.state.Snapshot()
			s.recovered(theMembers)
			s.Restored("b.1", b)
		}, "I8"},
		{"I7: the survivor goes on under its old identity", fsm.Strict, func(s *story) { s.members(); s.recovered(theMembers); s.Led("c.1", 4) }, "I7"},
		{"I1: a call under a claim of the past", fsm.Strict, func(s *story) {
			s.members()
			one := s.claim(3, "a", fsm.Takeover, "")
			s.recovered(one)
			s.call(1, 3, one, "a")
		}, "I1"},
		{"I3: an advert under a claim of the past", fsm.Strict, func(s *story) {
			one, _ := s.reigns()
			s.recovered(one)
			s.Followed("c", 3, s.now)
			s.advert("a", 1, one, 100)
		}, "I3"},
		{"I4: who obeyed a leader of the past", fsm.Strict, func(s *story) {
			s.members()
			s.Followed("b", 3, s.now)
			s.recovered(theMembers)
			s.readmit()
			c := Call{ID: 1, Address: theEIP, Node: "b", Server: "b.2", Term: 3, Claim: s.claim(3, "b", fsm.Takeover, ""), Leading: true, Voters: voters, Healthy: true}
			s.Called(c)
		}, "I4"},
		{"I2: a lost DisassociateAddress ends what was adopted in the same term of another generation", fsm.Strict, func(s *story) {
			s.members()
			s.call(1, 3, s.claim(3, "a", fsm.Takeover, "x1"), "a")
			s.recovered(theMembers)
			s.readmit()
			s.cfg.Fencing = fsm.Balanced // lets b adopt, as a broken strict state machine would
			s.claim(3, "b", fsm.Adopt, "x1")
			s.cfg.Fencing = fsm.Strict
			s.Changed(1, "x1", "")
		}, "I2"},
		{"a lost atomic call is excused, under guard", fsm.Fast, func(s *story) { s.lostAtomicCall(); s.Changed(1, "x7", "x8") }, ""},
		{"I2: a lost atomic call lands when the guard has ended", fsm.Fast, func(s *story) {
			two := s.lostAtomicCall()
			s.commit(3, fsm.GuardDone{Origin: fsm.Origin{Term: 3}, Node: "b", AllocationID: theEIP, Association: "x7", Through: two})
			s.Changed(1, "x7", "x8")
		}, "I2"},
		{"I2: a lost takeover was carried out by an atomic call", fsm.Balanced, func(s *story) {
			s.members()
			s.call(1, 3, s.claim(3, "a", fsm.Takeover, "x1"), "a", atomic)
			s.recovered(theMembers)
			s.readmit()
			s.claim(3, "b", fsm.Adopt, "x7")
			s.Changed(1, "x7", "x8")
		}, "I2"},
		{"I2: a call lands that was settled as far as the survivor knows", fsm.Balanced, func(s *story) {
			s.members()
			s.release(3, s.claim(3, "a", fsm.Takeover, ""), "a")
			two := s.claim(3, "b", fsm.Handover, "")
			s.call(1, 3, two, "b", atomic)
			s.release(3, two, "b")
			s.recovered(s.index)
			s.readmit()
			s.claim(3, "b", fsm.Adopt, "x7")
			s.Changed(1, "x7", "x8")
		}, "I2"},
		{"I6: a respect that the survivor knows needs two new reads", fsm.Balanced, func(s *story) {
			last := s.respected()
			s.Read("b", theEIP, "x1")
			s.Read("b", theEIP, "x1")
			s.recovered(last)
			s.takes()
		}, "I6"},
		{"such a respect ends with two new reads", fsm.Balanced, func(s *story) {
			s.recovered(s.respected())
			s.Read("b", theEIP, "x1")
			s.Read("b", theEIP, "x1")
			s.takes()
		}, ""},
		{"a respect that the survivor does not know is lost", fsm.Balanced, func(s *story) { s.recovered(s.respected() - 1); s.takes() }, ""},
		{"I6: a call of the past ends what was respected when it was allowed", fsm.Balanced, func(s *story) {
			last := s.respected()
			s.Proposed("b")
			s.call(2, 4, s.claim(4, "b", fsm.Takeover, ""), "b")
			s.recovered(last - 1)
			s.Changed(2, persons, "")
		}, "I6"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory(tt.fencing)
			tt.tell(s)
			if got := invariants(s); got != tt.wants {
				t.Errorf("accused of %q, want %q:\n%v", got, tt.wants, s.Violations())
			}
		})
	}
}

// lostAtomicCall has a call in flight whose claim is lost, and lets b adopt x7 in the same term. It returns the index of that.
func (s *story) lostAtomicCall() uint64 {
	s.members()
	s.claim(2, "a", fsm.Takeover, "")
	s.call(1, 3, s.claim(3, "b", fsm.Handover, ""), "b", atomic)
	s.recovered(theMembers)
	s.readmit()
	return s.claim(3, "b", fsm.Adopt, "x7")
}

// takes lets b claim, and take the address from whoever has it.
func (s *story) takes() {
	s.readmit()
	s.Proposed("b")
	s.call(2, 4, s.claim(4, "b", fsm.Takeover, ""), "b")
	s.Changed(2, persons, "")
}

// TestWhatARecoveryMakesOfAStore: what was committed stays up to where the survivor's log leaves it; what follows there counts from now on.
func TestWhatARecoveryMakesOfAStore(t *testing.T) {
	s := newStory(fsm.Strict)
	s.members()
	s.claim(3, "a", fsm.Takeover, "")
	s.claim(3, "a", fsm.Takeover, "x1")
	lost, revived := s.recovered(theMembers, fsm.SetDrain{Origin: fsm.Origin{Term: 2}, Node: "b", Drained: true})
	if a := s.state.Addresses[theEIP]; lost != 2 || revived != 1 || a.Claim != nil || !a.Uncertain || !s.state.Nodes["b"].Drained {
		t.Errorf("%d lost, %d revived, state %+v", lost, revived, s.state)
	}
	if h := s.state.History; len(h) != 1 || h[0].Event != "recovered" {
		t.Errorf("history %+v", h)
	}
}
