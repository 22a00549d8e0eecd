// Package judge decides whether a chaos run kept the promises of docs/INVARIANTS.md.
//
// It is pure: evidence in, verdict out. The evidence comes from outside the agents: the log of the EC2 API, the packets in
// the switch, the client's requests, and what the lab itself did to the nodes. Agents are asked only for what nobody else
// can know: the terms they led, the claims they were granted, what they thought of their HAProxy.
//
// All times are CLOCK_BOOTTIME, so that the stamps of different witnesses compare. No verdict rests on how quick something
// was: where a limit is needed, it is one that the product itself keeps (the age of quorum evidence), plus what a request
// needs to travel, plus the pauses of this machine, which the lab measured.
package judge

import (
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/capture"
)

// Evidence is all that was seen of a run.
type Evidence struct {
	Run       Run
	Faults    []Fault
	Absences  []Absence
	Settles   []Settle
	Stalls    []Span
	Sightings []Sighting // in order of time

	Calls    []Call // in the order in which EC2 received them
	Adverts  []capture.Advert
	Requests []Request
	Logs     map[string]Log // of the agents, by node
}

// Run says what was run.
type Run struct {
	Seed    uint64 `json:"seed"`
	Command string `json:"command"`
	Nodes   []Node `json:"nodes"`
	// Fencing is the agents' eip.fencing, EvidenceMaxAge their raft.evidence_max_age.
	Fencing        string        `json:"fencing"`
	EvidenceMaxAge time.Duration `json:"evidence_max_age_ns"`
	// Began is when the cluster was steady for the first time, Ended when everything was over.
	Began Clock `json:"began"`
	Ended Clock `json:"ended"`
}

// Node is one node of the cluster.
type Node struct {
	Name     string `json:"name"`
	Address  string `json:"address"`
	Instance string `json:"instance"`
	ENI      string `json:"eni"`
}

// Clock is one instant on both clocks, in nanoseconds.
type Clock struct {
	Wall int64         `json:"wall_ns"`
	Boot time.Duration `json:"boot_ns"`
}

// Span is a time from From to To.
type Span struct {
	From time.Duration `json:"from_ns"`
	To   time.Duration `json:"to_ns"`
}

// Length returns how long the span is; an empty one has none.
func (s Span) Length() time.Duration { return max(0, s.To-s.From) }

// Contains reports whether at is in the span, ends included.
func (s Span) Contains(at time.Duration) bool { return s.From <= at && at <= s.To }

// Period is a time during which something was broken, with the doubt at its ends: it was broken at some instant between
// Asked and Began, and mended at some instant between Mending and Ended.
type Period struct {
	Asked   time.Duration `json:"asked_ns"`
	Began   time.Duration `json:"began_ns"`
	Mending time.Duration `json:"mending_ns"`
	Ended   time.Duration `json:"ended_ns"`
}

// Sure is the time during which it certainly was broken.
func (p Period) Sure() Span { return Span{p.Began, p.Mending} }

// Maybe is the time during which it may have been broken.
func (p Period) Maybe() Span { return Span{p.Asked, p.Ended} }

// What can be broken.
const (
	PartAgent   = "agent"   // it does not run, or is stopped
	PartHAProxy = "haproxy" // it does not run, or is stopped
	PartLink    = "link"    // of the node
	PartPath    = "path"    // from the node to To, one way
	PartEC2     = "ec2"     // the API misbehaves, towards the node or, without one, towards all
	PartVote    = "vote"    // the node's store is gone: it has no vote until it has joined anew
	PartPlace   = "place"   // a person put the address somewhere, and no node has moved it since
	PartDisk    = "disk"    // the node's disk takes no writes: it may acknowledge heartbeats, but no entries
)

// ToEC2 is the To of a path to the EC2 API.
const ToEC2 = "ec2"

// Part is one thing that was broken.
type Part struct {
	What string `json:"what"`
	Node string `json:"node,omitempty"`
	To   string `json:"to,omitempty"`
}

// Fault is one thing that the lab did.
type Fault struct {
	Seq  int    `json:"seq"`
	Kind string `json:"kind"`
	Text string `json:"text"`
	Node string `json:"node,omitempty"` // the target, if there is one
	Period
	Parts []Part `json:"parts,omitempty"`
	// Alone: the cluster was steady before, and nothing else was broken at the time.
	Alone bool `json:"alone,omitempty"`
	// StoreLost: nothing was left of the node's store.
	StoreLost bool `json:"store_lost,omitempty"`
}

// Absence is a time without an agent on a node, for whatever reason.
type Absence struct {
	Node string `json:"node"`
	Why  string `json:"why"`
	Period
}

// Sighting is one answer of `hacluster status`, asked and answered at those times.
type Sighting struct {
	Asked    time.Duration `json:"asked_ns"`
	Answered time.Duration `json:"answered_ns"`
	Status   lab.Status    `json:"status"`
}

// Settle is a pause in which nothing was broken any more, at the end of a round of faults.
type Settle struct {
	Round  int           `json:"round"`
	Mended time.Duration `json:"mended_ns"` // the last fault was over
	Steady time.Duration `json:"steady_ns"` // the cluster was steady, or the lab gave up waiting
	// Problem says why the cluster did not become steady; empty: it did.
	Problem string `json:"problem,omitempty"`
	// Sightings are of all nodes, taken afterwards; they are among those of the Evidence.
	Sightings []Sighting `json:"sightings,omitempty"`
}

// Call is one request that EC2 received.
type Call struct {
	ec2fake.Call
	Node string // empty: a person
}

// At returns when EC2 received the call.
func (c Call) At() time.Duration { return time.Duration(c.ReceivedBoot) }

// Landed returns when the call took effect, 0 if it changed nothing.
func (c Call) Landed() time.Duration {
	if !c.Changed {
		return 0
	}
	return time.Duration(c.EffectBoot)
}

// Request is one request of the client.
type Request struct {
	At time.Duration
	OK bool
}

// Log is what an agent wrote down, over all its processes.
type Log struct {
	Starts      []Start
	Leaderships []Leadership
	Transitions []Transition
	Calls       []Line
	Crashes     []string // first lines of panics
}

// Start is the begin of an agent's process.
type Start struct {
	At       time.Duration
	ServerID string
}

// Leadership is a node's news of who leads.
type Leadership struct {
	At     time.Duration
	Term   uint64
	Leader string
	Self   bool
}

// Transition is a change of a node's state.
type Transition struct {
	At       time.Duration
	From, To string
	Term     uint64
}

// Line is an agent's word about a call of its own.
type Line struct {
	From, To    time.Duration // beginning and end of the call
	Action      string
	Term        uint64
	Association string
	Class       string
}

// States of nodes, modes of claims and classes of calls, as agents write them.
const (
	stateMaster = "Master"
	stateFault  = "Fault"

	modeHandover = "handover"
	modeAdopt    = "adopt"

	classNotSent      = "not sent"
	classNotPermitted = "not permitted"

	eventGranted   = "claim granted"
	eventConfirmed = "confirmed"

	fencingBalanced = "balanced"

	actionAssociate    = "AssociateAddress"
	actionDisassociate = "DisassociateAddress"
)
