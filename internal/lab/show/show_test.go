package show

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/capture"
	"github.com/hacluster/hacluster/internal/lab/probe"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

// golden compares with a file in testdata; review its diff after -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func at(ms int) time.Time { return time.Date(2026, 1, 2, 3, 4, 5, ms*1e6, time.UTC) }

// scene makes up a partition: the victim falls silent at 250 ms, its successor takes over at 900 ms, clients lose one
// request, the network heals at 4 s.
func scene(t *testing.T) Scene {
	faults, err := lab.FindFaults("partition")
	if err != nil {
		t.Fatal(err)
	}
	e := lab.Evidence{
		Fault: "partition", Victim: "node-a", Injected: at(0), Released: at(4000), End: at(7000),
		Calls: []lab.Call{
			{Received: at(896), Node: "node-b", Action: "DisassociateAddress", Mutating: true, Outcome: "OK"},
			{Received: at(898), Node: "node-b", Action: "AssociateAddress", Mutating: true, Outcome: "OK"},
			{Received: at(899), Node: "node-b", Action: "DescribeAddresses", Outcome: "OK"},
		},
		Moves: []lab.Move{{Time: at(897), Effective: at(897), From: "node-a"}, {Time: at(899), Effective: at(899), To: "node-b"}},
		Transitions: []lab.Transition{
			{Time: at(249), Node: "node-a", From: "Master", To: "Backup", Reason: "leadership lost", Term: 2},
			{Time: at(900), Node: "node-b", From: "Backup", To: "Master", Reason: "claim granted", Term: 3},
		},
	}
	for ms := 0; ms < 7000; ms += 5 {
		r := probe.Result{Start: at(ms), Took: time.Millisecond, Connected: true}
		if ms == 895 {
			r.Took, r.Error = 3*time.Millisecond, "read: connection reset by peer"
		}
		e.Requests = append(e.Requests, r)
	}
	for ms := -1000; ms < 7000; ms += 100 {
		a := capture.Advert{Time: at(ms), Src: lab.NodeAddress("node-a"), VRID: 51, Priority: 150, Interval: 100 * time.Millisecond}
		switch {
		case ms == 300:
			a.Priority = 0
		case ms > 300 && ms < 1300:
			continue
		case ms >= 1300:
			a.Src, a.Priority = lab.NodeAddress("node-b"), 100
		}
		e.Adverts = append(e.Adverts, a)
	}
	r := lab.Measure(e)
	r.LeaderAfter, r.TermBefore, r.TermAfter = "node-b", 2, 3
	return Scene{Fault: faults[0], Repetition: r, Evidence: e, Promises: Promises(r)}
}

func report(reps ...lab.Repetition) *Report {
	r := &Report{
		Machine:  Machine{CPU: "Made-up CPU", CPUs: 2, MemoryMB: 4096, Kernel: "6.1.0"},
		Versions: map[string]string{"hacluster": "hacluster test", "haproxy": "HAProxy <2.6>"},
		Command:  "hacluster-lab demo", Date: at(0),
	}
	for _, rep := range reps {
		r.Add(rep)
	}
	return r
}

// The page, byte by byte. Look at it in a browser after a change: testdata/page.html.
func TestPage(t *testing.T) {
	s := scene(t)
	path := filepath.Join(t.TempDir(), "page.html")
	if err := WritePage(path, report(s.Repetition), []Scene{s}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "page.html", got)
	for _, outside := range []string{"<script", "http:", "https:", "url(", "@import"} {
		if bytes.Contains(got, []byte(outside)) {
			t.Errorf("the page is not self-contained: %s", outside)
		}
	}
}

func TestTable(t *testing.T) {
	ms := func(v float64) *float64 { return &v }
	reps := []lab.Repetition{
		{Fault: "haproxy-kill", Reaction: lab.Reaction{Noticed: ms(1.25), FirstCall: ms(9)}, Cloud: lab.Cloud{Moves: 1}},
		{Fault: "haproxy-kill", Reaction: lab.Reaction{Noticed: ms(3), FirstCall: ms(7)}, Cloud: lab.Cloud{Moves: 1}},
		{Fault: "haproxy-kill", Reaction: lab.Reaction{Noticed: ms(1.5)}, Cloud: lab.Cloud{Moves: 2}},
		{Fault: "node-death", Clients: lab.Clients{LongestGap: 1195.3, SummedGap: 1201, Failed: 240}},
	}
	var out bytes.Buffer
	if err := report(reps...).WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "table.txt", out.Bytes())
}

// The JSON has every metric by its name, with null for what did not happen.
func TestReportJSON(t *testing.T) {
	s := scene(t)
	r := report(s.Repetition)
	path := filepath.Join(t.TempDir(), "report.json")
	if err := r.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.json", data)
	var back Report
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*r, back); diff != "" {
		t.Errorf("what was written is not what is read:\n%s", diff)
	}
}

