package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hacluster/hacluster/fsm"
)

// drain carries one request of the operator to its entry in the log.
type drain struct {
	op    Op // of the entry
	asked Op // to be answered
}

// takeDrainAsked commits the operator's word. What follows for the addresses is decided from the committed state.
func (c *Core) takeDrainAsked(e DrainAsked) {
	n, known := c.committed.Nodes[e.Node]
	var err error
	switch {
	case !c.leader():
		err = fmt.Errorf("not the leader; ask %s", c.lead.Leader)
	case !known:
		err = fmt.Errorf("there is no node %q; the nodes are %s", e.Node, strings.Join(c.memberNames(), ", "))
	case c.drain.op != 0:
		err = errors.New("another drain is being committed; try again in a second")
	}
	if err != nil || n.Drained == e.Drained {
		c.emit(Reply{Op: e.Op, Err: err})
		return
	}
	c.drain = drain{asked: e.Op, op: c.propose(fsm.SetDrain{Origin: c.origin("asked by the operator"), Node: e.Node, Drained: e.Drained})}
}

func (c *Core) drainProposed(e Proposed) {
	asked := c.drain.asked
	c.drain = drain{}
	c.emit(Reply{Op: asked, Err: e.failure()})
}

// memberNames are the sorted names of the nodes.
func (c *Core) memberNames() []string {
	var names []string
	for name := range c.committed.Nodes {
		names = append(names, string(name))
	}
	slices.Sort(names)
	return names
}

// RequestDrain asks the leader, whoever it is, to take a node out of the candidates, or back among them. It returns when that is
// committed; a move that follows from it shows in the committed state.
func (d *Driver) RequestDrain(ctx context.Context, node fsm.NodeName, drained bool) error {
	return d.askLeader(ctx, drainPath, drainRequest{Node: node, Drained: drained}, nil, func() error {
		return d.drainAsLeader(ctx, node, drained)
	})
}

func (d *Driver) drainAsLeader(ctx context.Context, node fsm.NodeName, drained bool) error {
	_, err := d.Ask(ctx, func(op Op) Event { return DrainAsked{Op: op, Node: node, Drained: drained} })
	return err
}
