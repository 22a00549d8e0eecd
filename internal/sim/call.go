package sim

import (
	"sync"
	"time"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/sim/judge"
)

// call is one mutating call of a node, from the driver to its end at EC2.
type call struct {
	id          int
	life        *life
	claim       uint64
	address     fsm.AllocationID // "" of a DisassociateAddress of an association that never was
	associate   bool
	allow       bool
	association eip.AssociationID // of a DisassociateAddress

	mu        sync.Mutex
	term      uint64        // that the final check was asked about
	permitted time.Duration // when the final check let it out, 0: it did not
	returned  time.Duration // when the caller got an answer or gave up, 0: not yet
	arrived   bool
	over      bool // EC2 has done with it
}

// fact is what the judge wants to know about a call that was let out.
func (c *call) fact() judge.Call {
	l := c.life
	return judge.Call{ID: c.id, Node: l.node.name, Server: l.server, Term: c.term, Claim: c.claim, Address: c.address, Associate: c.associate,
		AllowReassociation: c.allow, Association: string(c.association),
		Leading: l.leading(c.term), Voters: l.raft.Voters(), Healthy: l.health.Status().Healthy}
}

func (c *call) String() string {
	switch {
	case !c.associate:
		return "DisassociateAddress " + string(c.association)
	case c.allow:
		return "AssociateAddress " + string(c.address) + " with reassociation"
	default:
		return "AssociateAddress " + string(c.address)
	}
}

// mark is what tells the call's request from those of the other addresses.
func (c *call) mark() []byte {
	if c.associate {
		return []byte("AllocationId=" + string(c.address) + "&")
	}
	return []byte("AssociationId=" + string(c.association) + "&")
}

// inTheAir reports whether the call may still have an effect.
func (c *call) inTheAir(now, lifetime time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.permitted != 0 && !c.over && (c.arrived || now-c.permitted <= lifetime)
}
