package controller

import (
	"time"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
)

// Action is one thing for the driver to do. Those with an Op are answered by an event.
type Action interface{ action() }

// Propose appends a command to the replicated log, as leader of Term only. Answered by Proposed.
type Propose struct {
	Op      Op
	Term    uint64
	Command fsm.Command
}

// Observe reads all addresses from EC2. Answered by Observed.
type Observe struct{ Op Op }

// Associate calls AssociateAddress under the granted claim. Answered by Called.
type Associate struct {
	Op                 Op
	Address            fsm.AllocationID
	Term               uint64
	Claim              uint64
	AllowReassociation bool
}

// Disassociate calls DisassociateAddress for one association under the granted claim. Answered by Called.
type Disassociate struct {
	Op          Op
	Address     fsm.AllocationID
	Term        uint64
	Claim       uint64
	Association eip.AssociationID
}

// AskRelease asks a deposed holder to end its claim. Answered by ReleaseAnswered.
type AskRelease struct {
	Op      Op
	Address fsm.AllocationID
	Term    uint64
	Holder  fsm.NodeName
	Ends    uint64
	Within  time.Duration // how long to wait for it
}

// Transfer hands the leadership over, one attempt. Answered by Transferred.
type Transfer struct {
	Op Op
	To fsm.NodeName
}

// Report tells the leader what this node knows of itself. Answered by ReportDelivered.
type Report struct {
	Op     Op
	Leader fsm.NodeName
	Facts  Facts
}

// Poll asks the other voters whether they miss the suspect's adverts too, and the suspect, and its machine, whether they are there.
// Answered by Polled.
type Poll struct {
	Op      Op
	Term    uint64
	Suspect fsm.NodeName
	// Grace is how long the suspect is waited for when a quorum misses it.
	Grace time.Duration
	// Patient gives the suspicion up if the suspect's machine accepts a connection: then its agent may merely be late.
	Patient bool
}

// Hint makes this node stand for election in place of the suspect. Answered by Hinted.
type Hint struct {
	Op      Op
	Term    uint64
	Suspect fsm.NodeName
}

// Reply answers an event that somebody outside waits for.
type Reply struct {
	Op      Op
	Settled bool         // of a release
	Alone   bool         // likewise, as in fsm.Release
	To      fsm.NodeName // of a transfer: the chosen target; likewise of a removal that has to wait for it
	Misses  bool         // of a silence: this node misses the adverts too
	Err     error
}

// Rewire says who advertises from which address, and to whom adverts go, from now on.
type Rewire struct{ Wiring }

// Reign starts the adverts of a Master, the first one not before NotBefore (CLOCK_BOOTTIME).
type Reign struct {
	Term      uint64
	NotBefore time.Duration
}

// Resign sends priority 0 and ends the adverts. Performed before any later action of the same step.
type Resign struct{ Reason string }

// Transition reports a change of the node's state.
type Transition struct {
	From, To State
	Term     uint64
	Reason   string // for people
	Cause    Cause  // the reason in one word
}

// Note reports something an operator wants to read that is no state transition.
type Note struct {
	Term uint64
	Text string
	Err  error
}

// Stop ends the driver; Err nil is an orderly end.
type Stop struct{ Err error }

func (Propose) action()      {}
func (Observe) action()      {}
func (Associate) action()    {}
func (Disassociate) action() {}
func (AskRelease) action()   {}
func (Transfer) action()     {}
func (Report) action()       {}
func (Reply) action()        {}
func (Reign) action()        {}
func (Resign) action()       {}
func (Transition) action()   {}
func (Note) action()         {}
func (Stop) action()         {}
func (Rewire) action()       {}
func (Poll) action()         {}
func (Hint) action()         {}
