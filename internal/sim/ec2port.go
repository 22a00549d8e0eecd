package sim

import (
	"bytes"
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/sim/simnet"
)

// desk is what a process's ports know of the driver's doings.
type desk struct {
	news    *news
	granted claims
	hinted  atomic.Uint64 // term of the leader that the driver last stood against
	// checking counts final checks under way: they are made with locks held, so nothing in them may wait.
	checking atomic.Int64
	oneCheck sync.Mutex    // so that asked is of this one
	asked    atomic.Uint64 // term that the newest final check asked Raft about
	let      letOut
}

// claims are the newest ones that the driver was told of.
type claims struct {
	mu     sync.Mutex
	by     map[fsm.AllocationID]uint64
	newest uint64
}

func (c *claims) note(address fsm.AllocationID, index uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = make(map[fsm.AllocationID]uint64)
	}
	c.by[address], c.newest = index, index
}

func (c *claims) of(address fsm.AllocationID) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by[address]
}

func (c *claims) last() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.newest
}

// letOut are the calls that passed their final check and are about to be written: at most one for each address.
type letOut struct {
	mu    sync.Mutex
	calls []*call
}

func (o *letOut) add(c *call) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls = append(o.calls, c)
}

// take returns the call that a request is of.
func (o *letOut) take(request []byte) *call {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, c := range o.calls {
		if bytes.Contains(append(request[:len(request):len(request)], '&'), c.mark()) {
			o.calls = slices.Delete(o.calls, i, i+1)
			return c
		}
	}
	return nil
}

// ec2Port is controller.EC2: the real client, with every mutating call on record.
type ec2Port struct {
	life   *life
	client *eip.Group
}

// Observe implements controller.EC2.
func (p ec2Port) Observe(ctx context.Context) ([]eip.Address, error) {
	p.life.step()
	a, err := p.client.Observe(ctx)
	p.life.step()
	for _, read := range a {
		p.life.node.world.judge.Read(p.life.node.name, fsm.AllocationID(read.AllocationID), string(read.AssociationID))
	}
	return a, err
}

// Associate implements controller.EC2.
func (p ec2Port) Associate(ctx context.Context, id eip.AllocationID, allowReassociation bool, permit eip.Permit) (eip.AssociationID, error) {
	made := p.begin(&call{associate: true, allow: allowReassociation, address: fsm.AllocationID(id)})
	association, err := p.client.Associate(ctx, id, allowReassociation, p.life.finalCheck(made, permit))
	p.returned(made, err)
	return association, err
}

// Disassociate implements controller.EC2.
func (p ec2Port) Disassociate(ctx context.Context, id eip.AssociationID, permit eip.Permit) error {
	made := p.begin(&call{association: id})
	err := p.client.Disassociate(ctx, id, p.life.finalCheck(made, permit))
	p.returned(made, err)
	return err
}

// begin: the claim is the newest one granted, because the core has one call out at a time for each address, and claims nothing new for
// it meanwhile.
func (p ec2Port) begin(made *call) *call {
	made.life = p.life
	made = p.life.node.world.cloud.newCall(made)
	made.claim = p.life.granted.of(made.address)
	p.life.step()
	return made
}

func (p ec2Port) returned(made *call, err error) {
	w := p.life.node.world
	made.mu.Lock()
	made.returned = w.elapsed()
	gaveUp := made.permitted != 0 && !made.over && eip.Classify(err) == eip.Unknown
	made.mu.Unlock()
	if gaveUp {
		w.coverage.add("calls: given up without an answer")
		w.trace.add(p.life.node.name, "gives up call #%d", made.id)
	}
	w.coverage.add("calls: " + eip.Classify(err).String())
	p.life.step()
}

// finalCheck is the permit, and tells the judge of each call that it lets out.
func (l *life) finalCheck(made *call, permit eip.Permit) eip.Permit {
	return func() error {
		l.checking.Add(1)
		defer l.checking.Add(-1)
		if l.dead.Load() {
			return errDead
		}
		l.oneCheck.Lock()
		defer l.oneCheck.Unlock()
		w := l.node.world
		if err := permit(); err != nil {
			w.coverage.add("calls refused by the final check: " + unwrapped(err))
			w.trace.add(l.node.name, "call #%d refused by the final check: %v", made.id, err)
			return err
		}
		made.mu.Lock()
		made.term, made.permitted = l.asked.Load(), w.elapsed()
		made.mu.Unlock()
		w.judge.Called(made.fact())
		w.coverage.add("calls: let out by the final check")
		w.trace.add(l.node.name, "call #%d (term %d, claim %d) passes the final check: %s", made.id, made.term, made.claim, made)
		l.let.add(made)
		w.director.happened(OnCall, l.node)
		return nil
	}
}

func unwrapped(err error) string {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok || inner.Unwrap() == nil {
			return err.Error()
		}
		err = inner.Unwrap()
	}
}

// dialEC2 is the way to EC2.
func (l *life) dialEC2(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, err := l.host.Dial(ctx, cloudAddress)
	if err != nil {
		return nil, err
	}
	return &toEC2{Conn: conn, life: l}, nil
}

// toEC2 marks the stream that carries a mutating call: one that has just passed its final check, directly before the write.
type toEC2 struct {
	*simnet.Conn
	life *life
}

// Write implements net.Conn.
func (c *toEC2) Write(p []byte) (int, error) {
	if mutates(p) {
		if made := c.life.let.take(p); made != nil {
			c.SetTag(made)
			c.hold(made)
		}
	}
	return c.Conn.Write(p)
}

func mutates(request []byte) bool {
	return (bytes.Contains(request, []byte("Action=AssociateAddress")) || bytes.Contains(request, []byte("Action=DisassociateAddress"))) &&
		!bytes.Contains(request, []byte("DryRun=true"))
}

// hold lets some requests take their time on the way.
func (c *toEC2) hold(made *call) {
	w := c.life.node.world
	t := w.cloud.mood()
	if t.Held == 0 || !w.dice.chance(t.Held) {
		return
	}
	d := w.dice.upTo(t.Longest)
	c.SetLag(d)
	w.coverage.add("network: requests to EC2 held back")
	w.trace.add("net", "call #%d is held back for %v", made.id, d)
}
