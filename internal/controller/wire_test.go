package controller

import (
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/vrrpwire"
)

var (
	addrB     = netip.MustParseAddr("10.0.0.2")
	addrC     = netip.MustParseAddr("10.0.0.3")
	addrAlien = netip.MustParseAddr("10.0.0.9")
)

// memory stands in for the wire's.
type memory struct{}

func (memory) Stats() vrrpwire.Stats { return vrrpwire.Stats{Sent: 3} }
func (memory) Senders() []vrrpwire.Sender {
	return []vrrpwire.Sender{{Address: addrB, Peer: true}, {Address: addrAlien}}
}

func wiredDriver(t *testing.T, leader fsm.NodeName) *Driver {
	t.Helper()
	cfg := testConfig()
	cfg.Configured = []fsm.Attributes{{Name: "node-b", VRRPAddress: addrB.String()}, {Name: "node-c", VRRPAddress: addrC.String()}}
	d := NewDriver(cfg, Ports{}, func() time.Duration { return time.Hour }, zap.NewNop())
	d.view.Store(&View{Leadership: Leadership{Leader: leader}})
	return d
}

// TestMayReign: it is the leader's turn; any node's while none is known; nobody else's ever.
func TestMayReign(t *testing.T) {
	tests := []struct {
		leader fsm.NodeName
		from   netip.Addr
		want   bool
	}{
		{"node-b", addrB, true},
		{"node-b", addrC, false},
		{"node-a", addrB, false}, // this node leads
		{"", addrB, true},
		{"", addrAlien, false},
		{"node-b", addrAlien, false},
	}
	for _, test := range tests {
		if got := wiredDriver(t, test.leader).MayReign(test.from); got != test.want {
			t.Errorf("leader %q: MayReign(%v) = %t", test.leader, test.from, got)
		}
	}
}

func TestTrafficNamesTheNodes(t *testing.T) {
	d := wiredDriver(t, "")
	if got := d.Traffic(); got != nil {
		t.Errorf("traffic without a wire: %+v", got)
	}
	d.SetMonitor(memory{})
	got := d.Traffic()
	if got.Stats.Sent != 3 || got.Now != time.Hour || len(got.Senders) != 2 || got.Senders[0].Node != "node-b" || got.Senders[1].Node != "" {
		t.Errorf("traffic %+v", got)
	}
}

// TestTheWireAsksWhileItIsRewired: who advertises from where is asked by the wire's goroutines, while the driver's takes in a new member.
func TestTheWireAsksWhileItIsRewired(t *testing.T) {
	d := wiredDriver(t, "")
	d.ports.EC2 = newWorld()
	now := fsm.New()
	now.Nodes["node-d"] = fsm.Node{Attributes: fsm.Attributes{Name: "node-d", VRRPAddress: addrAlien.String()}}
	began := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		d.MayReign(addrAlien)
		close(began)
		for !d.MayReign(addrAlien) { // until it is one of them
			runtime.Gosched()
		}
	})
	<-began
	if _, err := d.step(t.Context(), Committed{State: now}); err != nil {
		t.Error(err)
	}
	asking.Wait()
	_ = d.tasks.Wait() // none fails
}
