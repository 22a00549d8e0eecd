package controller

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/health"
	"github.com/hacluster/hacluster/vrrpwire"
)

// Raft is the consensus that the driver acts through.
type Raft interface {
	Leaderships() <-chan election.Leadership
	Leading(term uint64) bool
	Apply(ctx context.Context, term uint64, command []byte) (index uint64, response any, err error)
	Transfer(ctx context.Context, name string) error
}

// Quorum is the evidence that this leader is still one.
type Quorum interface {
	Evidence(term uint64) (t0 time.Duration, ok bool)
	Refresh(ctx context.Context, term uint64, notBefore time.Duration) error
	Reachable(within time.Duration) []string
	Voters() []string
}

// Peers carries requests to other nodes.
type Peers interface {
	Call(ctx context.Context, peer, path string, in, out any) error
}

// EC2 observes and moves the addresses.
type EC2 interface {
	Observe(ctx context.Context) ([]eip.Address, error)
	Associate(ctx context.Context, id eip.AllocationID, allowReassociation bool, permit eip.Permit) (eip.AssociationID, error)
	Disassociate(ctx context.Context, id eip.AssociationID, permit eip.Permit) error
}

// Health is the word on the node's own HAProxy.
type Health interface {
	Status() health.Status
	Updates() <-chan health.Status
}

// Ballot is Raft's side of a fast election.
type Ballot interface {
	Voters() []string
	LastIndex() uint64
	Knock(ctx context.Context, peer string) error
	Hint(ctx context.Context, suspect string, term uint64) error
}

// Wire is the VRRP side.
type Wire interface {
	Reign(notBefore time.Duration)
	Resign(reason string)
	Heard() <-chan vrrpwire.Heard
	Drain()
}

// Ports are what the driver acts on.
type Ports struct {
	Raft    Raft
	Quorum  Quorum
	Ballot  Ballot // nil without hints
	Peers   Peers
	EC2     EC2
	Health  Health // nil on a witness
	Wire    Wire
	Replica *Replica
	// Observer is told of each change of state; nil: nobody is.
	Observer Observer
	// Monitor is the memory of the wire; nil: there is none.
	Monitor Monitor
	// Peering tells the wire of its peers; nil: they are fixed.
	Peering Peering
	// Roster is Raft's side of membership; nil: it is fixed.
	Roster Roster
}

// ErrShutdownTimeout says that the leadership could not be handed over in time; the process ends all the same.
var ErrShutdownTimeout = errors.New("hand the leadership over before the end: time-out")

const (
	// eventQueue bounds the results waiting for the core. A full queue makes the workers wait; none is dropped.
	eventQueue = 64
	// proposeWithin bounds one log entry; the node ends itself when a healthy quorum does not commit for 2 s.
	proposeWithin = 3 * time.Second
	// transferWithin bounds one attempt to hand the leadership over.
	transferWithin = 2 * time.Second
	// reportWithin bounds one report to the leader.
	reportWithin = time.Second
	// shutdownWithin bounds an orderly end.
	shutdownWithin = 5 * time.Second
	// contactEvery is how often the leader looks which peers answer, contactWithin how recent their answer must be.
	contactEvery  = 500 * time.Millisecond
	contactWithin = time.Second
)

// Driver performs what its core decides. One goroutine, that of Run, owns the core.
type Driver struct {
	cfg   Config
	ports Ports
	clock func() time.Duration
	log   *zap.Logger

	core    *Core
	results chan Event
	asks    chan ask
	replies map[Op]chan<- Reply
	asked   Op
	nudge   chan struct{}
	tasks   errgroup.Group
	ended   <-chan struct{} // closed when nobody takes results any more

	lead      leadership
	reigning  atomic.Uint64 // term of the reign on the wire
	view      atomic.Pointer[View]
	wiring    atomic.Pointer[Wiring]
	contact   *time.Ticker // runs while this node leads
	reachable string       // what was last told to the core: who answers, who votes
	journal   journal
}

// leadership is the context of the calls made as leader of one term.
type leadership struct {
	term uint64
	ctx  context.Context
	end  context.CancelFunc
}

type ask struct {
	event func(Op) Event // nil: only whether the loop turns
	reply chan<- Reply
}

// NewDriver returns a driver that starts nothing. clock is CLOCK_BOOTTIME.
func NewDriver(cfg Config, ports Ports, clock func() time.Duration, log *zap.Logger) *Driver {
	d := &Driver{
		cfg: cfg, ports: ports, clock: clock, log: log,
		core:    NewCore(cfg),
		results: make(chan Event, eventQueue),
		asks:    make(chan ask),
		replies: map[Op]chan<- Reply{},
		nudge:   make(chan struct{}, 1),
	}
	d.view.Store(&View{State: Init, Committed: fsm.New()})
	wired := d.core.members.wired // the core's own changes under those who ask
	d.wiring.Store(&wired)
	return d
}

// SetWire gives the driver its wire, which itself needs the driver's WirePermit. Before Run.
func (d *Driver) SetWire(w Wire) { d.ports.Wire = w }

// Run drives until ctx ends and the leadership is handed over, or until the core gives up with an error.
func (d *Driver) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d.ended = work.Done()
	d.lead = leadership{ctx: work, end: func() {}}
	d.tasks.Go(func() error { d.serveNudges(work); return nil })
	err := d.loop(ctx, work)
	cancel()
	return errors.Join(err, d.tasks.Wait())
}

