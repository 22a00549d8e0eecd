package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
)

// repetitions of each fault. One could be luck; the medians of ten are for `hacluster-lab run`.
const repetitions = 2

// The whole program, built and run as a user runs it: three agents, real HAProxy, real Raft, every fault.
//
// The limits on time are no promises (docs/LAB.md has those, with medians), because a test also runs on a busy machine. They tell
// the quick ways from the slow: what waits for Raft's timers takes longer than heartbeat. What must never happen has no such room.
func TestFaults(t *testing.T) {
	sandboxtest.Need(t)
	const heartbeat = 500 * time.Millisecond // raft.heartbeat_timeout, the shortest time to an election
	requirements := map[string][]requirement{
		"haproxy-kill":   {movesOnce, firstCallWithin(heartbeat)},
		"haproxy-hang":   {movesOnce, noticedWithin(3 * time.Second)},
		"node-death":     {movesOnce, gapWithin(10 * time.Second)},
		"agent-kill":     {movesAtMostOnce, gapWithin(heartbeat)},
		"agent-freeze":   {movesAtMostOnce, gapWithin(heartbeat), silentAfterWaking},
		"partition":      {movesAtMostOnce, gapWithin(heartbeat), silentWhileAlone},
		"handover":       {movesOnce, nobodyRefused},
		"stop":           {movesOnce, nobodyRefused},
		"haproxy-reload": {staysPut, nobodyRefused},
	}
	always := []requirement{converges, oneVoice}

	dir := t.TempDir()
	opts := Options{Hacluster: build(t, dir), Dir: filepath.Join(dir, "lab")}
	err := Run(t.Context(), opts, func(ctx context.Context, l *Lab) error {
		for range repetitions {
			for _, fault := range Faults() {
				r, e, err := l.Experiment(ctx, fault, silent{})
				if err != nil {
					return err
				}
				t.Run(fault.Name, func(t *testing.T) {
					for _, check := range append(requirements[fault.Name], always...) {
						if err := check(r, e); err != nil {
							t.Error(err)
						}
					}
					if t.Failed() {
						t.Logf("measured: %+v", r)
						for _, event := range e.Events() {
							t.Logf("%+8.3f s %s", event.Time.Sub(e.Injected).Seconds(), event.Text)
						}
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

// build builds the program under test as make does.
func build(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "hacluster")
	out, err := exec.Command("go", "build", "-o", path, "github.com/hacluster/hacluster/cmd/hacluster").CombinedOutput()
	if err != nil {
		t.Fatalf("build hacluster: %v\n%s", err, out)
	}
	return path
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

// silentAfterWaking: who was deposed while it was frozen does not act on what it knew before (I1).
func silentAfterWaking(r Repetition, _ Evidence) error {
	if r.AfterWake > 0 && r.LeaderAfter != r.HolderBefore {
		return fmt.Errorf("I1: %d calls of the frozen node after it woke, and it does not lead", r.AfterWake)
	}
	return nil
}

// silentWhileAlone is I4: without a quorum, no calls.
func silentWhileAlone(_ Repetition, e Evidence) error {
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
