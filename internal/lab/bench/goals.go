package bench

import (
	"fmt"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/lab/probe"
	"github.com/hacluster/hacluster/internal/lab/show"
)

// goal is one thing that hacluster must reach: at most limit, by the median (or the maximum, with every) of a metric, in
// milliseconds or times, or as a ratio to the median of another system in the same run.
type goal struct {
	cell
	system  string
	what    string
	metric  metric
	against string // empty: no ratio
	limit   float64
	every   bool
}

// slack is what the probe cannot tell from nothing: a request before and one after.
const slack = float64(2*probe.Every) / float64(time.Millisecond)

// goals returns all goals for the cells of a run.
func (r *Results) goals() []goal {
	calm := r.calmest()
	var all []goal
	for _, c := range r.cells() {
		add := func(system, what string, m metric, limit float64) *goal {
			all = append(all, goal{cell: c, system: system, what: what, metric: m, limit: limit})
			return &all[len(all)-1]
		}
		ratio := func(system string, limit float64, against string) {
			add(system, "client gap / "+against, gap, limit).against = against
		}
		every := func(system, what string, m metric, limit float64) { add(system, what, m, limit).every = true }
		switch c.fault {
		case "haproxy-kill":
			ratio(Fast, 1, Tuned)
			add(Fast, "first EC2 call, ms", firstCall, 10)
			every(Fast, "EC2 calls", calls, 1)
		case "haproxy-hang":
			ratio(Fast, 0.2, Tuned)
			ratio(Fast, 1, TunedWatch)
		case "node-death":
			nodeDeathGoals(c, calm, add, ratio)
		case "agent-kill", "partition", "agent-freeze":
			agentGoals(c, every)
		case "handover", "stop":
			noGap(Fast, every)
			every(Fast, "EC2 calls", calls, 1)
		case "haproxy-reload":
			noGap(Fast, every)
			every(Fast, "moves", moves, 0)
		case Idle:
			every(Default, "moves", moves, 0)
			every(Fast, "moves", moves, 1)
		}
	}
	return all
}

func nodeDeathGoals(c cell, calm string, add func(string, string, metric, float64) *goal, ratio func(string, float64, string)) {
	if c.latency > 0 {
		ratio(FastFencing, 1.05, Tuned)
		return
	}
	ratio(Fast, 1.2, Tuned)
	add(Fast, "first EC2 call, ms", firstCall, 50)
	add(Default, "client gap, ms", gap, 600)
	if calm != "" && calm != Tuned {
		ratio(Fast, 1, calm)
	}
}

// noGap has two sides: what clients saw, and what of it was not the moment of the move, which cuts the requests in flight,
// whoever makes it.
func noGap(system string, every func(string, string, metric, float64)) {
	every(system, "client gap, ms", gap, 0)
	every(system, "client gap, ms, but for requests in flight at the move", gapBesideCut, 0)
}

// agentGoals are those of the faults that HAProxy survives: the price is at most a disassociated moment of one round trip.
func agentGoals(c cell, every func(string, string, metric, float64)) {
	noGap(FastFencing, every)
	every(Fast, "client gap, ms (one EC2 round trip)", gap, c.latency+slack)
	every(Fast, "address with nobody, ms (one EC2 round trip)", nowhere, c.latency+slack)
	for _, system := range []string{Fast, FastFencing} {
		every(system, "moves", moves, 1)
		if c.fault == "agent-kill" {
			continue
		}
		every(system, "moments with two masters", tornWire, 0)
		every(system, "address with another than the master", wrong, 0)
		if c.fault == "agent-freeze" {
			every(system, "calls of the woken node", afterWake, 0)
		}
	}
}

// calmest returns the keepalived with the smallest interval that moved at most once in the idle row; the largest if none
// did, and nothing if there was no idle row.
func (r *Results) calmest() string {
	name := ""
	for _, s := range []string{Tuned, Tuned30, Tuned100} {
		for _, c := range r.cells() {
			if reps := r.of(c, s); c.fault == Idle && len(reps) > 0 {
				name = s
				if !slices.ContainsFunc(reps, func(rep Repetition) bool { return rep.Moves > 1 }) {
					return s
				}
			}
		}
	}
	return name
}

// verdict is how far a goal was reached.
type verdict struct {
	goal
	measured string
	kept     bool
}

// judge returns the verdicts on all goals that this run can judge.
func (r *Results) judge() []verdict {
	var verdicts []verdict
	for _, g := range r.goals() {
		own, ok := spread(r.of(g.cell, g.system), g.metric)
		if !ok {
			continue
		}
		v := verdict{goal: g}
		switch {
		case g.against != "":
			other, ok := spread(r.of(g.cell, g.against), g.metric)
			if !ok {
				continue
			}
			v.compare(own, other)
		case g.every:
			v.kept, v.measured = own.Max <= g.limit, own.String()
		default:
			v.kept, v.measured = own.Median <= g.limit, own.String()
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

func (v *verdict) compare(own, other show.Spread) {
	if other.Median == 0 {
		v.kept = own.Median == 0
		v.measured = fmt.Sprintf("%s against 0", show.Number(own.Median))
		return
	}
	ratio := own.Median / other.Median
	v.kept, v.measured = ratio <= v.limit, fmt.Sprintf("%.2f (%s / %s)", ratio, show.Number(own.Median), show.Number(other.Median))
}

func (v verdict) goalText() string {
	how := "median"
	if v.every {
		how = "every one"
	}
	if v.against != "" {
		return fmt.Sprintf("≤ %.3g", v.limit)
	}
	return fmt.Sprintf("≤ %s (%s)", show.Number(v.limit), how)
}
