package health

import "time"

// How long a probe waits for its answer depends on what HAProxy does meanwhile. One that does nothing has Timeout.
const (
	// unseenTimeout is for a HAProxy of which that is not known. Shorter ones were missed by healthy HAProxys: at 100 %
	// of its core, on a machine that other processes wanted too, one took up to 380 ms to answer, 365 ms of which it
	// waited for a CPU.
	unseenTimeout = 300 * time.Millisecond
	// workingTimeout is for a HAProxy that works or waits for a CPU. It ends, because work can be a loop without end;
	// HAProxy's own watchdog aborts one after a second or two.
	workingTimeout = time.Second
	// slice is the time between two looks.
	slice = 50 * time.Millisecond
)

// work is what HAProxy did in a slice.
type work int

const (
	unseen     work = iota // not known
	working                // used CPU time, or wanted to
	idle                   // nothing, although it had the request
	irrelevant             // whatever it was: the probe is one of another program
)

// patience decides how long one probe is waited for. It is asked after each slice without an answer; it has no clock
// and does no I/O.
type patience struct {
	timeout time.Duration
	waited  time.Duration // as far as it counts
}

// next returns the length of the next slice.
func (p *patience) next() time.Duration {
	if rest := p.timeout - p.waited; rest > 0 {
		return min(slice, rest)
	}
	return slice
}

// exhausted adds a slice and reports whether the probe has failed. late is how long after the slice this process came
// to see its end. However long it slept, that counts as one slice only, and as one that nobody saw: HAProxy may have
// slept as well, as the whole machine did, or have answered without being heard.
func (p *patience) exhausted(w work, late time.Duration) bool {
	length := p.next()
	p.waited += length
	if late > length/2 {
		w = unseen
	}
	return p.waited >= p.limit(w)
}

func (p *patience) limit(w work) time.Duration {
	switch w {
	case idle, irrelevant:
		return p.timeout
	case working:
		return max(p.timeout, workingTimeout)
	}
	return max(p.timeout, unseenTimeout)
}