func (d *Driver) loop(stop, work context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	d.contact = time.NewTicker(contactEvery)
	defer d.contact.Stop()
	d.contact.Stop() // until this node leads
	stopping := stop.Done()
	var giveUp <-chan time.Time
	for {
		var e Event = Tick{}
		select {
		case l := <-d.ports.Raft.Leaderships():
			e = d.leadershipChanged(work, l)
		case <-d.ports.Replica.Changed():
			e = Committed{State: d.ports.Replica.State()}
		case h := <-d.healthUpdates():
			e = HealthChecked{Healthy: h.Healthy, Reason: h.Reason}
		case e = <-d.results:
			if _, ok := e.(Proposed); ok {
				if done, err := d.catchUp(work); done {
					return err
				}
			}
		case h := <-d.heard():
			e = d.advert(h)
		case a := <-d.asks:
			if e = d.register(a); e == nil {
				continue
			}
			if _, ok := e.(TransferAsked); ok { // to a node, perhaps, that has just got its vote
				if done, err := d.lookAround(work); done {
					return err
				}
			}
		case <-d.contact.C:
			if e = d.contacts(); e == nil {
				continue
			}
		case <-timer.C:
		case <-stopping:
			stopping, giveUp = nil, time.After(shutdownWithin)
			e = ShutdownAsked{}
		case <-giveUp:
			return ErrShutdownTimeout
		}
		if done, err := d.hearAll(work, e); done {
			return err
		}
		if done, err := d.step(work, e); done {
			return err
		}
		d.arm(timer)
	}
}

// catchUp goes before the answer to a proposal: it never comes before the state that it speaks of, nor before the news of the
// peers whose acknowledgement committed it.
func (d *Driver) catchUp(work context.Context) (done bool, err error) {
	if done, err := d.step(work, Committed{State: d.ports.Replica.State()}); done {
		return done, err
	}
	return d.lookAround(work)
}

// lookAround tells the core, at a leader, which peers answer and who votes by now.
func (d *Driver) lookAround(work context.Context) (done bool, err error) {
	if e := d.contacts(); e != nil {
		return d.step(work, e)
	}
	return false, nil
}

// step lets the core decide and performs its actions in order.
func (d *Driver) step(ctx context.Context, e Event) (done bool, err error) {
	now := d.clock()
	actions := d.core.Step(now, e)
	d.journal.note(now, d.cfg.WallClock, e, actions)
	for _, a := range actions {
		if s, ok := a.(Stop); ok {
			done, err = true, s.Err
			continue
		}
		d.perform(ctx, a)
	}
	d.publish()
	d.tell(actions)
	return done, err
}

func (d *Driver) arm(timer *time.Timer) {
	timer.Stop()
	if deadline := d.core.Deadline(); deadline != 0 {
		timer.Reset(deadline - d.clock())
	}
}

func (d *Driver) healthUpdates() <-chan health.Status {
	if d.ports.Health == nil {
		return nil
	}
	return d.ports.Health.Updates()
}

// leadershipChanged ends the calls of a leadership that is over before anything else is decided.
func (d *Driver) leadershipChanged(work context.Context, l election.Leadership) Event {
	if !l.Self || l.Term != d.lead.term {
		d.lead.end()
		d.lead = leadership{ctx: work, end: func() {}}
		d.reachable = ""
		d.contact.Stop()
	}
	if l.Self && l.Term != d.lead.term {
		ctx, end := context.WithCancel(work)
		d.lead = leadership{term: l.Term, ctx: ctx, end: end}
		d.contact.Reset(contactEvery)
	}
	return Leadership{Term: l.Term, Leader: fsm.NodeName(l.Leader), Self: l.Self}
}

// contacts tells the core which peers answer and who votes, when that changes.
func (d *Driver) contacts() Event {
	if d.lead.term == 0 {
		return nil
	}
	names, voters := d.ports.Quorum.Reachable(contactWithin), d.ports.Quorum.Voters()
	if now := fmt.Sprint(names, voters); now != d.reachable {
		d.reachable = now
		return Reachable{Peers: nodeNames(names), Voters: nodeNames(voters)}
	}
	return nil
}

func nodeNames(names []string) []fsm.NodeName {
	out := make([]fsm.NodeName, len(names))
	for i, n := range names {
		out[i] = fsm.NodeName(n)
	}
	return out
}

// register gives a request from outside an Op of its own, apart from the core's. Nil: nothing was asked, see Alive.
func (d *Driver) register(a ask) Event {
	if a.event == nil {
		return nil
	}
	const outside = Op(1) << 63
	d.asked++
	op := outside | d.asked
	d.replies[op] = a.reply
	return a.event(op)
}

// Ask puts a request to the core and waits for its reply.
func (d *Driver) Ask(ctx context.Context, event func(Op) Event) (Reply, error) {
	reply := make(chan Reply, 1)
	select {
	case d.asks <- ask{event: event, reply: reply}:
	case <-ctx.Done():
		return Reply{}, ctx.Err()
	}
	select {
	case r := <-reply:
		return r, r.Err
	case <-ctx.Done():
		return Reply{}, ctx.Err()
	}
}

// Alive returns nil as soon as the loop takes a question, and an error if it has not done so when ctx ends. There is nothing to
// answer: a loop that takes questions is not stuck in a step.
func (d *Driver) Alive(ctx context.Context) error {
	select {
	case d.asks <- ask{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the driver's loop does not move: %w", ctx.Err())
	}
}

// Tell puts a piece of news to the core.
func (d *Driver) Tell(ctx context.Context, e Event) error {
	select {
	case d.results <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
