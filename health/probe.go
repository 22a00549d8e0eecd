package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// overdueGrace is the time that a probe has after its deadline to return and say more than that it was late.
const overdueGrace = 2 * scriptPipeWait

// prober asks HAProxy once, within the deadline of ctx. It returns what it saw, for people, or why that is not health.
type prober interface {
	probe(ctx context.Context) (detail string, err error)
}

// probeCheck runs a prober on its schedule. Each has a goroutine of its own, so that none waits for another.
type probeCheck struct {
	prober prober
	cfg    Probe
	board  *board
	index  int // on the board
}

func newProbeCheck(name string, cfg Probe, p prober, b *board) *probeCheck {
	return &probeCheck{prober: p, cfg: cfg, board: b, index: b.add(name, "has not passed yet", cfg.Rise, cfg.Fall)}
}

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

// once runs one probe to its end. A probe that outlives its deadline (a script that even SIGKILL does not end, because
// it waits for a dead file server) has failed, and goes on failing until it returns: two never run at once.
func (c *probeCheck) once(ctx context.Context) {
	life := c.board.currentLife()
	probeCtx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	results := make(chan result, 1)
	go func() {
		detail, err := c.prober.probe(probeCtx)
		results <- result{detail, err}
	}()
	overdue := time.NewTimer(c.cfg.Timeout + overdueGrace)
	defer overdue.Stop()
	for {
		select {
		case <-ctx.Done():
			select { // an aborted probe says nothing about HAProxy
			case <-results:
			case <-time.After(overdueGrace): // stuck: it ends with the agent
			}
			return
		case r := <-results:
			if ctx.Err() == nil {
				c.board.probed(c.index, life, r.detail, c.explain(r.err, probeCtx))
			}
			return
		case <-overdue.C:
			c.board.probed(c.index, life, "", fmt.Errorf("still runs after its timeout of %v", c.cfg.Timeout))
			overdue.Reset(c.cfg.Timeout)
		}
	}
}

// explain tells a deadline from an answer that came in time and was bad.
func (c *probeCheck) explain(err error, probeCtx context.Context) error {
	if err == nil || errors.As(err, new(stoppingError)) {
		return err
	}
	var netErr net.Error
	if probeCtx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &netErr) && netErr.Timeout() {
		return fmt.Errorf("timed out after %v", c.cfg.Timeout)
	}
	return fmt.Errorf("failed: %w", err)
}
