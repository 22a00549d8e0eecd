package controller

import (
	"cmp"
	"slices"
	"time"

	"github.com/hacluster/hacluster/fsm"
)

// placement decides who should hold.
type placement struct {
	reachable []fsm.NodeName
	voters    []fsm.NodeName // none: not told yet
	preemptAt time.Duration  // a better candidate has been there since preemptAt - PreemptDelay
	better    fsm.NodeName
	// dampedUntil is when the next candidate for a preemption stops being the last choice.
	dampedUntil time.Duration
}

// giveBackEvery is how often a deposed holder gets its leadership back: one that keeps losing it should not hold.
const giveBackEvery = time.Minute

// mayGiveBack reports whether a deposed holder, which has just answered, had better lead again: it has all addresses, serves, and is fit,
// so nothing has to move.
func (c *Core) mayGiveBack(deposed fsm.GrantedClaim) bool {
	n := c.committed.Nodes[deposed.Node]
	lately := c.givenBack.to == deposed.Node && c.now-c.givenBack.at < giveBackEvery
	preempts := c.cfg.Preempt && c.cfg.Self.Priority > n.Priority
	return n.Candidate() && !lately && !preempts && !c.any(func(a *charge) bool { return !a.address().HeldBy(deposed.Node) })
}

// giveBack transfers the leadership to a deposed holder, which adopts what it has.
func (c *Core) giveBack(to fsm.NodeName) {
	c.givenBack.to, c.givenBack.at = to, c.now
	if !slices.Contains(c.placement.reachable, to) {
		c.placement.reachable = append(slices.Clone(c.placement.reachable), to) // it has just answered
	}
	c.departure.wantedTo = to
	c.departure.want(reason{CauseLeftInPlace, string(to) + " was deposed, and still serves"})
}

// bestTarget returns the node to hand over to: only, if it is named and fit; otherwise the current holder if it is another
// fit node (nothing moves), otherwise the fit node of the highest priority. "" = nobody.
func (c *Core) bestTarget(only fsm.NodeName) fsm.NodeName {
	fit := c.fitTargets()
	if only != "" {
		fit = slices.DeleteFunc(fit, func(n fsm.Node) bool { return n.Name != only })
	}
	if len(fit) == 0 {
		return ""
	}
	return fit[0].Name
}

// untriedTarget returns the fit node that has tried least lately to do what this leader could not: two that both cannot would otherwise hand
// the leadership to each other for ever. "" = nobody.
func (c *Core) untriedTarget() fsm.NodeName {
	fit := c.fitTargets()
	if len(fit) == 0 {
		return ""
	}
	return slices.MinFunc(fit, func(a, b fsm.Node) int { return cmp.Compare(c.tried(a.Name), c.tried(b.Name)) }).Name
}

// tried returns the index of the newest claim of a node's that came to nothing, or 0.
func (c *Core) tried(name fsm.NodeName) uint64 {
	var newest uint64
	for _, a := range c.charges {
		newest = max(newest, c.committed.Tried(a.id, name))
	}
	return newest
}

// fitTargets returns the other candidates in reach that have not failed in this round, best first.
func (c *Core) fitTargets() []fsm.Node {
	var fit []fsm.Node
	for _, n := range c.committed.Nodes {
		if n.Name != c.self() && c.mayReceive(n.Name) == nil && !slices.Contains(c.departure.tried, n.Name) {
			fit = append(fit, n)
		}
	}
	holder := c.holder()
	slices.SortFunc(fit, func(a, b fsm.Node) int {
		if byDamping := cmp.Compare(boolRank(c.damped(a.Name)), boolRank(c.damped(b.Name))); byDamping != 0 {
			return byDamping
		}
		if !c.cfg.Preempt && (a.Name == holder) != (b.Name == holder) {
			return cmp.Compare(boolRank(b.Name == holder), boolRank(a.Name == holder))
		}
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Name, b.Name))
	})
	return fit
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// reasonToPreempt returns why a better candidate should hold, once it has been fit for PreemptDelay.
func (c *Core) reasonToPreempt() reason {
	p := &c.placement
	p.dampedUntil = 0
	if !c.cfg.Preempt || !c.holds() {
		p.preemptAt, p.better = 0, ""
		return reason{}
	}
	fit := c.fitTargets()
	p.dampedUntil = c.undampedAt(fit)
	fit = slices.DeleteFunc(fit, func(n fsm.Node) bool { return c.damped(n.Name) })
	if len(fit) == 0 || fit[0].Priority <= c.cfg.Self.Priority {
		p.preemptAt, p.better = 0, ""
		return reason{}
	}
	if p.better != fit[0].Name {
		p.better, p.preemptAt = fit[0].Name, c.now+c.cfg.PreemptDelay
	}
	if c.now < p.preemptAt {
		return reason{}
	}
	return reason{CausePreempted, "preempted by " + string(p.better) + " of higher priority"}
}
