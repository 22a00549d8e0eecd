package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
)

// repetitions of each fault. One could be luck; the medians of ten are for `hacluster-lab run`.
const repetitions = 2

// expectation is what is required of the repetitions of a fault.
type expectation struct {
	never   requirement   // what not one repetition may show, beside converges and oneVoice; nil = nothing more
	usually []requirement // what one repetition may miss, as a busy machine adds faults of its own; that one is repeated
}

// The whole program, built and run as a user runs it: three agents, real HAProxy, real Raft, every fault.
//
// The limits on time are far above the medians of docs/LAB.md. They tell the quick ways from the slow: what waits for Raft's
// timers takes longer than heartbeat.
func TestFaults(t *testing.T) {
	sandboxtest.Need(t)
	const heartbeat = time.Second // raft.heartbeat_timeout, the shortest time to an election
	expected := map[string]expectation{
		"haproxy-kill":   {usually: []requirement{movesOnce, firstCallWithin(heartbeat)}},
		"haproxy-hang":   {usually: []requirement{movesOnce, noticedWithin(3 * time.Second)}},
		"node-death":     {usually: []requirement{movesOnce, gapWithin(10 * time.Second)}},
		"agent-kill":     {usually: []requirement{movesAtMostOnce, gapWithin(heartbeat)}},
		"agent-freeze":   {usually: []requirement{movesAtMostOnce, gapWithin(heartbeat)}, never: callsAfterWaking},
		"partition":      {usually: []requirement{movesAtMostOnce, gapWithin(heartbeat)}, never: callsWhileAlone},
		"handover":       {usually: []requirement{movesOnce, nobodyRefused}},
		"stop":           {usually: []requirement{movesOnce, nobodyRefused}},
		"haproxy-reload": {usually: []requirement{staysPut, nobodyRefused}},
	}
	opts := Options{Hacluster: sandboxtest.Build(t), Dir: filepath.Join(sandboxtest.MemoryDir(t), "lab")}
	err := Run(t.Context(), opts, func(ctx context.Context, l *Lab) error {
		unusual := map[string]int{}
		for pass := range repetitions + 1 {
			for _, fault := range Faults() {
				if pass == repetitions && unusual[fault.Name] != 1 {
					continue
				}
				r, e, err := l.Experiment(ctx, fault, silent{})
				if err != nil {
					return err
				}
				t.Run(fault.Name, func(t *testing.T) {
					if problem := expected[fault.Name].check(t, r, e); problem != nil {
						unusual[fault.Name]++
						t.Logf("not as usual: %v", problem)
						tellEvidence(t, r, e)
					}
					if unusual[fault.Name] > 1 {
						t.Error("not as usual for the second time")
					}
				})
			}
		}
		return nil
	})
	if err != nil {
		tellLogs(t, opts.Dir)
		t.Fatal(err)
	}
}

// check fails the test where a repetition shows what must never be, and returns what was not as usual.
func (x expectation) check(t *testing.T, r Repetition, e Evidence) error {
	for _, require := range []requirement{converges, oneVoice, x.never} {
		if require == nil {
			continue
		}
		if err := require(r, e); err != nil {
			t.Error(err)
			tellEvidence(t, r, e)
		}
	}
	var problems []error
	for _, require := range x.usually {
		problems = append(problems, require(r, e))
	}
	return errors.Join(problems...)
}

func tellEvidence(t *testing.T, r Repetition, e Evidence) {
	t.Helper()
	t.Logf("measured: %+v", r)
	for _, event := range e.Events() {
		t.Logf("%+8.3f s %s", event.Time.Sub(e.Injected).Seconds(), event.Text)
	}
}

// tellLogs shows the end of the agents' logs, which are gone after the test.
func tellLogs(t *testing.T, dir string) {
	t.Helper()
	for _, name := range NodeNames() {
		log, err := os.ReadFile(filepath.Join(dir, name, agent+".log"))
		if err != nil {
			t.Log(err)
			continue
		}
		t.Logf("the end of the log of %s:\n%s", name, log[max(0, len(log)-4000):])
	}
}

// silent is an Observer that says nothing.
type silent struct{}

func (silent) Before(Fault, string, uint64)      {}
func (silent) Injected(Fault, string, time.Time) {}
func (silent) Released(Fault, string, time.Time) {}
func (silent) After(Repetition)                  {}

// requirement is something that must hold for a repetition.
type requirement func(Repetition, Evidence) error

// converges is I6: afterwards the address is with the healthy leader and clients are served.
func converges(r Repetition, _ Evidence) error {
	if r.Problem != "" || r.HolderAfter != r.LeaderAfter {
		return fmt.Errorf("I6: address with %q, leader %q: %s", r.HolderAfter, r.LeaderAfter, r.Problem)
	}
	return nil
}

// oneVoice is I3. A switch that saw no advert at all would prove nothing.
func oneVoice(r Repetition, _ Evidence) error {
	if r.OverlappingReigns != 0 || r.Adverts == 0 {
		return fmt.Errorf("I3: %d overlapping reigns in %d adverts", r.OverlappingReigns, r.Adverts)
	}
	return nil
}

func movesOnce(r Repetition, _ Evidence) error {
	if r.Moves != 1 || r.HolderAfter == r.HolderBefore {
		return fmt.Errorf("%d moves, from %s to %s", r.Moves, r.HolderBefore, r.HolderAfter)
	}
	return nil
}

func movesAtMostOnce(r Repetition, _ Evidence) error {
	if r.Moves > 1 {
		return fmt.Errorf("%d moves", r.Moves)
	}
	return nil
}

// staysPut is I5.
func staysPut(r Repetition, _ Evidence) error {
	if r.Moves != 0 || r.Mutating != 0 {
		return fmt.Errorf("I5: %d moves, %d calls", r.Moves, r.Mutating)
	}
	return nil
}

func nobodyRefused(r Repetition, _ Evidence) error {
	if refused := r.Failed - r.CutInFlight; refused > 0 {
		return fmt.Errorf("%d requests failed, %d cut in flight", r.Failed, r.CutInFlight)
	}
	return nil
}

// callsAfterWaking: who was deposed while it was frozen does not act on what it knew before (I1).
func callsAfterWaking(r Repetition, _ Evidence) error {
	if r.AfterWake > 0 && r.LeaderAfter != r.HolderBefore {
		return fmt.Errorf("I1: %d calls of the frozen node after it woke, and it does not lead", r.AfterWake)
	}
	return nil
}

// callsWhileAlone is I4: without a quorum, no calls.
func callsWhileAlone(_ Repetition, e Evidence) error {
	for _, c := range e.Calls {
		if c.Mutating && c.Node == e.Victim && c.Received.Before(e.Released) {
			return fmt.Errorf("I4: %s called %s %s after it was cut off", c.Node, c.Action, c.Received.Sub(e.Injected))
		}
	}
	return nil
}

func gapWithin(limit time.Duration) requirement {
	return func(r Repetition, _ Evidence) error { return within("clients waited", &r.LongestGap, limit) }
}

func firstCallWithin(limit time.Duration) requirement {
	return func(r Repetition, _ Evidence) error { return within("first EC2 call after", r.FirstCall, limit) }
}

func noticedWithin(limit time.Duration) requirement {
	return func(r Repetition, _ Evidence) error { return within("noticed after", r.Noticed, limit) }
}

func within(what string, ms *float64, limit time.Duration) error {
	if ms == nil {
		return fmt.Errorf("%s: never", what)
	}
	if *ms > milliseconds(limit) {
		return fmt.Errorf("%s %.1f ms, limit %s", what, *ms, limit)
	}
	return nil
}
