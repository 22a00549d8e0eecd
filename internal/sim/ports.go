package sim

import (
	"context"
	"errors"
	"time"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/vrrpwire"
)

// machine is the replicated state, and tells the judge what is applied to it.
type machine struct {
	*controller.Replica
	life *life
}

// Apply implements election.StateMachine.
func (m machine) Apply(term, index uint64, command []byte) any {
	result := m.Replica.Apply(term, index, command)
	if l := m.life; !l.dead.Load() {
		l.node.world.judge.Applied(l.server, index, term, command)
		l.node.world.applied(l.node, index, command, result)
	}
	return result
}

// Check implements election.StateMachine, for the build that this process is of.
func (m machine) Check(data []byte) error { return m.life.build.Check(data) }

// Restore implements election.StateMachine.
func (m machine) Restore(snapshot []byte) error {
	if l := m.life; !l.dead.Load() {
		l.node.world.judge.Restored(l.server, snapshot)
		l.node.world.coverage.add("snapshots: restored")
	}
	return m.Replica.Restore(snapshot)
}

// applied counts and traces a committed command once.
func (w *World) applied(n *node, index uint64, command []byte, result any) {
	if !w.seen.once(w.seen.entries, index) {
		return
	}
	c, err := fsm.Decode(command)
	r, ok := result.(fsm.Result)
	if err != nil || !ok {
		w.accuse("I8", "entry %d cannot be read: %v", index, err)
		return
	}
	if r.Denied != "" {
		w.coverage.add("denied: " + string(r.Denied))
		w.trace.add("log", "%d denied (%s): %+v", index, r.Denied, c)
		return
	}
	switch c := c.(type) {
	case fsm.Claim:
		w.coverage.add("claims granted: " + string(r.Grant.Mode))
		w.trace.add("log", "%d claim of %s on %s granted (term %d, %s, displaces %q, clean %v): %s", index, c.Node, c.AllocationID, c.Term, r.Grant.Mode, short(string(r.Grant.Displaces)), r.Grant.Clean, c.Reason)
		w.director.happened(OnClaim, w.named(string(c.Node)))
	case fsm.Release:
		w.coverage.add("claims released: all")
		w.trace.add("log", "%d %s released %d (settled %v): %s", index, c.Node, c.Ends, c.Settled, c.Reason)
		w.director.happened(OnRelease, w.named(string(c.Node)))
	case fsm.Confirm:
		w.trace.add("log", "%d %s confirmed %s (settled %v)", index, c.Node, short(string(c.Association)), c.Settled)
	case fsm.SetLevel:
		w.coverage.add("levels: raised")
		w.trace.add("log", "%d the level is %d", index, c.Level)
	case fsm.GuardDone:
		w.coverage.add("guards: completed")
		w.trace.add("log", "%d %s ended the guard of %s", index, c.Node, short(string(c.Association)))
	default:
		w.trace.add("log", "%d %T %+v", index, c, c)
	}
}

