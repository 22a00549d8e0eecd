package controller

import (
	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
)

// View is what the node knows, for people: the driver publishes one after each step.
type View struct {
	State      State
	Leadership Leadership
	Healthy    bool
	Health     string // reason
	EC2        bool
	ClaimStep  string       // what a leader is doing
	Read       *eip.Address // newest read of the address
	Reachable  []fsm.NodeName
	Hints      HintCounts
	Committed  fsm.State
}

// View returns the newest one; it must not be changed.
func (d *Driver) View() *View { return d.view.Load() }

func (d *Driver) publish() {
	c := d.core
	d.view.Store(&View{
		State: c.state, Leadership: c.lead,
		Healthy: c.health.Healthy, Health: c.health.Reason,
		EC2: c.watch.reached, ClaimStep: string(c.claim.step), Read: c.watch.last,
		Hints:     c.hint.counts,
		Reachable: c.placement.reachable, Committed: c.committed,
	})
}
