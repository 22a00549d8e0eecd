package fleet

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
)

// What stands in for Raft and for the network between the nodes of one cluster.
const (
	commitTakes   = time.Millisecond
	messageTakes  = time.Millisecond
	transferTakes = 4 * time.Millisecond
	// askReleaseTakes is how long the question to a dead holder takes to fail (docs/TIMING.md).
	askReleaseTakes = 50 * time.Millisecond
)

var (
	errNotLeader = errors.New("not the leader of that term")
	errDead      = errors.New("i/o timeout")
)

// cluster is one Elastic IP and its candidates, one in each Availability Zone.
type cluster struct {
	fleet   *fleet
	address eip.Address // as EC2 has it
	state   fsm.State
	nodes   []*node
	term    uint64
	leader  *node
	away    bool          // the address is at a dead node, or nowhere
	movedAt time.Duration // when it was back
}

// newCluster returns a cluster whose first node holds the address, and leads.
func newCluster(f *fleet, id int) (*cluster, error) {
	c := &cluster{fleet: f, state: fsm.New(), term: 2}
	c.address.AllocationID = eip.AllocationID(fmt.Sprintf("eipalloc-%d", id))
	for i := range f.Candidates {
		c.nodes = append(c.nodes, newNode(c, i))
	}
	c.leader = c.nodes[0]
	for _, n := range c.nodes {
		c.apply(fsm.UpsertNode{Origin: c.origin(), Node: n.self})
		c.apply(fsm.SetHealth{Origin: c.origin(), Node: n.self.Name, Healthy: true, EC2: true})
	}
	association, err := f.region.associate(&c.address, c.leader.target, false)
	if err != nil {
		return nil, err
	}
	claim := c.apply(fsm.Claim{Origin: c.origin(), Node: c.leader.self.Name, AllocationID: c.allocation(), Fencing: f.Fencing,
		Mode: fsm.Adopt, Observed: true, Association: fsm.AssociationID(association)})
	if claim.Denied != "" {
		return nil, fmt.Errorf("set up a cluster with fencing %s: first claim: %s", f.Fencing, claim.Denied)
	}
	return c, nil
}

func (c *cluster) allocation() fsm.AllocationID { return fsm.AllocationID(c.address.AllocationID) }

func (c *cluster) origin() fsm.Origin { return fsm.Origin{Term: c.term} }

// apply appends and applies an entry, and returns the answer.
func (c *cluster) apply(command fsm.Command) fsm.Result {
	entry, err := fsm.Encode(command)
	if err != nil {
		c.fleet.fail(err)
		return fsm.Result{}
	}
	c.fleet.entries++
	return c.state.Apply(c.state.Index+1, c.term, entry)
}

// commit answers a proposal of n. Everybody sees the new state, n before its answer (as the driver does it).
func (c *cluster) commit(n *node, p controller.Propose) {
	if c.leader != n || c.term != p.Term {
		n.step(controller.Proposed{Op: p.Op, Err: errNotLeader})
		return
	}
	result := c.apply(p.Command)
	state := c.state.Clone() // one for all: a core only reads it
	for _, peer := range c.nodes {
		peer.step(controller.Committed{State: state})
	}
	n.step(controller.Proposed{Op: p.Op, Result: result})
}

// elect makes n the leader of a new term.
func (c *cluster) elect(n *node) {
	c.term++
	c.leader = n
	for _, peer := range c.nodes {
		peer.learnLeader()
	}
	c.tellReachable()
}

// tellReachable tells the leader which peers answer.
func (c *cluster) tellReachable() {
	var peers []fsm.NodeName
	for _, peer := range c.nodes {
		if peer != c.leader && peer.alive {
			peers = append(peers, peer.self.Name)
		}
	}
	c.leader.step(controller.Reachable{Peers: peers})
}

// lose kills a node. If it led, one of the others is elected after a while.
func (c *cluster) lose(n *node) {
	n.alive = false
	if n != c.leader {
		c.tellReachable()
		return
	}
	c.away = true
	others := slices.DeleteFunc(slices.Clone(c.nodes), func(m *node) bool { return !m.alive })
	next := others[c.fleet.random.IntN(len(others))]
	c.fleet.time.after(c.fleet.between(electionFrom, electionTo), func() { c.elect(next) })
}

// placed notes that the address came to a node that lives.
func (c *cluster) placed() {
	if c.away {
		c.away, c.movedAt = false, c.fleet.time.now
		c.fleet.awayCount--
	}
}

func (c *cluster) named(name fsm.NodeName) *node {
	for _, n := range c.nodes {
		if n.self.Name == name {
			return n
		}
	}
	return nil
}
