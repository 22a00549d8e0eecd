package sim

import (
	"errors"
	"fmt"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/internal/sim/judge"
	"github.com/hacluster/hacluster/internal/sim/simnet"
)

// backWithin is how long an operator takes for hacluster recover and the survivor's start.
const backWithin = time.Second

// loseQuorum loses every disk but the target's at once. An operator recovers the target, whatever it has missed, and the others join it again,
// empty. That is the recovery which docs/RECOVERY.md allows: no old store is left that could go on as the old cluster.
func (f *fault) loseQuorum() bool {
	synctest.Wait()
	survivor := f.target.running()
	if survivor == nil || survivor.raft.Status().LastIndex == 0 || !f.mayLoseQuorum() {
		return false
	}
	f.say(f.target.name)
	f.target.crash(simnet.Ending{Silent: f.dice.IntN(2) == 0, Lost: true}, kept, backWithin)
	for _, n := range f.nodes {
		if n == f.target {
			continue
		}
		disk := storeLost
		if f.dice.IntN(2) == 0 {
			disk = allLost
		}
		if !n.crash(simnet.Ending{Silent: true, Lost: true}, disk, f.For/2+time.Duration(f.dice.Int64N(int64(f.For)))) {
			n.loseDisk(disk)
		}
	}
	f.target.wiped = false // it is the only voter
	if err := f.goOnAlone(survivor); err != nil {
		f.accuse("I8", "%s cannot be recovered: %v", f.target.name, err)
	}
	return true
}

// mayLoseQuorum: the operator has finished what concerns the members, and no process is in the middle of its start, which takes no time.
func (f *fault) mayLoseQuorum() bool {
	for _, n := range f.nodes {
		if n.removed || n.life.Load() != nil && n.running() == nil {
			return false
		}
	}
	return true
}

// goOnAlone is what hacluster recover does, in the order of cmd/hacluster, with a survivor that nobody answers.
func (f *fault) goOnAlone(survivor *life) (err error) {
	cfg := survivor.electionConfig(nil, survivor.replica)
	cfg.DataDir, cfg.Directory = f.target.disk, nil
	r, err := election.OpenRecovery(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	store := &storeReader{Replica: controller.NewReplica(), read: judge.Survivor{Server: survivor.server}}
	if err := r.Replay(store); err != nil {
		return err
	}
	if err := r.Object(nil); err != nil {
		f.trace.add(f.target.name, "the operator is told: %v", err) // it is the only voter, and just goes on
		return nil
	}
	now, reason := time.Now().UnixMilli(), fmt.Sprintf("the quorum of %v was lost", r.Voters())
	change := func(s *fsm.State) { s.Recover(fsm.NodeName(f.target.name), f.schedule.addresses(), now, reason) }
	state := store.State()
	change(&state)
	snapshot, err := state.Snapshot()
	if err != nil {
		return err
	}
	if _, err := r.Commit(snapshot); err != nil {
		return err
	}
	f.recovered(store.read, change)
	f.endUpgrade()
	f.makeUpFor(state)
	return nil
}

// recovered tells the judge, and counts.
func (w *World) recovered(s judge.Survivor, change func(*fsm.State)) {
	lost, revived := w.judge.Recovered(s, change)
	w.trace.add("log", "%s goes on alone: %d entries that were committed are lost, %d that were not count from now on", s.Server, lost, revived)
	w.coverage.add("recoveries: all")
	if lost > 0 {
		w.coverage.add("recoveries: committed entries were lost")
	}
	if revived > 0 {
		w.coverage.add("recoveries: entries that were never committed count")
	}
	w.seen.forget()
}

// endUpgrade installs the newest build everywhere: a recovery raises the level, and a new member of an older build waits to be upgraded.
func (w *World) endUpgrade() {
	for _, n := range w.nodes {
		n.build, n.upgraded = fsm.Newest, true
	}
}

// makeUpFor repeats what the operator had said of the members and is lost: nobody is removed or, in the end, drained.
func (w *World) makeUpFor(s fsm.State) {
	for _, n := range w.nodes {
		name := fsm.NodeName(n.name)
		if _, removed := s.Removed[name]; removed {
			w.command(nil, func(o fsm.Origin) fsm.Command { return fsm.AdmitNode{Origin: o, Node: n.attributes()} })
		}
		if s.Nodes[name].Drained {
			w.command(nil, func(o fsm.Origin) fsm.Command { return fsm.SetDrain{Origin: o, Node: name} })
		}
	}
}

// storeReader takes down what the product reads in a survivor's store.
type storeReader struct {
	*controller.Replica
	read judge.Survivor
}

// Restore implements election.StateMachine.
func (s *storeReader) Restore(snapshot []byte) error {
	s.read.Snapshot = snapshot
	return s.Replica.Restore(snapshot)
}

// Apply implements election.StateMachine.
func (s *storeReader) Apply(term, index uint64, command []byte) any {
	s.read.Entries = append(s.read.Entries, judge.Entry{Index: index, Term: term, Command: command})
	return s.Replica.Apply(term, index, command)
}
