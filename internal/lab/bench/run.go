package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
)

// Options say what to run. Empty lists mean all there is.
type Options struct {
	Faults, Systems []string
	// Latencies are EC2's, for each call. The first is for every fault, the others for the slow ones.
	Latencies   []time.Duration
	Repetitions int
	Seed        uint64
	// Idle is how long the idle row lasts.
	Idle time.Duration
	// TLS: EC2 is spoken to over TLS.
	TLS   bool
	Tools Tools
}

// Bench is a run that is planned.
type Bench struct {
	steps []step
	idle  time.Duration
}

// New plans a run.
func New(opts Options) (*Bench, error) {
	rows, err := chooseRows(opts.Faults)
	if err != nil {
		return nil, err
	}
	systems, err := find(systems(opts.Tools, opts.TLS), opts.Systems)
	if err != nil {
		return nil, err
	}
	b := &Bench{idle: opts.Idle, steps: plan(rows, systems, opts.Latencies, opts.Repetitions, opts.Seed)}
	if len(b.steps) == 0 {
		return nil, fmt.Errorf("nothing to do: none of the systems %v takes part in the faults %v", opts.Systems, opts.Faults)
	}
	return b, nil
}

// Steps returns the number of repetitions.
func (b *Bench) Steps() int { return len(b.steps) }

// Run runs all repetitions in a lab and calls done with each. After an error, what was done by then is still good.
func (b *Bench) Run(ctx context.Context, l *lab.Lab, done func(Repetition)) error {
	for _, s := range b.steps {
		r, err := repeat(ctx, l, s, b.idle)
		if err != nil {
			return err
		}
		done(r)
	}
	return nil
}
