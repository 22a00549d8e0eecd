package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

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

func (c *probeCheck) once(ctx context.Context) {
	life := c.board.currentLife()
	probeCtx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	detail, err := c.prober.probe(probeCtx)
	if ctx.Err() != nil {
		return // an aborted probe says nothing about HAProxy
	}
	if err != nil {
		err = c.explain(err, probeCtx)
	}
	c.board.probed(c.index, life, detail, err)
}

// explain tells a deadline from an answer that came in time and was bad.
func (c *probeCheck) explain(err error, probeCtx context.Context) error {
	var netErr net.Error
	if errors.As(err, new(stoppingError)) {
		return err
	}
	if probeCtx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &netErr) && netErr.Timeout() {
		return fmt.Errorf("timed out after %v", c.cfg.Timeout)
	}
	return fmt.Errorf("failed: %w", err)
}