func TestSpread(t *testing.T) {
	tests := []struct {
		values []float64
		want   Spread
	}{
		{[]float64{7}, Spread{1, 7, 7, 7}},
		{[]float64{9, 1, 5}, Spread{3, 1, 5, 9}},
		{[]float64{4, 1, 2, 9}, Spread{4, 1, 3, 9}},
	}
	for _, test := range tests {
		if got := SpreadOf(test.values); got != test.want {
			t.Errorf("spread of %v: %v, want %v", test.values, got, test.want)
		}
	}
}

// Each promise can be broken.
func TestPromises(t *testing.T) {
	wire := lab.Wire{Adverts: 10}
	good := map[string]lab.Repetition{
		"haproxy-kill": {Nodes: lab.Nodes{HolderBefore: "node-a", HolderAfter: "node-b"}, Cloud: lab.Cloud{Moves: 1}, Clients: lab.Clients{LongestGap: 200}},
		"node-death":   {Nodes: lab.Nodes{HolderBefore: "node-a", HolderAfter: "node-b"}, Cloud: lab.Cloud{Moves: 1}, Clients: lab.Clients{LongestGap: 5000}},
		"partition":    {Nodes: lab.Nodes{HolderBefore: "node-a", HolderAfter: "node-b", LeaderAfter: "node-b"}, Cloud: lab.Cloud{Moves: 1}},
		"handover":     {Nodes: lab.Nodes{HolderBefore: "node-a", HolderAfter: "node-b"}, Cloud: lab.Cloud{Moves: 1}, Clients: lab.Clients{Failed: 1, CutInFlight: 1}},
		"stop":         {},
	}
	tests := []struct {
		fault, broken string
		spoil         func(*lab.Repetition)
	}{
		{"haproxy-kill", "served again", func(r *lab.Repetition) { r.Problem = "clients are not served" }},
		{"haproxy-kill", "moves once", func(r *lab.Repetition) { r.Moves = 0 }},
		{"haproxy-kill", "moves once", func(r *lab.Repetition) { r.HolderAfter = "node-a" }},
		{"haproxy-kill", "no longer than 500 ms", func(r *lab.Repetition) { r.LongestGap = 500.1 }},
		{"node-death", "no longer than 5 s", func(r *lab.Repetition) { r.LongestGap = 5001 }},
		{"partition", "at most once", func(r *lab.Repetition) { r.Moves = 2 }},
		{"partition", "with the leader", func(r *lab.Repetition) { r.LeaderAfter = "node-c" }},
		{"partition", "two Masters", func(r *lab.Repetition) { r.OverlappingReigns = 1 }},
		{"partition", "two Masters", func(r *lab.Repetition) { r.Adverts = 0 }},
		{"handover", "no request is refused", func(r *lab.Repetition) { r.Failed++ }},
		{"stop", "at most once", func(r *lab.Repetition) { r.Moves = 2 }},
	}
	for _, test := range tests {
		r := good[test.fault]
		r.Fault, r.Wire = test.fault, wire
		for _, p := range Promises(r) {
			if !p.Kept {
				t.Errorf("%s: %q is broken by a good repetition", test.fault, p.Text)
			}
		}
		test.spoil(&r)
		var broken []string
		for _, p := range Promises(r) {
			if !p.Kept {
				broken = append(broken, p.Text)
			}
		}
		if len(broken) != 1 || !strings.Contains(broken[0], test.broken) {
			t.Errorf("%s: broken are %q, want %q", test.fault, broken, test.broken)
		}
	}
}

// witness tells the events of a scene as if they happened now, from begin on.
type witness struct {
	begin  time.Time
	events []lab.Event
}

func (w witness) Events(from, to time.Time) ([]lab.Event, error) {
	var found []lab.Event
	for _, e := range w.events {
		e.Time = w.begin.Add(e.Time.Sub(at(0)))
		if !e.Time.Before(from) && !e.Time.After(to) {
			found = append(found, e)
		}
	}
	return found, nil
}

// The story of the partition, as it is told live.
func TestStory(t *testing.T) {
	s := scene(t)
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		story := &Story{Out: &out}
		ctx, stop := context.WithCancel(t.Context())
		begin := time.Now()
		done := make(chan error)
		go func() { done <- story.Follow(ctx, witness{begin, s.Evidence.Events()}) }()
		story.Before(s.Fault, "node-a", 2)
		story.Injected(s.Fault, "node-a", begin)
		time.Sleep(4 * time.Second)
		story.Released(s.Fault, "node-a", time.Now())
		time.Sleep(3 * time.Second)
		story.After(s.Repetition)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	golden(t, "story.txt", out.Bytes())
}

func TestWritePromises(t *testing.T) {
	s := scene(t)
	s.Promises[1].Kept = false
	var out bytes.Buffer
	if err := WritePromises(&out, []Scene{s}); err != nil {
		t.Fatal(err)
	}
	golden(t, "promises.txt", out.Bytes())
	if s.Kept() {
		t.Error("a scene with a broken promise is kept")
	}
}

func TestNodeAddress(t *testing.T) {
	if got := lab.NodeAddress("node-x"); got != (netip.Addr{}) {
		t.Errorf("address of nobody: %s", got)
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
