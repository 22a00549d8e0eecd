package controller

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hacluster/hacluster/fsm"
)

// departureStep is where a leader is on its way out.
type departureStep string

const (
	staying      departureStep = ""
	ending       departureStep = "committing the release"
	transferring departureStep = "transferring the leadership"
)

const (
	// transferRound is how long a leader waits after every target failed once, before it tries them again.
	transferRound = time.Second
	// ineligibleFor is how long a leader may fail to hand over to a healthy candidate before it ends the process: a transfer
	// inside hashicorp/raft can hang for ever (#696).
	ineligibleFor = 10 * time.Second

	operatorAsked = "transfer asked by the operator"
)

// departure hands the leadership over: priority 0 on the wire, release, transfer, in this order, so that the successor may
// move the address by one atomic call.
type departure struct {
	step   departureStep
	op     Op
	target fsm.NodeName
	tried  []fsm.NodeName // failed in this round
	wakeAt time.Duration

	wanted          bool // somebody asked for it
	wantedTo        fsm.NodeName
	wantedWhy       reason
	endsRespect     bool // and wants all addresses there, those that somebody moved elsewhere too
	ineligibleSince time.Duration
	shutdown        bool
	stopped         bool
}

// want asks for a departure to the best candidate.
func (d *departure) want(why reason) { d.wanted, d.wantedWhy, d.endsRespect = true, why, false }

// ended forgets the departure with its leadership; a shutdown goes on.
func (d *departure) ended() { *d = departure{shutdown: d.shutdown, stopped: d.stopped} }

func (c *Core) considerDeparture() {
	d := &c.departure
	switch {
	case d.stopped:
	case d.shutdown && !c.leader():
		c.stop(nil)
	case !c.leader():
	case d.step == transferring && d.wakeAt != 0 && c.now >= d.wakeAt:
		c.transferFailed(errors.New("leadership did not change"))
	case d.step == staying:
		c.considerLeaving()
	}
}

func (c *Core) considerLeaving() {
	d := &c.departure
	if d.wakeAt != 0 && c.now >= d.wakeAt {
		d.wakeAt, d.tried = 0, nil
	}
	why := c.reasonToLeave()
	if c.mayStay() {
		d.ineligibleSince = 0
	}
	if why.text == "" {
		return
	}
	target := c.bestTarget(d.wantedTo)
	if why.cause == CauseUnconfirmed {
		target = c.untriedTarget()
	}
	switch {
	case target != "":
		c.depart(target, why)
	case d.shutdown:
		c.stop(nil)
	case len(d.tried) == 0:
		d.ineligibleSince = 0 // nobody to hand over to: the address stays where it is
		d.wanted, d.wantedTo = false, ""
	}
}

// reasonToLeave returns why this leader should not hold; none has no text.
func (c *Core) reasonToLeave() reason {
	d, me := &c.departure, c.committed.Nodes[c.self()]
	switch {
	case d.shutdown:
		return reason{CauseStopping, "agent stopping"}
	case c.cfg.Self.Witness:
		return reason{CauseWitness, "a witness never holds"}
	case c.checked && !c.health.Healthy:
		return reason{CauseUnhealthy, c.health.Reason}
	case me.Drained:
		return reason{CauseDrained, "drained"}
	case c.removed(c.self()):
		return reason{CauseRemoved, "removed from the cluster"}
	case d.wanted:
		return d.wantedWhy
	case !c.watch.reached && c.any(func(a *charge) bool { return a.holds() && a.address().Guarded() }):
		return reason{CauseEC2, "EC2 is out of reach, and a call of the past may have to be repaired"}
	case !c.watch.reached && c.any(func(a *charge) bool { return a.holds() && a.suspectsDrift() }):
		return reason{CauseEC2, "EC2 is out of reach, and the address was last read elsewhere"}
	case !c.watch.reached && c.respectsOnly():
		return reason{CauseEC2, "EC2 is out of reach, and the end of a foreign move would not be seen"}
	case c.unconfirmedTooLong():
		return reason{CauseUnconfirmed, fmt.Sprintf("claim not confirmed for %v", c.cfg.Timing.ConfirmTimeout)}
	default:
		return c.reasonToPreempt()
	}
}

// respectsOnly: nobody is served here, and the addresses wait for somebody else's association to end, which only a read shows.
func (c *Core) respectsOnly() bool {
	return !c.any((*charge).holds) && c.any((*charge).leftAlone)
}

// unconfirmedTooLong: nothing could be taken. Where another address is held, its clients must not pay for this one's trouble, unless that is
// this node's own: EC2 is out of its reach.
func (c *Core) unconfirmedTooLong() bool {
	return c.checked && (!c.watch.reached || !c.any((*charge).holds)) && c.any(func(a *charge) bool {
		return a.claim.step != idle && !a.holds() && c.now-a.claim.since >= c.cfg.Timing.ConfirmTimeout
	})
}

