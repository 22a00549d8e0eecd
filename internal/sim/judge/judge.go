// Package judge holds what a run of the cluster does against the invariants of docs/INVARIANTS.md. It is told facts as they
// happen (a committed entry, a call that passed its final check, an effect at EC2, an advert) by a simulation that sees all
// nodes at once, and keeps a record of its own. What a node believes of its quorum, its association or its candidates counts for nothing.
package judge

import (
	"fmt"
	"sync"
	"time"

	"github.com/hacluster/hacluster/fsm"
)

// Violation is one broken promise.
type Violation struct {
	At        time.Duration // since the beginning of the run
	Invariant string        // "I1" to "I8"
	Text      string
}

// String is one line of a trace.
func (v Violation) String() string {
	return fmt.Sprintf("%12.6f  %s VIOLATED: %s", v.At.Seconds(), v.Invariant, v.Text)
}

// Config says what a run is judged by.
type Config struct {
	Now       func() time.Duration // since the run began
	Addresses []fsm.AllocationID
	// MasterOfAny: who holds one of the addresses is Master, instead of who holds all.
	MasterOfAny bool
	Fencing     fsm.Fencing
	// Respect: a person's move is left alone, where it is not repaired.
	Respect bool
	// FreshFor is how long the word of a quorum counts (EvidenceMaxAge).
	FreshFor time.Duration
	// Report, if not nil, is called for each violation at once, under the judge's lock.
	Report func(Violation)
}

// Judge judges one run. Its methods may be called from any goroutine; facts count in the order of the calls.
type Judge struct {
	cfg Config

	mu         sync.Mutex
	violations []Violation

	consensus
	ec2
	wire
}

// consensus is what Raft is seen to do.
type consensus struct {
	*generation
	lost    map[string]bool   // server ids whose disk is gone
	applied map[string]uint64 // by server id: the newest entry that it applied
}

// ec2 is what happens to the addresses. An association id belongs to one address for ever.
type ec2 struct {
	calls  map[int]made
	lives  map[fsm.AssociationID]life
	named  map[fsm.AssociationID]bool // in a takeover, to be disassociated
	makers map[fsm.AssociationID]int  // the call that made it; 0: a person

	reads map[string]map[fsm.AllocationID]sight // by node
	basis map[string]map[fsm.AllocationID]sight // by node: its reads when it last proposed anything
	asked map[string]bool                       // servers of which an operator wanted a transfer
}

// wire is what is advertised.
type wire struct {
	reign int            // the one that advertised last, 0: none yet
	over  map[int]string // reigns that may not advertise any more, and why
}

type entry struct {
	term    uint64
	command string
}

type grant struct {
	fsm.Grant
	term     uint64
	node     fsm.NodeName
	address  fsm.AllocationID
	released uint64 // at which index; 0: it stands, or a later claim has replaced it
}

// made is a call and when it was made.
type made struct {
	Call
	epoch
	in *generation
}

// life is what the fence protects: the newest term in which an association was made or adopted.
type life struct {
	epoch
	// contested: when it was adopted it had been named in a takeover, so a DisassociateAddress of it may have been in flight.
	// Balanced fencing takes that risk, under guard.
	contested bool
}

// New returns a judge of one run.
func New(cfg Config) *Judge {
	return &Judge{
		cfg:       cfg,
		consensus: consensus{generation: newGeneration(0, fsm.New()), lost: map[string]bool{}, applied: map[string]uint64{}},
		ec2: ec2{
			calls: map[int]made{}, lives: map[fsm.AssociationID]life{}, named: map[fsm.AssociationID]bool{}, makers: map[fsm.AssociationID]int{},
			reads: map[string]map[fsm.AllocationID]sight{}, basis: map[string]map[fsm.AllocationID]sight{}, asked: map[string]bool{},
		},
		wire: wire{over: map[int]string{}},
	}
}

// Violations returns what was found so far.
func (j *Judge) Violations() []Violation {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]Violation(nil), j.violations...)
}

func (j *Judge) accuse(invariant, format string, args ...any) {
	v := Violation{At: j.cfg.Now(), Invariant: invariant, Text: fmt.Sprintf(format, args...)}
	j.violations = append(j.violations, v)
	if j.cfg.Report != nil {
		j.cfg.Report(v)
	}
}
