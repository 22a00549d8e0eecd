package bench

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/lab/capture"
)

// rep makes a repetition by its gap.
func rep(fault, system string, gap float64, change ...func(*Repetition)) Repetition {
	r := Repetition{System: system}
	r.Fault, r.Silence, r.Right = fault, gap, true
	for _, c := range change {
		c(&r)
	}
	return r
}

func verdictOn(t *testing.T, r *Results, system, what string) verdict {
	t.Helper()
	for _, v := range r.judge() {
		if v.system == system && v.what == what {
			return v
		}
	}
	t.Fatalf("no verdict on %s of %s", what, system)
	return verdict{}
}

func TestRatioOfMedians(t *testing.T) {
	const what = "client gap / " + Tuned
	r := &Results{Repetitions: []Repetition{
		rep("haproxy-kill", Fast, 5), rep("haproxy-kill", Fast, 9), rep("haproxy-kill", Fast, 100),
		rep("haproxy-kill", Tuned, 10), rep("haproxy-kill", Tuned, 8), rep("haproxy-kill", Tuned, 1),
	}}
	if v := verdictOn(t, r, Fast, what); v.kept || v.measured != "1.12 (9 / 8)" || v.goalText() != "≤ 1" {
		t.Errorf("9 against 8: %+v, goal %s", v, v.goalText())
	}
	r.Repetitions[1].Silence = 8
	if v := verdictOn(t, r, Fast, what); !v.kept {
		t.Errorf("8 against 8: %+v", v)
	}
}

// Nothing is infinitely better than nothing.
func TestRatioToZero(t *testing.T) {
	const what = "client gap / " + Tuned
	r := &Results{Repetitions: []Repetition{rep("haproxy-kill", Fast, 0), rep("haproxy-kill", Tuned, 0)}}
	if v := verdictOn(t, r, Fast, what); !v.kept {
		t.Errorf("0 against 0: %+v", v)
	}
	r.Repetitions[0].Silence = 5
	if v := verdictOn(t, r, Fast, what); v.kept {
		t.Errorf("5 against 0: %+v", v)
	}
}

// "In 10 of 10": a single exception counts, which no median shows.
func TestGoalsForEveryRepetition(t *testing.T) {
	r := &Results{Repetitions: []Repetition{rep("stop", Fast, 0), rep("stop", Fast, 0), rep("stop", Fast, 5)}}
	if v := verdictOn(t, r, Fast, "client gap, ms"); v.kept || v.measured != "0 (0-5)" {
		t.Errorf("%+v", v)
	}
}

// A goal is judged only on what this run measured, and only while the machine was ours.
func TestStolenAndUnsteadyDoNotCount(t *testing.T) {
	stolen := func(r *Repetition) { r.Stolen = 0.06 }
	r := &Results{Repetitions: []Repetition{
		rep("stop", Fast, 0), rep("stop", Fast, 500, stolen),
		rep("stop", Fast, 0, func(r *Repetition) { r.NotSteady = "nobody leads" }),
		rep("haproxy-kill", Fast, 5), // nothing to compare with
	}}
	if n := len(r.of(cell{"stop", 0}, Fast)); n != 1 {
		t.Errorf("%d repetitions count, want 1", n)
	}
	if v := verdictOn(t, r, Fast, "client gap, ms"); !v.kept {
		t.Errorf("%+v", v)
	}
	for _, v := range r.judge() {
		if v.against != "" {
			t.Errorf("judged without a rival: %+v", v)
		}
	}
	apart := strings.Join(r.apart(), "\n")
	if !strings.Contains(apart, "6 % stolen; gap 500 ms") || !strings.Contains(apart, "nobody leads") {
		t.Errorf("not listed apart: %s", apart)
	}
}