// mayStay reports whether this leader may hold the address, whatever else speaks for leaving.
func (c *Core) mayStay() bool {
	me := c.committed.Nodes[c.self()]
	return !c.cfg.Self.Witness && !me.Drained && (!c.checked || c.health.Healthy)
}

func (c *Core) depart(target fsm.NodeName, why reason) {
	d := &c.departure
	if d.ineligibleSince == 0 && !c.mayStay() {
		d.ineligibleSince = c.now
	}
	if d.ineligibleSince != 0 && c.now-d.ineligibleSince >= ineligibleFor {
		c.stop(fmt.Errorf("could not hand the leadership over for %v (%s): ending, to be restarted", ineligibleFor, why.text))
		return
	}
	d.step, d.target, d.wakeAt = ending, target, 0
	c.reason = why
	c.settle() // priority 0 goes out before the release
	for _, a := range c.charges {
		if release, ok := a.ownRelease(why.text); ok {
			a.leaving = c.propose(release)
		}
	}
	c.transferReleased()
}

// ownRelease ends this node's claim, if there is one to end and nothing of it may still land.
func (c *charge) ownRelease(why string) (fsm.Release, bool) {
	k, a := &c.claim, c.address()
	if c.leftAlone() && c.departure.wanted && c.departure.endsRespect {
		return c.respectEnded(why), true
	}
	if a.Claim == nil || a.Claim.Node != c.self() || a.Claim.Released || k.inFlight || k.unknown {
		return fsm.Release{}, false
	}
	return fsm.Release{Origin: c.origin(why), AllocationID: c.id, Node: c.self(), Ends: a.Claim.Index,
		Settled: k.grant.Index == a.Claim.Index, Alone: c.alone(a.Claim.Index), Foreign: c.respected()}, true
}

// respected is the association of somebody else's that a release leaves alone: one that is respected by a claim which counts as not released
// since a recovery, or is just about to be. Of two releases under way either may come first.
func (c *charge) respected() fsm.AssociationID {
	k := &c.claim
	switch {
	case c.departure.wanted && c.departure.endsRespect:
		return ""
	case k.step == respecting || k.step == waiting && k.then == respecting:
		return k.foreign
	default:
		return c.address().Foreign
	}
}

func (c *charge) releaseProposed(e Proposed) {
	if c.departure.step != ending {
		return
	}
	if e.Err != nil || e.Result.Denied != "" {
		c.note("release before the transfer: "+string(e.Result.Denied), e.Err)
	}
	c.transferReleased()
}

// transferReleased goes on when every release is answered.
func (c *Core) transferReleased() {
	if !c.any(func(a *charge) bool { return a.leaving != 0 }) {
		c.transfer()
	}
}

func (c *Core) transfer() {
	d := &c.departure
	d.step, d.op = transferring, c.nextOp()
	d.wakeAt = 0
	c.emit(Transfer{Op: d.op, To: d.target})
}

func (c *Core) takeTransferred(e Transferred) {
	d := &c.departure
	if e.Op != d.op || d.step != transferring {
		return
	}
	d.op = 0
	if e.Err != nil {
		c.transferFailed(e.Err)
		return
	}
	d.wakeAt = c.now + transferRound // the news of the new leader comes by itself
}

// transferFailed stays leader for now: the claim starts anew, the next target is tried.
func (c *Core) transferFailed(why error) {
	d := &c.departure
	c.note("transfer to "+string(d.target), why)
	d.tried = append(d.tried, d.target)
	d.step, d.target, d.op = staying, "", 0
	d.wakeAt = c.now + transferRound
	if d.wantedTo != "" {
		d.wanted, d.wantedTo = false, ""
	}
	for _, a := range c.charges {
		a.claim.over()
	}
}

func (c *Core) stop(err error) {
	c.departure.stopped = true
	c.emit(Stop{Err: err})
}

// takeReleaseAsked answers a new leader: this node ends its claim if nothing of it can still land. From then on its own
// leaderships of earlier terms are over, whether Raft has told it yet or not.
func (c *Core) takeReleaseAsked(e ReleaseAsked) {
	if a := c.charge(e.Address); a != nil {
		a.takeReleaseAsked(e)
		return
	}
	c.emit(Reply{Op: e.Op, Err: fmt.Errorf("address %s is not in this node's configuration", e.Address)})
}

