package controller

import (
	"time"

	"github.com/hacluster/hacluster/fsm"
)

// Damping makes a node wait whose HAProxy keeps failing: until Wait after the last of Failures within Within, every other node is
// preferred to it, and it preempts nobody. It may hold all the same where nobody else can. The zero value damps nothing.
type Damping struct {
	Failures     int
	Within, Wait time.Duration
}

// maxFailures bounds what is remembered of each node.
const maxFailures = 16

// failures are the times at which nodes were seen to become unhealthy, oldest first. Each node keeps its own memory of all: it is not
// worth an entry in the log, and what a restart forgets is only a preference.
type failures map[fsm.NodeName][]time.Duration

// noteFailures compares what was committed with what is committed now.
func (c *Core) noteFailures(now fsm.State) {
	for name, n := range now.Nodes {
		if n.Healthy || !c.committed.Nodes[name].Healthy {
			continue
		}
		seen := append(c.failures[name], c.now)
		c.failures[name] = seen[max(0, len(seen)-maxFailures):]
	}
	for name := range c.failures {
		if _, member := now.Nodes[name]; !member {
			delete(c.failures, name)
		}
	}
}

// dampedUntil returns until when a node is the last choice, or 0.
func (c *Core) dampedUntil(name fsm.NodeName) time.Duration {
	d, seen := c.cfg.Damping, c.failures[name]
	if d.Failures == 0 || len(seen) < d.Failures {
		return 0
	}
	last := seen[len(seen)-1]
	if until := last + d.Wait; last-seen[len(seen)-d.Failures] <= d.Within && c.now < until {
		return until
	}
	return 0
}

// damped reports whether a node is the last choice for now.
func (c *Core) damped(name fsm.NodeName) bool { return c.dampedUntil(name) != 0 }

// undampedAt returns when the next of some nodes stops being the last choice, or 0.
func (c *Core) undampedAt(nodes []fsm.Node) time.Duration {
	var first time.Duration
	for _, n := range nodes {
		if until := c.dampedUntil(n.Name); until != 0 && (first == 0 || until < first) {
			first = until
		}
	}
	return first
}
