package controller

import (
	"time"

	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/legible"
)

// maxReason bounds, in bytes, what is kept in the log of why something was done: other programs and other nodes have a part in it.
const maxReason = 512

// State is the node's state in keepalived's words.
type State string

// The states of a node.
const (
	// Init: nothing is known yet.
	Init State = "Init"
	// Backup: ready, or waiting for its claim to be confirmed.
	Backup State = "Backup"
	// Master: leader, claim confirmed, HAProxy healthy. The only state that advertises a non-zero priority.
	Master State = "Master"
	// Fault: HAProxy is unhealthy.
	Fault State = "Fault"
)

// DriftPolicy says what to do about a move of the address by somebody else.
type DriftPolicy string

// The drift policies.
const (
	// Repair takes the address back.
	Repair DriftPolicy = "repair"
	// Respect leaves it there until it changes again or an operator transfers.
	Respect DriftPolicy = "respect"
)

// Config is what the core needs to know.
type Config struct {
	Self fsm.Attributes
	// Addresses move together. A witness only wants to know who holds them: it has no targets.
	Addresses []Placed
	// MasterOfAny makes a leader Master as soon as it holds one of them, instead of all.
	MasterOfAny bool

	Fencing fsm.Fencing
	Drift   DriftPolicy
	Timing  Timing

	Preempt      bool
	PreemptDelay time.Duration
	Damping      Damping
	// Hints makes missing adverts start an election.
	Hints bool
	// Configured are the nodes of the configuration file, this one included. What the cluster has agreed on counts more.
	Configured []fsm.Attributes
	// Jitter returns a duration in [0, max]: the only randomness of the core.
	Jitter func(max time.Duration) time.Duration
	// WallClock returns Unix milliseconds: for the history, and to tell how old a claim in it is.
	WallClock func() int64
}

// Timing holds the core's durations that are configured, or that a simulator scales.
type Timing struct {
	// EvidenceMaxAge is D of the design: how long adverts go on without a fresh quorum acknowledgement.
	EvidenceMaxAge time.Duration
	// ObserveInterval between two reads of EC2 in steady state.
	ObserveInterval time.Duration
	// ConfirmTimeout is how long a leader may try to confirm its claim before it hands over.
	ConfirmTimeout time.Duration
	// ReleaseWait is how long a new leader waits for the release of a deposed holder that may be dead.
	ReleaseWait time.Duration
	// Settle is how long after a confirmed association a read that disagrees is put down to eventual consistency.
	Settle time.Duration
	// Guard is how long a contested association or an unknown attempt is watched: until EC2 refuses every request that was signed
	// before, however wrong the clocks are (docs/adr/0007).
	Guard time.Duration
}

// Settings are what can change while a node runs.
type Settings struct {
	Drift           DriftPolicy
	Preempt         bool
	PreemptDelay    time.Duration
	Damping         Damping
	ObserveInterval time.Duration
	ConfirmTimeout  time.Duration
	ReleaseWait     time.Duration
}

func (cfg *Config) take(s Settings) {
	cfg.Drift, cfg.Preempt, cfg.PreemptDelay, cfg.Damping = s.Drift, s.Preempt, s.PreemptDelay, s.Damping
	cfg.Timing.ObserveInterval, cfg.Timing.ConfirmTimeout, cfg.Timing.ReleaseWait = s.ObserveInterval, s.ConfirmTimeout, s.ReleaseWait
}

// DefaultTiming returns timings for simulations and tests. Of these, production has Settle and Guard; the others are the configuration
// file's, and EvidenceMaxAge and ReleaseWait differ there by profile.
func DefaultTiming() Timing {
	return Timing{
		EvidenceMaxAge:  300 * time.Millisecond,
		ObserveInterval: time.Minute,
		ConfirmTimeout:  10 * time.Second,
		ReleaseWait:     50 * time.Millisecond,
		Settle:          2 * time.Second,
		Guard:           31 * time.Minute,
	}
}

