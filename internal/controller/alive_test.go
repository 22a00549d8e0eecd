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

// sleeper is an observer that does what none may do: it waits.
type sleeper struct{ wake chan struct{} }

func (s sleeper) Changed(Change) { <-s.wake }

// TestAlive: a loop that moves says so at once, however long nothing happens; one that is stuck in a step does not, nor does one that ended.
func TestAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stuck := newWorld(), sleeper{wake: make(chan struct{})}
		ports := Ports{Raft: w, Quorum: w, Peers: w, EC2: w, Health: w, Wire: w, Replica: w.replica, Observer: stuck}
		d, stop := run(NewDriver(testConfig(), ports, w.now, zap.NewNop()))
		alive := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			return d.Alive(ctx)
		}
		time.Sleep(time.Hour) // bubble time
		begin := time.Now()
		if err := alive(); err != nil || time.Since(begin) > 0 {
			t.Errorf("an idle loop: %v after %v", err, time.Since(begin))
		}
		w.follow(2)
		w.updates <- health.Status{Healthy: true}
		synctest.Wait() // Init to Backup, which the observer is told of
		if err := alive(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a loop that is stuck in a step: %v", err)
		}
		close(stuck.wake)
		if err := alive(); err != nil {
			t.Errorf("a loop that goes on: %v", err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := alive(); err == nil {
			t.Error("a loop that has ended is alive")
		}
	})
}
