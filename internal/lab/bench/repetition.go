package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/capture"
	"github.com/hacluster/hacluster/internal/lab/probe"
)

const (
	// lookBack is how long a steady system is left alone before the fault.
	lookBack = time.Second
	// bootChecks is how often a system may lose its steadiness within that time.
	bootChecks = 5
	// longestDown is more than any Master_Down_Interval here.
	longestDown  = 5 * time.Second
	pollInterval = 50 * time.Millisecond
)

// Repetition is what one repetition of one system measured. Times are in milliseconds, counted from the fault.
type Repetition struct {
	System  string  `json:"system"`
	Latency float64 `json:"ec2_latency_ms"`
	Number  int     `json:"number"`
	// Booted is how long the system took from nothing to steady, a second of leaving it alone included.
	Booted float64 `json:"booted_ms"`
	// Lasted is the time from the fault, or the beginning of the idle time, to the end of the watch.
	Lasted float64 `json:"lasted_ms"`
	// NotSteady says why there was no fault: the system did not become steady in time. Nothing was measured then.
	NotSteady string `json:"not_steady,omitempty"`
	lab.Repetition

	// Moved is when the Elastic IP first was with another node; nil: never.
	Moved *float64 `json:"fault_to_moved_ms"`
	Outcome
	Load
	// Story tells what happened, in order, for those who ask where the time went: states, calls, moves. At most maxStory lines.
	Story []string `json:"story,omitempty"`
}

const maxStory = 60

// Outcome says how a repetition ended, on the wire and in EC2.
type Outcome struct {
	// Torn counts the moments in which more than one node reigned on the wire, and TornTime sums them up.
	Torn     int     `json:"torn"`
	TornTime float64 `json:"torn_ms"`
	// Masters reigned at the end. Right: that is one node, and the Elastic IP is with it.
	Masters []string `json:"masters_after"`
	Right   bool     `json:"right"`
}

// repeat runs one step. An error means that nothing more can be measured; what goes wrong with the system is in the
// Repetition.
func repeat(ctx context.Context, l *lab.Lab, s step, idle time.Duration) (Repetition, error) {
	r := Repetition{System: s.system.Name(), Latency: milliseconds(s.latency), Number: s.number}
	r.Fault, r.Started = s.fault.Name, time.Now()
	if err := boot(ctx, l, s); ctx.Err() != nil {
		return r, ctx.Err()
	} else if err != nil {
		r.NotSteady = err.Error()
		return r, nil
	}
	booted := milliseconds(time.Since(r.Started))
	before, err := readTicks()
	if err != nil {
		return r, err
	}
	e, problem := breakAndWatch(ctx, l, s, idle)
	load, err := loadSince(before)
	if err != nil {
		return r, err
	}
	// Requests that started before the end are known when the last of them has timed out.
	if err := pause(ctx, probe.Timeout); err != nil {
		return r, err
	}
	if err := l.Collect(&e); err != nil {
		return r, err
	}
	r = measure(s, e)
	r.Load, r.Booted = load, booted
	if problem != nil {
		r.Problem = problem.Error()
	}
	return r, nil
}

// breakAndWatch makes the fault happen and returns when that was and, as an error, what was not in order when the watch ended.
func breakAndWatch(ctx context.Context, l *lab.Lab, s step, idle time.Duration) (lab.Evidence, error) {
	victim := l.Nodes()[0]
	e := lab.Evidence{Fault: s.fault.Name, Victim: victim.Name}
	var err error
	if s.fault.Name == Idle {
		err = idleFor(ctx, l, idle, &e)
	} else if err = l.Break(ctx, s.system.Adapt(s.fault), victim, &e, silent{}); err == nil {
		err = settle(ctx, l, s.moves, e.Injected)
	}
	e.End = time.Now()
	return e, err
}

// boot lets every node start anew with the system's programs and waits until that is steady, and still is after a while.
func boot(ctx context.Context, l *lab.Lab, s step) error {
	if err := l.DisturbEC2(latency(s.latency)); err != nil {
		return err
	}
	if err := l.Reboot(s.system.Programs); err != nil {
		return err
	}
	var err error
	for range bootChecks {
		if err := s.system.Steady(ctx, l); err != nil {
			return err
		}
		if err := pause(ctx, lookBack); err != nil {
			return err
		}
		if err = inCharge(l, l.Nodes()[0].Name); err == nil {
			return nil
		}
	}
	return err
}

