package main

import (
	"context"
	"errors"
	"sync/atomic"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/internal/sdnotify"
)

// service is this process as systemd sees it. It may run one agent after another (runDiscovered), of which systemd must not be told: a
// service that has said once that it ends is killed after TimeoutStopSec, whatever it says by then.
type service struct {
	manager *sdnotify.Manager
	agent   atomic.Pointer[watched] // nil: none runs
}

// watched is an agent that the watchdog asks about.
type watched struct {
	ctx    context.Context // ends with the agent
	driver *controller.Driver
}

func newService(log *zap.Logger) (*service, error) {
	manager, err := sdnotify.FromEnvironment(log)
	if err != nil {
		return nil, err
	}
	return &service{manager: manager}, nil
}

// run runs agents, and tells the watchdog meanwhile that they are alive.
func (s *service) run(ctx context.Context, agents func(context.Context) error) error {
	watching, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var g errgroup.Group
	g.Go(func() error { return s.manager.Watch(watching, s.alive) })
	err := agents(ctx)
	end()
	return errors.Join(err, g.Wait())
}

// watch has the watchdog ask about a driver until the returned function is called.
func (s *service) watch(d *controller.Driver) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	s.agent.Store(&watched{ctx, d})
	return func() {
		s.agent.Store(nil)
		cancel()
	}
}

// alive returns an error if an agent runs and its driver does not move. Between two agents there is nothing that could be stuck for long:
// what is looked up and tried before the second one has time limits of its own.
func (s *service) alive(ctx context.Context) error {
	a := s.agent.Load()
	if a == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.ctx, cancel)()
	if err := a.driver.Alive(ctx); a.ctx.Err() == nil {
		return err
	}
	return nil
}
