package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hacluster/hacluster/internal/boottime"
	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/chaos/judge"
)

const (
	// roundTime is how long faults are made before the cluster may settle.
	roundTime = 40 * time.Second
	// atOnce is how many faults may be in force at a time.
	atOnce = 2
	// settleLimit bounds the wait for a cluster without faults to be steady: a foreign move is noticed at the next read, after
	// ObserveInterval (10 s), which may show the past (believed after 30 s); a claim that goes wrong is handed over after 10 s.
	settleLimit = time.Minute
	// longestGap is the longest time between the begins of two faults.
	longestGap = 4 * time.Second
)

// Tuning is how the agents of a chaos run differ from a default configuration: reads and snapshots are as frequent as may be.
func Tuning() lab.Tuning { return lab.Tuning{ObserveInterval: 10 * time.Second, SnapshotThreshold: 64} }

// DiskSize is what each node has for its data, in bytes: little, so that it can be full.
const DiskSize = 24 << 20

// Options say what to break, and for how long.
type Options struct {
	Seed uint64
	// Duration is for how long rounds are begun.
	Duration time.Duration
	// Only limits the kinds of faults; nil: all.
	Only []string
	// Reps, if not 0, replaces Duration: so many rounds of one fault each.
	Reps int
	// Dir is where the evidence goes: the lab's own directory.
	Dir string
	// Command is what a person types to repeat the run.
	Command string
	// Say is told one line for each thing that happens, by one goroutine at a time.
	Say func(string)
}

// run is a chaos run.
type run struct {
	opts    Options
	lab     *lab.Lab
	record  *recorder
	began   judge.Clock
	random  *rand.Rand
	plan    *plan
	keepers map[string]*keeper
	wires   wires
	weather weather
	booked  bookings
	sights  sights
	saying  sync.Mutex
	made    int // faults, for their numbers; those that found no target count
}

