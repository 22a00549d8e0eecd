package controller

import (
	"time"

	"github.com/hacluster/hacluster/fsm"
)

// reportRetry is how long a report may take to show in the committed state before it is repeated.
const reportRetry = 500 * time.Millisecond

// report keeps the committed word about this node equal to the truth. It compares states, not events: a lost, doubled or
// reordered report heals itself, and nothing is logged while nothing changes.
type report struct {
	op      Op
	retryAt time.Duration
}

func (c *Core) considerReport() {
	r := &c.report
	if !c.checked && !c.cfg.Self.Witness || c.removed(c.self()) {
		return
	}
	facts := c.facts()
	if c.agreed(facts) {
		r.retryAt = 0
		return
	}
	if r.op != 0 || c.now < r.retryAt {
		return
	}
	switch {
	case c.leader():
		r.op = c.proposeFacts(facts)
	case c.lead.Leader != "" && !c.lead.Self:
		r.op = c.nextOp()
		c.emit(Report{Op: r.op, Leader: c.lead.Leader, Facts: facts})
	}
}

func (c *Core) facts() Facts {
	return Facts{Node: c.cfg.Self, Healthy: c.health.Healthy, EC2: c.watch.reached, Reason: c.health.Reason}
}

// agreed compares what may be committed at the present level: what is above it follows when the level rises.
func (c *Core) agreed(f Facts) bool {
	n, known := c.committed.Nodes[f.Node.Name]
	return known && n.Attributes == f.Node.At(c.committed.Level) && n.Healthy == f.Healthy && n.EC2 == f.EC2
}

// proposeFacts commits what differs: first who the node is, then, with the next report, how it is.
func (c *Core) proposeFacts(f Facts) Op {
	if !c.leader() || c.agreed(f) || c.removed(f.Node.Name) {
		return 0
	}
	n, known := c.committed.Nodes[f.Node.Name]
	if node := f.Node.At(c.committed.Level); !known || n.Attributes != node {
		return c.propose(fsm.UpsertNode{Origin: c.origin("joined"), Node: node})
	}
	return c.propose(fsm.SetHealth{Origin: c.origin(f.Reason), Node: f.Node.Name, Healthy: f.Healthy, EC2: f.EC2})
}

func (c *Core) takeReportDelivered(e ReportDelivered) {
	r := &c.report
	if e.Op != r.op {
		return
	}
	r.op = 0
	if !c.agreed(c.facts()) {
		r.retryAt = c.now + reportRetry
	}
}
