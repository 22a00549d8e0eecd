package sim

import (
	"sync"
	"sync/atomic"
	"time"
)

// pause is how a process is made to stand still.
//
// A frozen machine stands still altogether: the network passes nothing (simnet), and the driver and the wire stop at their next
// look at the clock or at the outside. Raft's goroutines cannot be stopped, so for the driver Raft says what it said when the freeze
// began, until a moment after it ends. A stalled driver stops at its ports only; the final checks, which must not wait, go on.
type pause struct {
	frozen  gate
	stalled gate
	// countdown is the number of port calls until a stall begins, 0: none is due.
	countdown atomic.Int64
	stallFor  atomic.Int64

	mu     sync.Mutex
	memory *memory // nil: Raft speaks for itself
}

// memory is what Raft said when a freeze began.
type memory struct {
	term  uint64 // that the node led in, 0: none
	t0    time.Duration
	fresh bool          // there was evidence
	until time.Duration // forgotten then; 0: not before the thaw
}

// freeze stops the machine. Everything must stand still at this moment.
func (l *life) freeze() {
	m := &memory{}
	if term := l.raft.Status().Term; l.leading(term) {
		m.term = term
		m.t0, m.fresh = l.evidence(term)
	}
	l.mu.Lock()
	l.memory = m
	l.mu.Unlock()
	l.frozen.close()
	l.host.Freeze()
}

// thaw lets the machine go on where it stood.
func (l *life) thaw() {
	w := l.node.world
	l.mu.Lock()
	if l.memory != nil {
		l.memory.until = w.elapsed() + w.dice.upTo(5*time.Millisecond)
	}
	l.mu.Unlock()
	l.host.Thaw()
	w.air.release(l)
	l.frozen.open()
}

// awaitRaft returns when Raft speaks for itself.
func (l *life) awaitRaft() {
	for l.remembers() != nil {
		l.frozen.pass()
		<-time.After(time.Millisecond) // the memory fades by itself
	}
}

// remembers returns what Raft is taken to say, or nil if it speaks for itself.
func (l *life) remembers() *memory {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.memory; m != nil && m.until != 0 && l.node.world.elapsed() >= m.until {
		l.memory = nil
	}
	return l.memory
}

// leading is Raft's word, as of the freeze if there is one.
func (l *life) leading(term uint64) bool {
	if m := l.remembers(); m != nil {
		return m.term != 0 && m.term == term
	}
	return l.raft.Leading(term)
}

func (l *life) evidence(term uint64) (time.Duration, bool) {
	if m := l.remembers(); m != nil {
		return m.t0, m.fresh && m.term == term
	}
	return l.raft.Evidence(term)
}

// stall stops the driver at one of its next port calls.
func (l *life) stall(calls int, d time.Duration) {
	l.stallFor.Store(int64(d))
	l.countdown.Store(int64(calls))
}

// hangInLog holds Raft up where it has won an election and not yet taken it, as a log that nobody reads would. One node at a time
// hangs: it holds a lock of its logger, so nobody may make it log meanwhile.
func (l *life) hangInLog(message string) {
	w := l.node.world
	if message != "election won" || !w.slowLog.CompareAndSwap(true, false) {
		return
	}
	w.trace.add(l.node.name, "FAULT: has won an election, and hangs in its log")
	select {
	case <-time.After(700*time.Millisecond + w.dice.upTo(2*time.Second)):
	case <-l.killed.Done():
	}
}

// step is passed by the driver on its way through a port.
func (l *life) step() {
	l.frozen.pass()
	if l.countdown.Load() > 0 && l.countdown.Add(-1) == 0 {
		d := time.Duration(l.stallFor.Load())
		l.node.world.trace.add(l.node.name, "FAULT: the driver stands still for %v", d)
		l.stalled.close()
		time.AfterFunc(d, l.stalled.open)
	}
	l.stalled.pass()
	l.frozen.pass() // a freeze may have begun meanwhile: what follows may want a lock that a frozen goroutine holds
}

// clock is CLOCK_BOOTTIME as the process reads it: not while it is frozen.
func (l *life) clock() time.Duration {
	if l.checking.Load() == 0 {
		l.frozen.pass()
	}
	return l.node.boottime()
}
