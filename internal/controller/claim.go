package controller

import (
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
)

// claimStep is where a leader is on its way to holding the address.
type claimStep string

const (
	idle           claimStep = ""
	asking         claimStep = "asking the deposed holder for a release"
	releasing      claimStep = "committing the deposed holder's release"
	reading        claimStep = "reading the association"
	claiming       claimStep = "committing the claim"
	disassociating claimStep = "disassociating"
	associating    claimStep = "associating"
	confirming     claimStep = "committing the confirmation"
	holding        claimStep = "holding"
	respecting     claimStep = "committing the respect of a foreign move"
	waiting        claimStep = "waiting to try again"
)

// claimant carries out the claim protocol for one leadership (docs/DESIGN.md, "The claim"). A later leadership starts a new
// one; what the old one has in flight is remembered until it is answered, because it decides whether a release may be given.
type claimant struct {
	step  claimStep
	op    Op
	grant fsm.Grant
	asked fsm.GrantedClaim // the deposed holder's, whose release is asked for

	inFlight bool // a mutating call is out
	unknown  bool // a call under the current claim ended without a known outcome

	story     reason        // why this claim is made, for history and logs
	since     time.Duration // when it began to try
	failures  int           // in a row, for back-off
	wakeAt    time.Duration
	then      claimStep     // what to do after waiting
	reignFrom time.Duration // first advert not before
	heldSince time.Duration
	foreign   fsm.AssociationID // to be respected
}

// begin starts a new leadership's claim. A call of an earlier one that is still out is waited for.
func (k *claimant) begin(now time.Duration) {
	k.over()
	*k = claimant{since: now, op: k.op, inFlight: k.inFlight}
}

// over ends the leadership's claim. inFlight and unknown are kept: they answer a later ReleaseAsked.
func (k *claimant) over() {
	k.step, k.wakeAt = idle, 0
	if !k.inFlight {
		k.op = 0
	}
}

// claims reports whether this node goes on with its claim: as leader, and not on its way out.
func (c *Core) claims() bool { return c.leader() && c.departure.step == staying }

// considerClaim goes on with the claim where nothing is outstanding.
func (c *charge) considerClaim() {
	k := &c.claim
	switch {
	case !c.claims() || k.step == idle && k.inFlight:
	case k.step == waiting && c.now >= k.wakeAt:
		k.wakeAt = 0
		c.resumeClaim(k.then)
	case k.step == idle && c.mayClaim():
		c.startClaim()
	}
}

// mayClaim reports whether a claim would be granted and wanted.
func (c *charge) mayClaim() bool {
	me, known := c.committed.Nodes[c.self()]
	return known && me.Healthy && c.health.Healthy && !me.Drained && !me.Witness && !c.foreignRespected()
}

// foreignRespected reports whether somebody else's association is to be left alone.
func (c *charge) foreignRespected() bool {
	f := c.address().Foreign
	return f != "" && (c.sight.last == nil || c.sight.last.AssociationID == eip.AssociationID(f))
}

// startClaim begins with the first entry of the term. The committed state that a new leader sees may lag behind the log, so the
// entry is a claim that is granted only if the claim before it was released: after a planned move that is the whole way, and
// otherwise the denial comes with the newest state.
func (c *charge) startClaim() {
	a := c.address()
	if c.claim.failures == 0 {
		c.claim.since = c.now
	}
	switch {
	case a.Claim == nil:
		c.claim.story = reason{CauseFirstClaim, "first claim"}
		c.readThenClaim()
	case a.Foreign != "":
		c.claim.story = reason{CauseForeignGone, "the respected association is gone"}
		c.sight.suspicion = nil
		c.readThenClaim()
	case a.Claim.Node == c.self():
		c.claim.story = reason{CauseOwnClaim, "this node claimed last"}
		c.readThenClaim()
	case c.isDown(a.Claim.Node):
		c.claim.story = reason{CauseNodeDown, string(a.Claim.Node) + " is down"}
		c.proposeClaim(fsm.Claim{Mode: fsm.Handover}) // the state machine makes it a takeover
	case c.cfg.Fencing == fsm.Fast:
		c.claim.story = reason{CauseSeized, string(a.Claim.Node) + " leads no more"}
		c.proposeClaim(fsm.Claim{Mode: fsm.Handover})
	default:
		c.claim.story = reason{CauseReleased, string(a.Claim.Node) + " released"}
		c.proposeClaim(fsm.Claim{Mode: fsm.Handover, Released: true})
	}
}

