package controller

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
)

// Placed says where this node wants one Elastic IP.
type Placed struct {
	ID     fsm.AllocationID
	Target eip.Target
}

// charge is one Elastic IP in the core's care. Each has a claim of its own; leadership, health, departure and wire are the node's.
type charge struct {
	*Core
	id     fsm.AllocationID
	target eip.Target

	claim   claimant
	sight   sight
	leaving Op // the release that goes before a transfer, or ends a respect
}

func (c *Core) charge(id fsm.AllocationID) *charge {
	i := slices.IndexFunc(c.charges, func(a *charge) bool { return a.id == id })
	if i < 0 {
		return nil
	}
	return c.charges[i]
}

// address returns what is agreed about the address.
func (c *charge) address() fsm.Address { return c.committed.Addresses[c.id] }

// takeProposed takes the answer to what this charge proposed.
func (c *charge) takeProposed(e Proposed) {
	switch e.Op {
	case c.claim.op:
		c.claim.op = 0
		c.claimProposed(e)
	case c.leaving:
		c.leaving = 0
		c.releaseProposed(e)
	case c.sight.guardOp:
		c.sight.guardOp = 0
	}
}

// any reports whether something is so for one of the addresses.
func (c *Core) any(is func(*charge) bool) bool { return slices.ContainsFunc(c.charges, is) }

func (c *charge) holds() bool { return c.claim.step == holding }

// holds reports whether this leader holds enough to be Master: all addresses, or with MasterOfAny one.
func (c *Core) holds() bool {
	if c.cfg.MasterOfAny {
		return c.any((*charge).holds)
	}
	return len(c.charges) > 0 && !c.any(func(a *charge) bool { return !a.holds() })
}

// reignFrom returns from when on no earlier reign can be on (invariant I3). A predecessor may have reigned with another address than
// those that are held here.
func (c *Core) reignFrom() time.Duration {
	var from time.Duration
	for _, a := range c.charges {
		if a.holds() {
			from = max(from, a.claim.reignFrom)
		} else {
			from = max(from, c.reignsEnd())
		}
	}
	return from
}

// reignsEnd returns when every reign of a predecessor is over, whatever it knew: its last advert may be checked D after its last
// evidence, which lies in the past, and leave a little later.
func (c *Core) reignsEnd() time.Duration {
	d := c.cfg.Timing.EvidenceMaxAge
	return c.now + d + d/100 + lateAdvert
}

// story says why this leader claims, for each reason once. Its cause is that of the first.
func (c *Core) story() reason {
	var whole reason
	var stories []string
	for _, a := range c.charges {
		if s := a.claim.story; s.text != "" && !slices.Contains(stories, s.text) {
			stories = append(stories, s.text)
			whole.cause = cmp.Or(whole.cause, s.cause)
		}
	}
	whole.text = strings.Join(stories, "; ")
	return whole
}

// holder returns who held the addresses last: of the first that has been held.
func (c *Core) holder() fsm.NodeName {
	for _, a := range c.charges {
		if h := a.address().Holder; h != "" {
			return h
		}
	}
	return ""
}
