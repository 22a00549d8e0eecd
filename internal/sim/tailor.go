package sim

import (
	"math/rand/v2"
	"time"

	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/internal/sim/simnet"
)

// LateCalls is the scenario in which leaders are deposed with calls in flight, again and again, under strict fencing, while requests
// are held back or dropped and reads are stale.
const LateCalls = "late calls"

// SlowLogs is the scenario in which whoever wins an election hangs in its log, and somebody else is elected meanwhile.
const SlowLogs = "slow logs"

// ShortFreezes is the scenario in which the Master stands still for almost as long as its evidence is good and then hears nothing,
// while the others elect in haste.
const ShortFreezes = "short freezes"

// ForeignMoves is the scenario in which persons move the address, the nodes respect that, and whoever says so is deposed at that moment
// and again later.
const ForeignMoves = "foreign moves"

// LateAtomicCalls is LateCalls under the two settings that let one call take the address from whoever has it.
const LateAtomicCalls = "late atomic calls"

// Calm is the scenario without a reason for an election: one follower at a time does not hear the leader, or all followers stand still
// for a moment, and adverts are quick. It is judged by there being no election.
const Calm = "calm"

// LoneLeaders is the scenario in which leaders are cut off and Raft takes its time to depose them: what stops them is their evidence.
const LoneLeaders = "lone leaders"

// Outages is the scenario in which nobody reaches EC2 for a while, and later only one HAProxy is left.
const Outages = "outages"

// LostQuorums is the scenario in which a leader is cut off, somebody else is elected and calls EC2, and at that moment the disks of all
// but the first are lost for good: what the survivor does not know is in flight. Or a foreign move is respected when the disks are lost.
const LostQuorums = "lost quorums"

// FreedForLateCalls is the scenario in which a holder is deposed with a call in flight, and a person disassociates the address when its
// successor has it: what the late call finds is free. The nodes respect what persons do.
const FreedForLateCalls = "freed for late calls"

// scenarios are all of them.
func scenarios() []string {
	return []string{LateCalls, LateAtomicCalls, SlowLogs, ShortFreezes, LoneLeaders, ForeignMoves, FreedForLateCalls, Outages, LostQuorums, Calm}
}

// Tailor makes a schedule that leads towards one kind of accident, for protections whose absence shows only with luck otherwise.
// It panics at a scenario that it does not know.
func Tailor(scenario string, seed uint64) Schedule {
	s, r := drawOne(seed), rand.New(rand.NewPCG(seed, 4))
	s.Scenario, s.Nodes, s.Fencing, s.Broken, s.Patient = scenario, 3, fsm.Strict, 0, false
	switch scenario {
	case LateCalls:
		s.lateCalls(r)
	case SlowLogs:
		s.slowLogs(r)
	case ShortFreezes:
		s.shortFreezes(r)
	case LateAtomicCalls:
		s.lateCalls(r)
		s.Fencing = pick(r, weighted[fsm.Fencing]{1, fsm.Balanced}, weighted[fsm.Fencing]{1, fsm.Fast})
		s.Drift = pick(r, weighted[controller.DriftPolicy]{1, controller.Repair}, weighted[controller.DriftPolicy]{1, controller.Respect})
	case Calm:
		s.calm(r)
	case LoneLeaders:
		s.loneLeaders(r)
	case Outages:
		s.outages(r)
	case ForeignMoves:
		s.foreignMoves(r)
	case FreedForLateCalls:
		s.freedForLateCalls(r)
	case LostQuorums:
		s.lostQuorums(r)
	default:
		panic("no scenario is called " + scenario)
	}
	return s
}

// slowLogs has nothing but elections.
func (s *Schedule) slowLogs(r *rand.Rand) {
	s.Temper, s.LAN = s.Temper.calm(), simnet.Quality{Least: 100 * time.Microsecond, Most: time.Millisecond}
	s.Horizon, s.Steps = time.Minute, nil
	for at := time.Duration(0); at < s.Horizon; at += between(r, 4*time.Second, 6*time.Second) {
		s.Steps = append(s.Steps, Step{At: at, Aim: Leader, Kind: SlowLog, Dice: r.Uint64()})
	}
}