// askForRelease: the state is the newest now, and some node's claim stands in it.
func (c *charge) askForRelease() {
	a := c.address()
	if a.Claim == nil || a.Claim.Node == c.self() || a.Claim.Released {
		c.claim.step = idle // the log held more than this leader knew: begin again
		return
	}
	k := &c.claim
	k.story = reason{CauseReleasedOnAsked, string(a.Claim.Node) + " was deposed"}
	k.step, k.asked, k.op = asking, *a.Claim, c.nextOp()
	c.emit(AskRelease{Op: k.op, Address: c.id, Term: c.lead.Term, Holder: a.Claim.Node, Ends: a.Claim.Index, Within: c.releaseWait(a.Claim.Node)})
}

func (c *charge) takeReleaseAnswered(e ReleaseAnswered) {
	k := &c.claim
	if e.Op != k.op || k.step != asking {
		return
	}
	k.op = 0
	if !c.claims() {
		return
	}
	if e.Err != nil {
		k.story = reason{CauseUnanswered, fmt.Sprintf("no release from %s: %v", k.asked.Node, e.Err)}
		c.proposeClaim(fsm.Claim{Mode: fsm.Handover}) // the state machine makes it a takeover
		return
	}
	if c.mayGiveBack(k.asked) {
		k.step = idle
		c.giveBack(k.asked.Node)
		return
	}
	k.step = releasing
	k.op = c.propose(fsm.Release{Origin: c.origin("asked by the new leader " + string(c.self())), AllocationID: c.id,
		Node: k.asked.Node, Ends: k.asked.Index, Settled: e.Settled, Alone: e.Alone})
}

func (c *charge) readThenClaim() {
	c.claim.step = reading
	c.observe()
}

// claimObserved goes on after the read: adopt what is ours, displace what is not.
func (c *charge) claimObserved(a eip.Address) {
	k := &c.claim
	if c.foreignRespected() {
		k.step, k.failures = idle, 0
		return
	}
	if seen := c.sight.suspicion; c.address().Foreign != "" && (seen == nil || *seen != a) { // one read may be stale
		c.sight.suspicion = &a
		c.retryClaim(reading, errors.New("the respected association is not seen any more"))
		k.wakeAt = c.now + readBack
		return
	}
	if a.At(c.target) {
		c.proposeClaim(having(fsm.Adopt, a))
		return
	}
	if c.address().Claim == nil && !a.Free() && c.now-k.since < birthPatience {
		c.leaveFirst(a)
		return
	}
	c.proposeClaim(having(fsm.Takeover, a))
}

// birthPatience is how long the first leader of a cluster leaves the address where it found it: the node that has it may only be
// about to join.
const birthPatience = 3 * time.Second

// leaveFirst makes the node that has the address the first to claim it, by adoption, which is no call and no gap.
func (c *charge) leaveFirst(a eip.Address) {
	for _, n := range c.fitTargets() {
		if n.ENI == string(a.ENI) {
			c.departure.wantedTo = n.Name
			c.departure.want(reason{CauseLeftInPlace, string(n.Name) + " has the address already"})
			c.claim.step = idle
			return
		}
	}
	c.retryClaim(reading, errors.New("the address is in use, and the cluster is new: looking whether that is a node of it"))
}

// having is a claim after a read.
func having(mode fsm.Mode, read eip.Address) fsm.Claim {
	return fsm.Claim{Mode: mode, Observed: true, Association: fsm.AssociationID(read.AssociationID)}
}

// proposeClaim completes and proposes the claim.
func (c *charge) proposeClaim(claim fsm.Claim) {
	claim.Origin, claim.Node = c.origin(c.claim.story.text), c.self()
	claim.AllocationID, claim.Fencing = c.id, c.cfg.Fencing
	c.claim.step = claiming
	c.claim.op = c.propose(claim)
}

