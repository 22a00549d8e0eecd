package controller

import (
	"net/netip"

	"github.com/hacluster/hacluster/fsm"
)

// Change is a change of the node's state, with what the node knew of the addresses by then.
type Change struct {
	Transition
	Addresses []Whereabouts // in the order of the configuration
}

// Whereabouts are what a node knows of one address.
type Whereabouts struct {
	PublicIP    netip.Addr        // as EC2 showed it last; invalid if this node has never read it
	Holder      fsm.NodeName      // of the last association that was confirmed
	Association fsm.AssociationID // likewise
}

// Observer is told of each change of state, in order, by the goroutine that owns the core. It must not wait for anything.
type Observer interface{ Changed(Change) }

// tell comes last in a step, when all that clients wait for has been done.
func (d *Driver) tell(actions []Action) {
	for _, a := range actions {
		if t, ok := a.(Transition); ok && d.ports.Observer != nil {
			d.ports.Observer.Changed(d.change(t))
		}
	}
}

func (d *Driver) change(t Transition) Change {
	c := Change{Transition: t}
	for _, a := range d.core.charges {
		agreed := a.address()
		known := Whereabouts{Holder: agreed.Holder, Association: agreed.Association}
		if read := a.sight.last; read != nil {
			known.PublicIP = read.PublicIP
		}
		c.Addresses = append(c.Addresses, known)
	}
	return c
}
