package sim

import (
	"slices"
	"sync"
	"time"
)

// director does things at their time, one after the other, on the goroutine that calls run.
type director struct {
	begin time.Time
	poke  chan struct{}

	mu    sync.Mutex
	queue []task // by time
	armed []armed
}

type task struct {
	at   time.Duration
	do   func()
	undo bool // the end of a fault: it is done in any case
}

// armed is a step that waits for its moment.
type armed struct {
	on    Moment
	delay time.Duration
	do    func(acting *node)
}

func newDirector() *director { return &director{begin: time.Now(), poke: make(chan struct{}, 1)} }

func (d *director) now() time.Duration { return time.Since(d.begin) }

// at plans something.
func (d *director) at(when time.Duration, do func()) { d.plan(task{at: when, do: do}) }

// post plans something for now.
func (d *director) post(do func()) { d.plan(task{at: d.now(), do: do, undo: true}) }

// undo plans the end of a fault. It comes earlier if all faults end before.
func (d *director) undo(after time.Duration, do func()) {
	d.plan(task{at: d.now() + after, do: do, undo: true})
}

func (d *director) plan(t task) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, _ := slices.BinarySearchFunc(d.queue, t, func(a, b task) int {
		if a.at <= b.at {
			return -1 // behind those of the same time
		}
		return 1
	})
	d.queue = slices.Insert(d.queue, i, t)
	select {
	case d.poke <- struct{}{}:
	default: // one is waiting already
	}
}

// arm makes a step wait for a moment.
func (d *director) arm(a armed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.armed = append(d.armed, a)
}

// happened sets off the oldest step that waits for this moment. It may be called from any goroutine.
func (d *director) happened(m Moment, acting *node) {
	d.mu.Lock()
	i := slices.IndexFunc(d.armed, func(a armed) bool { return a.on == m })
	if i < 0 {
		d.mu.Unlock()
		return
	}
	a := d.armed[i]
	d.armed = slices.Delete(d.armed, i, i+1)
	d.mu.Unlock()
	d.at(d.now()+a.delay, func() { a.do(acting) })
}

// run does what is planned until the given time.
func (d *director) run(until time.Duration) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		t, next := d.next(until)
		if t != nil {
			t()
			continue
		}
		now := d.now()
		if now >= until {
			return
		}
		timer.Reset(next - now)
		select {
		case <-timer.C:
		case <-d.poke:
		}
	}
}

// next takes what is due, or says when to look again.
func (d *director) next(until time.Duration) (func(), time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) == 0 {
		return nil, until
	}
	first := d.queue[0]
	if first.at > d.now() {
		return nil, min(first.at, until)
	}
	d.queue = d.queue[1:]
	return first.do, 0
}

// endFaults drops the steps to come and ends all faults now.
func (d *director) endFaults() {
	d.mu.Lock()
	d.armed = nil
	now := d.now()
	d.queue = slices.DeleteFunc(d.queue, func(t task) bool { return !t.undo })
	for i := range d.queue {
		d.queue[i].at = min(d.queue[i].at, now)
	}
	d.mu.Unlock()
}