// shortFreezes has nothing but freezes of about D, and no adverts that could warn who thaws.
func (s *Schedule) shortFreezes(r *rand.Rand) {
	s.Pace, s.Temper = Hasty, s.Temper.calm()
	s.LAN, s.WAN = simnet.Quality{Least: 100 * time.Microsecond, Most: time.Millisecond}, simnet.Quality{Most: time.Millisecond}
	s.Horizon, s.Steps = time.Minute, nil
	for at := time.Duration(0); at < s.Horizon; at += between(r, time.Second, 2*time.Second) {
		s.Steps = append(s.Steps, Step{At: at, Aim: Leader, Kind: Freeze, For: between(r, 180*time.Millisecond, 300*time.Millisecond), Dice: r.Uint64()},
			Step{At: at, Aim: Leader, Kind: Isolate, For: 400 * time.Millisecond, Dice: r.Uint64()})
	}
}

// loneLeaders are cut off for longer than D and for less than Raft's lease, at any moment and when they call EC2.
func (s *Schedule) loneLeaders(r *rand.Rand) {
	s.Pace, s.Temper = Slow, s.Temper.calm()
	s.LAN, s.WAN = simnet.Quality{Least: 100 * time.Microsecond, Most: time.Millisecond}, simnet.Quality{Least: 100 * time.Millisecond, Most: 400 * time.Millisecond}
	s.Horizon, s.Steps = time.Minute, nil
	for at := time.Duration(0); at < s.Horizon; at += between(r, 2*time.Second, 4*time.Second) {
		cut := Step{At: at, Aim: Leader, Kind: Isolate, For: between(r, 400*time.Millisecond, 900*time.Millisecond), Dice: r.Uint64()}
		if r.IntN(2) == 0 {
			cut.On, cut.Aim = OnArrival, Acting
			s.Steps = append(s.Steps, Step{At: at, Aim: Leader, Kind: Transfer, Dice: r.Uint64()})
		}
		s.Steps = append(s.Steps, cut)
	}
}

// outages last until every node has noticed.
func (s *Schedule) outages(r *rand.Rand) {
	s.Temper, s.Broken = s.Temper.calm(), 2
	s.Horizon, s.Steps = 50*time.Second, nil
	for range 8 { // each hits one node, or all
		s.Steps = append(s.Steps, Step{At: time.Second, Aim: Anybody, Kind: Outage, For: 45 * time.Second, Dice: r.Uint64()})
	}
}

// calm stays below Raft's own timers, which need no adverts, and below D with a retransmission on top, or the leader would be silent.
func (s *Schedule) calm(r *rand.Rand) {
	s.Hints, s.Advert, s.Pace, s.Preempt = true, 10*time.Millisecond, Slow, false
	s.Temper, s.LAN = s.Temper.calm(), simnet.Quality{Least: 100 * time.Microsecond, Most: between(r, time.Millisecond, 5*time.Millisecond)}
	s.Horizon, s.Steps = 30*time.Second, nil
	for at := time.Second; at < s.Horizon; at += between(r, time.Second, 2*time.Second) {
		s.Steps = append(s.Steps, Step{At: at, Aim: Leader, Dice: r.Uint64(), For: between(r, 40*time.Millisecond, 60*time.Millisecond),
			Kind: pick(r, weighted[Kind]{1, Bridge}, weighted[Kind]{1, StealOthers})})
	}
}

// lostQuorums leaves the others their time to join the survivor again.
func (s *Schedule) lostQuorums(r *rand.Rand) {
	s.Fencing = pick(r, weighted[fsm.Fencing]{1, fsm.Strict}, weighted[fsm.Fencing]{1, fsm.Balanced}, weighted[fsm.Fencing]{2, fsm.Fast})
	s.Drift = pick(r, weighted[controller.DriftPolicy]{3, controller.Repair}, weighted[controller.DriftPolicy]{1, controller.Respect})
	s.Temper = Temper{Longest: 8 * time.Second}
	s.Guard = 2*s.Temper.Longest + 10*time.Second
	s.Horizon, s.Steps = 2*time.Minute, nil
	if s.Drift == controller.Respect {
		s.respectIsRecovered(r)
		return
	}
	s.Temper.Held = 0.8
	for at := time.Duration(0); at < s.Horizon; at += between(r, 25*time.Second, 35*time.Second) {
		s.Steps = append(s.Steps, Step{At: at, Aim: Holder, Kind: Isolate, For: between(r, 4*time.Second, 6*time.Second), Dice: r.Uint64()},
			Step{At: at, On: OnCall, Aim: Holder, Delay: between(r, 0, 20*time.Millisecond), Kind: LoseQuorum, For: between(r, time.Second, 6*time.Second),
				Dice: r.Uint64()})
	}
}

