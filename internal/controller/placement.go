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

// fitTargets returns the other candidates in reach that have not failed in this round, best first.
func (c *Core) fitTargets() []fsm.Node {
	var fit []fsm.Node
	for _, n := range c.committed.Nodes {
		if n.Name != c.self() && c.mayReceive(n.Name) == nil && !slices.Contains(c.departure.tried, n.Name) {
			fit = append(fit, n)
		}
	}
	holder := c.address().Holder
	slices.SortFunc(fit, func(a, b fsm.Node) int {
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
func (c *Core) reasonToPreempt() string {
	p := &c.placement
	if !c.cfg.Preempt || c.claim.step != holding {
		p.preemptAt, p.better = 0, ""
		return ""
	}
	fit := c.fitTargets()
	if len(fit) == 0 || fit[0].Priority <= c.cfg.Self.Priority {
		p.preemptAt, p.better = 0, ""
		return ""
	}
	if p.better != fit[0].Name {
		p.better, p.preemptAt = fit[0].Name, c.now+c.cfg.PreemptDelay
	}
	if c.now < p.preemptAt {
		return ""
	}
	return "preempted by " + string(p.better) + " of higher priority"
}