// claimProposed takes the answers to the three kinds of entry that a claim proposes.
func (c *charge) claimProposed(e Proposed) {
	k := &c.claim
	switch {
	case !c.claims():
		if g := e.Result.Grant; g.Index != 0 {
			c.takeGrant(g) // nothing is called under it, so it can be released
		}
		return
	case e.Err != nil && k.step == respecting:
		c.retryClaim(respecting, e.Err)
		return
	case e.Err != nil:
		c.retryClaim(idle, fmt.Errorf("%s: %w", k.step, e.Err))
		return
	}
	switch k.step {
	case releasing:
		c.proposeClaim(fsm.Claim{Mode: fsm.Handover})
	case claiming:
		c.claimAnswered(e.Result)
	case confirming:
		c.confirmAnswered(e.Result)
	case respecting:
		k.step = idle
	}
}

func (c *charge) claimAnswered(r fsm.Result) {
	k := &c.claim
	switch r.Denied {
	case "":
		c.granted(r.Grant)
	case fsm.DeniedNotReleased:
		c.askForRelease()
	case fsm.DeniedUnobserved:
		c.readThenClaim()
	case fsm.DeniedSuperseded:
		c.supersededRead()
	case fsm.DeniedNotCandidate, fsm.DeniedUnknownNode, fsm.DeniedRespected:
		k.step = idle // considered again when the committed state changes
	default:
		c.retryClaim(idle, fmt.Errorf("claim denied: %s", r.Denied))
	}
}

// supersededRead: EC2 showed an association that was replaced long ago. A stale read passes; a repeated one is displaced.
func (c *charge) supersededRead() {
	if last := c.sight.last; c.claim.failures > 1 && last != nil {
		c.proposeClaim(having(fsm.Takeover, *last))
		return
	}
	c.retryClaim(reading, errors.New("the association read is an old one"))
}

// takeGrant makes g the claim that is carried out, and says from when on no earlier reign can be on (invariant I3): a predecessor's last
// evidence is older than this grant.
func (c *charge) takeGrant(g fsm.Grant) {
	k := &c.claim
	k.grant, k.unknown, k.reignFrom = g, false, 0
	if !g.Clean {
		k.reignFrom = c.reignsEnd()
	}
}

// alone reports whether no reign before that of a claim of this node's can still be on.
func (c *charge) alone(claim uint64) bool {
	if c.claim.grant.Index == claim {
		return c.now >= c.claim.reignFrom
	}
	a := c.address()
	return a.Claim != nil && a.Claim.Index == claim && a.Claim.Clean
}

func (c *charge) granted(g fsm.Grant) {
	k := &c.claim
	c.takeGrant(g)
	switch {
	case g.Mode == fsm.Adopt:
		c.hold()
	case g.Atomic():
		c.associate()
	case g.Displaces == "":
		c.associate()
	case c.refreshWouldCutOff(g):
		c.departure.want(reason{CauseRefresh, "refresh of a contested association needs another way to EC2"})
		k.step = idle
	default:
		c.disassociate()
	}
}

// refreshWouldCutOff reports whether disassociating would take away this node's own address, which may be its only way to
// EC2. A successor without the address has proven its way.
func (c *charge) refreshWouldCutOff(g fsm.Grant) bool {
	last := c.sight.last
	mine := last != nil && last.At(c.target) && last.AssociationID == eip.AssociationID(g.Displaces)
	return mine && !c.sight.offRoute && c.bestTarget("") != ""
}

func (c *charge) disassociate() {
	k := &c.claim
	k.step, k.op, k.inFlight = disassociating, c.nextOp(), true
	c.emit(Disassociate{Op: k.op, Address: c.id, Term: c.lead.Term, Claim: k.grant.Index, Association: eip.AssociationID(k.grant.Displaces)})
}

func (c *charge) associate() {
	k := &c.claim
	k.step, k.op, k.inFlight = associating, c.nextOp(), true
	c.emit(Associate{Op: k.op, Address: c.id, Term: c.lead.Term, Claim: k.grant.Index, AllowReassociation: k.grant.Atomic()})
}

