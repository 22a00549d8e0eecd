package controller

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/hacluster/hacluster/eip"
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

// show makes reads show the address there.
func (w *world) show(a eip.Address) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.address = a
}

// TestForeignMovesAreCounted: one for each move, however often it is read.
func TestForeignMovesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, calls := newWorld(), 0
		w.call = func(context.Context, eip.Permit) (eip.AssociationID, error) {
			calls++
			id := eip.AssociationID(fmt.Sprintf("x%d", calls))
			w.show(eip.Address{AssociationID: id, ENI: mine.ENI, PrivateIP: mine.PrivateIP})
			return id, nil
		}
		d, stop := start(t, w)
		w.lead(t, 2)
		for want := range uint64(3) {
			time.Sleep(10 * time.Minute) // bubble time: the address is read again and again
			synctest.Wait()
			if got := d.View(); got.ForeignMoves != want || got.State != Master {
				t.Errorf("%d foreign moves, state %s; want %d, Master", got.ForeignMoves, got.State, want)
			}
			w.show(eip.Address{AssociationID: "foreign", ENI: "eni-9"})
		}
		w.follow(3)
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
