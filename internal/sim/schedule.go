package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/internal/sim/simnet"
)

// Schedule is one run: a cluster, a temper of its surroundings, and what is done to it when.
type Schedule struct {
	Seed     uint64
	Scenario string // "" = drawn at random

	Nodes int
	// Several is how many addresses there are beside the first.
	Several int
	Settings

	LAN    simnet.Quality // between the nodes
	WAN    simnet.Quality // between a node and EC2
	Temper Temper

	Horizon time.Duration // of the faults, from the first Master on
	Steps   []Step
	// Broken is how many HAProxies are still dead when all other faults have ended.
	Broken int
	// Upgrade begins with some nodes of an older build. Restarts change builds, back too, until the state refuses that.
	Upgrade bool
	// Patient waits after the faults until every guard has ended, even if all is well before.
	Patient bool
}

// Settings are what the nodes are configured with, the same on all.
type Settings struct {
	Fencing     fsm.Fencing
	Drift       controller.DriftPolicy
	MasterOfAny bool // of several addresses
	Preempt     bool
	// Snapshots makes Raft compact its log after so few entries that lagging and returning nodes are sent snapshots.
	Snapshots bool
	// Hints let adverts that stay away start an election. Advert is the interval between adverts.
	Hints  bool
	Advert time.Duration
	Pace   Pace
	// Guard is controller.Timing.Guard. Requests older than Guard less what EC2 may still take over them are refused by EC2, as
	// those with an old signature are.
	Guard time.Duration
}

// Pace is how quick Raft's timers are.
type Pace string

// The paces.
const (
	Usual Pace = ""
	// Quick is the profile fast, with a short D.
	Quick Pace = "quick"
	// Hasty is as quick as the configuration allows beside the default D: a new leader is elected while the old one's evidence is
	// still good.
	Hasty Pace = "hasty"
	// Slow leaves it to the adverts to notice anything.
	Slow Pace = "slow"
)

// Temper is how EC2 behaves: shares of the calls that something happens to, and how long that may take.
type Temper struct {
	Slow, Late, LostAnswer, Dropped, ErrorBefore, ErrorAfter, Throttled, Stale float64
	// Longest bounds the latency of a slow call, the delay of a late effect, and the time that a request may be held on its way.
	Longest time.Duration
	// Held is the share of mutating requests that are held on their way to EC2.
	Held float64
}

// Kind is what a Step does.
type Kind string

// The kinds of steps.
const (
	Crash       Kind = "crash"       // kill -9 and a restart
	PowerCut    Kind = "power cut"   // the machine falls silent, and boots again
	CrashAll    Kind = "crash all"   // every node at once
	LoseStore   Kind = "lose store"  // crash; the store is gone, its marker is not
	LoseDisk    Kind = "lose disk"   // crash; the machine is replaced
	LoseQuorum  Kind = "lose quorum" // all disks but one are lost for good; that node is recovered, and goes on alone
	Freeze      Kind = "freeze"      // the machine stands still
	Steal       Kind = "stolen CPU"  // all machines stand still, and what is sent to them meanwhile is lost
	StealOthers Kind = "stolen CPU at all others"
	Stall       Kind = "stall"         // the driver stands still at one of its next calls to the outside
	Isolate     Kind = "isolate"       // cut off from all other nodes
	Partition   Kind = "partition"     // a minority cut off
	OneWay      Kind = "one-way cut"   // what one node sends does not reach another, or any
	Bridge      Kind = "bridge"        // two nodes do not see each other, all others see both
	SlowLink    Kind = "slow links"    // a node's messages take long and get lost
	Reset       Kind = "resets"        // a node's streams break
	Die         Kind = "haproxy dies"  // noticed at once
	Hang        Kind = "haproxy hangs" // noticed within a second
	Flap        Kind = "haproxy flaps"
	Outage      Kind = "EC2 outage"        // for one node or all
	DeafEC2     Kind = "EC2 answers lost"  // requests arrive, answers do not
	BadEC2      Kind = "EC2 misbehaves"    // every call is slow, late, lost or refused
	Person      Kind = "person associates" // the address goes to some network interface
	PersonFrees Kind = "person disassociates"
	Drain       Kind = "drain"
	Transfer    Kind = "transfer"
	SlowLog     Kind = "transfer, and who is elected hangs in its log"
	Remove      Kind = "remove node"  // it is admitted again
	Stop        Kind = "orderly stop" // and a restart
)