func (c *charge) takeReleaseAsked(e ReleaseAsked) {
	k, a := &c.claim, c.address()
	mine := k.grant.Index == e.Ends
	confirmed := a.Claim != nil && a.Claim.Index == e.Ends && a.Claim.Node == c.self() && a.Claim.Confirmed
	switch {
	case e.Term < c.lead.Term || (c.lead.Self && e.Term == c.lead.Term):
		c.emit(Reply{Op: e.Op, Err: fmt.Errorf("term %d is over: term is %d", e.Term, c.lead.Term)})
	case e.By != "" && c.lead.Leader != "" && e.Term == c.lead.Term && e.By != c.lead.Leader:
		c.emit(Reply{Op: e.Op, Err: fmt.Errorf("%s does not lead in term %d: %s does", e.By, e.Term, c.lead.Leader)})
	case k.inFlight:
		c.emit(Reply{Op: e.Op, Err: errors.New("a call is in flight")})
	case k.unknown:
		c.emit(Reply{Op: e.Op, Err: errors.New("a call ended without a known outcome")})
	case !mine && !confirmed:
		c.emit(Reply{Op: e.Op, Err: fmt.Errorf("claim %d is not known here", e.Ends)})
	case c.limbo() && e.Term != c.abdicated.term:
		c.emit(Reply{Op: e.Op, Err: fmt.Errorf("released to the leader of term %d already", c.abdicated.term)})
	default:
		alone := c.alone(e.Ends)
		c.abdicate(e.Term)
		k.over()
		c.reason = reason{CauseDeposed, fmt.Sprintf("released to the leader of term %d", e.Term)}
		c.settle()
		c.emit(Reply{Op: e.Op, Settled: mine, Alone: alone})
	}
}

// takeTransferAsked checks an operator's request and answers at once; the move itself is seen in the committed state. It ends the respect of
// foreign moves.
func (c *Core) takeTransferAsked(e TransferAsked) {
	if c.takesBack(e.To) {
		c.takeBack()
		c.emit(Reply{Op: e.Op, To: c.self()})
		return
	}
	if c.handOver(e.Op, e.To, reason{CauseOperator, operatorAsked}) {
		c.departure.endsRespect = true
	}
}

// takesBack reports whether what somebody moved elsewhere is wanted by this leader itself, which is named, or the only one that could serve.
func (c *Core) takesBack(to fsm.NodeName) bool {
	itself := to == c.self() || to == "" && c.bestTarget("") == ""
	return itself && c.claims() && !c.departure.shutdown && c.mayStay() && c.any((*charge).leftAlone)
}

// takeBack ends the respect, after which this leader claims.
func (c *Core) takeBack() {
	for _, a := range c.charges {
		if a.leftAlone() {
			a.leaving = c.propose(a.respectEnded(operatorAsked))
		}
	}
}

// leftAlone reports whether somebody else's association is respected.
func (c *charge) leftAlone() bool { a := c.address(); return a.Claim != nil && a.Foreign != "" }

// respectEnded releases the claim that was released with the respect once more, without it.
func (c *charge) respectEnded(why string) fsm.Release {
	claim := c.address().Claim
	return fsm.Release{Origin: c.origin(why), AllocationID: c.id, Node: claim.Node, Ends: claim.Index}
}

// handOver starts a departure to a node ("" = the best candidate), and answers who that is. It returns false if there is none.
func (c *Core) handOver(asked Op, to fsm.NodeName, why reason) bool {
	if err := c.transferPossible(to); err != nil {
		c.emit(Reply{Op: asked, Err: err})
		return false
	}
	d := &c.departure
	d.tried = nil
	d.want(why)
	d.wantedTo = c.bestTarget(to)
	c.emit(Reply{Op: asked, To: d.wantedTo})
	return true
}

func (c *Core) transferPossible(to fsm.NodeName) error {
	switch {
	case !c.leader():
		return fmt.Errorf("not the leader; ask %s", c.lead.Leader)
	case c.departure.step != staying || c.departure.shutdown:
		return errors.New("a handover is under way; try again in a second")
	case to == c.self():
		return fmt.Errorf("%s leads already", to)
	case to == "" && c.bestTarget("") == "":
		return errors.New("no other healthy candidate is in reach")
	case to == "":
		return nil
	}
	return c.mayReceive(to)
}

func (c *Core) mayReceive(to fsm.NodeName) error {
	n, known := c.committed.Nodes[to]
	switch {
	case !known:
		return fmt.Errorf("no node is named %q", to)
	case n.Witness:
		return fmt.Errorf("%s is a witness and never holds", to)
	case n.Drained:
		return fmt.Errorf("%s is drained", to)
	case !n.Healthy:
		return fmt.Errorf("HAProxy on %s is unhealthy: %s", to, n.Reason)
	case !n.EC2:
		return fmt.Errorf("%s does not reach EC2", to)
	case !slices.Contains(c.placement.reachable, to):
		return fmt.Errorf("%s does not answer this leader", to)
	case len(c.placement.voters) > 0 && !slices.Contains(c.placement.voters, to):
		return fmt.Errorf("%s has no vote yet, so it cannot lead: 'hacluster members' shows when it has", to)
	}
	return nil
}