func (w *World) named(name string) *node {
	for _, n := range w.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

// raftPort is controller.Raft.
type raftPort struct{ life *life }

func newRaftPort(l *life) raftPort {
	l.news = &news{slot: make(chan election.Leadership, 1), over: make(chan struct{})}
	return raftPort{l}
}

// Leaderships implements controller.Raft.
func (p raftPort) Leaderships() <-chan election.Leadership { return p.life.news.slot }

// Leading implements controller.Raft.
func (p raftPort) Leading(term uint64) bool {
	if p.life.checking.Load() == 0 {
		p.life.frozen.pass()
	} else {
		p.life.asked.Store(term)
	}
	return p.life.leading(term)
}

// Apply implements controller.Raft.
func (p raftPort) Apply(ctx context.Context, term uint64, command []byte) (uint64, any, error) {
	p.life.step()
	p.life.node.world.judge.Proposed(p.life.node.name)
	index, response, err := p.life.raft.Apply(ctx, term, command)
	if r, ok := response.(fsm.Result); ok && r.Grant.Index != 0 {
		p.life.noteGrant(command, r.Grant.Index)
	}
	p.life.step()
	return index, response, err
}

// noteGrant says which address a claim was granted for.
func (l *life) noteGrant(command []byte, index uint64) {
	if c, err := fsm.Decode(command); err == nil {
		if claim, ok := c.(fsm.Claim); ok {
			l.granted.note(claim.AllocationID, index)
		}
	}
}

// Transfer implements controller.Raft.
func (p raftPort) Transfer(ctx context.Context, name string) error {
	p.life.step()
	if p.life.dead.Load() {
		return errDead // hashicorp/raft never answers a transfer that it finds at its shutdown
	}
	err := p.life.raft.Transfer(ctx, name)
	p.life.step()
	return err
}

// news carries the leaderships to the driver: late, where the machine is frozen.
type news struct {
	slot chan election.Leadership
	over chan struct{}
}

func (n *news) end() { close(n.over) }

func (n *news) run(l *life) error {
	for {
		select {
		case x := <-l.raft.Leaderships():
			l.heardOf(x)
			l.awaitRaft()
			select {
			case <-n.slot:
			default:
			}
			n.slot <- x
		case <-n.over:
			return nil
		}
	}
}

// heardOf tells the judge of an election.
func (l *life) heardOf(x election.Leadership) {
	if !x.Self || l.dead.Load() {
		return
	}
	w := l.node.world
	w.judge.Led(l.server, x.Term)
	if w.seen.once(w.seen.terms, x.Term) {
		w.coverage.add("elections: won")
		if l.hinted.Load() == x.Term-1 {
			w.coverage.add("elections: won by a hint")
		}
		w.demandCalm(l.node, x.Term)
	}
	w.director.happened(OnElection, l.node)
}

// quorumPort is controller.Quorum.
type quorumPort struct{ life *life }

// Evidence implements controller.Quorum.
func (p quorumPort) Evidence(term uint64) (time.Duration, bool) {
	if p.life.checking.Load() == 0 {
		p.life.frozen.pass()
	}
	return p.life.evidence(term)
}

// Refresh implements controller.Quorum.
func (p quorumPort) Refresh(ctx context.Context, term uint64, notBefore time.Duration) error {
	p.life.step()
	err := p.life.raft.Refresh(ctx, term, notBefore)
	p.life.step()
	return err
}

// Reachable implements controller.Quorum.
func (p quorumPort) Reachable(within time.Duration) []string {
	p.life.step()
	return p.life.raft.Reachable(within)
}

// Voters implements controller.Quorum. It is asked together with Reachable, so it is no step of its own.
func (p quorumPort) Voters() []string { return p.life.raft.Voters() }

// ballotPort is controller.Ballot.
type ballotPort struct{ life *life }

// Voters implements controller.Ballot.
func (p ballotPort) Voters() []string {
	p.life.step()
	return p.life.raft.Voters()
}

// LastIndex implements controller.Ballot.
func (p ballotPort) LastIndex() uint64 {
	p.life.step()
	return p.life.raft.LastIndex()
}

// Knock implements controller.Ballot.
func (p ballotPort) Knock(ctx context.Context, peer string) error {
	p.life.step()
	err := p.life.raft.Knock(ctx, peer)
	p.life.step()
	return err
}

// Hint implements controller.Ballot.
func (p ballotPort) Hint(ctx context.Context, suspect string, term uint64) error {
	p.life.step()
	p.life.hinted.Store(term)
	err := p.life.raft.Hint(ctx, suspect, term)
	p.life.step()
	return err
}

// peersPort is controller.Peers.
type peersPort struct{ life *life }

// Call implements controller.Peers.
func (p peersPort) Call(ctx context.Context, peer, path string, in, out any) error {
	p.life.step()
	err := p.life.raft.Call(ctx, peer, path, in, out)
	p.life.step()
	return err
}

// wirePort is controller.Wire.
type wirePort struct{ life *life }

// reign is one of a node's reigns on the wire.
type reign struct {
	number int    // among those of all nodes
	claim  uint64 // it is for: the newest that the driver was told of
}

// Reign implements controller.Wire.
func (p wirePort) Reign(notBefore time.Duration) {
	p.life.step()
	w := p.life.node.world
	p.life.reign.Store(&reign{number: int(w.reigns.Add(1)), claim: p.life.granted.last()})
	w.coverage.add("wire: reigns")
	p.life.wire.Reign(notBefore)
}

// Resign implements controller.Wire.
func (p wirePort) Resign(reason string) {
	p.life.step()
	p.life.wire.Resign(reason)
}

// Heard implements controller.Wire.
func (p wirePort) Heard() <-chan vrrpwire.Heard { return p.life.wire.Heard() }

// Drain implements controller.Wire.
func (p wirePort) Drain() {
	p.life.frozen.pass() // no step: a stall that began here would be counted away by every Tick
	p.life.wire.Drain()
}

var errDead = errors.New("this process is dead")

// wirePermit is the permit of the wire. It may be stopped before the check and after it.
func (l *life) wirePermit(notBefore time.Duration) error {
	l.frozen.pass()
	err := l.driver.WirePermit(notBefore)
	l.frozen.pass()
	if l.dead.Load() {
		return errDead
	}
	return err
}