// Run breaks the lab and leaves the evidence in opts.Dir. An error means that there is no evidence to judge.
func Run(ctx context.Context, l *lab.Lab, opts Options) (err error) {
	kinds, err := chooseKinds(opts.Only)
	if err != nil {
		return err
	}
	record, err := newRecorder(opts.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, record.close()) }()
	source := rand.New(rand.NewPCG(opts.Seed, 0))
	r := &run{
		opts: opts, lab: l, record: record, random: source, plan: newPlan(kinds, source),
		keepers: make(map[string]*keeper), wires: wires{lab: l}, weather: weather{lab: l},
	}
	for _, n := range l.Nodes() {
		r.keepers[n.Name] = newKeeper(n, record, r.say)
	}
	r.say("waiting until the cluster is steady")
	if _, err := l.AwaitSteady(ctx, settleLimit); err != nil {
		return fmt.Errorf("wait for the cluster to be steady: %w", err)
	}
	r.began = clock()
	if _, err := r.lookAtAll(ctx); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	r.watch(ctx, group)
	group.Go(func() error {
		defer stop()
		return r.rounds(ctx)
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return r.writeRun()
}

// watch starts the keepers and the witnesses.
func (r *run) watch(ctx context.Context, group *errgroup.Group) {
	for _, n := range r.lab.Nodes() {
		group.Go(func() error { return r.keepers[n.Name].run(ctx) })
		group.Go(func() error { return r.sights.watch(ctx, n, r.record) })
	}
	group.Go(func() error { return watchStalls(ctx, r.record) })
}

// rounds makes rounds until the time is up, or the cluster does not settle.
func (r *run) rounds(ctx context.Context) error {
	for round := 1; ; round++ {
		if err := r.round(ctx, round); err != nil {
			return err
		}
		settled, err := r.settle(ctx, round)
		if err != nil || !settled || r.over(round) {
			return err
		}
	}
}

func (r *run) over(round int) bool {
	if r.opts.Reps > 0 {
		return round >= r.opts.Reps
	}
	return boottime.Now()-r.began.Boot >= r.opts.Duration
}

// round makes the faults of one round and waits until they are mended.
func (r *run) round(ctx context.Context, round int) error {
	if r.opts.Reps > 0 {
		return r.make(ctx, r.number(), r.plan.next(), true)
	}
	if reload := r.plan.kind(judge.KindReload); reload != nil {
		if err := r.make(ctx, r.number(), reload, true); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	end := boottime.Now() + roundTime
	for boottime.Now() < end && ctx.Err() == nil {
		number, kind := r.number(), r.plan.next()
		group.Go(func() error { return r.make(ctx, number, kind, false) }) // waits while atOnce are in force
		if err := pause(ctx, time.Duration(r.random.Int64N(int64(longestGap)))); err != nil {
			break
		}
	}
	return group.Wait()
}

func (r *run) number() int {
	r.made++
	return r.made
}

// settle waits until the cluster is steady, all nodes voting, and looks at each node.
func (r *run) settle(ctx context.Context, round int) (settled bool, err error) {
	s := judge.Settle{Round: round, Mended: boottime.Now()}
	problem := r.awaitVoters(ctx, settleLimit)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	s.Steady = boottime.Now()
	if problem != nil {
		s.Problem = strings.ReplaceAll(problem.Error(), "\n", ": ")
		r.say("round %d: NOT STEADY after %v: %s", round, settleLimit, s.Problem)
		return false, r.record.settle(s)
	}
	if s.Sightings, err = r.lookAtAll(ctx); err != nil {
		return false, err
	}
	r.say("round %d is over; steady after %.1f s: %s", round, (s.Steady - s.Mended).Seconds(), r.lab.Holder())
	return true, r.record.settle(s)
}

// awaitVoters waits until the lab is steady and every node votes.
func (r *run) awaitVoters(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		_, err := r.lab.AwaitSteady(ctx, limit)
		if err != nil {
			return err
		}
		if err = r.allVote(ctx); err == nil {
			return nil
		}
		if pause(ctx, lookEvery) != nil {
			return err
		}
	}
}

// lookAtAll looks at each node and returns the answers of those that gave one.
func (r *run) lookAtAll(ctx context.Context) ([]judge.Sighting, error) {
	var sightings []judge.Sighting
	for _, n := range r.lab.Nodes() {
		if s, err := look(ctx, n); err == nil {
			sightings = append(sightings, s)
			if err := r.sights.keep(s, r.record); err != nil {
				return nil, err
			}
		}
	}
	return sightings, nil
}

func (r *run) allVote(ctx context.Context) error {
	for _, n := range r.lab.Nodes() {
		s, err := look(ctx, n)
		if err != nil {
			return err
		}
		if s.Status.Phase != lab.PhaseRunning {
			return fmt.Errorf("%s: %s", n.Name, s.Status.Phase)
		}
	}
	return nil
}

func (r *run) writeRun() error {
	ended := clock()
	run := judge.Run{
		Seed: r.opts.Seed, Command: r.opts.Command, Began: r.began, Ended: ended,
		// The lab's agents run with these defaults of hacluster.
		Fencing: "balanced", EvidenceMaxAge: 400 * time.Millisecond,
	}
	for _, n := range r.lab.Nodes() {
		run.Nodes = append(run.Nodes, judge.Node{Name: n.Name, Address: n.Address.Addr().String(), Instance: n.Instance, ENI: n.ENI})
	}
	return writeJSON(filepath.Join(r.opts.Dir, judge.RunFile), run)
}

// say tells a line with the time since the beginning.
func (r *run) say(format string, args ...any) {
	at := time.Duration(0)
	if r.began.Boot != 0 {
		at = boottime.Now() - r.began.Boot
	}
	r.saying.Lock()
	defer r.saying.Unlock()
	r.opts.Say(fmt.Sprintf("+%02d:%04.1f %s", int(at.Minutes()), (at % time.Minute).Seconds(), fmt.Sprintf(format, args...)))
}

func clock() judge.Clock { return judge.Clock{Wall: time.Now().UnixNano(), Boot: boottime.Now()} }

// pause waits for d, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
