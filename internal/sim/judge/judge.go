// Package judge holds what a run of the cluster does against the invariants of docs/INVARIANTS.md. It is told facts as they
// happen (a committed entry, a call that passed its final check, an effect at EC2, an advert) by a simulation that sees all
// nodes at once, and keeps a record of its own; it never asks a node what it believes.
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

// Judge judges one run. Its methods may be called from any goroutine; facts count in the order of the calls.
type Judge struct {
	now      func() time.Duration
	fencing  fsm.Fencing
	address  fsm.AllocationID
	freshFor time.Duration
	report   func(Violation)

	mu         sync.Mutex
	violations []Violation
	leaders    map[uint64]string // by term
	lost       map[string]bool   // server ids whose disk is gone

	log   map[uint64]entry // committed commands by index
	state fsm.State        // after all of them

	grants map[uint64]grant // by index
	calls  map[int]Call
	lives  map[fsm.AssociationID]life
	named  map[fsm.AssociationID]bool // in a takeover, to be disassociated

	reign int            // the one that advertised last, 0: none yet
	over  map[int]string // reigns that may not advertise any more, and why
}

type entry struct {
	term    uint64
	command string
}

type grant struct {
	fsm.Grant
	term uint64
	node fsm.NodeName
}

// life is what the fence protects: the newest term in which an association was made or adopted.
type life struct {
	term uint64
	// contested: when it was adopted it had been named in a takeover, so a DisassociateAddress of it may have been in flight.
	// Balanced fencing takes that risk, under guard.
	contested bool
}

// New returns a judge of one run. now is the time since the run began, freshFor the age up to which quorum evidence counts
// (EvidenceMaxAge). report, if not nil, is called for each violation at once, under the judge's lock.
func New(now func() time.Duration, fencing fsm.Fencing, address fsm.AllocationID, freshFor time.Duration, report func(Violation)) *Judge {
	return &Judge{
		now: now, fencing: fencing, address: address, freshFor: freshFor, report: report,
		leaders: map[uint64]string{}, lost: map[string]bool{},
		log: map[uint64]entry{}, state: fsm.New(),
		grants: map[uint64]grant{}, calls: map[int]Call{},
		lives: map[fsm.AssociationID]life{}, named: map[fsm.AssociationID]bool{},
		over: map[int]string{},
	}
}

// Violations returns what was found so far.
func (j *Judge) Violations() []Violation {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]Violation(nil), j.violations...)
}

func (j *Judge) accuse(invariant, format string, args ...any) {
	v := Violation{At: j.now(), Invariant: invariant, Text: fmt.Sprintf(format, args...)}
	j.violations = append(j.violations, v)
	if j.report != nil {
		j.report(v)
	}
}