// respectIsRecovered has a person, a recovery when that is respected, and a hand-over when all have joined again.
func (s *Schedule) respectIsRecovered(r *rand.Rand) {
	for at := time.Duration(0); at < s.Horizon; at += time.Minute {
		s.Steps = append(s.Steps, Step{At: at, Kind: Person, Dice: r.Uint64()},
			Step{At: at + 25*time.Second, Aim: Leader, Kind: LoseQuorum, For: between(r, time.Second, 6*time.Second), Dice: r.Uint64()},
			Step{At: at + 45*time.Second, Aim: Leader, Kind: Die, For: between(r, time.Second, 6*time.Second), Dice: r.Uint64()})
	}
}

// foreignMoves has a person every half a minute, which is what it takes until a move is noticed.
func (s *Schedule) foreignMoves(r *rand.Rand) {
	s.Drift = controller.Respect
	s.Fencing = pick(r, weighted[fsm.Fencing]{1, fsm.Strict}, weighted[fsm.Fencing]{1, fsm.Balanced},
		weighted[fsm.Fencing]{1, fsm.Fast})
	// Reads may be so old that they show what was before the move, though it was noticed only after a quarter of a minute. Late calls of
	// the cluster look like a person's.
	s.Temper = pick(r, weighted[Temper]{1, Temper{}}, weighted[Temper]{1, Temper{Stale: 0.3}}, weighted[Temper]{1, Temper{Late: 0.4, Held: 0.4}})
	s.Temper.Longest = 30 * time.Second
	s.Guard = 2*s.Temper.Longest + 10*time.Second
	s.Horizon, s.Steps = 2*time.Minute, nil
	for at := time.Duration(0); at < s.Horizon; at += between(r, 25*time.Second, 35*time.Second) {
		s.Steps = append(s.Steps, Step{At: at, Kind: Person, Dice: r.Uint64()},
			Step{At: at, On: OnRelease, Delay: between(r, 0, 2*time.Millisecond), Aim: Leader, Kind: Crash, For: between(r, time.Second, 6*time.Second), Dice: r.Uint64()},
			Step{At: at + between(r, 15*time.Second, 25*time.Second), Aim: Leader, For: between(r, time.Second, 6*time.Second), Dice: r.Uint64(),
				Kind: pick(r, weighted[Kind]{1, Crash}, weighted[Kind]{1, Isolate}, weighted[Kind]{1, Freeze}, weighted[Kind]{1, Die})})
	}
}

// freedForLateCalls needs no atomic calls: any call succeeds where the address is free.
func (s *Schedule) freedForLateCalls(r *rand.Rand) {
	s.Drift = controller.Respect
	s.Temper = Temper{Held: 0.6, Longest: 20 * time.Second}
	s.Guard = 2*s.Temper.Longest + 10*time.Second
	s.Horizon, s.Steps = 2*time.Minute, nil
	for at := time.Duration(0); at < s.Horizon; at += between(r, 30*time.Second, 40*time.Second) {
		for i := range time.Duration(3) {
			s.Steps = append(s.Steps, Step{At: at + i*3*time.Second, Aim: Leader, Kind: Isolate, For: between(r, 2*time.Second, 3*time.Second), Dice: r.Uint64()})
		}
		s.Steps = append(s.Steps, Step{At: at + between(r, 8*time.Second, 12*time.Second), Aim: Holder, Kind: PersonFrees, Dice: r.Uint64()})
	}
}

// lateCalls replaces what happens by what makes calls late.
func (s *Schedule) lateCalls(r *rand.Rand) {
	s.Temper = Temper{Dropped: 0.4, Stale: 0.6, Held: 0.6, Longest: 8 * time.Second}
	s.Guard = 2*s.Temper.Longest + 10*time.Second
	s.Horizon, s.Steps = 30*time.Second, nil
	for at := time.Duration(0); at < s.Horizon; at += between(r, time.Second, 4*time.Second) {
		s.Steps = append(s.Steps, depose(r, at, AtOnce, Leader), depose(r, at, OnCall, Acting))
		if r.IntN(2) == 0 {
			s.Steps = append(s.Steps, depose(r, at, OnCall, Acting))
		}
	}
}

func depose(r *rand.Rand, at time.Duration, on Moment, aim Aim) Step {
	return Step{At: at, On: on, Delay: between(r, 0, 20*time.Millisecond), Aim: aim, For: between(r, 500*time.Millisecond, 3*time.Second), Dice: r.Uint64(),
		Kind: pick(r, weighted[Kind]{3, Isolate}, weighted[Kind]{2, Transfer}, weighted[Kind]{2, Crash}, weighted[Kind]{2, Freeze})}
}
