package sim

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/fsm"
)

// everybody is a seed with which an outage hits all nodes.
const everybody = 3

// TestEC2IsAwayForAnHour: nobody reaches EC2. Nothing moves, nothing is called, and the log says so once; all of it is over within seconds.
func TestEC2IsAwayForAnHour(t *testing.T) {
	away := Step{At: time.Minute, Kind: Outage, Aim: Leader, For: time.Hour, Dice: everybody}
	r := unmoved(t, 70*time.Minute, away)
	if calls, terms := r.Coverage.Count("calls: let out by the final check"), r.Coverage.Count("elections: won"); calls != 1 || terms != 1 {
		t.Errorf("%d calls and %d elections, want the first of each\n%s", calls, terms, r.Trace)
	}
	_, after, _ := strings.Cut(r.Trace, "EC2 outage is over")
	soon, _, _ := strings.Cut(after, " 3666.")
	if n := strings.Count(soon, "EC2 is within reach"); n != 3 {
		t.Errorf("%d nodes of 3 reach EC2 five seconds after it is back\n%s", n, r.Trace)
	}
	if lines := strings.Count(r.Trace, "\n"); lines > 100 {
		t.Errorf("%d lines were written in that hour\n%s", lines, r.Trace)
	}
}

// TestTheHolderDiesWhileEC2IsAway: the others cannot move the address, try for the rest of the hour, and do not fill the log with that.
func TestTheHolderDiesWhileEC2IsAway(t *testing.T) {
	away := Step{At: time.Minute, Kind: Outage, Aim: Leader, For: time.Hour, Dice: everybody}
	r := unmoved(t, 70*time.Minute, away, Step{At: 5 * time.Minute, Kind: PowerCut, Aim: Leader, For: 20 * time.Minute})
	if lines := strings.Count(r.Trace, "\n"); lines > 150 {
		t.Errorf("%d lines were written in that hour\n%s", lines, r.Trace)
	}
}

// TestEveryNodeIsRestartedAtOnce: the address stays where it is, without a call.
func TestEveryNodeIsRestartedAtOnce(t *testing.T) {
	r := unmoved(t, 5*time.Minute, Step{At: time.Minute, Kind: CrashAll, Aim: Anybody, For: 2 * time.Second})
	if calls := r.Coverage.Count("calls: let out by the final check"); calls > 1 {
		moved := r.Coverage.Count("calls: changed the association")
		t.Errorf("%d calls, %d of them changed the association\n%s", calls, moved, r.Trace)
	}
}

// TestTheOthersAreGone: two nodes of three lose power. The third serves on and makes no call; when they are back it is the leader again,
// and nothing has moved.
func TestTheOthersAreGone(t *testing.T) {
	both := 0
	for dice := range uint64(6) {
		r := unmoved(t, 6*time.Minute, Step{At: time.Minute, Kind: PowerCut, Aim: Other, For: 3 * time.Minute},
			Step{At: time.Minute + time.Second, Kind: PowerCut, Aim: Other, Dice: dice, For: 2 * time.Minute})
		if r.Coverage.Count("processes: killed") < 2 {
			continue // the dice hit the same node again
		}
		both++
		if calls := r.Coverage.Count("calls: let out by the final check"); calls != 1 {
			t.Errorf("%d calls, want none but the first\n%s", calls, r.Trace)
		}
	}
	if both == 0 {
		t.Error("the two others were never gone at once")
	}
}

// unmoved runs steps in an otherwise perfect world; the judge wants a Master that has the address in the end.
func unmoved(t *testing.T, horizon time.Duration, steps ...Step) Result {
	t.Helper()
	dir := t.TempDir()
	s := Schedule{Seed: 1, Nodes: 3, Temper: Temper{Longest: time.Second}, Horizon: horizon, Steps: steps,
		Settings: Settings{Fencing: fsm.Balanced, Drift: "repair", Guard: 20 * time.Second, Hints: true, Advert: time.Second}}
	var r Result
	synctest.Test(t, func(t *testing.T) {
		var err error
		if r, err = Run(s, dir); err != nil {
			t.Fatal(err)
		}
	})
	if len(r.Violations) > 0 {
		t.Fatalf("violations: %v\n%s", r.Violations, r.Trace)
	}
	return r
}
