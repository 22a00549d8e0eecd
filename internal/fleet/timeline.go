package fleet

import (
	"container/heap"
	"time"
)

// timeline is virtual time: what is to happen, in order. Events of one instant happen in the order in which they were made.
type timeline struct {
	now   time.Duration
	made  uint64
	queue queue
}

type event struct {
	at    time.Duration
	order uint64
	do    func()
}

func (t *timeline) after(d time.Duration, do func()) { t.at(t.now+d, do) }

func (t *timeline) at(when time.Duration, do func()) {
	t.made++
	heap.Push(&t.queue, event{at: when, order: t.made, do: do})
}

// runUntil lets everything before end happen, or stops as soon as done says so. Nil: nothing stops it.
func (t *timeline) runUntil(end time.Duration, done func() bool) {
	for len(t.queue) > 0 && t.queue[0].at < end {
		if done != nil && done() {
			return
		}
		e := heap.Pop(&t.queue).(event)
		t.now = e.at
		e.do()
	}
	if done == nil || !done() {
		t.now = end
	}
}

// queue implements heap.Interface, earliest event first.
type queue []event

func (q queue) Len() int { return len(q) }

func (q queue) Less(i, j int) bool {
	if q[i].at != q[j].at {
		return q[i].at < q[j].at
	}
	return q[i].order < q[j].order
}

func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

func (q *queue) Push(e any) { *q = append(*q, e.(event)) }

func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = event{} // lets go of the closure
	*q = old[:len(old)-1]
	return last
}