// Aim says which node a step hits.
type Aim string

// The aims.
const (
	Leader  Aim = "leader"   // the newest leader
	Holder  Aim = "holder"   // who has the address at EC2
	Other   Aim = "follower" // anybody but the leader
	Anybody Aim = "anybody"
	Acting  Aim = "acting" // the node whose doing set the step off
)

// Moment is what a step waits for beside its time.
type Moment string

// The moments.
const (
	AtOnce     Moment = ""
	OnElection Moment = "a node is elected"
	OnClaim    Moment = "a claim is granted"
	OnCall     Moment = "a call passes its final check"
	OnArrival  Moment = "a call arrives at EC2"
	OnChange   Moment = "a call changes the association"
	OnRelease  Moment = "a claim is released"
)

// Step is one thing that is done to the cluster.
type Step struct {
	At    time.Duration // from the first Master on; armed then, if it waits for a moment
	On    Moment
	Delay time.Duration // after the moment
	Kind  Kind
	Aim   Aim
	For   time.Duration // until it is over
	Dice  uint64        // decides what the kind leaves open
}

// addresses are the cluster's Elastic IPs.
func (s Schedule) addresses() []fsm.AllocationID {
	ids := make([]fsm.AllocationID, 1+s.Several)
	for i := range ids {
		ids[i] = fsm.AllocationID(fmt.Sprintf("eipalloc-0%x", 10+i))
	}
	return ids
}

// Draw makes the schedule of a seed.
func Draw(seed uint64) Schedule {
	s := drawOne(seed)
	r := rand.New(rand.NewPCG(seed, 5)) // of its own, so that the rest of a schedule does not depend on it
	if r.IntN(5) == 0 {
		s.Several, s.MasterOfAny = 1+r.IntN(4), r.IntN(3) == 0
	}
	return s
}

func drawOne(seed uint64) Schedule {
	r := rand.New(rand.NewPCG(seed, 1))
	s := Schedule{
		Seed:  seed,
		Nodes: pick(r, weighted[int]{6, 3}, weighted[int]{2, 5}, weighted[int]{1, 7}),
		Settings: Settings{
			Fencing: pick(r, weighted[fsm.Fencing]{2, fsm.Strict}, weighted[fsm.Fencing]{2, fsm.Balanced}, weighted[fsm.Fencing]{1, fsm.Fast}),
			Drift:   pick(r, weighted[controller.DriftPolicy]{5, controller.Repair}, weighted[controller.DriftPolicy]{1, controller.Respect}),
			Preempt: r.IntN(4) == 0, Snapshots: r.IntN(3) == 0, Pace: pick(r, weighted[Pace]{2, Usual}, weighted[Pace]{1, Hasty}, weighted[Pace]{1, Quick}),
			Hints: r.IntN(5) > 0, Advert: pick(r, weighted[time.Duration]{3, 100 * time.Millisecond}, weighted[time.Duration]{1, 10 * time.Millisecond}),
		},
		Patient: r.IntN(12) == 0, Broken: max(0, r.IntN(6)-4),
		LAN: simnet.Quality{Least: 100 * time.Microsecond, Most: between(r, 200*time.Microsecond, 5*time.Millisecond)},
		WAN: simnet.Quality{Least: 500 * time.Microsecond, Most: pick(r, weighted[time.Duration]{3, 5 * time.Millisecond},
			weighted[time.Duration]{2, 100 * time.Millisecond}, weighted[time.Duration]{1, 800 * time.Millisecond})},
		Horizon: between(r, 10*time.Second, 60*time.Second),
		Upgrade: rand.New(rand.NewPCG(seed, 2)).IntN(4) == 0,
	}
	if r.IntN(4) == 0 {
		s.LAN.Loss = r.Float64() * 0.05
	}
	if r.IntN(5) == 0 {
		s.lateCalls(r)
		return s
	}
	s.Temper = drawTemper(r)
	s.Guard = 2*s.Temper.Longest + between(r, 10*time.Second, 20*time.Second)
	if r.IntN(60) == 0 {
		s.Guard = controller.DefaultTiming().Guard // as in production
	}
	for at := time.Duration(0); at < s.Horizon; at += between(r, 50*time.Millisecond, 3*time.Second) {
		s.Steps = append(s.Steps, drawStep(r, at))
		if r.IntN(4) == 0 { // two at a time
			s.Steps = append(s.Steps, drawStep(r, at))
		}
	}
	return s
}

