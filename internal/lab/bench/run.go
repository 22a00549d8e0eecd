package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

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
	// Done were measured in an earlier sitting; they are not run again.
	Done []Repetition
	// Turns is a file whose lock (flock(2)) is held during each repetition, for a machine that is shared with others who respect
	// it. Empty: none.
	Turns string
}

// Bench is a run that is planned.
type Bench struct {
	steps []step
	idle  time.Duration
	turns string
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
	b := &Bench{idle: opts.Idle, turns: opts.Turns, steps: plan(rows, systems, opts.Latencies, opts.Repetitions, opts.Seed)}
	if len(b.steps) == 0 {
		return nil, fmt.Errorf("nothing to do: none of the systems %v takes part in the faults %v", opts.Systems, opts.Faults)
	}
	b.steps = slices.DeleteFunc(b.steps, func(s step) bool { return slices.ContainsFunc(opts.Done, s.measuredBy) })
	return b, nil
}

// Steps returns the number of repetitions to run.
func (b *Bench) Steps() int { return len(b.steps) }

// Run runs all repetitions in a lab and calls done with each. After an error, its own or done's, what was done by then is still good.
func (b *Bench) Run(ctx context.Context, l *lab.Lab, done func(Repetition) error) error {
	for _, s := range b.steps {
		r, err := b.inTurn(ctx, l, s)
		if err != nil {
			return err
		}
		if err := done(r); err != nil {
			return err
		}
	}
	return nil
}

// inTurn runs one repetition while nobody else has the machine.
func (b *Bench) inTurn(ctx context.Context, l *lab.Lab, s step) (Repetition, error) {
	if b.turns == "" {
		return repeat(ctx, l, s, b.idle)
	}
	file, err := os.OpenFile(b.turns, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return Repetition{}, fmt.Errorf("wait for the machine: %w", err)
	}
	defer file.Close() // which gives the lock back
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return repeat(ctx, l, s, b.idle)
		} else if !errors.Is(err, unix.EWOULDBLOCK) {
			return Repetition{}, fmt.Errorf("wait for the machine: lock %s: %w", b.turns, err)
		}
		if err := pause(ctx, pollInterval); err != nil {
			return Repetition{}, err
		}
	}
}
