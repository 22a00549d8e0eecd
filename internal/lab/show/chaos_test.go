package show

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
	"github.com/hacluster/hacluster/internal/lab/chaos/judge"
)

// chaosRun is a made-up run of 70 s: node-a is killed at 20 s, node-b holds from 21 s on, and a promise is broken at 65 s.
func chaosRun() (judge.Evidence, judge.Verdict) {
	const began = 500 * time.Second
	at := func(seconds float64) time.Duration { return began + time.Duration(seconds*float64(time.Second)) }
	e := judge.Evidence{
		Run: judge.Run{
			Seed: 7, Command: "hacluster-lab chaos --seed 7 --duration 1m0s",
			Nodes: []judge.Node{{Name: "node-a", ENI: "eni-a"}, {Name: "node-b", ENI: "eni-b"}, {Name: "node-c", ENI: "eni-c"}},
			Began: judge.Clock{Boot: at(0)}, Ended: judge.Clock{Boot: at(70)},
		},
		Faults: []judge.Fault{
			{Seq: 1, Kind: "agent-kill", Text: "node-a, restarted after 1.0 s", Node: "node-a", Period: judge.Period{Asked: at(20), Ended: at(20)}},
			{Seq: 2, Kind: "ec2-slow", Text: "for all by 0.5 s, 4.0 s", Period: judge.Period{Asked: at(30), Ended: at(34)}, Parts: []judge.Part{{What: judge.PartEC2}}},
		},
		Absences: []judge.Absence{{Node: "node-a", Period: judge.Period{Asked: at(20), Began: at(20), Mending: at(21), Ended: at(21)}}},
		Logs: map[string]judge.Log{
			"node-a": {Transitions: []judge.Transition{{At: at(-1), To: "Master"}, {At: at(21.5), To: "Backup"}}},
			"node-b": {Transitions: []judge.Transition{{At: at(-1), To: "Backup"}, {At: at(21), To: "Master"}}},
		},
	}
	for i, node := range []string{"a", "b"} {
		c := judge.Call{Node: "node-" + node, Call: ec2fake.Call{Seq: int64(i + 1), Action: "AssociateAddress", ReceivedBoot: int64(at(21*float64(i) - 0.1))}}
		c.Parameters = map[string]string{"NetworkInterfaceId": "eni-" + node}
		c.Outcome = ec2fake.Outcome{Code: "OK", Changed: true, EffectBoot: int64(at(21 * float64(i)))}
		e.Calls = append(e.Calls, c)
	}
	for t := 0.0; t < 70; t++ {
		e.Requests = append(e.Requests, judge.Request{At: at(t), OK: t != 20})
	}
	v := judge.Verdict{
		Violations: []judge.Violation{{Invariant: "I3", Node: "node-b", At: 65 * time.Second, Text: "node-a and node-b both advertised for 3ms"}},
		Residuals:  []judge.Residual{{At: 40 * time.Second, Text: "node-c AssociateAddress landed late", Repaired: 2 * time.Second}},
		Doubts:     []string{"I5: the machine stood still"},
		Figures: judge.Figures{Duration: 70 * time.Second, Faults: map[string]int{"agent-kill": 1, "ec2-slow": 1}, Elections: 2, Calls: 2, Moves: 1,
			All: judge.Availability{Time: 70 * time.Second, Requests: 70, Answered: 69, Gaps: 1, Longest: time.Second, LongestAt: 20 * time.Second}},
	}
	return e, v
}

func TestWriteVerdict(t *testing.T) {
	e, v := chaosRun()
	var out strings.Builder
	if err := WriteVerdict(&out, e.Run, v); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"3 nodes, 1m10s, seed 7", "agent-kill  1", "98.571 % of 70 requests in 1m10s; 1 gap, the longest 1.00 s at +0:20.0",
		"2 by nodes", "not judged: I5: the machine stood still", "residual (docs/SAFETY.md) at +40s: node-c AssociateAddress landed late; repaired after 2s",
		"VIOLATION I3 at +1m5s node-b: node-a and node-b both advertised for 3ms",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestWriteSummary(t *testing.T) {
	e, v := chaosRun()
	path := filepath.Join(t.TempDir(), "summary.json")
	if err := WriteSummary(path, e.Run, v); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Seed       uint64
		Violations []judge.Violation
		Figures    struct{ Moves int }
	}
	if err := json.Unmarshal(data, &got); err != nil || got.Seed != 7 || len(got.Violations) != 1 || got.Figures.Moves != 1 {
		t.Errorf("%v: %s", err, data)
	}
}

func TestWriteChaosPage(t *testing.T) {
	e, v := chaosRun()
	path := filepath.Join(t.TempDir(), "summary.html")
	if err := WriteChaosPage(path, e, v); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for _, want := range []string{"2 faults in 1:10.0", "1 violations of I3", "both advertised for 3ms", "from 1:00.0 to 2:00.0", "hacluster-lab chaos --seed 7", "no agent, 1s from 0:20.0"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "http") {
		t.Error("the page loads something")
	}
}

// A strip shows what lies in its minute, where it belongs.
func TestStrip(t *testing.T) {
	e, v := chaosRun()
	first := strip{e, v, judge.Span{From: e.Run.Began.Boot, To: e.Run.Began.Boot + time.Minute}}
	requests := first.requests().Bars
	if len(requests) != 3 || requests[1].Class != "unserved" || requests[1].X < 33 || requests[1].X > 34 {
		t.Errorf("requests: %+v", requests)
	}
	address := first.address().Bars
	if len(address) != 2 || address[0].Text != "node-a" || address[1].Class != "held node-b" || address[1].X != 35 {
		t.Errorf("address: %+v", address)
	}
	if states := first.states("node-a").Bars; len(states) != 2 || states[0].W < 33 || states[0].W > 34 {
		t.Errorf("the killed node reigns on: %+v", states)
	}
	if lines := first.timeline().Lines; len(lines) != 0 {
		t.Errorf("a violation of another minute: %+v", lines)
	}
	second := strip{e, v, judge.Span{From: first.span.To, To: first.span.To + time.Minute}}
	if lines := second.timeline().Lines; len(lines) != 1 {
		t.Errorf("violations: %+v", lines)
	}
	if len(second.cloud().Bars) != 0 || len(first.cloud().Bars) != 1 {
		t.Error("EC2's faults are in the wrong minute")
	}
}
