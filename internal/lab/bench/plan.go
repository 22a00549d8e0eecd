package bench

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
)

// Idle is the name of the row in which nothing happens, on a machine whose cores are all busy.
const Idle = "idle"

const (
	// partitionTime is more than the classic recipe needs to notice.
	partitionTime = 6 * time.Second
	// watchTime bounds how long a system may take to move the address; the same for all.
	watchTime = 10 * time.Second
)

// row is one fault: who takes part, and what is expected.
type row struct {
	fault   lab.Fault
	systems []string
	// more systems take part at the first EC2 latency only.
	more []string
	// moves: the address should move. Without, there is nothing to wait for.
	moves bool
	// slow: also measured at other EC2 latencies than the first.
	slow bool
	// twice: has twice the repetitions.
	twice bool
}

// rows returns all rows, in the order of the report.
func rows() []row {
	three := []string{Default, Fast, Tuned, Classic}
	four := []string{Default, Fast, FastFencing, Tuned, Classic}
	of := func(name string, systems []string) row {
		return row{fault: mustFault(name), systems: systems, moves: true}
	}
	slow := func(r row) row { r.slow = true; return r }
	partition := of("partition", four)
	partition.fault.Hold = partitionTime
	nodeDeath := of("node-death", four)
	nodeDeath.more = []string{Tuned30, Tuned100}
	reload := of("haproxy-reload", three)
	reload.moves, reload.twice = false, true
	return []row{
		slow(of("haproxy-kill", three)),
		of("haproxy-hang", append(slices.Clone(three), TunedWatch)),
		slow(nodeDeath),
		slow(of("agent-kill", four)),
		partition,
		slow(of("handover", three)),
		slow(of("stop", three)),
		of("agent-freeze", four),
		reload,
		{fault: lab.Fault{Name: Idle}, systems: []string{Default, Fast, Tuned, Tuned30, Tuned100, TunedRT}},
	}
}

// mustFault returns a fault of the lab that this program knows to exist.
func mustFault(name string) lab.Fault {
	faults, err := lab.FindFaults(name)
	if err != nil {
		panic(err)
	}
	return faults[0]
}

// step is one repetition to run.
type step struct {
	row
	system  System
	latency time.Duration
	number  int // of the repetition, from 1
}

// measuredBy reports whether r is what this step measured.
func (s step) measuredBy(r Repetition) bool {
	return r.Fault == s.fault.Name && r.System == s.system.Name() && r.Latency == milliseconds(s.latency) && r.Number == s.number && r.NotSteady == ""
}

func (s step) String() string {
	return fmt.Sprintf("%s, %s, EC2 %s, repetition %d", s.fault.Name, s.system.Name(), s.latency, s.number)
}

// chooseRows returns the rows with these names; no names: all.
func chooseRows(names []string) ([]row, error) {
	all := rows()
	var known []string
	for _, r := range all {
		known = append(known, r.fault.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("unknown fault %q: choose some of %s", name, strings.Join(known, ","))
		}
	}
	if len(names) == 0 {
		return all, nil
	}
	return slices.DeleteFunc(all, func(r row) bool { return !slices.Contains(names, r.fault.Name) }), nil
}

// plan orders the repetitions: all first ones, then all second ones, and so on; the idle row, which takes minutes, at the
// end. Within a fault the systems take turns at being first; the seed decides the order of faults and who begins.
func plan(rows []row, systems []System, latencies []time.Duration, repetitions int, seed uint64) []step {
	random := rand.New(rand.NewPCG(seed, seed))
	var steps, idle []step
	turn := random.IntN(len(systems))
	for number := 1; number <= 2*repetitions; number++ {
		for _, i := range random.Perm(len(rows)) {
			r := rows[i]
			if number > repetitions && !r.twice || number > 1 && r.fault.Name == Idle {
				continue
			}
			for l, latency := range latencies {
				if l > 0 && !r.slow {
					continue
				}
				names := r.systems
				if l == 0 {
					names = append(slices.Clone(names), r.more...)
				}
				for _, s := range rotated(taking(systems, names), turn) {
					one := step{row: r, system: s, latency: latency, number: number}
					if r.fault.Name == Idle {
						idle = append(idle, one)
					} else {
						steps = append(steps, one)
					}
				}
				turn++
			}
		}
	}
	return append(steps, idle...)
}

// taking returns the systems with these names.
func taking(systems []System, names []string) []System {
	var found []System
	for _, s := range systems {
		if slices.Contains(names, s.Name()) {
			found = append(found, s)
		}
	}
	return found
}

func rotated(systems []System, by int) []System {
	if len(systems) == 0 {
		return nil
	}
	by %= len(systems)
	return append(slices.Clone(systems[by:]), systems[:by]...)
}
