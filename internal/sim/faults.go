package sim

import (
	"context"
	"math/rand/v2"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/sim/simnet"
)

// fault is one step about to be carried out.
type fault struct {
	*World
	Step
	target *node
	dice   *rand.Rand
}

// take carries out a step.
func (w *World) take(s Step, acting *node) {
	f := &fault{World: w, Step: s, dice: rand.New(rand.NewPCG(s.Dice, w.schedule.Seed))}
	f.target = f.choose(s.Aim, acting)
	if f.do() {
		w.coverage.add("faults: " + string(s.Kind))
		if s.On != AtOnce {
			w.coverage.add("moments: " + string(s.On))
		}
	}
}

func (f *fault) choose(a Aim, acting *node) *node {
	leader, _ := f.newest()
	switch {
	case a == Acting && acting != nil:
		return acting
	case a == Holder && f.holder() != nil:
		return f.holder()
	case (a == Leader || a == Acting) && leader != nil:
		return leader
	}
	n := f.nodes[f.dice.IntN(len(f.nodes))]
	if a == Other && n == leader {
		n = f.nodes[(n.index+1)%len(f.nodes)]
	}
	return n
}

// say writes the fault into the trace.
func (f *fault) say(who string) {
	f.trace.add(who, "FAULT: %s for %v", f.Kind, f.For)
}

// do reports whether there was anything to do it to.
func (f *fault) do() bool {
	switch f.Kind {
	case Crash, PowerCut, LoseStore, LoseDisk:
		return f.crash(f.target)
	case CrashAll:
		return f.crashAll()
	case LoseQuorum:
		return f.loseQuorum()
	case Freeze:
		synctest.Wait()
		return f.freeze(f.target, f.For)
	case Steal, StealOthers:
		return f.steal()
	case Stall:
		return f.stall()
	case Stop:
		return f.stop()
	case Isolate, Partition, OneWay, Bridge, SlowLink, Reset:
		return f.disturbNetwork()
	case Die, Hang, Flap:
		return f.breakHAProxy()
	case Outage, DeafEC2, BadEC2, Person, PersonFrees:
		return f.disturbEC2()
	case Drain, Transfer, SlowLog, Remove:
		return f.operate()
	default:
		panic("no such kind of step: " + string(f.Kind))
	}
}

func (f *fault) crash(n *node) bool {
	disk := kept
	switch {
	case f.Kind == LoseStore && f.mayWipe(n):
		disk = storeLost
	case f.Kind == LoseDisk && f.mayWipe(n):
		disk = allLost
	}
	if n.running() == nil {
		return false
	}
	f.say(n.name)
	return n.crash(simnet.Ending{Silent: f.Kind != Crash, Lost: f.dice.IntN(2) == 0}, disk, f.For)
}

// mayWipe: a cluster survives the loss of a minority of its disks at a time, and not before it was formed.
func (w *World) mayWipe(n *node) bool {
	leader, _ := w.newest()
	if leader == nil {
		return false
	}
	everybodyKnows, lost := w.caughtUp(), 0
	for _, other := range w.nodes {
		l := other.running()
		if everybodyKnows && !other.removed {
			other.wiped = false // its new incarnation has a vote
		}
		if other.wiped || l == nil {
			lost++
		}
	}
	return !n.wiped && lost < (len(w.nodes)-1)/2
}

// caughtUp reports whether all nodes are voters that have the whole log. Until then a new incarnation does not count: Raft's voters
// refuse a candidate that their own, older configuration does not name, and with more disks lost nobody might be electable.
func (w *World) caughtUp() bool {
	leader, _ := w.newest()
	if leader == nil || leader.running() == nil {
		return false
	}
	committed := leader.running().raft.Status().CommitIndex
	for _, n := range w.nodes {
		l := n.running()
		if l == nil {
			return false
		}
		if s := l.raft.Status(); s.Phase != "running" || s.AppliedIndex < committed {
			return false
		}
	}
	return true
}

func (f *fault) crashAll() bool {
	f.say("all")
	for _, n := range f.nodes {
		n.crash(simnet.Ending{Silent: f.dice.IntN(2) == 0, Lost: true}, kept, f.For/2+time.Duration(f.dice.Int64N(int64(f.For))))
	}
	return true
}

// steal takes the CPU away from all machines, or from all but the target: their host is busy elsewhere.
func (f *fault) steal() bool {
	synctest.Wait()
	stolen := false
	for _, n := range f.nodes {
		if n == f.target && f.Kind == StealOthers {
			continue
		}
		f.air.lose(n.running())
		stolen = f.freeze(n, f.For+time.Duration(f.dice.Int64N(int64(5*time.Millisecond)))) || stolen
	}
	return stolen
}

