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
	Addresses  []AddressView
	Hints      HintCounts
	// ForeignMoves counts how often this node, as the holder, found an address moved by somebody else.
	ForeignMoves uint64
	Committed    fsm.State
	Moments      []Moment // oldest first, at most 128
}

// Ready reports whether the node knows a leader and can do its part: its HAProxy is healthy, or it is a witness, which has none.
func (v *View) Ready(witness bool) bool {
	return v.Leadership.Leader != "" && (v.Healthy || witness) && v.State != Init
}

// AddressView is what the node knows of one address, beside what is committed.
type AddressView struct {
	ID   fsm.AllocationID
	Step string       // what a leader is doing about it
	Read *eip.Address // newest read; nil: none yet
}

// View returns the newest one; it must not be changed.
func (d *Driver) View() *View { return d.view.Load() }

func (d *Driver) publish() {
	c := d.core
	addresses := make([]AddressView, len(c.charges))
	for i, a := range c.charges {
		addresses[i] = AddressView{ID: a.id, Step: string(a.claim.step), Read: a.sight.last}
	}
	d.view.Store(&View{
		State: c.state, Leadership: c.lead,
		Healthy: c.health.Healthy, Health: c.health.Reason,
		EC2: c.watch.reached, Addresses: addresses,
		Hints: c.hint.counts, ForeignMoves: c.watch.foreignMoves,
		Committed: c.committed, Moments: d.journal.moments,
	})
}