// Node death is compared with the smallest interval at which keepalived stays calm.
func TestCalmest(t *testing.T) {
	idle := func(system string, moves int) Repetition {
		return rep(Idle, system, 0, func(r *Repetition) { r.Moves = moves })
	}
	for name, test := range map[string]struct {
		reps []Repetition
		want string
	}{
		"not measured":      {nil, ""},
		"all are calm":      {[]Repetition{idle(Tuned, 1), idle(Tuned30, 0), idle(Tuned100, 0)}, Tuned},
		"only the slow one": {[]Repetition{idle(Tuned, 11), idle(Tuned30, 13), idle(Tuned100, 1)}, Tuned100},
		"none":              {[]Repetition{idle(Tuned, 11), idle(Tuned30, 13), idle(Tuned100, 2)}, Tuned100},
	} {
		if got := (&Results{Repetitions: test.reps}).calmest(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestTorn(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(100, 0).Add(time.Duration(ms) * time.Millisecond) }
	reign := func(node string, from, to int) capture.Reign {
		return capture.Reign{Node: netip.MustParseAddr(node), First: at(from), Last: at(to)}
	}
	a, b, c := reign("10.20.0.11", 0, 100), reign("10.20.0.12", 50, 70), reign("10.20.0.13", 60, 80)
	later := reign("10.20.0.12", 90, 200)
	for name, test := range map[string]struct {
		pairs   [][2]capture.Reign
		moments int
		total   float64
	}{
		"never":                {nil, 0, 0},
		"two masters":          {[][2]capture.Reign{{a, b}}, 1, 20},
		"three, at once":       {[][2]capture.Reign{{a, b}, {a, c}, {b, c}}, 1, 30},
		"again, after a while": {[][2]capture.Reign{{a, b}, {a, later}}, 2, 30},
	} {
		if moments, total := torn(test.pairs); moments != test.moments || total != test.total {
			t.Errorf("%s: %d moments, %g ms", name, moments, total)
		}
	}
}

func TestTicks(t *testing.T) {
	a, err := parseTicks("cpu  100 0 50 800 10 0 5 35 0 0\ncpu0 1 2\n")
	if err != nil {
		t.Fatal(err)
	}
	b, err := parseTicks("cpu  130 0 60 840 20 0 5 45 0 0\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := between(a, b); got.Stolen != 0.1 || got.Busy != 0.4 {
		t.Errorf("of 100 ticks 10 were stolen and 40 used: %+v", got)
	}
	if _, err := parseTicks("intr 1 2 3"); err == nil {
		t.Error("nonsense was taken for CPU times")
	}
}

// A quick run must not silently take the place of a long one.
func TestPageKeepsTheFullerRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "BENCHMARKS.md")
	full := &Results{Repetitions: []Repetition{rep("stop", Fast, 0), rep("stop", Tuned, 0)}}
	if err := full.WritePage(path, false); err != nil {
		t.Fatal(err)
	}
	quick := &Results{Repetitions: full.Repetitions[:1]}
	if err := quick.WritePage(path, false); !errors.Is(err, ErrFuller) {
		t.Errorf("1 repetition replaced 2: %v", err)
	}
	if err := quick.WritePage(path, true); err != nil {
		t.Error(err)
	}
	if err := full.WritePage(path, false); err != nil {
		t.Error(err)
	}
}

func TestPage(t *testing.T) {
	freeze := func(r *Repetition) { r.AfterWake, r.Right, r.Failed, r.CutInFlight = 256, false, 7, 2 }
	r := &Results{Repetitions: []Repetition{
		rep("agent-freeze", Tuned, 281, freeze), rep("agent-freeze", FastFencing, 0),
	}}
	page, err := r.Page("img")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| keepalived-tuned | 1 | 281 | 7 (2 cut) | - | - | 0 | 0 | 0 | 1 | 256 | - |",
		"| hacluster-fast-fencing | 1 | 0 | 0 | - | - | 0 | 0 | 0 | 0 | 0 | 0.00 |",
		"| agent-freeze | 0 | hacluster-fast-fencing | client gap, ms | ≤ 0 (every one) | 0 | kept |",
		"![agent-freeze, EC2 latency 0 ms](img/bench-agent-freeze-0.svg)",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
}

// Every repetition is a dot, those with much stolen time as well.
func TestPicture(t *testing.T) {
	r := &Results{Repetitions: []Repetition{
		rep("stop", Fast, 0), rep("stop", Tuned, 54), rep("stop", Tuned, 900, func(r *Repetition) { r.Stolen = 0.5 }),
	}}
	var out strings.Builder
	if err := r.draw(&out, cell{"stop", 0}); err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]int{"<circle": 3, `class="dot noisy"`: 1, `class="median"`: 2, `cx="204"`: 1, ">1000</text>": 1} {
		if got := strings.Count(out.String(), what); got != want {
			t.Errorf("%d times %s, want %d", got, what, want)
		}
	}
}

func TestResultsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out", "bench.json")
	moved := 12.5
	r := &Results{Seed: 7, Repetitions: []Repetition{rep("stop", Fast, 5, func(r *Repetition) { r.Moved, r.Torn = &moved, 3 })}}
	if err := r.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	back, err := ReadResults(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := back.Repetitions[0]; got.Silence != 5 || *got.Moved != 12.5 || got.Torn != 3 || got.Fault != "stop" || back.Seed != 7 {
		t.Errorf("read back %+v", got)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadResults(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("half a file: %v", err)
	}
}
