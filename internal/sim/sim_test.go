package sim

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/sim/judge"
)

// TestDraw: a seed always gives the same schedule, and many seeds give every kind of everything.
func TestDraw(t *testing.T) {
	seen := map[any]bool{}
	for seed := range uint64(300) {
		s := Draw(seed)
		if again := Draw(seed); !reflect.DeepEqual(s, again) {
			t.Fatalf("seed %d gives two schedules:\n%+v\n%+v", seed, s, again)
		}
		if s.Guard < 2*s.Temper.Longest {
			t.Errorf("seed %d: guard %v ends while a call may still take %v", seed, s.Guard, 2*s.Temper.Longest)
		}
		for _, setting := range []any{s.Nodes, s.Fencing, s.Drift, s.Pace, s.Hints, s.Advert} {
			seen[setting] = true
		}
		for _, step := range s.Steps {
			seen[step.Kind], seen[step.Aim], seen[step.On] = true, true, true
		}
	}
	for _, k := range kinds() {
		if !seen[k.choice] {
			t.Errorf("no schedule has a %s", k.choice)
		}
	}
	for _, want := range []any{3, 5, 7, fsm.Strict, fsm.Balanced, fsm.Fast, true, false, Usual, Quick, Hasty,
		10 * time.Millisecond, 100 * time.Millisecond, Leader, Holder, Other, Anybody, Acting,
		AtOnce, OnElection, OnClaim, OnCall, OnArrival, OnChange, OnRelease} {
		if !seen[want] {
			t.Errorf("no schedule has %v", want)
		}
	}
}

// TestDirector: things are done at their time and in order; what waits for a moment waits for it; the ends of faults are never lost.
func TestDirector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirector()
		var done []string
		does := func(what string) func() {
			return func() { done = append(done, fmt.Sprintf("%s at %v", what, d.now())) }
		}
		d.at(3*time.Second, does("third"))
		d.at(time.Second, does("first"))
		d.at(time.Second, does("second"))
		d.arm(armed{on: OnCall, delay: time.Second, do: func(n *node) { does("after the call of " + n.name)() }})
		d.undo(time.Hour, does("heal"))
		d.at(2*time.Hour, does("never"))
		time.AfterFunc(4*time.Second, func() {
			d.happened(OnClaim, &node{name: "node-a"})
			d.happened(OnCall, &node{name: "node-b"})
			d.happened(OnCall, &node{name: "node-c"}) // nothing waits for it any more
		})
		d.run(time.Minute)
		d.endFaults()
		d.run(3 * time.Hour)
		want := []string{"first at 1s", "second at 1s", "third at 3s", "after the call of node-b at 5s", "heal at 1m0s"}
		if !slices.Equal(done, want) {
			t.Errorf("done:\n%s\nwant:\n%s", strings.Join(done, "\n"), strings.Join(want, "\n"))
		}
	})
}

// TestGate: it holds whoever comes while it is shut, and nobody once it is demolished.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		began := time.Now()
		g.pass()
		g.close()
		time.AfterFunc(time.Second, g.open)
		g.pass()
		g.close()
		time.AfterFunc(time.Second, g.demolish)
		g.pass()
		g.close()
		g.pass()
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("held for %v, want 2s", took)
		}
	})
}

// TestGateFallsForGood: who shuts it while it is being demolished does not shut it.
func TestGateFallsForGood(t *testing.T) {
	for range 1000 {
		var g gate
		var both sync.WaitGroup
		both.Go(g.close)
		both.Go(g.demolish)
		both.Wait()
		if g.isShut() {
			t.Fatal("shut for ever")
		}
	}
}

// TestTraceKeepsBothEnds: the beginning of a long run and its end are what explains it.
func TestTraceKeepsBothEnds(t *testing.T) {
	trace := newTrace(func() time.Duration { return 0 })
	for n := range 3 * maxTrace {
		trace.add("node-a", "line %d.", n)
	}
	text := trace.String()
	for _, want := range []string{"line 0.", fmt.Sprintf("line %d.", 3*maxTrace-1), "were dropped"} {
		if !strings.Contains(text, want) {
			t.Errorf("the trace lacks %q", want)
		}
	}
}

// TestAPersonIsRepaired: in peace there is no violation, and a person who moves the address is noticed: the end is one Master that has it.
func TestAPersonIsRepaired(t *testing.T) {
	dir := t.TempDir()
	s := Schedule{Seed: 1, Nodes: 3, Settings: Settings{Fencing: fsm.Strict, Drift: "repair", Guard: 20 * time.Second, Hints: true, Advert: 100 * time.Millisecond},
		Temper:  Temper{Longest: time.Second},
		Horizon: 10 * time.Second, Steps: []Step{{At: 5 * time.Second, Kind: Person, Aim: Anybody, Dice: 7}}}
	var r Result
	synctest.Test(t, func(t *testing.T) {
		var err error
		if r, err = Run(s, dir); err != nil {
			t.Fatal(err)
		}
	})
	for _, want := range []string{"associates the address", "foreign move: the address was found"} {
		if !strings.Contains(r.Trace, want) {
			t.Errorf("the trace lacks %q:\n%s", want, r.Trace)
		}
	}
	if len(r.Violations) > 0 {
		t.Errorf("violations: %v\n%s", r.Violations, r.Trace)
	}
}

// TestStory: what a failure prints ends with the first violation.
func TestStory(t *testing.T) {
	v := judge.Violation{At: time.Second, Invariant: "I2", Text: "torn"}
	r := Result{Trace: strings.Repeat("before\n", 2*shown) + v.String() + "\nafter\n"}
	got := strings.Split(story(r), "\n")
	if len(got) != shown || got[len(got)-1] != v.String() {
		t.Errorf("%d lines that end with %q", len(got), got[len(got)-1])
	}
}
