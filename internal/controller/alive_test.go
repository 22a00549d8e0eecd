package controller

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/hacluster/hacluster/health"
)

// obstacle is an observer that does what it must not: it waits.
type obstacle struct{ reached, removed chan struct{} }

func (o obstacle) Changed(Change) {
	select {
	case o.reached <- struct{}{}:
	case <-o.removed:
	}
	<-o.removed
}

// TestAliveMeansThatTheLoopTurns: while its goroutine is stuck, nobody may be told that the agent lives.
func TestAliveMeansThatTheLoopTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		o := obstacle{reached: make(chan struct{}), removed: make(chan struct{})}
		d := NewDriver(testConfig(), Ports{Raft: w, Quorum: w, Peers: w, EC2: w, Health: w, Wire: w, Replica: w.replica, Observer: o}, w.now, zap.NewNop())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		within := func() error {
			short, end := context.WithTimeout(ctx, 10*time.Second)
			defer end()
			return d.Alive(short)
		}
		if err := within(); err != nil {
			t.Errorf("a loop that turns: %v", err)
		}
		w.members(t, 1)
		w.follow(1)
		w.updates <- health.Status{Healthy: true, Reason: "all checks pass"}
		<-o.reached
		if err := within(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a loop that is stuck: %v", err)
		}
		close(o.removed)
		if err := within(); err != nil {
			t.Errorf("a loop that turns again: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
