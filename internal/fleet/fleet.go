package fleet

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hacluster/hacluster/fsm"
)

// What an AZ failure looks like from a cluster, and EC2 from a node.
const (
	electionFrom = 500 * time.Millisecond // docs/TIMING.md: one to three election time-outs
	electionTo   = 1500 * time.Millisecond
	latencyFrom  = 100 * time.Millisecond
	latencyTo    = 400 * time.Millisecond
	// giveUpAfter bounds a run: virtual time after the failure.
	giveUpAfter = 6 * time.Hour
)

// Retry says how long a core pauses after a call that EC2 refused: a variant of controller.Config.Jitter.
type Retry string

// The variants.
const (
	// Jittered is the product's: exponential with full jitter.
	Jittered Retry = "jittered"
	// Exponential has no jitter: always the whole pause.
	Exponential Retry = "exponential"
	// Fixed pauses 50 ms, however often it was refused.
	Fixed Retry = "fixed"
)

func (r Retry) pause(limit time.Duration, random *rand.Rand) time.Duration {
	switch r {
	case Exponential:
		return limit
	case Fixed:
		return min(limit, 50*time.Millisecond)
	default:
		return time.Duration(random.Int64N(int64(limit) + 1))
	}
}

// Scenario is one run. Zero fields of it have no meaning: start from [Default].
type Scenario struct {
	Clusters   int
	Candidates int     // of each cluster, one in each Availability Zone
	Share      float64 // of the clusters have their holder in the zone that fails
	Fencing    fsm.Fencing
	Retry      Retry
	Limits     Limits
	// ObserveInterval is the product's eip.observe_interval.
	ObserveInterval time.Duration
	// Steady is how long EC2 throttles before the zone fails.
	Steady time.Duration
	Seed   uint64
}

// Default returns the scenario of the product's defaults and EC2's documented limits.
func Default() Scenario {
	return Scenario{
		Clusters: 100, Candidates: 3, Share: 1.0 / 3, Fencing: fsm.Balanced, Retry: Jittered, Limits: DocumentedLimits(),
		ObserveInterval: time.Minute, Steady: 3 * time.Minute, Seed: 1,
	}
}

// Affected returns how many clusters lose their holder.
func (s Scenario) Affected() int { return int(float64(s.Clusters)*s.Share + 0.5) }

// Period is what EC2 and the logs saw in some time.
type Period struct {
	Length    time.Duration
	Reads     Tally
	Mutating  Tally
	Entries   int // Raft log entries, of all clusters
	Transfers int // of the leadership, within all clusters
}

// Result of a run.
type Result struct {
	Scenario Scenario
	Steady   Period
	// Failure lasts from the failure of the zone until the last Elastic IP is at a node that lives.
	Failure Period
	// Moved is how long after the failure each of them was, ascending.
	Moved []time.Duration
}

// Quantile returns the time after which that share of the Elastic IPs had moved; 0 if none had to.
func (r Result) Quantile(q float64) time.Duration {
	if len(r.Moved) == 0 {
		return 0
	}
	return r.Moved[min(len(r.Moved)-1, int(q*float64(len(r.Moved))))]
}

// Last returns when the last one had moved.
func (r Result) Last() time.Duration { return r.Quantile(1) }

// PerMove returns n divided by the number of Elastic IPs that moved.
func (r Result) PerMove(n int) float64 { return float64(n) / float64(max(1, len(r.Moved))) }

// fleet is a run under way.
type fleet struct {
	Scenario
	time      timeline
	random    *rand.Rand
	region    *region
	clusters  []*cluster
	awayCount int
	entries   int
	transfers int
	err       error
}

// Run plays the scenario: the clusters are there, EC2 throttles for a while, the zone fails.
func Run(s Scenario) (Result, error) {
	f, err := start(s)
	if err != nil {
		return Result{}, err
	}
	result := Result{Scenario: s, Steady: f.steady()}
	began := f.time.now
	f.failZone()
	f.time.runUntil(began+giveUpAfter, func() bool { return f.awayCount == 0 || f.err != nil })
	if f.err == nil && f.awayCount > 0 {
		f.err = fmt.Errorf("%d of %d addresses have not moved %v after the failure", f.awayCount, s.Affected(), giveUpAfter)
	}
	result.Failure = f.period(began)
	for _, c := range f.clusters[:s.Affected()] {
		result.Moved = append(result.Moved, c.movedAt-began)
	}
	slices.Sort(result.Moved)
	return result, f.err
}

// runSteady plays only what comes before the failure.
func runSteady(s Scenario) (Period, error) {
	f, err := start(s)
	if err != nil {
		return Period{}, err
	}
	return f.steady(), f.err
}

// start makes the clusters and lets each node make its first reads, at a time of its own and unthrottled: the clusters of an
// account were not all installed in the same minute.
func start(s Scenario) (*fleet, error) {
	if s.Clusters < 1 || s.Candidates < 2 || s.Share <= 0 || s.Share > 1 || s.ObserveInterval <= 0 {
		return nil, errors.New("scenario: needs clusters, two candidates in each, a share in (0, 1] and an observe interval")
	}
	f := &fleet{Scenario: s, random: rand.New(rand.NewPCG(s.Seed, 0)), region: newRegion(s.Limits)}
	for i := range s.Clusters {
		c, err := newCluster(f, i)
		if err != nil {
			return nil, err
		}
		f.clusters = append(f.clusters, c)
		for j, n := range c.nodes {
			at := f.between(0, s.ObserveInterval)
			if j > 0 {
				at += s.ObserveInterval // the leader is there when the others look for it
			}
			f.time.at(time.Second+at, n.boot)
		}
	}
	const settled = 5 * time.Second // the first claim, read back
	f.time.runUntil(time.Second+2*s.ObserveInterval+settled, nil)
	return f, f.err
}

// steady lets EC2 throttle, and time pass.
func (f *fleet) steady() Period {
	f.region.enforced = true
	f.entries, f.transfers = 0, 0
	began := f.time.now
	f.time.runUntil(began+f.Steady, func() bool { return f.err != nil })
	return f.period(began)
}

// period returns what was counted since began, and begins to count anew.
func (f *fleet) period(began time.Duration) Period {
	counted := f.region.restartTallies()
	p := Period{
		Length: f.time.now - began, Reads: counted[describe], Mutating: counted[associate].plus(counted[disassociate]),
		Entries: f.entries, Transfers: f.transfers,
	}
	f.entries, f.transfers = 0, 0
	return p
}

// failZone kills one node of each cluster: the holder in those that are affected, the last candidate elsewhere.
func (f *fleet) failZone() {
	f.awayCount = f.Affected()
	for i, c := range f.clusters {
		if i < f.Affected() {
			c.lose(c.nodes[0])
		} else {
			c.lose(c.nodes[len(c.nodes)-1])
		}
	}
}

// request makes one EC2 request: it arrives after half of its latency, and is answered after the other half.
func (f *fleet) request(a action, effect func() error, answer func(error)) {
	half := f.between(latencyFrom, latencyTo) / 2
	f.time.after(half, func() {
		err := f.region.admit(f.time.now, a)
		if err == nil {
			err = effect()
		}
		f.time.after(half, func() { answer(err) })
	})
}

func (f *fleet) between(from, to time.Duration) time.Duration {
	return from + time.Duration(f.random.Int64N(int64(to-from)))
}

// fail ends the run with its first error.
func (f *fleet) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}
