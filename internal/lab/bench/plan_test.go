package bench

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func testPlan(t *testing.T, faults, names string, latencies []time.Duration, repetitions int) []step {
	t.Helper()
	split := func(list string) []string { return strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) }
	chosen, err := chooseRows(split(faults))
	if err != nil {
		t.Fatal(err)
	}
	some, err := find(systems(Tools{}, true), split(names))
	if err != nil {
		t.Fatal(err)
	}
	return plan(chosen, some, latencies, repetitions, 1)
}

// Systems take turns at being first, or the first would always meet the machine as the row before left it.
func TestPlanRotates(t *testing.T) {
	steps := testPlan(t, "haproxy-kill", "hacluster,hacluster-fast,keepalived-tuned", []time.Duration{0}, 6)
	first := map[string]int{}
	for i := 0; i < len(steps); i += 3 {
		first[steps[i].system.Name()]++
		if a, b, c := steps[i], steps[i+1], steps[i+2]; a.number != b.number || b.number != c.number {
			t.Errorf("repetition %d is not over when another begins", a.number)
		}
	}
	if len(steps) != 18 || first[Default] != 2 || first[Fast] != 2 || first[Tuned] != 2 {
		t.Errorf("%d steps, first were %v", len(steps), first)
	}
}

func TestPlanCounts(t *testing.T) {
	count := map[string]int{}
	for _, s := range testPlan(t, "", "", []time.Duration{0, 300 * time.Millisecond}, 10) {
		count[s.fault.Name+" "+s.latency.String()+" "+s.system.Name()]++
	}
	for what, want := range map[string]int{
		"haproxy-kill 0s hacluster-fast":              10,
		"haproxy-kill 300ms hacluster-fast":           10,
		"haproxy-kill 0s keepalived-tuned-30ms":       0,
		"node-death 0s keepalived-tuned-100ms":        10,
		"node-death 300ms hacluster-fast-fencing":     10,
		"node-death 300ms keepalived-tuned-100ms":     0,
		"haproxy-hang 0s keepalived-tuned-watch":      10,
		"haproxy-reload 0s hacluster":                 20, // asked for: 20 of 20
		"partition 0s keepalived-classic":             10,
		"partition 300ms keepalived-classic":          0, // the latency is not what matters there
		"idle 0s keepalived-tuned-100ms":              1, // it takes minutes
		"idle 300ms keepalived-tuned-100ms":           0,
		"idle 0s keepalived-classic":                  0,
		"agent-freeze 0s hacluster-fast-fencing":      10,
		"handover 300ms keepalived-tuned":             10,
		"node-death 0s keepalived-tuned-rt":           0,
		"haproxy-hang 0s hacluster-fast-fencing":      0,
		"agent-kill 300ms keepalived-tuned":           10,
		"haproxy-reload 300ms keepalived-tuned-watch": 0,
	} {
		if count[what] != want {
			t.Errorf("%s: %d repetitions, want %d", what, count[what], want)
		}
	}
}

// The idle row keeps all cores busy for minutes: it comes last, when nobody has to wait for anything else.
func TestPlanEndsIdle(t *testing.T) {
	steps := testPlan(t, "idle,stop", "hacluster,keepalived-tuned", []time.Duration{0}, 2)
	for i, s := range steps {
		if idle := i >= len(steps)-2; (s.fault.Name == Idle) != idle {
			t.Errorf("step %d of %d is %s", i, len(steps), s.fault.Name)
		}
	}
}

func TestUnknownNames(t *testing.T) {
	_, err := New(Options{Faults: []string{"earthquake"}, Repetitions: 1})
	if err == nil || !strings.Contains(err.Error(), "earthquake") || !strings.Contains(err.Error(), "node-death") {
		t.Errorf("an unknown fault must be named, and the known ones listed: %v", err)
	}
	_, err = New(Options{Systems: []string{"pacemaker"}, Repetitions: 1})
	if err == nil || !strings.Contains(err.Error(), "pacemaker") || !strings.Contains(err.Error(), Tuned) {
		t.Errorf("an unknown system must be named, and the known ones listed: %v", err)
	}
	_, err = New(Options{Faults: []string{"haproxy-hang"}, Systems: []string{Tuned100}, Latencies: []time.Duration{0}, Repetitions: 1})
	if err == nil {
		t.Error("a run without repetitions was planned")
	}
}

// A run that was cut short goes on with what it lacks: what was not steady then is tried again.
func TestPlanResumes(t *testing.T) {
	opts := Options{Faults: []string{"haproxy-kill"}, Systems: []string{Fast, Tuned}, Latencies: []time.Duration{0, 300 * time.Millisecond}, Repetitions: 2, Seed: 1}
	whole, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range whole.steps[:3] {
		r := Repetition{System: s.system.Name(), Latency: milliseconds(s.latency), Number: s.number}
		r.Fault = s.fault.Name
		opts.Done = append(opts.Done, r)
	}
	opts.Done[1].NotSteady = "no master"
	rest, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{whole.steps[1].String()}
	for _, s := range whole.steps[3:] {
		want = append(want, s.String())
	}
	var got []string
	for _, s := range rest.steps {
		got = append(got, s.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("it goes on with\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Figures of two builds are not mixed.
func TestResumeRefusesAnotherBuild(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bench.json")
	r := Results{Versions: map[string]string{"hacluster": "a"}, Seed: 1, Sittings: []time.Time{time.Unix(1, 0)}}
	if err := r.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	fresh := Results{Versions: map[string]string{"hacluster": "a"}, Seed: 1, Sittings: []time.Time{time.Unix(2, 0)}}
	if resumed, err := ResumeResults(path, &fresh); err != nil || len(resumed.Sittings) != 2 {
		t.Errorf("resumed: %+v, %v", resumed, err)
	}
	fresh.Versions["hacluster"] = "b"
	if _, err := ResumeResults(path, &fresh); err == nil || !strings.Contains(err.Error(), "without --resume") {
		t.Errorf("another build: %v", err)
	}
}
