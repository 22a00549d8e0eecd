package judge

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A status shows the end of the history only; looks at different nodes, some of which lag behind, make the whole.
func TestHistory(t *testing.T) {
	tests := map[string]struct {
		looks    []string // one letter a line of history
		want     string
		gap      bool
		diverged int
	}{
		"one node, growing":      {looks: []string{"abc", "bcd", "cde"}, want: "abcde"},
		"a node that lags":       {looks: []string{"abcde", "abc", "bcd"}, want: "abcde"},
		"a node that is behind":  {looks: []string{"cde", "bcd", "abc"}, want: "abcde"},
		"too long not looked at": {looks: []string{"abc", "fgh"}, want: "abcfgh", gap: true},
		"another end":            {looks: []string{"abc", "abx"}, want: "abc", diverged: 1},
		"another beginning":      {looks: []string{"abc", "xbc"}, want: "abc", diverged: 1},
		"a line that is missing": {looks: []string{"abcd", "abd"}, want: "abcd", diverged: 1},
		"a node that is empty":   {looks: []string{"", "ab"}, want: "ab"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var e Evidence
			for _, look := range test.looks {
				var s Sighting
				for _, letter := range look {
					// As `hacluster status` prints it: with white space that depends on the place.
					s.Status.History = append(s.Status.History, json.RawMessage(fmt.Sprintf("{\n\t\"event\": %q}", string(letter))))
				}
				e.Sightings = append(e.Sightings, s)
			}
			h := e.rebuild()
			got := ""
			for _, c := range h.claims {
				got += c.Event
			}
			if got != test.want || h.complete == test.gap || len(h.diverged) != test.diverged {
				t.Errorf("history %q, complete %t, diverged %d", got, h.complete, len(h.diverged))
			}
		})
	}
}

