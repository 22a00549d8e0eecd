package controller

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/vrrpwire"
)

const (
	// hintStagger is between the nodes that miss the same adverts: two that stand at once split the votes, and a second is lost.
	hintStagger = 5 * time.Millisecond
	// missedAdverts is how many must be missing before a node joins in another's suspicion (RFC 9568 section 6.1, without the skew).
	missedAdverts = 3
	// graceFloor and graceCeiling bound how long a suspect is waited for when a quorum misses it.
	graceFloor   = 2 * time.Millisecond
	graceCeiling = 20 * time.Millisecond
	// patienceIntervals, within bounds, is how long the agent of a machine that is up may be silent. Its HAProxy most likely serves on, so
	// there is no hurry; on a busy machine an agent may not be scheduled for longer than three intervals.
	patienceIntervals = 25
	patienceFloor     = 100 * time.Millisecond
	patienceCeiling   = 500 * time.Millisecond
	// accusedLately is how long after the question a silence means something.
	accusedLately = time.Second
	// refutedCeiling bounds the wait after suspicions that turned out wrong.
	refutedCeiling = time.Second
)

// hint is what a follower makes of its leader's adverts. Raft's own timers find a dead leader in a second; adverts that stay away are
// noticed in tens of milliseconds. They are no proof, so the other voters are asked, and the leader itself; and the vote that follows
// is Raft's own. A false suspicion costs an election, never the safety of one.
type hint struct {
	heard     time.Duration // when the leader was last heard in this term, or this node itself last stood still; 0: not armed
	interval  time.Duration // between the leader's adverts, as they say
	ran       time.Duration // when this node last ran because it had to know that it does
	notBefore time.Duration // after a suspicion that was refuted
	refuted   int           // in a row
	op        Op
	spent     bool // one election for each leadership

	accused   fsm.NodeName  // who was last asked without an answer
	accusedAt time.Duration // since when
	down      bool          // its machine did not answer either
	counts    HintCounts
}

// HintCounts counts since the start of the agent.
type HintCounts struct {
	Asked   uint64 `json:"asked"`   // the other voters were asked whether they miss the leader's adverts too
	Refuted uint64 `json:"refuted"` // of these: they do not, or the leader answered, or was heard meanwhile
	Late    uint64 `json:"late"`    // of these: the leader's machine is up, so its agent is given more time
	Sent    uint64 `json:"sent"`    // this node stood for election
	Failed  uint64 `json:"failed"`  // of these: Raft had already moved on
	Stalls  uint64 `json:"stalls"`  // this process was not scheduled for longer than an advertisement interval
	// LongestStall is the longest of them in milliseconds.
	LongestStall int64 `json:"longest_stall_ms"`
}

// follow begins anew with another leader or term.
func (h *hint) follow() {
	*h = hint{accused: h.accused, accusedAt: h.accusedAt, down: h.down, counts: h.counts}
}

func (c *Core) takeAdvert(e AdvertHeard) {
	h := &c.hint
	if e.From == "" || e.From != c.lead.Leader || c.lead.Self {
		return
	}
	if e.Priority == vrrpwire.PriorityStop {
		h.heard, h.op = 0, 0 // it ends its reign on purpose: what follows is a hand-over, whatever the others answer
		return
	}
	if h.op != 0 {
		c.refute()
	}
	h.heard, h.interval, h.refuted = max(h.heard, e.At), e.Interval, 0
}

// awakeAt is when this node has to run next to be sure that it was awake while the leader was silent: four times in each interval, from
// the first advert that is overdue. 0: there is nothing to listen for.
func (c *Core) awakeAt() time.Duration {
	h := &c.hint
	if !c.listens() {
		return 0
	}
	return max(h.heard+h.interval, h.ran) + h.interval/4
}

// considerStall discards the silence that this node heard while it stood still itself for longer than an advertisement interval.
func (c *Core) considerStall() {
	h, at := &c.hint, c.awakeAt()
	if at == 0 || c.now < at {
		return
	}
	h.ran = c.now
	late := c.now - at
	if late <= h.interval*3/4 {
		return
	}
	h.counts.Stalls++
	h.counts.LongestStall = max(h.counts.LongestStall, late.Milliseconds())
	if h.op != 0 {
		c.refute()
	}
	h.heard = c.now
}

// grace is how long a suspect is waited for. The questions go out that much before Master_Down_Interval ends.
func (h *hint) grace() time.Duration { return min(max(h.interval/4, graceFloor), graceCeiling) }

