package controller

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hacluster/hacluster/fsm"
)

// membershipLevel is the level from which on every node understands fsm.AdmitNode, fsm.RemoveNode and VRRP addresses.
const membershipLevel = 2

// maxMembers is as many as a configuration file may name: each write waits for a majority of them.
const maxMembers = 9

// members is what the core does about who belongs to the cluster: one change at a time.
type members struct {
	op    Op // of the entry that is being committed
	asked Op // who waits for it
	wired Wiring
}

// understood reports whether every node understands the commands of a level.
func (c *Core) understood(level fsm.Level) bool { return c.committed.Level >= level }

// removed reports whether a node was removed, and not admitted since.
func (c *Core) removed(name fsm.NodeName) bool {
	_, removed := c.committed.Removed[name]
	return removed
}

func (c *Core) takeAdmitAsked(e AdmitAsked) {
	known := c.directory()
	isKnown := slices.ContainsFunc(known, func(n fsm.Attributes) bool { return n.Name == e.Node.Name })
	err := c.mayChangeMembers()
	if err == nil && !isKnown && len(known) >= maxMembers {
		err = fmt.Errorf("%d nodes are enough: each write waits for a majority of them; remove one first", len(known))
	}
	if err != nil {
		c.emit(Reply{Op: e.Op, Err: err})
		return
	}
	c.changeMembers(e.Op, fsm.AdmitNode{Origin: c.origin(e.Why), Node: e.Node})
}

func (c *Core) takeRemoveAsked(e RemoveAsked) {
	err := c.mayChangeMembers()
	if err == nil {
		err = c.mayRemove(e)
	}
	if err != nil {
		c.emit(Reply{Op: e.Op, Err: err})
		return
	}
	if e.Node == c.self() {
		c.handOver(e.Op, "", reason{CauseRemoved, "to be removed"})
		return
	}
	c.changeMembers(e.Op, fsm.RemoveNode{Origin: c.origin(e.Why), Node: e.Node})
}

// mayChangeMembers says why no member can come or go now.
func (c *Core) mayChangeMembers() error {
	switch {
	case !c.leader():
		return fmt.Errorf("not the leader; ask %s", c.lead.Leader)
	case !c.understood(membershipLevel):
		return errors.New("not every node understands this yet: upgrade them all first; 'hacluster status' names their versions")
	case c.members.op != 0:
		return errors.New("another change of the members is under way: try again in a second")
	}
	return nil
}

// mayRemove says why a node must not go. That what is left keeps a quorum is checked by Raft's side, which knows who answers.
func (c *Core) mayRemove(e RemoveAsked) error {
	_, member := c.committed.Nodes[e.Node]
	_, admitted := c.committed.Admitted[e.Node]
	switch {
	case !member && !admitted && !e.Server && !c.removed(e.Node):
		return fmt.Errorf("no node is named %q: 'hacluster members' lists them", e.Node)
	case e.Node == c.self():
		return nil // it hands over first, and the next leader looks again
	case c.any(func(a *charge) bool { return a.address().HeldBy(e.Node) }) && slices.Contains(c.placement.reachable, e.Node):
		return fmt.Errorf("%s holds the address, and this leader has not taken it over yet: try again in a few seconds", e.Node)
	case member && !c.holderLeftWithout(e.Node):
		return fmt.Errorf("%s is the last node that may hold the address: add another first", e.Node)
	}
	return nil
}

func (c *Core) holderLeftWithout(name fsm.NodeName) bool {
	for _, n := range c.committed.Nodes {
		if n.Name != name && !n.Witness {
			return true
		}
	}
	return false
}

func (c *Core) changeMembers(asked Op, command fsm.Command) {
	c.members.op, c.members.asked = c.propose(command), asked
}

func (c *Core) memberProposed(e Proposed) {
	asked := c.members.asked
	c.members.op, c.members.asked = 0, 0
	err := e.failure()
	if e.Result.Denied == fsm.DeniedTaken {
		err = errors.New("another node has that address, or that VRRP address: 'hacluster members' lists them")
	}
	c.emit(Reply{Op: asked, Err: err})
}
