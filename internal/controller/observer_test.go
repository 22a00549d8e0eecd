package controller

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/hacluster/hacluster/eip"
)

// diary notes what it is told, and what had been done on the wire by then.
type diary struct {
	world *world
	lines []string
}

func (d *diary) Changed(c Change) {
	d.world.mu.Lock()
	defer d.world.mu.Unlock()
	a := c.Addresses[0]
	d.lines = append(d.lines, fmt.Sprintf("%s to %s, term %d, %s at %q by %q; on the wire: %s",
		c.From, c.To, c.Term, a.PublicIP, a.Holder, a.Association, strings.Join(d.world.wire, ", ")))
}

// TestObserverIsToldLast: each change is told, in order, with what is known of the address, after all that clients wait for was done.
func TestObserverIsToldLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.address = eip.Address{PublicIP: netip.MustParseAddr("203.0.113.10")}
		w.call = func(_ context.Context, permit eip.Permit) (eip.AssociationID, error) { return "x1", permit() }
		told := &diary{world: w}
		ports := Ports{Raft: w, Quorum: w, Peers: w, EC2: w, Health: w, Wire: w, Replica: w.replica, Observer: told}
		d, stop := run(NewDriver(testConfig(), ports, w.now, zap.NewNop()))
		synctest.Wait() // the first read of the address is answered
		w.lead(t, 2)
		time.Sleep(contactEvery * 2) // bubble time: the peers are looked at
		synctest.Wait()
		if d.View().State != Master {
			t.Fatalf("state %s, want Master", d.View().State)
		}
		done := make(chan error)
		go func() { done <- stop() }()
		synctest.Wait()
		w.follow(3)
		if err := <-done; err != nil {
			t.Error(err)
		}
		want := []string{
			`Init to Backup, term 2, 203.0.113.10 at "" by ""; on the wire: `,
			`Backup to Master, term 2, 203.0.113.10 at "node-a" by "x1"; on the wire: reign`,
			`Master to Backup, term 2, 203.0.113.10 at "node-a" by "x1"; on the wire: reign, resign: agent stopping`,
		}
		if !slices.Equal(told.lines, want) {
			t.Errorf("told:\n%s\nwant:\n%s", strings.Join(told.lines, "\n"), strings.Join(want, "\n"))
		}
	})
}
