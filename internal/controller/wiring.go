package controller

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/hacluster/hacluster/fsm"
)

// Wiring says who is who on the wire.
type Wiring struct {
	// Senders are the nodes by the address that they advertise from.
	Senders map[netip.Addr]fsm.NodeName
	// Peers are the addresses that adverts go to, sorted.
	Peers []netip.Addr
}

func (w Wiring) equal(other Wiring) bool {
	return maps.Equal(w.Senders, other.Senders) && slices.Equal(w.Peers, other.Peers)
}

// considerWiring makes the wire follow the members.
func (c *Core) considerWiring() {
	if now := c.wiring(); !now.equal(c.members.wired) {
		c.members.wired = now
		c.emit(Rewire{Wiring: now})
	}
}

func (c *Core) wiring() Wiring {
	w := Wiring{Senders: map[netip.Addr]fsm.NodeName{}}
	nodes := c.directory()
	// Of two with one address that the cluster has agreed on counts: the other is in the configuration file and has not come.
	slices.SortStableFunc(nodes, func(a, b fsm.Attributes) int { return cmp.Compare(c.agreedRank(a.Name), c.agreedRank(b.Name)) })
	for _, n := range nodes {
		address, err := netip.ParseAddr(n.VRRPAddress)
		if _, taken := w.Senders[address]; err != nil || !address.Is4() || taken {
			continue // a node that has not said it, or what the wire would refuse, with all of the list
		}
		w.Senders[address] = n.Name
		// A witness listens for the sake of hints alone.
		if n.Name != c.self() && (!n.Witness || c.cfg.Hints) {
			w.Peers = append(w.Peers, address)
		}
	}
	slices.SortFunc(w.Peers, netip.Addr.Compare)
	return w
}

// agreedRank is 0 for a node that the state knows, 1 for one that is configured only.
func (c *Core) agreedRank(name fsm.NodeName) int {
	_, member := c.committed.Nodes[name]
	_, admitted := c.committed.Admitted[name]
	if member || admitted {
		return 0
	}
	return 1
}

// directory returns every node that belongs to the cluster, sorted by name: those of the configuration file, as far as the cluster has not
// agreed on something newer about them.
func (c *Core) directory() []fsm.Attributes {
	known := map[fsm.NodeName]fsm.Attributes{}
	for _, n := range c.cfg.Configured {
		known[n.Name] = n
	}
	for name, n := range c.committed.Nodes {
		// One that runs an older build does not say where it advertises.
		n.VRRPAddress = cmp.Or(n.VRRPAddress, known[name].VRRPAddress)
		known[name] = n.Attributes
	}
	maps.Copy(known, c.committed.Admitted)
	maps.DeleteFunc(known, func(name fsm.NodeName, _ fsm.Attributes) bool { return c.removed(name) })
	return slices.SortedFunc(maps.Values(known), func(a, b fsm.Attributes) int { return cmp.Compare(a.Name, b.Name) })
}
