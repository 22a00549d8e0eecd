package fleet

import (
	"fmt"
	"time"

	"github.com/hacluster/hacluster/fsm"
)

const (
	// backoffsAt is the largest fleet in which the back-offs are compared; the ones that do not grow take long to simulate.
	backoffsAt = 1000
	// remediesAt is the largest fleet in which the remedies are compared.
	remediesAt = 1000
	// limitPeriod is how long no read may be refused for a fleet to be within the limit.
	limitPeriod = 10 * time.Minute
	limitStep   = 5
)

// Fencings returns the settings of eip.fencing that differ in a takeover: strict does the same calls as balanced there.
func Fencings() []fsm.Fencing { return []fsm.Fencing{fsm.Balanced, fsm.Fast} }

// Study is everything that docs/SCALE.md says.
type Study struct {
	Scenario  Scenario                 // what all runs have in common
	Takeovers map[fsm.Fencing][]Result // one for each size
	Backoffs  []Result                 // one for each Retry, at one size
	Remedies  []Remedy                 // at one size
	ReadLimit int                      // clusters: in the largest fleet in which no read was refused
}

// Remedy is something that an operator can do, and what came of it.
type Remedy struct {
	Name   string
	Result Result
}

// survey is a study under way.
type survey struct {
	base  Scenario
	sizes []int // in clusters, ascending
	say   func(string)
}

// Conduct makes all runs of the study; say is told of each that has ended. Sizes are in clusters, ascending.
func Conduct(base Scenario, sizes []int, say func(string)) (Study, error) {
	s := survey{base: base, sizes: sizes, say: say}
	study := Study{Scenario: base}
	var err error
	if study.Takeovers, err = s.takeovers(); err != nil {
		return study, err
	}
	if study.Backoffs, err = s.backoffs(); err != nil {
		return study, err
	}
	if study.Remedies, err = s.remedies(); err != nil {
		return study, err
	}
	study.ReadLimit, err = readLimit(base)
	say(fmt.Sprintf("no read is refused in steady state up to %d clusters", study.ReadLimit))
	return study, err
}

func (s survey) takeovers() (map[fsm.Fencing][]Result, error) {
	all := map[fsm.Fencing][]Result{}
	for _, fencing := range Fencings() {
		for _, size := range s.sizes {
			scenario := s.base
			scenario.Clusters, scenario.Fencing = size, fencing
			r, err := s.run(fmt.Sprintf("%d clusters, %s", size, fencing), scenario)
			if err != nil {
				return nil, err
			}
			all[fencing] = append(all[fencing], r)
		}
	}
	return all, nil
}

func (s survey) backoffs() ([]Result, error) {
	var all []Result
	for _, retry := range []Retry{Jittered, Exponential, Fixed} {
		scenario := s.base
		scenario.Clusters, scenario.Retry = atMost(backoffsAt, s.sizes), retry
		r, err := s.run(fmt.Sprintf("%d clusters, %s back-off", scenario.Clusters, retry), scenario)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func (s survey) remedies() ([]Remedy, error) {
	all := remediesOf(s.base, atMost(remediesAt, s.sizes))
	for i := range all {
		r, err := s.run(all[i].Name, all[i].Result.Scenario)
		if err != nil {
			return nil, err
		}
		all[i].Result = r
	}
	return all, nil
}

func (s survey) run(what string, scenario Scenario) (Result, error) {
	began := time.Now()
	r, err := Run(scenario)
	if err != nil {
		return r, fmt.Errorf("simulate %s: %w", what, err)
	}
	s.say(fmt.Sprintf("%-32s %4d EIPs move: half after %s, the last after %s (simulated in %v)",
		what, len(r.Moved), short(r.Quantile(0.5)), short(r.Last()), time.Since(began).Round(time.Millisecond)))
	return r, nil
}

// atMost returns the largest of sizes that is not above limit, or the smallest.
func atMost(limit int, sizes []int) int {
	best := sizes[0]
	for _, size := range sizes {
		if size <= limit {
			best = max(best, size)
		}
	}
	return best
}

// remediesOf returns the remedies with the scenarios to run.
func remediesOf(base Scenario, clusters int) []Remedy {
	base.Clusters = clusters
	raised, slow, split := base, base, base
	raised.Limits = base.Limits.Times(3)
	slow.ObserveInterval = 5 * base.ObserveInterval
	split.Clusters = (clusters + 2) / 3
	return []Remedy{
		{"as it is", Result{Scenario: base}},
		{"quotas of three times", Result{Scenario: raised}},
		{"observe_interval " + short(slow.ObserveInterval), Result{Scenario: slow}},
		{"three accounts", Result{Scenario: split}},
	}
}

// readLimit returns the largest fleet in which EC2 refuses no read while nothing happens, in clusters.
func readLimit(base Scenario) (int, error) {
	base.Steady = limitPeriod
	fits, exceeds := 0, 2*base.readsAllow()
	for exceeds-fits > limitStep {
		base.Clusters = (fits + exceeds) / 2
		p, err := runSteady(base)
		if err != nil {
			return 0, fmt.Errorf("look for the limit of reads: %w", err)
		}
		if p.Reads.Throttled == 0 {
			fits = base.Clusters
		} else {
			exceeds = base.Clusters
		}
	}
	return fits, nil
}

// readsAllow returns how many clusters the refill of DescribeAddresses feeds, by arithmetic.
func (s Scenario) readsAllow() int {
	return int(float64(s.Limits.Describe.Refill) * s.ObserveInterval.Seconds() / float64(s.Candidates))
}

// readsWanted returns how many reads a second all candidates make while nothing happens and none is refused.
func (s Scenario) readsWanted() float64 {
	return float64(s.Clusters*s.Candidates) / s.ObserveInterval.Seconds()
}

// Floor returns how long the bucket of AssociateAddress alone makes the last Elastic IP wait.
func (s Scenario) Floor() time.Duration {
	waiting := max(0, s.Affected()-s.Limits.Associate.Size)
	return time.Duration(waiting) * time.Second / time.Duration(s.Limits.Associate.Refill)
}