// silentAt returns when the leader's silence is long enough for this node to ask the others, 0 without an armed hint.
func (c *Core) silentAt() time.Duration {
	h := &c.hint
	if !c.listens() || h.op != 0 {
		return 0
	}
	down := vrrpwire.MasterDownInterval(c.cfg.Self.Priority, h.interval, vrrpwire.Version3)
	return max(h.heard+down+time.Duration(c.rank())*hintStagger-h.grace(), h.notBefore)
}

// rank is this node's place among those that could follow the leader, 0 for the best.
func (c *Core) rank() int {
	var others []fsm.Node
	for _, n := range c.committed.Nodes {
		if n.Name != c.lead.Leader {
			others = append(others, n)
		}
	}
	slices.SortFunc(others, func(a, b fsm.Node) int {
		return cmp.Or(cmp.Compare(fitness(b), fitness(a)), cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Name, b.Name))
	})
	return max(slices.IndexFunc(others, func(n fsm.Node) bool { return n.Name == c.self() }), 0)
}

// fitness ranks a witness last, and before it who could not hold.
func fitness(n fsm.Node) int {
	switch {
	case n.Witness:
		return 0
	case !n.Candidate():
		return 1
	default:
		return 2
	}
}

// listens reports whether a silence of the leader would mean something.
func (c *Core) listens() bool {
	return c.cfg.Hints && c.hint.heard != 0 && !c.hint.spent && !c.lead.Self && c.lead.Leader != ""
}

func (c *Core) considerHint() {
	h, at := &c.hint, c.silentAt()
	if at == 0 || c.now < at {
		return
	}
	h.op = c.nextOp()
	if h.accused != c.lead.Leader {
		h.accused, h.accusedAt, h.down = c.lead.Leader, c.now, false
	}
	h.counts.Asked++
	c.emit(Poll{Op: h.op, Term: c.lead.Term, Suspect: c.lead.Leader, Grace: h.grace(),
		Patient: c.now-h.heard < min(max(patienceIntervals*h.interval, patienceFloor), patienceCeiling)})
}

func (c *Core) takePolled(e Polled) {
	h := &c.hint
	if e.Op != h.op {
		return
	}
	switch {
	case errors.Is(e.Err, errMachineUp):
		h.op = 0
		h.counts.Late++
		h.notBefore = c.now + 2*h.interval
		return
	case e.Err != nil:
		c.refute()
		return
	}
	h.spent, h.down = true, !e.Up
	h.counts.Sent++
	c.note(fmt.Sprintf("a quorum misses the adverts of %s for %v: standing for election", c.lead.Leader, c.now-h.heard), nil)
	c.emit(Hint{Op: h.op, Term: c.lead.Term, Suspect: c.lead.Leader})
}

// refute gives the suspicion up, and waits longer each time before the next.
func (c *Core) refute() {
	h := &c.hint
	h.op, h.accused, h.down = 0, "", false
	h.counts.Refuted++
	h.notBefore = c.now + min(h.interval<<min(h.refuted, 10), refutedCeiling)
	h.refuted++
}

func (c *Core) takeHinted(e Hinted) {
	h := &c.hint
	if e.Op != h.op {
		return
	}
	h.op = 0
	if e.Err != nil {
		h.counts.Failed++
		c.note("stand for election", e.Err)
	}
}

// takeSilenceAsked answers from what this node heard itself, for the time when the asker has waited its grace out. The suspect's own
// answer refutes, whatever it says.
func (c *Core) takeSilenceAsked(e SilenceAsked) {
	h := &c.hint
	misses := e.Term == c.lead.Term && e.Suspect == c.lead.Leader && !c.lead.Self &&
		h.heard != 0 && c.now-h.heard+h.grace() >= missedAdverts*h.interval
	c.emit(Reply{Op: e.Op, Misses: misses})
}

// accusedFor is how long a node has not answered, as far as it was asked lately; 0 if it was not.
func (h *hint) accusedFor(node fsm.NodeName, now time.Duration) time.Duration {
	if since := now - h.accusedAt; h.accused == node && since < accusedLately {
		return since
	}
	return 0
}

// isDown reports whether a node was found dead lately, agent and machine: nobody is there who could release.
func (c *Core) isDown(node fsm.NodeName) bool {
	return c.hint.down && c.hint.accusedFor(node, c.now) > 0
}

// releaseWait is how long to wait for the word of a deposed holder: less for one that has not answered for a while already.
func (c *Core) releaseWait(holder fsm.NodeName) time.Duration {
	return max(c.cfg.Timing.ReleaseWait-c.hint.accusedFor(holder, c.now), graceFloor)
}