// freeze begins when everything stands still: no lock is held then.
func (f *fault) freeze(n *node, d time.Duration) bool {
	l := n.running()
	if l == nil || l.frozen.isShut() {
		return false
	}
	f.say(n.name)
	l.freeze()
	f.director.undo(d, func() {
		if l.dead.Load() {
			return
		}
		f.trace.add(l.node.name, "thaws")
		l.thaw()
	})
	return true
}

func (f *fault) stall() bool {
	l := f.target.running()
	if l == nil {
		return false
	}
	l.stall(1+f.dice.IntN(10), f.For)
	return true
}

func (f *fault) stop() bool {
	l := f.target.running()
	if l == nil {
		return false
	}
	f.say(f.target.name)
	l.stopFor = f.For
	l.stop()
	return true
}

func (f *fault) breakHAProxy() bool {
	h, name := f.target.haproxy, f.target.name
	f.say(name)
	switch f.Kind {
	case Die:
		h.set(false, "haproxy master process exited")
	case Hang:
		f.director.at(f.director.now()+time.Duration(f.dice.Int64N(int64(time.Second))), func() { h.set(false, "stats: timed out") })
		f.For += time.Second
	case Flap:
		for at := time.Duration(0); at < f.For; at += 2 * (50*time.Millisecond + f.For/20) {
			f.director.at(f.director.now()+at, func() { h.set(false, "http: status 503") })
			f.director.at(f.director.now()+at+50*time.Millisecond+f.For/20, func() { h.set(true, "all checks pass") })
		}
	}
	f.director.undo(f.For, func() {
		f.trace.add(name, "HAProxy is well")
		h.set(true, "all checks pass")
	})
	return true
}

// operate does what an operator asks of the leader.
func (f *fault) operate() bool {
	switch f.Kind {
	case Transfer, SlowLog:
		f.slowLog.Store(f.Kind == SlowLog)
		l := f.target.running()
		if l == nil || !l.ready.Load() {
			return false
		}
		to := fsm.NodeName("")
		if f.dice.IntN(2) == 0 {
			to = fsm.NodeName(f.nodes[f.dice.IntN(len(f.nodes))].name)
		}
		f.trace.add(l.node.name, "FAULT: an operator asks for a transfer to %q", to)
		f.judge.TransferAsked(l.server)
		f.lives.Go(func() {
			ctx, cancel := context.WithTimeout(l.killed, 5*time.Second)
			defer cancel()
			answer, err := l.driver.RequestTransfer(ctx, to)
			f.trace.add(l.node.name, "the operator is told: %q, %v", answer.To, err)
		})
	case Drain:
		name := fsm.NodeName(f.target.name)
		f.say(f.target.name)
		drained := f.command(nil, func(o fsm.Origin) fsm.Command { return fsm.SetDrain{Origin: o, Node: name, Drained: true} })
		f.director.undo(f.For, func() {
			f.command(drained, func(o fsm.Origin) fsm.Command { return fsm.SetDrain{Origin: o, Node: name} })
		})
	case Remove:
		return f.remove(f.target)
	}
	return true
}

// remove takes a node out of the cluster, the leader among others, and admits it again later. Until it has its vote back the cluster is
// smaller, as if the disk were lost.
func (f *fault) remove(n *node) bool {
	if !f.mayWipe(n) {
		return false
	}
	f.say(n.name)
	n.wiped, n.removed = true, true
	removed := f.command(nil, func(o fsm.Origin) fsm.Command { return fsm.RemoveNode{Origin: o, Node: fsm.NodeName(n.name)} })
	f.director.undo(f.For, func() {
		admitted := f.command(removed, func(o fsm.Origin) fsm.Command { return fsm.AdmitNode{Origin: o, Node: n.attributes()} })
		f.lives.Go(func() {
			<-admitted // it ends with the world at the latest
			f.director.post(func() { n.removed = false })
		})
	})
	return true
}

// command gets a command committed, however often that has to be tried, once the one before it is done (nil: there is none).
func (w *World) command(before <-chan struct{}, of func(fsm.Origin) fsm.Command) (done <-chan struct{}) {
	committed := make(chan struct{})
	w.lives.Go(func() {
		defer close(committed)
		if before != nil {
			<-before // it ends with the world at the latest
		}
		for !w.tryCommand(of) {
			select {
			case <-time.After(250 * time.Millisecond):
			case <-w.over:
				return
			}
		}
	})
	return committed
}

func (w *World) tryCommand(of func(fsm.Origin) fsm.Command) bool {
	n, term := w.newest()
	if n == nil {
		return false
	}
	l := n.running()
	if l == nil {
		return false
	}
	entry, err := fsm.Encode(of(fsm.Origin{Term: term, UnixMilli: time.Now().UnixMilli(), Reason: "operator"}))
	if err != nil {
		panic(err) // our own command
	}
	_, _, err = l.raft.Apply(l.killed, term, entry)
	return err == nil
}