// latency is the fault of EC2 that delays every call before its effect.
func latency(d time.Duration) []ec2fake.Fault {
	if d == 0 {
		return nil
	}
	return []ec2fake.Fault{{Kind: ec2fake.Latency, Delay: ec2fake.Duration(d)}}
}

// idleFor lets time pass while every core is busy.
func idleFor(ctx context.Context, l *lab.Lab, d time.Duration, e *lab.Evidence) (err error) {
	stop, err := l.Burn()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	e.Injected = time.Now()
	return pause(ctx, d)
}

// settle waits until clients are served by the only node that reigns and, if it should, the address has moved. It
// returns what is not so when the time is up.
func settle(ctx context.Context, l *lab.Lab, moves bool, injected time.Time) error {
	return until(ctx, watchTime-min(watchTime, time.Since(injected))+pollInterval, func() error {
		if moves && len(l.Moves(injected, time.Now())) == 0 {
			return errors.New("the address did not move")
		}
		return inCharge(l, l.Holder())
	})
}

// inCharge checks that clients are served, and the node holds the address and is the only one to reign.
func inCharge(l *lab.Lab, node string) error {
	now := time.Now()
	reigning := capture.Reigning(l.Adverts(now.Add(-longestDown), now), now)
	switch {
	case node == "" || l.Holder() != node:
		return fmt.Errorf("the address is with %q", l.Holder())
	case !slices.Equal(reigning, []netip.Addr{lab.NodeAddress(node)}):
		return fmt.Errorf("the address is with %s, on the wire %v reign", node, names(reigning))
	case !l.Served():
		return errors.New("clients are not served")
	}
	return nil
}

// measure computes the repetition from its evidence.
func measure(s step, e lab.Evidence) Repetition {
	r := Repetition{
		System: s.system.Name(), Latency: milliseconds(s.latency), Number: s.number,
		Lasted: milliseconds(e.End.Sub(e.Injected)), Repetition: lab.Measure(e),
	}
	for _, m := range e.Moves {
		if m.To != "" && m.To != e.Victim {
			moved := milliseconds(m.Time.Sub(e.Injected))
			r.Moved = &moved
			break
		}
	}
	r.Torn, r.TornTime = torn(capture.Overlapping(capture.Reigns(e.Adverts)))
	r.Masters = names(capture.Reigning(e.Adverts, e.End))
	for _, event := range e.Events() {
		if len(r.Story) < maxStory {
			r.Story = append(r.Story, fmt.Sprintf("%+.1f ms %s", milliseconds(event.Time.Sub(e.Injected)), event.Text))
		}
	}
	r.Right = len(r.Masters) == 1 && r.Masters[0] == r.HolderAfter
	return r
}

// torn counts and sums up the times in which reigns overlapped; those that touch one another are one.
func torn(pairs [][2]capture.Reign) (moments int, total float64) {
	type span struct{ from, to time.Time }
	var spans []span
	for _, p := range pairs {
		s := span{p[0].First, p[0].Last}
		if p[1].First.After(s.from) {
			s.from = p[1].First
		}
		if p[1].Last.Before(s.to) {
			s.to = p[1].Last
		}
		spans = append(spans, s)
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	var end time.Time
	for _, s := range spans {
		if s.from.After(end) {
			moments++
			end = s.from
		}
		if s.to.After(end) {
			total += milliseconds(s.to.Sub(end))
			end = s.to
		}
	}
	return moments, total
}

func names(addresses []netip.Addr) []string {
	var found []string
	for _, name := range lab.NodeNames() {
		if slices.Contains(addresses, lab.NodeAddress(name)) {
			found = append(found, name)
		}
	}
	return found
}

// until polls check until it succeeds or the time is up, and then returns its last error.
func until(ctx context.Context, limit time.Duration, check func() error) error {
	deadline := time.After(limit)
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return err
		case <-ticker.C:
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// silent is a lab.Observer that says nothing: a repetition has one line, when it is over.
type silent struct{}

func (silent) Before(lab.Fault, string, uint64)      {}
func (silent) Injected(lab.Fault, string, time.Time) {}
func (silent) Released(lab.Fault, string, time.Time) {}
func (silent) After(lab.Repetition)                  {}
