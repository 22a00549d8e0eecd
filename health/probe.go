package health

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// overdueGrace is the time that a probe has after its deadline to return and say more than that it was late.
const overdueGrace = 2 * scriptPipeWait

// prober asks HAProxy once, until ctx ends. It calls asked when HAProxy has got the request; one that cannot know does
// not. It returns what it saw, for people, or why that is not health.
type prober interface {
	probe(ctx context.Context, asked func()) (detail string, err error)
}

// probeCheck runs a prober on its schedule. Each has a goroutine of its own, so that none waits for another.
type probeCheck struct {
	prober  prober
	cfg     Probe
	board   *board
	index   int                // on the board
	observe func() func() work // see workload
}

func newProbeCheck(name string, cfg Probe, p prober, b *board) *probeCheck {
	index := b.add(name, "has not passed yet", cfg.Rise, cfg.Fall)
	return &probeCheck{prober: p, cfg: cfg, board: b, index: index, observe: observeNobody}
}

// observeNobody is for a probe to which HAProxy's processes do not matter.
func observeNobody() func() work { return func() work { return irrelevant } }

// run probes one interval after the start of the previous probe, or at once if that is past.
func (c *probeCheck) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		start := time.Now()
		c.once(ctx)
		timer.Reset(max(0, c.cfg.Interval-time.Since(start)))
	}
}

// result is what a prober returned.
type result struct {
	detail string
	err    error
}

// attempt is one probe on its way.
type attempt struct {
	asked    atomic.Bool // HAProxy has got the request
	results  chan result // one slot: the probe ends even if nobody waits for it any more
	done     func() work // what HAProxy has done since the newest slice began
	patience patience
}

// once runs one probe to its end.
func (c *probeCheck) once(ctx context.Context) {
	life := c.board.currentLife()
	probeCtx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	a := c.begin(probeCtx)
	r, ended := c.await(ctx, a)
	var gaveUpAfter time.Duration
	if !ended {
		giveUp()
		gaveUpAfter = a.patience.waited
		r, ended = c.awaitOverdue(ctx, a, life)
	}
	if ended && ctx.Err() == nil { // an aborted probe says nothing about HAProxy
		c.board.probed(c.index, life, r.detail, explain(r.err, gaveUpAfter))
	}
}

func (c *probeCheck) begin(ctx context.Context) *attempt {
	a := &attempt{results: make(chan result, 1), patience: patience{timeout: c.cfg.Timeout}}
	a.done = c.observe() // before the request, as that is what makes HAProxy work
	go func() {
		detail, err := c.prober.probe(ctx, func() { a.asked.Store(true) })
		a.results <- result{detail, err}
	}()
	return a
}

// await returns the result, or false when patience is exhausted or ctx has ended.
func (c *probeCheck) await(ctx context.Context, a *attempt) (result, bool) {
	for {
		begin, length := time.Now(), a.patience.next()
		timer := time.NewTimer(length)
		select {
		case <-ctx.Done():
			timer.Stop()
			return result{}, false
		case r := <-a.results:
			timer.Stop()
			return r, true
		case <-timer.C:
		}
		if a.patience.exhausted(a.work(), time.Since(begin)-length) {
			return result{}, false
		}
		a.done = c.observe()
	}
}

// work returns what HAProxy did in the slice that has ended. That it did nothing means something only if it was asked.
func (a *attempt) work() work {
	asked := a.asked.Load() // first: a request that arrives after the look did not make HAProxy work before it
	done := a.done()
	if done == idle && !asked {
		return unseen
	}
	return done
}

// awaitOverdue waits for a probe that was given up. One that goes on all the same (a script that even SIGKILL does not
// end, because it waits for a dead file server) has failed, and goes on failing until it returns: two never run at once.
func (c *probeCheck) awaitOverdue(ctx context.Context, a *attempt, life uint64) (result, bool) {
	overdue := time.NewTimer(overdueGrace)
	defer overdue.Stop()
	for {
		select {
		case <-ctx.Done():
			select {
			case <-a.results:
			case <-time.After(overdueGrace): // stuck: it ends with the agent
			}
			return result{}, false
		case r := <-a.results:
			return r, true
		case <-overdue.C:
			c.board.probed(c.index, life, "", fmt.Errorf("still runs after its timeout of %v", a.patience.waited))
			overdue.Reset(c.cfg.Timeout)
		}
	}
}

// explain tells a probe that was given up from an answer that came in time and was bad. gaveUpAfter is 0 for the latter.
func explain(err error, gaveUpAfter time.Duration) error {
	switch {
	case err == nil || errors.As(err, new(stoppingError)):
		return err
	case gaveUpAfter > 0:
		return fmt.Errorf("timed out after %v", gaveUpAfter)
	}
	return fmt.Errorf("failed: %w", err)
}
