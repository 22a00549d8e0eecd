package controller

import (
	"slices"
	"time"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
)

// Moment is one step of a failover as this node saw it, for people: the committed history does not know what came before a claim, nor
// what EC2 answered.
type Moment struct {
	Number    uint64 // 1 for the first since the start
	UnixMilli int64
	Term      uint64
	Kind      MomentKind
	Node      fsm.NodeName // who is missed, or who leads
	Call      *Call        // of a MomentCall
	State     *Transition  // of a MomentState
}

// MomentKind says what happened.
type MomentKind string

// The kinds of moments.
const (
	// MomentSilence: the leader's adverts are missing, and the others are asked.
	MomentSilence MomentKind = "silence"
	// MomentLeaderless: no leader is known any more.
	MomentLeaderless MomentKind = "leaderless"
	// MomentElected: a node leads in the term.
	MomentElected MomentKind = "elected"
	// MomentCall: EC2 answered.
	MomentCall MomentKind = "call"
	// MomentState: this node's state changed.
	MomentState MomentKind = "state"
)

// Call is one call that changes something at EC2, and what came of it.
type Call struct {
	API     string // the EC2 API's name of it
	Address fsm.AllocationID
	Class   eip.Class
	// Took is the time from the decision to the answer; the last check of the leadership is part of it.
	Took time.Duration
}

// momentsKept bounds the journal; the oldest moments go first. A failover has about ten.
const momentsKept = 128

// journal collects moments. It belongs to the driver's goroutine.
type journal struct {
	// moments is never changed in place: whoever has it may read on.
	moments []Moment
	last    uint64 // number of the last one
	lead    Leadership
	calls   map[Op]started
}

// started is a call without an answer.
type started struct {
	call Call
	term uint64
	at   time.Duration
}

// note takes from one step what people want to read later. now is CLOCK_BOOTTIME; wall tells Unix milliseconds.
func (j *journal) note(now time.Duration, wall func() int64, e Event, actions []Action) {
	switch e := e.(type) {
	case Leadership:
		j.leadership(e, wall)
	case Called:
		j.answered(now, wall, e)
	}
	for _, a := range actions {
		switch a := a.(type) {
		case Transition:
			j.add(Moment{UnixMilli: wall(), Term: a.Term, Kind: MomentState, State: &a})
		case Poll:
			j.add(Moment{UnixMilli: wall(), Term: a.Term, Kind: MomentSilence, Node: a.Suspect})
		case Associate:
			j.begin(a.Op, started{call: Call{API: "AssociateAddress", Address: a.Address}, term: a.Term, at: now})
		case Disassociate:
			j.begin(a.Op, started{call: Call{API: "DisassociateAddress", Address: a.Address}, term: a.Term, at: now})
		}
	}
}

func (j *journal) leadership(l Leadership, wall func() int64) {
	was := j.lead
	j.lead = l
	switch {
	case l.Leader == "" && was.Leader != "":
		j.add(Moment{UnixMilli: wall(), Term: was.Term, Kind: MomentLeaderless, Node: was.Leader})
	case l.Leader != "" && (l.Leader != was.Leader || l.Term != was.Term):
		j.add(Moment{UnixMilli: wall(), Term: l.Term, Kind: MomentElected, Node: l.Leader})
	}
}

func (j *journal) begin(op Op, s started) {
	if j.calls == nil {
		j.calls = map[Op]started{}
	}
	j.calls[op] = s // each is answered, so this does not grow
}

func (j *journal) answered(now time.Duration, wall func() int64, e Called) {
	s, known := j.calls[e.Op]
	if !known {
		return
	}
	delete(j.calls, e.Op)
	s.call.Class, s.call.Took = e.Class, now-s.at
	j.add(Moment{UnixMilli: wall(), Term: s.term, Kind: MomentCall, Call: &s.call})
}

func (j *journal) add(m Moment) {
	j.last++
	m.Number = j.last
	j.moments = append(slices.Clone(j.moments[max(0, len(j.moments)-momentsKept+1):]), m)
}
