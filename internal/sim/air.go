package sim

import (
	"net/netip"
	"sync"

	"github.com/hacluster/hacluster/internal/sim/judge"
	"github.com/hacluster/hacluster/vrrpwire"
)

// air is the VRRP segment with the faults of the network. Adverts take no time; on a cut route they are lost.
type air struct {
	*vrrpwire.Segment
	world *World

	mu   sync.Mutex
	held map[*life][]func() // what waits in the sockets of machines that stand still
	lost map[*life]bool     // machines that stand still and lose what is sent to them
}

func newAir(w *World) *air {
	a := &air{Segment: vrrpwire.NewSegment(), world: w, held: make(map[*life][]func()), lost: make(map[*life]bool)}
	a.SetRelay(a.relay)
	return a
}

// priorityAt is where an advert has its priority (RFC 9568, section 5.2).
const priorityAt = 2

func (a *air) relay(from, to netip.Addr, payload []byte, deliver func()) {
	sender, receiver := a.world.nodeAt(from), a.world.nodeAt(to)
	s := sender.running()
	if s == nil || receiver == nil {
		return // the last words of a process that is dead already
	}
	a.world.advertised(s, payload[priorityAt])
	r := receiver.running()
	if r == nil || a.world.net.IsCut(from.String(), to.String()) {
		return
	}
	if r.frozen.isShut() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if !a.lost[r] {
			a.held[r] = append(a.held[r], deliver)
		}
		return
	}
	deliver()
}

// lose makes a machine lose what is sent to it during its next freeze, as a ring that nobody empties does. A nil life is nobody.
func (a *air) lose(l *life) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l != nil {
		a.lost[l] = true
	}
}

// release fills the socket of a machine that moves again.
func (a *air) release(l *life) {
	a.mu.Lock()
	held := a.held[l]
	delete(a.held, l)
	delete(a.lost, l)
	a.mu.Unlock()
	for _, deliver := range held {
		deliver()
	}
}

// advertised tells the judge of an advert, and the trace of a new Master.
func (w *World) advertised(l *life, priority uint8) {
	r := l.reign.Load()
	if r == nil {
		w.accuse("I3", "%s advertises priority %d without a reign", l.node.name, priority)
		return
	}
	w.judge.Advertised(judge.Advert{Node: l.node.name, Reign: r.number, Claim: r.claim, Priority: priority, Voters: l.raft.Voters()})
	w.coverage.add("wire: adverts sent")
	w.seen.mu.Lock()
	news := priority == 0 || w.seen.master != l.node.name
	w.seen.master = l.node.name
	if priority == 0 {
		w.seen.master = ""
	}
	w.seen.mu.Unlock()
	if news {
		w.trace.add(l.node.name, "advertises priority %d", priority)
	}
}
