package health

import (
	"context"
	"sync/atomic"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// Exchange is a Monitor whose checks can be replaced while it runs. The old checks count until the new ones have found HAProxy healthy, or
// the old ones found it unhealthy too: a mistake in a new check must not take the address away from every node that reads it.
type Exchange struct {
	log     *zap.Logger
	current atomic.Pointer[Monitor]
	next    chan *Monitor // one slot; a newer replacement takes the place of one that has not begun
	updates chan Status   // one slot; the newest
}

// NewExchange is New for checks that may be replaced.
func NewExchange(cfg Config, log *zap.Logger) (*Exchange, error) {
	if log == nil {
		log = zap.NewNop()
	}
	m, err := New(cfg, log)
	if err != nil {
		return nil, err
	}
	x := &Exchange{log: log, next: make(chan *Monitor, 1), updates: make(chan Status, 1)}
	x.current.Store(m)
	return x, nil
}

// Status is that of the checks that count.
func (x *Exchange) Status() Status { return x.current.Load().Status() }

// Updates is as Monitor.Updates.
func (x *Exchange) Updates() <-chan Status { return x.updates }

// Replace takes other checks into use as soon as they may count. The error is New's; then nothing changes. One goroutine
// may call it at a time.
func (x *Exchange) Replace(cfg Config) error {
	m, err := New(cfg, x.log)
	if err != nil {
		return err
	}
	select {
	case <-x.next:
	default:
	}
	x.next <- m // there is room: nobody else sends
	return nil
}

// Run checks until ctx ends, then returns nil. Call it once.
func (x *Exchange) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return x.serve(ctx, g) })
	return g.Wait()
}

func (x *Exchange) serve(ctx context.Context, g *errgroup.Group) error {
	start := func(m *Monitor) (stop context.CancelFunc) {
		running, stop := context.WithCancel(ctx)
		g.Go(func() error { return m.Run(running) })
		return stop
	}
	stop := start(x.current.Load())
	defer func() { stop() }()
	var candidate *Monitor
	dismiss := func() {}
	defer func() { dismiss() }()
	for {
		var verdict <-chan Status
		if candidate != nil {
			verdict = candidate.Updates()
		}
		select {
		case <-ctx.Done():
			return nil
		case s := <-x.current.Load().Updates():
			x.tell(s)
		case m := <-x.next:
			dismiss()
			candidate, dismiss = m, start(m)
		case s := <-verdict:
			if !s.Healthy && x.Status().Healthy {
				x.log.Warn("the new health checks fail where the old ones pass: the old ones stay in use; correct the new ones", zap.String("reason", s.Reason))
				continue
			}
			x.current.Store(candidate)
			stop()
			stop, candidate, dismiss = dismiss, nil, func() {}
			x.tell(s)
		}
	}
}

// tell hands a status on; a reader who is late gets the newest.
func (x *Exchange) tell(s Status) {
	select {
	case <-x.updates:
	default:
	}
	x.updates <- s // there is room: nobody else sends
}
