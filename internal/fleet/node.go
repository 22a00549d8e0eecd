package fleet

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
)

// node is one candidate: the product's core, and what its driver would do.
type node struct {
	cluster *cluster
	core    *controller.Core
	self    fsm.Attributes
	target  eip.Target
	alive   bool
	tickAt  time.Duration
	call    controller.Op // the mutating call that is out
	replies map[controller.Op]func(controller.Reply)
	asked   controller.Op
}

func newNode(c *cluster, i int) *node {
	n := &node{cluster: c, replies: map[controller.Op]func(controller.Reply){}}
	n.target = eip.Target{ENI: eip.ENI(fmt.Sprintf("eni-%d", i)), PrivateIP: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})}
	n.self = fsm.Attributes{Name: fsm.NodeName(fmt.Sprintf("node-%d", i)), Priority: 100,
		ENI: string(n.target.ENI), PrivateIP: n.target.PrivateIP.String()}
	f := c.fleet
	timing := controller.DefaultTiming()
	timing.ObserveInterval = f.ObserveInterval
	n.core = controller.NewCore(controller.Config{
		Self: n.self, Addresses: []controller.Placed{{ID: c.allocation(), Target: n.target}}, Fencing: f.Fencing, Drift: controller.Repair, Timing: timing,
		Jitter:    func(limit time.Duration) time.Duration { return f.Retry.pause(limit, f.random) },
		WallClock: func() int64 { return f.time.now.Milliseconds() },
	})
	return n
}

// boot starts the node with a healthy HAProxy.
func (n *node) boot() {
	n.alive = true
	n.step(controller.Committed{State: n.cluster.state.Clone()})
	n.step(controller.HealthChecked{Healthy: true, Reason: "all checks pass"})
	n.learnLeader()
}

// learnLeader tells the node who leads. The calls of a leadership end with it; EC2 may still do what was asked.
func (n *node) learnLeader() {
	leader := n.cluster.leader
	if op := n.call; op != 0 && leader != n {
		n.call = 0
		n.cluster.fleet.time.after(0, func() {
			n.step(controller.Called{Op: op, Class: eip.Unknown, Err: context.Canceled})
		})
	}
	n.step(controller.Leadership{Term: n.cluster.term, Leader: leader.self.Name, Self: leader == n})
}

// step lets the core decide, does what it says, and sees to its next tick.
func (n *node) step(e controller.Event) {
	if !n.alive {
		return
	}
	t := &n.cluster.fleet.time
	for _, a := range n.core.Step(t.now, e) {
		n.perform(a)
	}
	if d := n.core.Deadline(); d != 0 && d != n.tickAt {
		n.tickAt = d
		t.at(d, func() {
			if n.tickAt == d { // not put off meanwhile
				n.tickAt = 0
				n.step(controller.Tick{})
			}
		})
	}
}

func (n *node) perform(a controller.Action) {
	f := n.cluster.fleet
	switch a := a.(type) {
	case controller.Propose:
		f.time.after(commitTakes, func() { n.cluster.commit(n, a) })
	case controller.Observe:
		n.observe(a)
	case controller.Associate:
		n.associate(a)
	case controller.Disassociate:
		n.disassociate(a)
	case controller.AskRelease:
		n.askRelease(a)
	case controller.Transfer:
		n.transfer(a)
	case controller.Report:
		n.report(a)
	case controller.Reply:
		if answer, ok := n.replies[a.Op]; ok {
			delete(n.replies, a.Op)
			answer(a)
		}
	case controller.Stop:
		f.fail(fmt.Errorf("%s of %s stopped: %w", n.self.Name, n.cluster.address.AllocationID, a.Err))
	}
}

func (n *node) observe(a controller.Observe) {
	var seen eip.Address
	n.cluster.fleet.request(describe,
		func() error { seen = n.cluster.address; return nil },
		func(err error) { n.step(controller.Observed{Op: a.Op, Addresses: []eip.Address{seen}, Err: err}) })
}

func (n *node) associate(a controller.Associate) {
	n.call = a.Op
	var id eip.AssociationID
	f := n.cluster.fleet
	f.request(associate,
		func() (err error) {
			id, err = f.region.associate(&n.cluster.address, n.target, a.AllowReassociation)
			if err == nil && n.alive {
				n.cluster.placed()
			}
			return err
		},
		func(err error) { n.answered(controller.Called{Op: a.Op, Association: id, Err: err}) })
}

func (n *node) disassociate(a controller.Disassociate) {
	n.call = a.Op
	n.cluster.fleet.request(disassociate,
		func() error { disassociateAddress(&n.cluster.address, a.Association); return nil },
		func(err error) { n.answered(controller.Called{Op: a.Op, Err: err}) })
}

// answered passes EC2's answer on, unless the node stopped waiting for it.
func (n *node) answered(e controller.Called) {
	if n.call != e.Op {
		return
	}
	n.call = 0
	e.Class = eip.Classify(e.Err)
	n.step(e)
}

// askRelease puts the question to the deposed holder, if it lives.
func (n *node) askRelease(a controller.AskRelease) {
	t, holder := &n.cluster.fleet.time, n.cluster.named(a.Holder)
	if !holder.alive {
		t.after(askReleaseTakes, func() { n.step(controller.ReleaseAnswered{Op: a.Op, Err: errDead}) })
		return
	}
	t.after(messageTakes, func() {
		holder.ask(func(op controller.Op) controller.Event {
			return controller.ReleaseAsked{Op: op, Address: a.Address, Term: a.Term, Ends: a.Ends}
		}, func(r controller.Reply) {
			t.after(messageTakes, func() { n.step(controller.ReleaseAnswered{Op: a.Op, Settled: r.Settled, Alone: r.Alone, Err: r.Err}) })
		})
	})
}

// ask puts a request to the core under an Op apart from the core's own.
func (n *node) ask(event func(controller.Op) controller.Event, answer func(controller.Reply)) {
	const outside = controller.Op(1) << 63
	n.asked++
	op := outside | n.asked
	n.replies[op] = answer
	n.step(event(op))
}

func (n *node) transfer(a controller.Transfer) {
	c := n.cluster
	c.fleet.time.after(transferTakes, func() {
		to := c.named(a.To)
		if !to.alive || c.leader != n {
			n.step(controller.Transferred{Op: a.Op, Err: errNotLeader})
			return
		}
		c.fleet.transfers++
		c.elect(to)
		n.step(controller.Transferred{Op: a.Op})
	})
}

func (n *node) report(a controller.Report) {
	leader := n.cluster.named(a.Leader)
	n.cluster.fleet.time.after(messageTakes, func() {
		var err error
		if !leader.alive {
			err = errDead
		}
		leader.step(controller.PeerReported{Facts: a.Facts})
		n.step(controller.ReportDelivered{Op: a.Op, Err: err})
	})
}