func drawTemper(r *rand.Rand) Temper {
	t := Temper{Longest: pick(r, weighted[time.Duration]{4, 3 * time.Second}, weighted[time.Duration]{3, 8 * time.Second}, weighted[time.Duration]{1, 30 * time.Second})}
	restless := r.IntN(3) == 0 // calls come late, answers get lost
	for _, share := range []*float64{&t.Slow, &t.Late, &t.LostAnswer, &t.Dropped, &t.ErrorBefore, &t.ErrorAfter, &t.Throttled, &t.Stale, &t.Held} {
		switch r.IntN(3) {
		case 0:
		case 1:
			*share = r.Float64() * 0.1
		default:
			*share = r.Float64() * 0.4
		}
	}
	if restless {
		for _, share := range []*float64{&t.Slow, &t.Late, &t.LostAnswer, &t.Held} {
			*share = 0.2 + r.Float64()*0.4
		}
	}
	return t
}

func drawStep(r *rand.Rand, at time.Duration) Step {
	step := Step{At: at, Kind: pick(r, kinds()...), Aim: Leader, Dice: r.Uint64()}
	step.For = pick(r, weighted[time.Duration]{3, between(r, 10*time.Millisecond, time.Second)},
		weighted[time.Duration]{4, between(r, time.Second, 6*time.Second)},
		weighted[time.Duration]{1, between(r, 6*time.Second, 20*time.Second)})
	step.Aim = pick(r, weighted[Aim]{5, Leader}, weighted[Aim]{2, Holder}, weighted[Aim]{2, Other}, weighted[Aim]{1, Anybody})
	if r.IntN(2) == 0 {
		step.On = pick(r, weighted[Moment]{1, OnElection}, weighted[Moment]{3, OnClaim}, weighted[Moment]{4, OnCall},
			weighted[Moment]{3, OnArrival}, weighted[Moment]{2, OnChange}, weighted[Moment]{1, OnRelease})
		step.Delay = pick(r, weighted[time.Duration]{2, 0}, weighted[time.Duration]{3, between(r, 0, 5*time.Millisecond)},
			weighted[time.Duration]{2, between(r, 0, 200*time.Millisecond)})
		step.Aim = pick(r, weighted[Aim]{6, Acting}, weighted[Aim]{1, Leader}, weighted[Aim]{1, Other})
	}
	return step
}

// kinds weighs the mix: what makes leaders lose their leadership with calls in flight comes first.
func kinds() []weighted[Kind] {
	return []weighted[Kind]{
		{8, Crash}, {3, PowerCut}, {1, CrashAll}, {1, LoseStore}, {1, LoseDisk}, {1, LoseQuorum},
		{10, Freeze}, {2, Steal}, {2, StealOthers}, {8, Stall}, {8, Isolate}, {4, Partition}, {6, OneWay}, {3, Bridge}, {3, SlowLink}, {3, Reset},
		{4, Die}, {2, Hang}, {1, Flap}, {3, Outage}, {3, DeafEC2}, {4, BadEC2}, {3, Person}, {1, PersonFrees},
		{2, Drain}, {5, Transfer}, {1, Remove}, {3, Stop},
	}
}

// weighted is a choice and its weight.
type weighted[T any] struct {
	weight int
	choice T
}

func pick[T any](r *rand.Rand, from ...weighted[T]) T {
	total := 0
	for _, w := range from {
		total += w.weight
	}
	n := r.IntN(total)
	for _, w := range from {
		if n -= w.weight; n < 0 {
			return w.choice
		}
	}
	panic("unreachable: the weights add up")
}

// between draws a duration from [least, most).
func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)))
}