// Core is the node's pure state machine. Not safe for concurrent use: one goroutine owns it.
type Core struct {
	cfg Config
	now time.Duration // of the current step
	out []Action      // of the current step
	ops Op            // the last one given out

	lead      Leadership
	abdicated abdication
	committed fsm.State
	health    HealthChecked
	checked   bool // health is known
	state     State
	reason    reason // for the next transition

	charges   []*charge
	watch     watch
	departure departure
	drain     drain
	placement placement
	report    report
	raising   raising
	hint      hint
	failures  failures
	givenBack struct { // the leadership, to a deposed holder
		to fsm.NodeName
		at time.Duration
	}
	members members
}

// NewCore returns a core in state Init.
func NewCore(cfg Config) *Core {
	c := &Core{cfg: cfg, state: Init, committed: fsm.New(), failures: failures{}}
	for _, a := range cfg.Addresses {
		c.charges = append(c.charges, &charge{Core: c, id: a.ID, target: a.Target})
	}
	c.members.wired = c.wiring()
	return c
}

// State returns the node's state.
func (c *Core) State() State { return c.state }

// Step takes one event at time now (CLOCK_BOOTTIME) and returns what to do about it, in order.
func (c *Core) Step(now time.Duration, e Event) []Action {
	c.now, c.out = now, nil
	c.considerStall()
	c.take(e)
	c.settle()
	c.considerDoubt()
	c.considerReport()
	c.considerLevel()
	c.considerWatch()
	c.considerDeparture()
	for _, a := range c.charges {
		a.considerClaim()
	}
	c.considerHint()
	c.settle()
	return c.out
}

// Deadline returns when the core wants a Tick, or 0.
func (c *Core) Deadline() time.Duration {
	var first time.Duration
	// One that has passed was considered by this step and waits for something else.
	consider := func(d time.Duration) {
		if d > c.now && (first == 0 || d < first) {
			first = d
		}
	}
	for _, d := range [...]time.Duration{c.departure.wakeAt, c.placement.preemptAt, c.placement.dampedUntil, c.report.retryAt, c.raising.retryAt, c.silentAt(),
		c.awakeAt(), c.doubtAt()} {
		consider(d)
	}
	for _, a := range c.charges {
		consider(a.claim.wakeAt)
		if c.watch.op == 0 {
			consider(a.sight.nextAt)
		}
	}
	return first
}

// take brings an event to what it concerns: news here, the rest in takeAnswer and takeRequest.
func (c *Core) take(e Event) {
	switch e := e.(type) {
	case Leadership:
		c.takeLeadership(e)
	case Committed:
		c.takeCommitted(e)
	case HealthChecked:
		c.takeHealth(e)
	case Reachable:
		c.placement.reachable, c.placement.voters = e.Peers, e.Voters
	case AdvertHeard:
		c.takeAdvert(e)
	case Reconfigured:
		c.cfg.take(e.Settings)
	case Tick: // brings nothing but the time
	default:
		c.takeAnswer(e)
	}
}

// takeAnswer takes what became of an action. Which of the addresses it was for, its Op says.
func (c *Core) takeAnswer(e Event) {
	switch e := e.(type) {
	case Proposed:
		c.takeProposed(e)
	case Observed:
		c.takeObserved(e)
	case Called:
		for _, a := range c.charges {
			a.takeCalled(e)
		}
	case ReleaseAnswered:
		for _, a := range c.charges {
			a.takeReleaseAnswered(e)
		}
	case Transferred:
		c.takeTransferred(e)
	case ReportDelivered:
		c.takeReportDelivered(e)
	case Polled:
		c.takePolled(e)
	case Hinted:
		c.takeHinted(e)
	default:
		c.takeRequest(e)
	}
}

// takeRequest takes what others want of this node: its peers, its operator, or whoever ends the process.
func (c *Core) takeRequest(e Event) {
	switch e := e.(type) {
	case PeerReported:
		c.proposeFacts(e.Facts)
	case ReleaseAsked:
		c.takeReleaseAsked(e)
	case SilenceAsked:
		c.takeSilenceAsked(e)
	case TransferAsked:
		c.takeTransferAsked(e)
	case DrainAsked:
		c.takeDrainAsked(e)
	case AdmitAsked:
		c.takeAdmitAsked(e)
	case RemoveAsked:
		c.takeRemoveAsked(e)
	case ShutdownAsked:
		c.departure.shutdown = true
		c.reason = reason{CauseStopping, "agent stopping"}
	}
}

