package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/chaos/judge"
	"github.com/hacluster/hacluster/internal/lab/vnet"
)

func networkKinds() []*kind {
	return []*kind{
		{name: "partition", weight: 3, build: buildPartition},
		{name: "partition-one-way", weight: 3, build: buildOneWay},
		{name: "partition-bridge", weight: 2, build: buildBridge},
		{name: "link-flap", weight: 2, build: buildLinkFlap},
	}
}

// wires are what is cut at present, by which fault. Safe for concurrent use.
type wires struct {
	lab  *lab.Lab
	mu   sync.Mutex
	cuts map[*act][]vnet.Path
}

// set replaces what one fault cuts.
func (w *wires) set(a *act, paths []vnet.Path) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cuts == nil {
		w.cuts = make(map[*act][]vnet.Path)
	}
	w.cuts[a] = paths
	var all []vnet.Path
	for _, cut := range w.cuts {
		all = append(all, cut...)
	}
	return w.lab.Sever(all)
}

// cut makes a fault that cuts paths for a while.
func (r *run) cut(text string, target *lab.Node, hold time.Duration, paths []vnet.Path) *act {
	a := &act{text: fmt.Sprintf("%s for %s", text, seconds(hold)), node: target.Name, hold: hold}
	for _, p := range paths {
		to := p.To
		if to == "" {
			to = judge.ToEC2
		}
		a.parts = append(a.parts, judge.Part{What: judge.PartPath, Node: p.From, To: to})
	}
	a.begin = func(context.Context) error { return r.wires.set(a, paths) }
	a.mend = func(context.Context) error { return r.wires.set(a, nil) }
	return a
}

func cutTime(d *dice) time.Duration { return d.between(200*time.Millisecond, 15*time.Second) }

// buildPartition cuts a minority, or a lonely node, off from the others.
func buildPartition(r *run, d *dice) *act {
	n := r.target(d)
	side := []*lab.Node{n}
	if others := r.others(n); len(others) > 2 && d.chance(50) {
		side = append(side, pick(d, others))
	}
	var paths []vnet.Path
	for _, a := range side {
		for _, b := range r.lab.Nodes() {
			if !slices.Contains(side, b) {
				paths = append(paths, vnet.Path{From: a.Name, To: b.Name}, vnet.Path{From: b.Name, To: a.Name})
			}
		}
	}
	return r.cut(names(side)+" | the others", n, cutTime(d), paths)
}

// buildOneWay lets a node hear but not be heard, or the other way round, by all others or by one of them.
func buildOneWay(r *run, d *dice) *act {
	n := r.target(d)
	others := r.others(n)
	if d.chance(40) {
		others = []*lab.Node{pick(d, others)}
	}
	mute := d.chance(50)
	var paths []vnet.Path
	for _, other := range others {
		if mute {
			paths = append(paths, vnet.Path{From: n.Name, To: other.Name})
		} else {
			paths = append(paths, vnet.Path{From: other.Name, To: n.Name})
		}
	}
	text := fmt.Sprintf("%s -> %s", names(others), n.Name)
	if mute {
		text = fmt.Sprintf("%s -> %s", n.Name, names(others))
	}
	return r.cut(text, n, cutTime(d), paths)
}

// buildBridge cuts two nodes off from one another; all others reach both.
func buildBridge(r *run, d *dice) *act {
	n := r.target(d)
	other := pick(d, r.others(n))
	return r.cut(fmt.Sprintf("%s | %s, the others see both", n.Name, other.Name), n, cutTime(d),
		[]vnet.Path{{From: n.Name, To: other.Name}, {From: other.Name, To: n.Name}})
}

func buildLinkFlap(r *run, d *dice) *act {
	n, hold := r.target(d), d.between(100*time.Millisecond, 4*time.Second)
	return &act{
		text: fmt.Sprintf("%s down for %s", n.Name, seconds(hold)), node: n.Name, hold: hold, needs: []string{"link of " + n.Name},
		parts: []judge.Part{{What: judge.PartLink, Node: n.Name}},
		begin: func(context.Context) error { return r.lab.Unplug(n.Name) },
		mend:  func(context.Context) error { return r.lab.Plug(n.Name) },
	}
}

func names(nodes []*lab.Node) string {
	var list []string
	for _, n := range nodes {
		list = append(list, n.Name)
	}
	return strings.Join(list, ",")
}
