package controller

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
)

// Re-observation while a call of the past may still land: every guardFast for guardFastFor, then every guardSlow.
const (
	guardFast    = time.Second
	guardFastFor = 30 * time.Second
	guardSlow    = 5 * time.Second
	// readBack is when an association is first read back, and when a read that disagrees is repeated.
	readBack = time.Second
	// staleFor is how long a read may show an association that is known to be replaced before it is believed.
	staleFor = 30 * time.Second
	// unreachableAfter is how long reads must fail before the node says that it does not reach EC2.
	unreachableAfter = 5 * time.Second
)

// errNoSuchAddress says that EC2 answered without the address.
var errNoSuchAddress = errors.New("EC2 knows no such address in this region and account")

// watch reads the addresses, all with one call: every candidate once an interval, a holder more often under guard. The read is also the
// check that a node which does not hold them reaches the API at all.
type watch struct {
	op           Op
	reached      bool          // EC2 is within reach
	failingSince time.Duration // 0 = not failing
	failures     int
	foreignMoves uint64 // found since the start
}

// sight is what was read of one address.
type sight struct {
	nextAt     time.Duration // of the read that this address wants
	last       *eip.Address  // newest successful read
	offRoute   bool          // EC2 was reached while the address was not ours: a refresh cannot cut the way
	agreedAt   time.Duration // when the newest read showed what is agreed, or that was associated
	guardSince time.Duration // 0 = no guard
	guardOp    Op
	suspicion  *eip.Address // a read that disagrees, not yet repeated
	gone       bool         // EC2 knows it no more, and that was said
}

// begin starts watching a fresh hold.
func (s *sight) begin(now time.Duration, guarded bool) {
	s.suspicion = nil
	s.nextAt, s.agreedAt = now+readBack, now
	s.guardSince = 0
	if guarded {
		s.guardSince = now
	}
}

func (c *Core) considerWatch() {
	if !c.cfg.Self.Witness && c.watch.op == 0 && c.any(func(a *charge) bool { return c.now >= a.sight.nextAt }) {
		c.observe()
	}
}

// observe reads the addresses unless a read is already out.
func (c *Core) observe() {
	if c.watch.op != 0 {
		return
	}
	c.watch.op = c.nextOp()
	c.readNextAt(0)
	c.emit(Observe{Op: c.watch.op})
}

func (c *Core) readNextAt(at time.Duration) {
	for _, a := range c.charges {
		a.sight.nextAt = at
	}
}

func (c *Core) takeObserved(e Observed) {
	w := &c.watch
	if e.Op != w.op {
		return
	}
	w.op = 0
	if e.Err != nil {
		c.readFailed(e.Err)
		return
	}
	w.failingSince, w.failures = 0, 0
	if !w.reached {
		w.reached = true
		c.note("EC2 is within reach", nil)
	}
	c.readNextAt(c.now + c.cfg.Timing.ObserveInterval)
	for _, a := range c.charges {
		i := slices.IndexFunc(e.Addresses, func(read eip.Address) bool { return fsm.AllocationID(read.AllocationID) == a.id })
		if i < 0 {
			a.gone()
			continue
		}
		a.seen(e.Addresses[i])
	}
}

func (c *charge) seen(read eip.Address) {
	c.sight.last, c.sight.gone = &read, false
	if !read.At(c.target) {
		c.sight.offRoute = true
	}
	switch {
	case !c.claims():
	case c.claim.step == reading:
		c.claimObserved(read)
	case c.claim.step == holding:
		c.compare(read)
	}
}

// gone: EC2 answered, and not about this address. Nothing can be done for it, so somebody has to know.
func (c *charge) gone() {
	if c.claim.step == holding && !c.sight.gone {
		c.sight.gone = true
		c.note("address "+string(c.id)+" is held no more", errNoSuchAddress)
	}
	c.notSeen(errNoSuchAddress)
}

// notSeen goes on without an answer about this address.
func (c *charge) notSeen(err error) {
	if c.claims() && c.claim.step == reading {
		c.retryClaim(reading, err)
	}
}

func (c *Core) readFailed(err error) {
	w := &c.watch
	throttled := eip.Classify(err) == eip.Throttled
	if throttled && w.reached && !c.readsMatter() {
		// EC2 answered, so it is within reach, and it wants fewer reads of all nodes of the account: skip this one.
		w.failingSince, w.failures = 0, 0
		c.readNextAt(c.now + c.cfg.Timing.ObserveInterval/2 + c.cfg.Jitter(c.cfg.Timing.ObserveInterval))
		return
	}
	w.failures++
	c.readNextAt(c.now + readBack + c.backoff(w.failures))
	if w.failures == 1 {
		w.failingSince = c.now
		c.note("observe address", err)
	}
	if throttled {
		w.failingSince = c.now
	}
	if w.reached && w.failures > 1 && c.now-w.failingSince >= unreachableAfter {
		w.reached = false
		c.note("EC2 is out of reach", err)
	}
	for _, a := range c.charges {
		if throttled {
			a.claim.since = c.now
		}
		a.notSeen(err)
	}
}

