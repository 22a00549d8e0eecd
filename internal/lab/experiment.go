package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/lab/probe"
)

const (
	// steadyLimit is how long the cluster may take to be steady, from its first boot or after a repair.
	steadyLimit = 60 * time.Second
	// settleLimit is how long clients may wait for service after a fault before the repetition counts as a failure.
	settleLimit = 20 * time.Second
	// lookBack is how long before the fault the evidence begins: the reign of the victim belongs to it.
	lookBack = time.Second
)

// Experiment waits until the lab is steady, makes the fault happen to the Master, watches until clients are served again,
// measures, and repairs. An error means that the lab itself is of no more use.
func (l *Lab) Experiment(ctx context.Context, fault Fault, observer Observer) (Repetition, Evidence, error) {
	victim, before, err := l.await(ctx, steadyLimit, l.steady)
	if err != nil {
		return Repetition{}, Evidence{}, fmt.Errorf("wait for a steady cluster before %s: %w", fault.Name, err)
	}
	if err := pause(ctx, lookBack); err != nil {
		return Repetition{}, Evidence{}, err
	}
	e := Evidence{Fault: fault.Name, Victim: victim.Name}
	observer.Before(fault, victim.Name, before.Term)
	if err := l.Break(ctx, fault, victim, &e, observer); err != nil {
		return Repetition{}, e, fmt.Errorf("%s on %s: %w", fault.Name, victim.Name, err)
	}
	_, after, problem := l.await(ctx, settleLimit, l.settled)
	e.End = time.Now()
	if err := l.Settle(ctx, &e); err != nil {
		return Repetition{}, e, err
	}
	r := Measure(e)
	r.LeaderAfter, r.TermBefore, r.TermAfter = after.Leader, before.Term, after.Term
	if problem != nil {
		r.Problem = problem.Error()
	}
	observer.After(r)
	return r, e, l.repair()
}

// Break makes the fault happen, undoes it after its time, and watches for as long as the fault asks for. It notes in e when.
func (l *Lab) Break(ctx context.Context, fault Fault, victim *Node, e *Evidence, observer Observer) error {
	var err error
	if e.Injected, err = fault.inject(ctx, l, victim); err != nil {
		return err
	}
	observer.Injected(fault, victim.Name, e.Injected)
	if fault.release != nil {
		if err := pause(ctx, fault.Hold); err != nil {
			return err
		}
		e.Released = time.Now()
		if err := fault.release(l, victim); err != nil {
			return err
		}
		observer.Released(fault, victim.Name, e.Released)
	}
	return pause(ctx, fault.observe)
}

// Settle waits until the requests that began before e.End are known, which is when the last of them has timed out, and collects.
func (l *Lab) Settle(ctx context.Context, e *Evidence) error {
	if err := pause(ctx, probe.Timeout); err != nil {
		return err
	}
	return l.Collect(e)
}

// Collect takes the evidence of the time around the fault from the witnesses. Call it probe.Timeout after e.End.
func (l *Lab) Collect(e *Evidence) error {
	e.Requests = slices.DeleteFunc(l.probes.Between(e.Injected.Add(-probe.Timeout), e.End), func(r probe.Result) bool {
		return r.Start.Add(r.Took).Before(e.Injected)
	})
	e.Calls = l.cloud.callsBetween(e.Injected, e.End)
	e.Moves = l.cloud.movesBetween(e.Injected, e.End)
	e.Adverts = l.capture.Adverts(e.Injected.Add(-lookBack), e.End)
	for _, n := range l.nodes {
		transitions, err := n.log.since(e.Injected)
		if err != nil {
			return err
		}
		e.Transitions = append(e.Transitions, transitions...)
	}
	slices.SortStableFunc(e.Transitions, func(a, b Transition) int { return a.Time.Compare(b.Time) })
	return nil
}

// SaveEvidence writes the packets of a repetition to a file in the lab's directory.
func (l *Lab) SaveEvidence(name string, e Evidence) error {
	dir := filepath.Join(l.dir, "captures")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("save capture: %w", err)
	}
	file, err := os.Create(filepath.Join(dir, name+".pcap"))
	if err != nil {
		return fmt.Errorf("save capture: %w", err)
	}
	defer file.Close()
	if err := l.capture.WritePCAP(file, e.Injected.Add(-lookBack), e.End); err != nil {
		return err
	}
	return file.Close()
}

// pause waits for d, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
