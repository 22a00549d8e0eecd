package controller

import (
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/vrrpwire"
)

// Monitor is what the wire remembers of what it sent and heard.
type Monitor interface {
	Stats() vrrpwire.Stats
	Senders() []vrrpwire.Sender
}

// Traffic is what went over the wire, for people.
type Traffic struct {
	Stats   vrrpwire.Stats
	Senders []Sender
	Now     time.Duration // CLOCK_BOOTTIME, as in the senders' times
}

// Sender is who was heard, with the name of the node that has the address; empty: none has.
type Sender struct {
	vrrpwire.Sender
	Node fsm.NodeName
}

// Peering is how the wire is told whom it talks to.
type Peering interface {
	SetPeers(peers []netip.Addr) error
}

// SetPeering gives the driver the wire whose peers follow the members. Before Run.
func (d *Driver) SetPeering(p Peering) { d.ports.Peering = p }

// senders are the nodes by the address that they advertise from.
func (d *Driver) senders() map[netip.Addr]fsm.NodeName { return d.wiring.Load().Senders }

func (d *Driver) rewire(w Wiring) {
	d.wiring.Store(&w)
	if d.ports.Peering == nil {
		return
	}
	if err := d.ports.Peering.SetPeers(w.Peers); err != nil {
		d.log.Error("the wire goes on with the peers that it had", zap.Error(err))
	}
}

// SetMonitor gives the driver the memory of its wire, for Traffic. Before Run.
func (d *Driver) SetMonitor(m Monitor) { d.ports.Monitor = m }

// Traffic returns what went over the wire so far; nil on a node without one. It waits for an advert that is being sent.
func (d *Driver) Traffic() *Traffic {
	m := d.ports.Monitor
	if m == nil {
		return nil
	}
	t := &Traffic{Stats: m.Stats(), Now: d.clock()}
	for _, s := range m.Senders() {
		t.Senders = append(t.Senders, Sender{Sender: s, Node: d.senders()[s.Address]})
	}
	return t
}

// MayReign says whether it may be the turn of the node at this address to advertise: the leader's, or any node's while none is known
// here. It is for the wire's reports; nothing is decided by it.
func (d *Driver) MayReign(from netip.Addr) bool {
	node, known := d.senders()[from]
	leader := d.view.Load().Leadership.Leader
	return known && (leader == "" || node == leader)
}
