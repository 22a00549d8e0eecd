package sim

import (
	"slices"
	"time"

	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/internal/sim/judge"
	"github.com/hacluster/hacluster/internal/sim/simnet"
)

// Result is what came of a run.
type Result struct {
	Schedule   Schedule
	Violations []judge.Violation
	Coverage   *Coverage
	Trace      string
}

const (
	// formWithin bounds the time until the first node is Master.
	formWithin = 60 * time.Second
	// settleMargin is how long the cluster has beside what guards and late calls take, and lookEvery how often it is looked at.
	settleMargin = 60 * time.Second
	lookEvery    = 500 * time.Millisecond
	// steadyFor is how long all must be well.
	steadyFor = 3 * time.Second
)

// Run carries a schedule out. It must be called in a bubble, and returns when everything in it has ended. dir holds the disks.
func Run(s Schedule, dir string) (Result, error) {
	w, err := newWorld(s, dir)
	if err != nil {
		return Result{}, err
	}
	w.form()
	if len(w.violations()) == 0 {
		w.torment()
		w.settle()
	}
	w.coverage.simulated = w.elapsed()
	w.coverage.add("schedules: all")
	if s.Several > 0 {
		w.coverage.add("schedules: with several addresses")
	}
	violations := w.violations()
	if err := w.end(); err != nil {
		return Result{}, err
	}
	return Result{Schedule: s, Violations: violations, Coverage: w.coverage, Trace: w.trace.String()}, nil
}

// form lets the cluster come up in peace.
func (w *World) form() {
	w.peace()
	for _, n := range w.nodes {
		n.start()
	}
	for !w.converged() {
		w.director.run(w.elapsed() + lookEvery)
		if w.elapsed() > formWithin {
			w.accuse("I6", "no node has become Master within %v of the first start", formWithin)
			return
		}
	}
	w.formed.Store(true)
	w.trace.add("world", "formed: %d nodes, fencing %s, drift %s, guard %v, longest call %v", len(w.nodes), w.schedule.Fencing, w.schedule.Drift, w.schedule.Guard, w.schedule.Temper.Longest)
}

// peace is EC2 and the network at their best: with 7 nodes, timers of 60 ms and one message in twenty sent again after 200 ms,
// no leader lasts.
func (w *World) peace() {
	lan := w.schedule.LAN
	lan.Loss = 0
	w.setLAN(lan)
	w.cloud.setTemper(w.schedule.Temper.calm())
	w.setWAN(simnet.Quality{Least: 500 * time.Microsecond, Most: 2 * time.Millisecond})
}

// torment carries out the steps.
func (w *World) torment() {
	start := w.elapsed()
	w.cloud.setTemper(w.schedule.Temper)
	w.setLAN(w.schedule.LAN)
	w.setWAN(w.schedule.WAN)
	for _, s := range w.schedule.Steps {
		w.director.at(start+s.At, func() {
			if s.On == AtOnce {
				w.take(s, nil)
				return
			}
			w.director.arm(armed{on: s.On, delay: s.Delay, do: func(acting *node) { w.take(s, acting) }})
		})
	}
	w.director.run(start + w.schedule.Horizon)
}

// settle ends all faults and gives the cluster its time.
func (w *World) settle() {
	w.trace.add("world", "all faults end")
	w.director.endFaults()
	w.director.run(w.elapsed())
	w.peace()
	for _, n := range w.nodes[:w.schedule.Broken] {
		w.trace.add(n.name, "HAProxy stays dead")
		n.haproxy.set(false, "haproxy master process exited")
	}
	limit := w.elapsed() + w.schedule.Guard + 2*w.schedule.Temper.Longest + settleMargin
	patience := w.elapsed() + w.schedule.Guard + 2*w.schedule.Temper.Longest
	var since time.Duration
	for w.elapsed() < limit {
		w.director.run(w.elapsed() + lookEvery)
		switch {
		case !w.converged() || !w.cloud.quiet():
			since = 0
		case since == 0:
			since = w.elapsed()
		case w.elapsed()-since >= steadyFor && (!w.schedule.Patient || w.elapsed() >= patience):
			limit = 0
		}
	}
	w.judge.Settled(w.final())
}

// final is what the world sees of the end. When all faults are over every node reaches EC2 and every drain has been undone, so a node
// can serve if its HAProxy is healthy; whether the cluster knows that is what is judged.
func (w *World) final() judge.Final {
	f := judge.Final{Actual: map[fsm.AllocationID]judge.Place{}, Healthy: map[string]bool{}, States: map[string]fsm.State{}, NoCandidate: true}
	if n, _ := w.newest(); n != nil {
		f.Leader = n.name
	}
	for _, actual := range w.cloud.actual() {
		place := judge.Place{Association: actual.AssociationID}
		if n := w.owner(actual.ENI); n != nil {
			place.Node = n.name
		}
		f.Actual[fsm.AllocationID(actual.AllocationID)] = place
	}
	for _, n := range w.nodes {
		l := n.running()
		if l == nil {
			continue
		}
		f.States[n.name], f.Healthy[n.name] = l.replica.State(), n.haproxy.healthy()
		f.NoCandidate = f.NoCandidate && !n.haproxy.healthy()
		if l.ready.Load() && l.driver.View().State == controller.Master {
			f.Masters = append(f.Masters, n.name)
		}
	}
	return f
}

// leftToAPerson reports whether the nodes respect what the last person did to an address.
func (w *World) leftToAPerson(id fsm.AllocationID, agreed fsm.Address, actual string) bool {
	foreign := string(agreed.Foreign)
	return w.schedule.Drift == controller.Respect && foreign != "" && foreign == actual && w.cloud.madeByPerson(id, actual)
}

// converged is the world's own look at what the judge will be asked at the end.
func (w *World) converged() bool {
	f := w.final()
	if f.Leader == "" || len(f.States) < len(w.nodes) {
		return false
	}
	left, ids := 0, w.schedule.addresses()
	for _, id := range ids {
		agreed, actual := f.States[f.Leader].Addresses[id], f.Actual[id]
		switch {
		case w.leftToAPerson(id, agreed, actual.Association):
			left++
		case f.NoCandidate || !f.Healthy[f.Leader]:
			return false // all are well in the end
		case actual.Node != f.Leader || string(agreed.Association) != actual.Association || !agreed.HeldBy(fsm.NodeName(f.Leader)):
			return false
		}
	}
	if left == len(ids) || left > 0 && !w.schedule.MasterOfAny {
		return len(f.Masters) == 0
	}
	return slices.Equal(f.Masters, []string{f.Leader})
}
