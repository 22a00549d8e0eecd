package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hacluster/hacluster/internal/boottime"
	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/chaos/judge"
)

// buildTries is how often a kind may choose anew when its target is being worked on already.
const buildTries = 8

// act is one fault, chosen but not made.
type act struct {
	text  string
	node  string // the target, if there is one
	parts []judge.Part
	needs []string // what no other fault may work on meanwhile
	hold  time.Duration

	// storeLost: nothing is left of the node's store afterwards.
	storeLost bool
	begin     func(ctx context.Context) error
	mend      func(ctx context.Context) error // nil: it mends itself
}

// errNoFault says that a fault was not made because its target had gone.
var errNoFault = errors.New("the target is gone")

// make makes one fault, from choosing its target to mending.
func (r *run) make(ctx context.Context, number int, k *kind, alone bool) error {
	a := r.choose(k, newDice(r.opts.Seed, number))
	if a == nil {
		return nil // nothing suits: another time
	}
	defer r.booked.free(a.needs)
	f := judge.Fault{Seq: number, Kind: k.name, Text: a.text, Node: a.node, Parts: a.parts, Alone: alone, StoreLost: a.storeLost}
	r.say("%s %s", k.name, a.text)
	f.Asked = boottime.Now()
	err := a.begin(ctx)
	f.Began = boottime.Now()
	if errors.Is(err, errNoFault) {
		r.say("%s did not happen: %v", k.name, err)
		return nil
	}
	if err == nil {
		err = pause(ctx, a.hold)
	}
	f.Mending = boottime.Now()
	if a.mend != nil {
		err = errors.Join(err, a.mend(ctx))
	}
	f.Ended = boottime.Now()
	if err != nil {
		return fmt.Errorf("%s %s: %w", k.name, a.text, err)
	}
	return r.record.fault(f)
}

// choose builds a fault whose target is free, and books it.
func (r *run) choose(k *kind, d *dice) *act {
	for range buildTries {
		a := k.build(r, d)
		if a != nil && r.booked.book(a.needs) {
			return a
		}
	}
	return nil
}

// target chooses a node: often the holder, sometimes the leader, otherwise any.
func (r *run) target(d *dice) *lab.Node {
	name := ""
	switch n := d.IntN(100); {
	case n < 45:
		name = r.lab.Holder()
	case n < 60:
		name = r.sights.leader()
	}
	nodes := r.lab.Nodes()
	chosen := pick(d, nodes)
	for _, n := range nodes {
		if n.Name == name {
			chosen = n
		}
	}
	return chosen
}

// others returns all nodes but one.
func (r *run) others(n *lab.Node) []*lab.Node {
	var others []*lab.Node
	for _, other := range r.lab.Nodes() {
		if other != n {
			others = append(others, other)
		}
	}
	return others
}
