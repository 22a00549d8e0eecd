package chaos

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/chaos/judge"
	"github.com/hacluster/hacluster/internal/lab/vnet"
)

func cloudKinds() []*kind {
	disturb := func(name string, weight int, faults func(*dice) []ec2fake.Fault) *kind {
		return &kind{name: name, weight: weight, build: func(r *run, d *dice) *act { return r.disturb(d, faults(d)) }}
	}
	return []*kind{
		disturb("ec2-slow", 2, func(d *dice) []ec2fake.Fault {
			return one(ec2fake.Fault{Kind: pick(d, []ec2fake.Kind{ec2fake.Latency, ec2fake.AnswerDelay}), Delay: delay(d, 300*time.Millisecond, 5*time.Second)})
		}),
		disturb("ec2-throttled", 1, func(*dice) []ec2fake.Fault { return one(ec2fake.Fault{Kind: ec2fake.Throttle}) }),
		disturb("ec2-error-before", 1, func(*dice) []ec2fake.Fault { return one(ec2fake.Fault{Kind: ec2fake.ErrorBefore}) }),
		disturb("ec2-error-after", 1, func(*dice) []ec2fake.Fault { return one(ec2fake.Fault{Kind: ec2fake.ErrorAfter}) }),
		disturb("ec2-lost-answer", 1, func(*dice) []ec2fake.Fault { return one(ec2fake.Fault{Kind: ec2fake.LostAnswer}) }),
		disturb("ec2-late-effect", 2, lateEffects),
		disturb("ec2-stale-read", 1, func(d *dice) []ec2fake.Fault {
			return one(ec2fake.Fault{Kind: ec2fake.StaleRead, Delay: delay(d, time.Second, 10*time.Second)})
		}),
		disturb("ec2-credentials", 1, func(*dice) []ec2fake.Fault {
			return one(ec2fake.Fault{Kind: ec2fake.ErrorBefore, Code: "ExpiredToken", Status: http.StatusBadRequest})
		}),
		{name: "ec2-unreachable", weight: 2, build: buildUnreachable},
		{name: "person-move", weight: 2, build: buildPersonMove},
		{name: "person-free", weight: 1, build: buildPersonFree},
	}
}

func one(f ec2fake.Fault) []ec2fake.Fault { return []ec2fake.Fault{f} }

func delay(d *dice, low, high time.Duration) ec2fake.Duration {
	return ec2fake.Duration(d.between(low, high))
}

// lateEffects lets changes happen long after their callers have gone. Reads work, so that the callers go on.
func lateEffects(d *dice) []ec2fake.Fault {
	late := delay(d, 500*time.Millisecond, 8*time.Second)
	var faults []ec2fake.Fault
	for _, action := range []string{"AssociateAddress", "DisassociateAddress"} {
		faults = append(faults, ec2fake.Fault{Kind: ec2fake.LateEffect, Action: action, Delay: late, Count: 1 + d.IntN(3)})
	}
	return faults
}

// weather is what is wrong with EC2 at present, by which fault. Safe for concurrent use.
type weather struct {
	lab    *lab.Lab
	mu     sync.Mutex
	faults map[*act][]ec2fake.Fault
}

// set replaces what one fault does to EC2.
func (w *weather) set(a *act, faults []ec2fake.Fault) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.faults == nil {
		w.faults = make(map[*act][]ec2fake.Fault)
	}
	w.faults[a] = faults
	var all []ec2fake.Fault
	for _, some := range w.faults {
		all = append(all, some...)
	}
	return w.lab.DisturbEC2(all)
}

// disturb makes EC2 misbehave for a while, towards one node or towards all. It is over when the last effect has landed.
func (r *run) disturb(d *dice, faults []ec2fake.Fault) *act {
	hold := d.between(time.Second, 10*time.Second)
	a := &act{hold: hold, text: "for all"}
	part := judge.Part{What: judge.PartEC2}
	if d.chance(50) {
		n := r.target(d)
		a.node, a.text, part.Node = n.Name, "for "+n.Name, n.Name
		for i := range faults {
			faults[i].Caller = n.Instance
		}
	}
	if delay := time.Duration(faults[0].Delay); delay > 0 {
		a.text += " by " + seconds(delay)
	}
	a.text += ", " + seconds(hold)
	a.parts = []judge.Part{part}
	a.begin = func(context.Context) error { return r.weather.set(a, faults) }
	a.mend = func(ctx context.Context) error {
		if err := r.weather.set(a, nil); err != nil {
			return err
		}
		return pause(ctx, time.Duration(faults[0].Delay))
	}
	return a
}

// buildUnreachable lets packets to EC2 vanish, from one node or from all.
func buildUnreachable(r *run, d *dice) *act {
	target, nodes := r.target(d), r.lab.Nodes()
	if d.chance(60) {
		nodes = []*lab.Node{target}
	}
	var paths []vnet.Path
	for _, n := range nodes {
		paths = append(paths, lab.EC2Path(n.Name))
	}
	return r.cut("from "+names(nodes), target, cutTime(d), paths)
}

// buildPersonMove is somebody at the command line who thinks that the address belongs elsewhere.
func buildPersonMove(r *run, d *dice) *act {
	n := pick(d, r.lab.Nodes())
	return &act{text: "to " + n.Name, node: n.Name, needs: []string{"person"}, begin: func(ctx context.Context) error {
		return r.byHand(r.lab.MoveByHand(ctx, n.Name))
	}}
}

func buildPersonFree(r *run, _ *dice) *act {
	return &act{text: "to nobody", needs: []string{"person"}, begin: func(ctx context.Context) error {
		return r.byHand(r.lab.FreeByHand(ctx))
	}}
}

// byHand forgives what a person's command suffers from other faults.
func (r *run) byHand(err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", errNoFault, err)
	}
	return nil
}
