package controller

import (
	"testing"
	"time"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
)

// steady is a core in steady state: the cluster is healthy and node-a holds, or node-b does and node-a follows.
type steady struct {
	b     *testing.B
	core  *Core
	now   time.Duration
	state fsm.State
	term  uint64
	read  eip.Address // what EC2 says
	op    Op          // of the read that is outstanding
}

// newLeader returns a core that leads and holds; newFollower one whose peer does.
func newLeader(b *testing.B) *steady   { return newSteady(b, selfName, mine) }
func newFollower(b *testing.B) *steady { return newSteady(b, "node-b", theirs) }

func newSteady(b *testing.B, holder fsm.NodeName, at eip.Target) *steady {
	const association = "eipassoc-0123456789abcdef0"
	s := &steady{
		b: b, core: NewCore(testConfig()), now: time.Hour, state: fsm.New(), term: 7,
		read: eip.Address{AllocationID: eip.AllocationID(testEIP), AssociationID: association, ENI: at.ENI, PrivateIP: at.PrivateIP},
	}
	o := fsm.Origin{Term: s.term}
	for _, name := range []fsm.NodeName{selfName, "node-b", "node-c"} {
		attributes := fsm.Attributes{Name: name, Priority: 90}
		if name == selfName {
			attributes = testConfig().Self
		}
		s.apply(fsm.UpsertNode{Origin: o, Node: attributes})
		s.apply(fsm.SetHealth{Origin: o, Node: name, Healthy: true, EC2: true})
	}
	for range 200 { // transfers that an old cluster has seen: its history is full
		s.apply(fsm.Claim{Origin: o, Node: holder, AllocationID: testEIP, Fencing: fsm.Balanced, Mode: fsm.Adopt, Observed: true, Association: association})
		s.apply(fsm.Release{Origin: o, Node: holder, AllocationID: testEIP, Ends: s.state.Index, Settled: true})
	}
	s.apply(fsm.Claim{Origin: o, Node: holder, AllocationID: testEIP, Fencing: fsm.Balanced, Mode: fsm.Adopt, Observed: true, Association: association})
	s.step(Committed{State: s.state.Clone()})
	s.step(HealthChecked{Healthy: true, Reason: "all checks pass"})
	s.step(Leadership{Term: s.term, Leader: holder, Self: holder == selfName})
	s.step(Reachable{Peers: []fsm.NodeName{"node-b", "node-c"}})
	for range 3 { // the reads that begin and end the settling
		s.answerRead()
		s.now += time.Minute
		s.step(Tick{})
	}
	s.answerRead()
	want := Backup
	if holder == selfName {
		want = Master
	}
	if s.core.State() != want {
		b.Fatalf("the core is %s, want %s", s.core.State(), want)
	}
	return s
}

func (s *steady) apply(c fsm.Command) fsm.Result {
	entry, err := fsm.Encode(c)
	if err != nil {
		s.b.Fatal(err)
	}
	r := s.state.Apply(s.state.Index+1, s.term, entry)
	if r.Denied != "" {
		s.b.Fatalf("%T is denied: %s", c, r.Denied)
	}
	return r
}

// step stands in for the driver: what is proposed is committed at once, and reads wait for answerRead.
func (s *steady) step(e Event) {
	for _, a := range s.core.Step(s.now, e) {
		switch a := a.(type) {
		case Propose:
			result := s.apply(a.Command)
			s.step(Committed{State: s.state.Clone()})
			s.step(Proposed{Op: a.Op, Result: result})
		case Observe:
			s.op = a.Op
		}
	}
}

func (s *steady) answerRead() { s.step(Observed{Op: s.op, Addresses: []eip.Address{s.read}}) }

// BenchmarkStep is what a core costs while nothing happens. No event of these may lead to an action, except that a read which
// is due is made.
func BenchmarkStep(b *testing.B) {
	roles := []struct {
		name string
		make func(*testing.B) *steady
	}{{"leader", newLeader}, {"follower", newFollower}}
	for _, role := range roles {
		b.Run(role.name+"/tick", func(b *testing.B) { benchStep(b, role.make(b), Tick{}) })
		b.Run(role.name+"/committed-unchanged", func(b *testing.B) {
			s := role.make(b)
			benchStep(b, s, Committed{State: s.state})
		})
		b.Run(role.name+"/health-unchanged", func(b *testing.B) {
			benchStep(b, role.make(b), HealthChecked{Healthy: true, Reason: "all checks pass"})
		})
		b.Run(role.name+"/read-due-and-observed", func(b *testing.B) { benchRead(b, role.make(b)) })
	}
}

func benchStep(b *testing.B, s *steady, e Event) {
	b.ReportAllocs()
	for b.Loop() {
		if actions := s.core.Step(s.now, e); len(actions) > 0 {
			b.Fatalf("%T leads to %+v", e, actions)
		}
	}
}

// benchRead is two steps: the tick that finds a read due, and its answer.
func benchRead(b *testing.B, s *steady) {
	b.ReportAllocs()
	for b.Loop() {
		s.now = s.core.Deadline()
		actions := s.core.Step(s.now, Tick{})
		if len(actions) != 1 {
			b.Fatalf("a due read leads to %+v", actions)
		}
		read, ok := actions[0].(Observe)
		if !ok {
			b.Fatalf("a due read leads to %+v", actions)
		}
		if more := s.core.Step(s.now, Observed{Op: read.Op, Addresses: []eip.Address{s.read}}); len(more) > 0 {
			b.Fatalf("an unchanged read leads to %+v", more)
		}
	}
}

// BenchmarkReplicaState is the copy that the driver takes after each applied entry.
func BenchmarkReplicaState(b *testing.B) {
	r := NewReplica()
	r.state = newLeader(b).state
	b.ReportAllocs()
	for b.Loop() {
		r.State()
	}
}