func TestReadLog(t *testing.T) {
	const text = `{"level":"info","ts":"2023-11-14T22:13:21.5Z","logger":"raft.election","msg":"starting","node":"node-a","server_id":"node-a.0d6c"}
{"level":"info","ts":"2023-11-14T22:13:22Z","logger":"raft.election","msg":"leadership","node":"node-a","term":2,"leader":"node-a","self":true}
{"level":"info","ts":"2023-11-14T22:13:22.25Z","msg":"EC2 call","node":"node-a","call":"AssociateAddress","term":2,"association_id":"eipassoc-1","class":"done","took":"50ms"}
{"level":"info","ts":"2023-11-14T22:13:22.5Z","msg":"state transition","node":"node-a","from":"Backup","to":"Master","reason":"first claim","term":2,"keepalived":"(VI_1) Entering MASTER STATE"}
{"level":"info","ts":"2023-11-14T22:13:23Z","msg":"of no interest"}
hacluster: raft store /data/raft/raft.db is damaged
panic: assertion failed

goroutine 1 [running]:
`
	run := good().Run
	got, err := ReadLog(strings.NewReader(text), run.boot)
	if err != nil {
		t.Fatal(err)
	}
	want := Log{
		Starts:      []Start{{at(1.5), "node-a.0d6c"}},
		Leaderships: []Leadership{{at(2), 2, "node-a", true}},
		Transitions: []Transition{{at(2.5), "Backup", "Master", 2}},
		Calls:       []Line{{at(2.2), at(2.25), "AssociateAddress", 2, "eipassoc-1", "done"}},
		Crashes:     []string{"panic: assertion failed"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Availability is counted over the time in which somebody could have served.
func TestAvailability(t *testing.T) {
	e := good()
	for i, r := range e.Requests {
		failed := Span{at(20), at(21)}.Contains(r.At) || Span{at(30), at(40)}.Contains(r.At) || Span{at(45), at(45.5)}.Contains(r.At)
		e.Requests[i].OK = !failed
	}
	e.Faults = []Fault{
		{Period: during(30, 38), Parts: []Part{{PartAgent, "node-a", ""}, {PartHAProxy, "node-b", ""}, {PartHAProxy, "node-c", ""}}},
		{Period: Period{at(44), at(45), at(46), at(47)}, Parts: []Part{{PartEC2, "", ""}}},
	}
	e.Absences = []Absence{{Node: "node-c", Period: during(0, 1)}} // a minority: no loss
	f := Judge(e).Figures
	want := map[string]Availability{
		"all":           {Time: 60 * time.Second, Requests: 600, Answered: 485, Gaps: 3, Longest: 10 * time.Second, LongestAt: 30050 * time.Millisecond},
		"able":          {Time: 52 * time.Second, Requests: 520, Answered: 485, Gaps: 3, Longest: 2 * time.Second, LongestAt: 38050 * time.Millisecond},
		"able with EC2": {Time: 49 * time.Second, Requests: 490, Answered: 460, Gaps: 2, Longest: 2 * time.Second, LongestAt: 38050 * time.Millisecond},
	}
	got := map[string]Availability{"all": f.All, "able": f.Able, "able with EC2": f.AbleWithEC2}
	round := cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() < time.Millisecond })
	if diff := cmp.Diff(want, got, round); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A quorum is lost by what is certainly broken; it is there only while nothing may be broken.
func TestDoubt(t *testing.T) {
	e := good()
	e.Faults = []Fault{cut("node-b", Period{at(1), at(2), at(3), at(4)})}
	if diff := cmp.Diff([]Span{{at(2), at(3)}}, e.alone("node-b")); diff != "" {
		t.Errorf("alone: %s", diff)
	}
	served := e.when(Period.Maybe, func(w world) bool { return w.able("node-b", e.Run.Nodes) })
	if diff := cmp.Diff([]Span{{at(0), at(1)}, {at(4), at(60)}}, served); diff != "" {
		t.Errorf("able: %s", diff)
	}
}

// Late calls find their line by what they say, not by when they came.
func TestAttribution(t *testing.T) {
	e := good()
	e.edit("node-a", func(l *Log) {
		l.Calls = append(l.Calls,
			Line{at(8), at(8.1), "DisassociateAddress", 2, "eipassoc-0", "unknown"},
			Line{at(8.2), at(8.3), "DisassociateAddress", 1, "eipassoc-9", "unknown"},
			Line{at(8.4), at(8.5), "DisassociateAddress", 1, "eipassoc-0", "not sent"})
	})
	late := disassociate(3, 20, "node-a", "eipassoc-0")
	late.Changed = false
	e.Calls = append(e.Calls, late)
	j := &judgement{Evidence: e, deeds: make(map[int64]deed)}
	j.attribute()
	d := j.deeds[3]
	if d.term != 2 || d.line == nil || d.line.Association != "eipassoc-0" || !d.late() {
		t.Errorf("late call: %+v", d)
	}
	if d := j.deeds[2]; d.term != 3 || d.late() {
		t.Errorf("call in time: %+v", d)
	}
}

// A settle's statuses tell who holds; where EC2 leads is told by its log.
func TestHeld(t *testing.T) {
	e := good()
	e.Calls = append(e.Calls, disassociate(3, 55, "", "eipassoc-2"))
	got := e.Held()
	nodes := []string{got[0].Node, got[1].Node, got[2].Node}
	if !slices.Equal(nodes, []string{"node-a", "node-b", ""}) || got[1].To != got[2].From || got[2].To != at(60) {
		t.Errorf("held: %+v", got)
	}
}

// The wall clock is part of the evidence: set during the run, it makes the rest worthless.
func TestClockStep(t *testing.T) {
	run := good().Run
	if step := run.clockStep(); step != 0 {
		t.Errorf("step %v in a run without", step)
	}
	run.Ended.Wall += int64(time.Second)
	data, err := json.Marshal(run)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, RunFile), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "the wall clock was set by 1s during the run") {
		t.Errorf("evidence with a step of the clock: %v", err)
	}
}
