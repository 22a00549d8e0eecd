package controller

import (
	"time"

	"github.com/hacluster/hacluster/fsm"
)

// raising keeps the level of the replicated state up with the builds of the nodes (docs/UPGRADE.md).
type raising struct {
	op      Op
	retryAt time.Duration
}

// considerLevel raises the level as soon as every node knows a higher one. Sooner, it would end those that do not; and there is no way
// back.
func (c *Core) considerLevel() {
	r := &c.raising
	level := c.knownByAll()
	if !c.leader() || level <= c.committed.Level || r.op != 0 || c.now < r.retryAt {
		return
	}
	r.op = c.propose(fsm.SetLevel{Origin: c.origin("every node knows it"), Level: level, Needs: c.cfg.Self.Version})
}

// knownByAll is the newest level that this build, every voter and every node in the state knows; 0 if one has not said.
func (c *Core) knownByAll() fsm.Level {
	if len(c.placement.voters) == 0 {
		return 0
	}
	lowest := c.cfg.Self.Level
	for _, name := range c.placement.voters {
		lowest = min(lowest, c.committed.Nodes[name].Level)
	}
	for _, n := range c.committed.Nodes {
		lowest = min(lowest, n.Level)
	}
	return lowest
}

func (c *Core) levelProposed(e Proposed) {
	if err := e.failure(); err != nil {
		c.note("raise the level", err)
		c.raising.retryAt = c.now + reportRetry
	}
}