// leader reports whether this node leads, as far as it knows.
func (c *Core) leader() bool { return c.lead.Self && c.lead.Term >= c.abdicated.term }

func (c *Core) takeLeadership(l Leadership) {
	if l == c.lead {
		return
	}
	wasLeader, sameTerm := c.leader(), l.Term == c.lead.Term && l.Self == c.lead.Self
	c.lead = l
	c.report.retryAt = 0 // a new leader may know less: report at once
	c.report.op = 0
	if sameTerm {
		return
	}
	if wasLeader {
		c.reason = reason{CauseLeadershipLost, "leadership lost"}
	}
	c.departure.ended()
	c.placement, c.raising = placement{}, raising{}
	c.hint.follow()
	for _, a := range c.charges {
		a.leaving = 0
		if wasLeader {
			a.claim.over()
		}
		if c.leader() {
			a.claim.begin(c.now)
		}
	}
}

func (c *Core) takeCommitted(e Committed) {
	if e.State.Nodes[c.self()] != c.committed.Nodes[c.self()] {
		c.report.retryAt = 0 // the last report arrived; what still differs is due at once
	}
	c.noteFailures(e.State)
	c.committed = e.State
	c.considerWiring()
}

func (c *Core) takeHealth(h HealthChecked) {
	c.health, c.checked = h, true
	c.reason = reason{CauseHealthy, h.Reason}
	if !h.Healthy {
		c.reason.cause = CauseUnhealthy
	}
}

// settle derives the node's state and, where it changed, says so and starts or ends the reign on the wire.
func (c *Core) settle() {
	next := c.derive()
	if next == c.state {
		return
	}
	from := c.state
	c.state = next
	if from == Master {
		c.emit(Resign{Reason: c.reason.text})
	}
	why := c.transitionReason(from, next)
	c.emit(Transition{From: from, To: next, Term: c.lead.Term, Reason: why.text, Cause: why.cause})
	if next == Master {
		c.emit(Reign{Term: c.lead.Term, NotBefore: c.reignFrom()})
	}
}

func (c *Core) derive() State {
	witness := c.cfg.Self.Witness
	switch {
	case c.checked && !c.health.Healthy && !witness:
		return Fault
	case c.leader() && c.holds() && c.departure.step == staying:
		return Master
	case c.state == Init && (c.lead.Term == 0 || (!c.checked && !witness)):
		return Init
	default:
		return Backup
	}
}

func (c *Core) transitionReason(from, to State) reason {
	why := c.reason
	switch {
	case to == Master && from != Fault:
		why = c.story()
	case to == Backup && why.text == "":
		why.text = "leader is " + string(c.lead.Leader)
	}
	if from == Init && to != Fault {
		why.cause = CauseStarted
	}
	return why
}

func (c *Core) self() fsm.NodeName { return c.cfg.Self.Name }

func (c *Core) emit(a Action) { c.out = append(c.out, a) }

func (c *Core) note(text string, err error) { c.emit(Note{Term: c.lead.Term, Text: text, Err: err}) }

func (c *Core) nextOp() Op {
	c.ops++
	return c.ops
}

func (c *Core) origin(why string) fsm.Origin {
	return fsm.Origin{Term: c.lead.Term, UnixMilli: c.cfg.WallClock(), Reason: legible.Clause(why, maxReason)}
}

func (c *Core) propose(command fsm.Command) Op {
	op := c.nextOp()
	c.emit(Propose{Op: op, Term: c.lead.Term, Command: command})
	return op
}

// takeProposed hands the answer to whoever proposed.
func (c *Core) takeProposed(e Proposed) {
	if e.Op == c.report.op {
		c.report.op = 0
		if e.failure() != nil {
			c.report.retryAt = c.now + reportRetry
		}
	}
	switch e.Op {
	case c.drain.op:
		c.drainProposed(e)
	case c.raising.op:
		c.raising.op = 0
		c.levelProposed(e)
	case c.members.op:
		c.memberProposed(e)
	case c.abdicated.op:
		c.doubtAnswered(e)
	}
	for _, a := range c.charges {
		a.takeProposed(e)
	}
}
