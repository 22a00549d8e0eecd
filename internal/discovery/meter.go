package discovery

import (
	"context"
	"sync/atomic"

	"github.com/hacluster/hacluster/eip"
)

// Meter counts what looking at EC2 came to, for monitoring. The zero value has counted nothing; it may be read and written at once.
type Meter struct {
	reads, failures, instances, waits atomic.Uint64
}

// Reading is what a Meter has counted.
type Reading struct {
	// Reads is how often EC2 was asked, and Failures how often it did not answer as it should.
	Reads, Failures uint64
	// Instances is how many the newest answer showed. It says nothing before the first.
	Instances uint64
	// Waits is how many members a leader would admit or remove, and does not yet; a read that is not to be believed is one.
	Waits uint64
}

// Reading returns what was counted so far.
func (m *Meter) Reading() Reading {
	return Reading{Reads: m.reads.Load(), Failures: m.failures.Load(), Instances: m.instances.Load(), Waits: m.waits.Load()}
}

// Measure returns a Finder that asks next.
func (m *Meter) Measure(next Finder) Finder { return measured{next, m} }

type measured struct {
	next  Finder
	meter *Meter
}

// Find implements Finder.
func (f measured) Find(ctx context.Context) ([]eip.Instance, error) {
	found, err := f.next.Find(ctx)
	if err != nil {
		f.meter.failures.Add(1)
	} else {
		f.meter.instances.Store(uint64(len(found)))
	}
	f.meter.reads.Add(1)
	return found, err
}
