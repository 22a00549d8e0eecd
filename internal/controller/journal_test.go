package controller

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hacluster/hacluster/eip"
)

// TestJournal: a node keeps what it saw of a failover, and of steps in which nothing happened keeps nothing.
func TestJournal(t *testing.T) {
	var j journal
	wall := int64(0)
	step := func(at int64, e Event, actions ...Action) {
		wall = at
		j.note(time.Duration(at)*time.Millisecond, func() int64 { return wall }, e, actions)
	}
	step(1, Leadership{Term: 3, Leader: "node-a"})
	step(2, Leadership{Term: 3, Leader: "node-a"}) // no news
	step(3, Tick{})
	step(100, Tick{}, Poll{Term: 3, Suspect: "node-a"})
	step(110, Leadership{Term: 4})
	step(115, Leadership{Term: 4, Leader: "node-b", Self: true}, Propose{Op: 1})
	step(117, Proposed{Op: 1}, Disassociate{Op: 2, Term: 4, Address: testEIP}, Note{})
	step(156, Called{Op: 2, Class: eip.Done}, Associate{Op: 3, Term: 4, Address: testEIP})
	step(157, Called{Op: 9, Class: eip.Done}) // of nobody's
	step(200, Called{Op: 3, Class: eip.Conflict})
	step(201, Tick{}, Transition{From: Backup, To: Master, Term: 4, Reason: "node-a is down"})
	want := []Moment{
		{UnixMilli: 1, Term: 3, Kind: MomentElected, Node: "node-a"},
		{UnixMilli: 100, Term: 3, Kind: MomentSilence, Node: "node-a"},
		{UnixMilli: 110, Term: 3, Kind: MomentLeaderless, Node: "node-a"},
		{UnixMilli: 115, Term: 4, Kind: MomentElected, Node: "node-b"},
		{UnixMilli: 156, Term: 4, Kind: MomentCall, Call: &Call{API: "DisassociateAddress", Address: testEIP, Class: eip.Done, Took: 39 * time.Millisecond}},
		{UnixMilli: 200, Term: 4, Kind: MomentCall, Call: &Call{API: "AssociateAddress", Address: testEIP, Class: eip.Conflict, Took: 44 * time.Millisecond}},
		{UnixMilli: 201, Term: 4, Kind: MomentState, State: &Transition{From: Backup, To: Master, Term: 4, Reason: "node-a is down"}},
	}
	for i := range want {
		want[i].Number = uint64(i + 1)
	}
	if diff := cmp.Diff(want, j.moments); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(j.calls) != 0 {
		t.Errorf("calls are remembered after their answers: %v", j.calls)
	}
}

// TestJournalIsBounded: the oldest goes, and a reader's slice does not change under it.
func TestJournalIsBounded(t *testing.T) {
	var j journal
	var early []Moment
	for term := range uint64(3 * momentsKept) {
		j.note(0, func() int64 { return 0 }, Leadership{Term: term + 1, Leader: "node-a"}, nil)
		if term == 9 {
			early = j.moments
		}
	}
	if len(j.moments) != momentsKept || j.moments[momentsKept-1].Term != 3*momentsKept || j.moments[0].Term != 2*momentsKept+1 {
		t.Errorf("%d moments, from term %d", len(j.moments), j.moments[0].Term)
	}
	if len(early) != 10 || early[0].Term != 1 || early[9].Term != 10 {
		t.Errorf("what a reader has changed: %v", early)
	}
}