// readsMatter reports whether something waits for a read: a claim, a guard, or a suspicion.
func (c *Core) readsMatter() bool {
	return c.claims() && c.any(func(a *charge) bool {
		return a.claim.step == reading || a.holds() && (a.sight.suspicion != nil || a.address().Guarded())
	})
}

// compare holds a read against what is agreed, while holding.
func (c *charge) compare(read eip.Address) {
	w := &c.sight
	agreed := c.address()
	ours := read.At(c.target)
	if ours && fsm.AssociationID(read.AssociationID) == agreed.Association {
		w.suspicion, w.agreedAt = nil, c.now
		c.planNextRead(agreed)
		return
	}
	w.nextAt = c.now + readBack
	held := c.now - c.claim.heldSince
	if held < c.cfg.Timing.Settle || (agreed.Fates[fsm.AssociationID(read.AssociationID)] != "" && held < staleFor) {
		return // eventual consistency: the read shows the past
	}
	if w.suspicion == nil || *w.suspicion != read {
		w.suspicion = &read
		return
	}
	w.suspicion = nil
	c.drifted(read, ours)
}

// suspectsDrift reports whether the newest read showed a move that would have to be repaired, had a second one said so too.
func (c *charge) suspectsDrift() bool {
	s := c.sight.suspicion
	return s != nil && (c.cfg.Drift == Repair || s.AssociationID == "" || c.ownLateCall(*s))
}

// planNextRead chooses the pace, and ends the guard when nothing signed before it can be executed any more.
func (c *charge) planNextRead(agreed fsm.Address) {
	w := &c.sight
	if !agreed.Guarded() {
		w.guardSince = 0
		w.nextAt = c.now + c.cfg.Timing.ObserveInterval
		return
	}
	if w.guardSince == 0 {
		w.guardSince = c.now
	}
	since := c.now - w.guardSince
	w.nextAt = c.now + guardFast
	if since >= guardFastFor {
		w.nextAt = c.now + guardSlow
	}
	if since >= c.cfg.Timing.Guard && w.guardOp == 0 {
		w.guardOp = c.propose(fsm.GuardDone{Origin: c.origin("no call of the past can land any more"), Node: c.self(),
			AllocationID: c.id, Association: agreed.Association, Through: agreed.Claim.Index})
	}
}

// drifted: two agreeing reads say that the address is not where the cluster put it.
func (c *charge) drifted(read eip.Address, ours bool) {
	where := "unassociated"
	if read.AssociationID != "" {
		where = fmt.Sprintf("at %s (%s)", read.ENI, read.PrivateIP)
	}
	k := &c.claim
	c.watch.foreignMoves++
	k.story = reason{CauseForeignMove, "foreign move: the address was found " + where}
	k.since = c.now
	c.note(k.story.text, nil)
	c.reason = k.story
	switch {
	case ours:
		c.proposeClaim(having(fsm.Adopt, read))
	case c.cfg.Drift == Respect && read.AssociationID != "" && !c.ownLateCall(read):
		k.foreign = fsm.AssociationID(read.AssociationID)
		c.respect()
	default:
		c.proposeClaim(having(fsm.Takeover, read))
	}
}

// ownLateCall reports whether a read may show what a call of the past did, not a person: at a member under guard, or at a node with a call
// out, which finds the address free when a person has disassociated it. It landed after the address was last seen in its place, so it was
// signed no longer than a guard before that (docs/adr/0007).
func (c *charge) ownLateCall(read eip.Address) bool {
	since := c.cfg.WallClock() - (c.now - c.sight.agreedAt + c.cfg.Timing.Guard).Milliseconds()
	for _, n := range c.committed.Nodes {
		if n.ENI == string(read.ENI) && c.address().Guarded() {
			return true
		}
	}
	return c.committed.Unanswered(c.id, string(read.ENI), since)
}

// respect ends this node's claim in favour of somebody else's association. Until that is known to be committed the node is not Master: the
// release may be in the log whatever its answer was.
func (c *charge) respect() {
	k := &c.claim
	k.step = respecting
	c.settle() // priority 0 goes out before the release
	k.op = c.propose(fsm.Release{Origin: c.origin(k.story.text + "; respected"), Node: c.self(), AllocationID: c.id,
		Ends: k.grant.Index, Settled: !k.unknown, Alone: c.alone(k.grant.Index), Foreign: k.foreign})
}