// takeCalled takes EC2's answer to the claim's call, also after the leadership is over.
func (c *charge) takeCalled(e Called) {
	k := &c.claim
	if e.Op != k.op {
		return
	}
	k.op, k.inFlight = 0, false
	done := e.Class == eip.Done
	if !done && !e.Class.CertainlyNotDone() {
		k.unknown = true
	}
	if !c.claims() || k.step == idle {
		return
	}
	switch {
	case k.step == disassociating && done:
		c.associate()
	case k.step == associating && done:
		k.step = confirming
		k.op = c.propose(fsm.Confirm{Origin: c.origin(k.story.text), Node: c.self(), AllocationID: c.id,
			Claim: k.grant.Index, Association: fsm.AssociationID(e.Association), Settled: true})
	default:
		c.callFailed(e)
	}
}

// callFailed goes on after a call that was not done, or of which nobody knows.
func (c *charge) callFailed(e Called) {
	switch {
	case e.Class == eip.Throttled:
		// The same call under the same claim: a read would only take tokens of another bucket. Limits are the account's, so a
		// successor would fare no better, and this leader's patience begins anew.
		c.claim.since = c.now
		c.retryClaim(c.claim.step, e.Err)
	case c.claim.step == associating && e.Class.CertainlyNotDone() && e.Class != eip.Conflict:
		c.retryClaim(associating, e.Err) // the same call under the same claim
	default:
		// Unknown outcome: go on by compare-and-set from what EC2 says now. Conflict: somebody holds it, read who.
		c.retryClaim(reading, e.Err)
	}
}

func (c *charge) confirmAnswered(r fsm.Result) {
	switch r.Denied {
	case "":
		c.hold()
	case fsm.DeniedContested:
		c.retryClaim(reading, errors.New("associated, but under a contested id"))
	default:
		c.retryClaim(reading, fmt.Errorf("confirmation denied: %s", r.Denied))
	}
}

func (c *charge) hold() {
	k := &c.claim
	k.step, k.failures, k.heldSince = holding, 0, c.now
	c.sight.begin(c.now, c.address().Guarded())
}

// retryClaim waits with full jitter, then goes on with step then.
func (c *charge) retryClaim(then claimStep, why error) {
	k := &c.claim
	k.failures++
	c.noteDelay(why)
	k.step, k.then = waiting, then
	k.wakeAt = c.now + c.backoff(k.failures)
}

// noteDelay writes of a failure that repeats itself ever more seldom: EC2 may be away for hours, and the log is read when it is back.
func (c *charge) noteDelay(why error) {
	switch k := &c.claim; {
	case k.failures == 1:
		c.note("claim delayed: "+string(k.step), why)
	case bits.OnesCount(uint(k.failures)) == 1:
		c.note(fmt.Sprintf("claim delayed: %s, %d times in a row", k.step, k.failures), why)
	}
}

// lateAdvert is more than an advert may leave after its check (package vrrpwire).
const lateAdvert = 10 * time.Millisecond

// Back-off with full jitter: 1 ms + [0, 50 ms x 2^n], at most 5 s.
const (
	backoffFloor   = time.Millisecond
	backoffBase    = 50 * time.Millisecond
	backoffCeiling = 5 * time.Second
)

func (c *Core) backoff(failures int) time.Duration {
	ceiling := backoffCeiling
	if failures < 7 {
		ceiling = min(ceiling, backoffBase<<failures)
	}
	return backoffFloor + c.cfg.Jitter(ceiling)
}

// standing reports whether the granted claim is still the newest.
func (c *charge) standing(g fsm.Grant) bool {
	a := c.address()
	return a.Claim != nil && a.Claim.Index == g.Index && !a.Claim.Released
}

func (c *charge) resumeClaim(then claimStep) {
	c.claim.step = idle
	switch {
	case !c.mayClaim():
	case then == associating && c.standing(c.claim.grant):
		c.associate()
	case then == disassociating && c.standing(c.claim.grant):
		c.disassociate()
	case then == respecting:
		c.respect()
	case then == reading:
		c.readThenClaim()
	default:
		c.startClaim()
	}
}
