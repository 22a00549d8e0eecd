package judge

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/capture"
)

// The made-up run of these tests: node-a leads term 2 and holds the address by eipassoc-1 from the beginning. At 10 s it hands
// over to node-b, which leads term 3 and holds by eipassoc-2. At 50 s everything is settled; at 60 s the run ends.
const (
	bootAtStart = 1000 * time.Second
	wallAtStart = 1_700_000_000 * int64(time.Second)
)

// at returns a time of the made-up run.
func at(seconds float64) time.Duration {
	return bootAtStart + time.Duration(seconds*float64(time.Second))
}

func wall(seconds float64) time.Time {
	return time.Unix(0, wallAtStart).Add(time.Duration(seconds * float64(time.Second)))
}

func good() Evidence {
	e := Evidence{Run: Run{
		Fencing: "balanced", EvidenceMaxAge: 300 * time.Millisecond,
		Began: Clock{wallAtStart, at(0)}, Ended: Clock{wallAtStart + int64(60*time.Second), at(60)},
	}}
	for i, letter := range []string{"a", "b", "c"} {
		e.Run.Nodes = append(e.Run.Nodes, Node{Name: "node-" + letter, Address: fmt.Sprintf("10.20.0.%d", 11+i),
			Instance: "i-" + letter, ENI: "eni-" + letter})
	}
	e.Calls = []Call{
		associate(1, -4, "node-a", "eipassoc-1", false),
		associate(2, 10.1, "node-b", "eipassoc-2", true),
	}
	e.Logs = map[string]Log{
		"node-a": {
			Starts:      []Start{{at(-9), "node-a.1"}},
			Leaderships: []Leadership{{at(-5), 2, "node-a", true}, {at(10), 3, "node-b", false}},
			Transitions: []Transition{{at(-8), "Init", "Backup", 1}, {at(-3.9), "Backup", "Master", 2}, {at(9.9), "Master", "Backup", 2}},
			Calls:       []Line{{at(-4.001), at(-3.99), "AssociateAddress", 2, "eipassoc-1", "done"}},
		},
		"node-b": {
			Starts:      []Start{{at(-9), "node-b.1"}},
			Leaderships: []Leadership{{at(-5), 2, "node-a", false}, {at(10), 3, "node-b", true}},
			Transitions: []Transition{{at(-8), "Init", "Backup", 1}, {at(10.2), "Backup", "Master", 3}},
			Calls:       []Line{{at(10.09), at(10.11), "AssociateAddress", 3, "eipassoc-2", "done"}},
		},
		"node-c": {Starts: []Start{{at(-9), "node-c.1"}}, Leaderships: []Leadership{{at(-5), 2, "node-a", false}, {at(10), 3, "node-b", false}}},
	}
	e.Adverts = slices.Concat(adverts(11, 150, -3.8, 9.9), adverts(12, 100, 10.2, 60))
	for t := 0.05; t < 60; t += 0.1 {
		e.Requests = append(e.Requests, Request{at(t), true})
	}
	e.Sightings = []Sighting{look("node-a", 5, "Master", 2, 20, firstClaim), look("node-b", 5, "Backup", 2, 20, firstClaim)}
	settle := Settle{Round: 1, Mended: at(48), Steady: at(50)}
	for _, n := range e.Run.Nodes {
		state := "Backup"
		if n.Name == "node-b" {
			state = "Master"
		}
		settle.Sightings = append(settle.Sightings, look(n.Name, 50.1, state, 3, 30, slices.Concat(firstClaim, secondClaim)))
	}
	e.Settles = []Settle{settle}
	e.Sightings = append(e.Sightings, settle.Sightings...)
	return e
}

// The history of the made-up run.
var (
	firstClaim = []claim{
		{wall(-4.5), 2, "claim granted", "node-a", "takeover", ""},
		{wall(-3.95), 2, "confirmed", "node-a", "takeover", "eipassoc-1"},
	}
	secondClaim = []claim{
		{wall(9.95), 2, "released", "node-a", "", "eipassoc-1"},
		{wall(10.05), 3, "claim granted", "node-b", "handover", ""},
		{wall(10.15), 3, "confirmed", "node-b", "handover", "eipassoc-2"},
	}
)

// look is what a node answers; who leads and holds follows from the term.
func look(node string, seconds float64, state string, term, applied uint64, history []claim) Sighting {
	s := lab.Status{Node: node, State: state, Term: term, AppliedIndex: applied, Healthy: true, Ready: true}
	association := "eipassoc-1"
	s.Leader = "node-a"
	if term >= 3 {
		s.Leader, association = "node-b", "eipassoc-2"
	}
	s.Holder, s.Addresses = s.Leader, []lab.Association{{AssociationID: association}}
	for _, c := range history {
		line, err := json.Marshal(c)
		if err != nil {
			panic(err)
		}
		s.History = append(s.History, line)
	}
	for _, name := range []string{"node-a", "node-b", "node-c"} {
		s.Nodes = append(s.Nodes, lab.Member{Name: name, Healthy: true})
	}
	return Sighting{Asked: at(seconds), Answered: at(seconds + 0.02), Status: s}
}

// associate is a call that took the address to the caller's node.
func associate(seq int64, seconds float64, node, id string, reassociate bool) Call {
	c := Call{Node: node}
	c.Seq, c.Action, c.AllowReassociation = seq, "AssociateAddress", &reassociate
	c.Parameters = map[string]string{"NetworkInterfaceId": "eni-" + strings.TrimPrefix(node, "node-")}
	c.ReceivedBoot = int64(at(seconds))
	c.Outcome = ec2fake.Outcome{Code: "OK", AssociationID: id}
	return landing(c, seconds+0.001)
}

// disassociate is a call that freed the address.
func disassociate(seq int64, seconds float64, node, id string) Call {
	c := Call{Node: node}
	c.Seq, c.Action = seq, "DisassociateAddress"
	c.Parameters = map[string]string{"AssociationId": id}
	c.ReceivedBoot = int64(at(seconds))
	c.Outcome = ec2fake.Outcome{Code: "OK", AssociationID: id}
	return landing(c, seconds+0.001)
}

// landing is the call with its effect at another time than at once.
func landing(c Call, seconds float64) Call {
	c.Changed, c.EffectBoot, c.Effect = true, int64(at(seconds)), wall(seconds).UnixNano()
	return c
}

// adverts are those of a reign: ten a second, and a last one of priority 0.
func adverts(host byte, priority uint8, from, to float64) []capture.Advert {
	var list []capture.Advert
	advert := capture.Advert{Src: netip.AddrFrom4([4]byte{10, 20, 0, host}), VRID: 51, Interval: 100 * time.Millisecond}
	for t := from; t < to; t += 0.1 {
		advert.Time, advert.Priority = wall(t), priority
		list = append(list, advert)
	}
	advert.Time, advert.Priority = wall(to), 0
	return append(list, advert)
}

// during is a period without doubt.
func during(from, to float64) Period { return Period{at(from), at(from), at(to), at(to)} }

// cut severs all paths between a node and the two others.
func cut(node string, p Period) Fault {
	f := Fault{Kind: "partition", Period: p, Node: node}
	for _, other := range []string{"node-a", "node-b", "node-c"} {
		if other != node {
			f.Parts = append(f.Parts, Part{PartPath, node, other}, Part{PartPath, other, node})
		}
	}
	return f
}

// edit changes the log of a node.
func (e *Evidence) edit(node string, change func(*Log)) {
	log := e.Logs[node]
	change(&log)
	e.Logs[node] = log
}

// claimedInTerm4 adds a look at a node that has been granted a claim by handover in term 4.
func (e *Evidence) claimedInTerm4(node string) {
	claims := slices.Concat(firstClaim, secondClaim, []claim{{wall(30.6), 4, "claim granted", node, "handover", ""}})
	e.Sightings = append(e.Sightings, look(node, 55, "Backup", 4, 40, claims))
}

func TestGoodRun(t *testing.T) {
	v := Judge(good())
	if len(v.Violations)+len(v.Doubts)+len(v.Residuals) != 0 {
		t.Errorf("%+v", v)
	}
	f := v.Figures
	if f.Calls != 2 || f.Moves != 1 || f.Elections != 2 || f.Reigns != 2 || f.All.Share() != 100 || f.All.Requests != len(good().Requests) {
		t.Errorf("figures: %+v", f)
	}
}

// verdicts is a table of made-up evidence: what is changed in the good run, and what must be found. An empty want: nothing.
type verdicts map[string]struct {
	change func(e *Evidence)
	want   string // beginnings of the violations, in order, separated by " / "
}

func (table verdicts) test(t *testing.T) {
	t.Helper()
	for name, row := range table {
		t.Run(name, func(t *testing.T) {
			e := good()
			row.change(&e)
			v := Judge(e)
			var got []string
			for _, violation := range v.Violations {
				got = append(got, strings.TrimSpace(violation.Invariant+" "+violation.Node)+": "+violation.Text)
			}
			var want []string
			if row.want != "" {
				want = strings.Split(row.want, " / ")
			}
			if len(got) != len(want) {
				t.Fatalf("found %q, want %q", got, want)
			}
			for i := range want {
				if !strings.HasPrefix(got[i], want[i]) {
					t.Errorf("found %q, want %q", got[i], want[i])
				}
			}
		})
	}
}

func TestConsensusDecides(t *testing.T) {
	unhealthy := func(e *Evidence, from float64) {
		e.edit("node-b", func(l *Log) {
			l.Transitions = append([]Transition{l.Transitions[0], {at(from), "Backup", "Fault", 2}}, l.Transitions[1:]...)
		})
	}
	verdicts{
		"a call that the agent knows nothing of": {
			func(e *Evidence) { e.edit("node-b", func(l *Log) { l.Calls = nil }) },
			"I1 node-b: AssociateAddress without a word",
		},
		"a call whose agent was killed before it could log it": {func(e *Evidence) {
			e.edit("node-b", func(l *Log) { l.Calls = nil })
			e.Absences = []Absence{{Node: "node-b", Period: during(10.12, 11)}}
		}, ""},
		"a call of a node that did not lead": {
			func(e *Evidence) { e.edit("node-b", func(l *Log) { l.Leaderships = nil }) },
			"I1 node-b: AssociateAddress in term 3, which the node has not led",
		},
		"a call after the end of the leadership": {func(e *Evidence) {
			e.edit("node-b", func(l *Log) {
				l.Leaderships = append(l.Leaderships, Leadership{at(11), 4, "node-c", false})
				l.Calls = append(l.Calls, Line{at(11.9), at(12.1), "DisassociateAddress", 3, "eipassoc-0", "done"})
			})
			late := disassociate(3, 12, "node-b", "eipassoc-0")
			late.Changed = false
			e.Calls = append(e.Calls, late)
		}, "I1 node-b: DisassociateAddress in term 3, 1s after the node knew that its leadership was over"},
		"a call without a claim": {func(e *Evidence) {
			for i := range e.Sightings {
				e.Sightings[i].Status.History = slices.DeleteFunc(e.Sightings[i].Status.History,
					func(line json.RawMessage) bool { return strings.Contains(string(line), `"handover"`) })
			}
		}, "I1 node-b: AssociateAddress in term 3 without a granted claim / I2 node-b: an unfenced AssociateAddress in term 3"},
		"a call of a node that knew its HAProxy to be unhealthy": {
			func(e *Evidence) { unhealthy(e, 9.5) },
			"I1 node-b: AssociateAddress 600ms after the node had found its HAProxy unhealthy",
		},
		"a call that was on its way when HAProxy became unhealthy": {func(e *Evidence) { unhealthy(e, 10.05) }, ""},
		"a call that was on its way while the machine stood still": {func(e *Evidence) {
			unhealthy(e, 9.5)
			e.Stalls = []Span{{at(9.4), at(10.05)}}
		}, ""},
		"a call that TCP sent again after its path was mended": {func(e *Evidence) {
			unhealthy(e, 9.5)
			e.Faults = []Fault{{Kind: "ec2-unreachable", Period: during(9, 10), Parts: []Part{{PartPath, "node-b", ToEC2}}}}
		}, ""},
		"two leaders of one term": {func(e *Evidence) {
			e.edit("node-c", func(l *Log) { l.Leaderships = append(l.Leaderships, Leadership{at(20), 3, "node-c", true}) })
		}, "I1 node-c: leads term 3, as node-b does"},
	}.test(t)
}

func TestNoQuorumNoCalls(t *testing.T) {
	verdicts{
		"a call out of a minority": {
			func(e *Evidence) { e.Faults = []Fault{cut("node-b", during(9, 20))} },
			"I4 node-b: AssociateAddress 1.1s after the node had lost every quorum",
		},
		"a call while its evidence is fresh enough": {func(e *Evidence) { e.Faults = []Fault{cut("node-b", during(9.75, 20))} }, ""},
		"a call on the side of the majority":        {func(e *Evidence) { e.Faults = []Fault{cut("node-a", during(9, 20))} }, ""},
		"a call after the partition":                {func(e *Evidence) { e.Faults = []Fault{cut("node-b", during(9, 10))} }, ""},
		"a node that is heard by nobody": {func(e *Evidence) {
			e.Faults = []Fault{{Period: during(9, 20), Parts: []Part{{PartPath, "node-b", "node-a"}, {PartPath, "node-b", "node-c"}}}}
		}, "I4 node-b"},
		"a node between two that do not see one another": {func(e *Evidence) {
			e.Faults = []Fault{{Period: during(9, 20), Parts: []Part{{PartPath, "node-a", "node-c"}, {PartPath, "node-c", "node-a"}}}}
		}, ""},
		"the last agent that runs": {func(e *Evidence) {
			e.Absences = []Absence{{Node: "node-a", Period: during(9, 20)}}
			e.Faults = []Fault{{Kind: "agent-freeze", Period: during(9, 20), Parts: []Part{{PartAgent, "node-c", ""}}}}
		}, "I4 node-b"},
		"a node whose partition is in doubt": {func(e *Evidence) {
			e.Faults = []Fault{cut("node-b", Period{at(9), at(10.09), at(20), at(20)})}
		}, ""},
	}.test(t)
}

func TestFence(t *testing.T) {
	// later adds a claim of node-c in term 4, after the good run's, and ends the run there.
	later := func(e *Evidence, seconds float64, mode, association string) {
		claims := slices.Concat(firstClaim, secondClaim, []claim{
			{wall(seconds), 4, "claim granted", "node-c", mode, association},
			{wall(seconds + 0.1), 4, "confirmed", "node-c", mode, cmpOr(association, "eipassoc-3")},
		})
		s := look("node-c", seconds+5, "Master", 4, 40, claims)
		e.Sightings = append(e.Sightings, s)
		e.edit("node-c", func(l *Log) { l.Leaderships = append(l.Leaderships, Leadership{at(seconds - 0.1), 4, "node-c", true}) })
		for i := range e.Settles {
			e.Settles[i].Sightings = nil
			e.Settles[i].Problem = "not looked at in this test"
		}
	}
	unsettled := " / I6: round 1"
	verdicts{
		"an old disassociate of a newer association": {func(e *Evidence) {
			e.edit("node-a", func(l *Log) {
				l.Calls = append(l.Calls, Line{at(9.5), at(9.6), "DisassociateAddress", 2, "eipassoc-2", "unknown"})
			})
			e.Calls = append(e.Calls, landing(disassociate(3, 9.55, "node-a", "eipassoc-2"), 20), associate(4, 21, "", "eipassoc-4", true))
			e.Settles[0].Problem = "not looked at in this test"
		}, "I2 node-a: DisassociateAddress of term 2 displaced eipassoc-2, made in term 3" + unsettled},
		"an unfenced call in a takeover": {func(e *Evidence) { e.Calls[0] = associate(1, -4, "node-a", "eipassoc-1", true) },
			"I2 node-a: an unfenced AssociateAddress in term 2"},
		"a late handover that nobody repairs": {func(e *Evidence) {
			later(e, 11, "takeover", "")
			e.Calls[1] = landing(e.Calls[1], 30)
			e.Calls = append(e.Calls, associate(3, 12, "node-c", "eipassoc-3", false))
			e.edit("node-c", func(l *Log) {
				l.Calls = append(l.Calls, Line{at(11.9), at(12.1), "AssociateAddress", 4, "eipassoc-3", "done"})
			})
		}, "I2 node-b: AssociateAddress of term 3 displaced eipassoc-3 of term 4, and nobody repaired it" + unsettled},
		"a late disassociate of an adopted association, under strict fencing": {func(e *Evidence) {
			e.Run.Fencing = "strict"
			later(e, 20, "adopt", "eipassoc-2")
			e.edit("node-b", func(l *Log) {
				l.Calls = append(l.Calls, Line{at(19), at(19.1), "DisassociateAddress", 3, "eipassoc-2", "unknown"})
			})
			e.Calls = append(e.Calls, landing(disassociate(3, 19.05, "node-b", "eipassoc-2"), 25))
		}, "I2 node-b: DisassociateAddress of term 3 displaced eipassoc-2, made in term 3 and adopted in term 4" + unsettled},
	}.test(t)

	t.Run("what balanced allows is counted", func(t *testing.T) {
		e := good()
		later(&e, 20, "adopt", "eipassoc-2")
		e.edit("node-b", func(l *Log) {
			l.Calls = append(l.Calls, Line{at(19), at(19.1), "DisassociateAddress", 3, "eipassoc-2", "unknown"})
		})
		e.edit("node-c", func(l *Log) {
			l.Calls = append(l.Calls, Line{at(26.9), at(27.1), "AssociateAddress", 4, "eipassoc-3", "done"})
		})
		e.Calls = append(e.Calls, landing(disassociate(3, 19.05, "node-b", "eipassoc-2"), 25), associate(4, 27, "node-c", "eipassoc-3", false))
		v := Judge(e)
		if len(v.Residuals) != 1 || v.Residuals[0].Repaired.Round(10*time.Millisecond) != 2*time.Second || v.Figures.LateCalls != 1 {
			t.Errorf("%+v", v)
		}
	})
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func TestOneVoice(t *testing.T) {
	// interject lets node-a advertise in the middle of node-b's reign.
	interject := func(e *Evidence, times ...float64) {
		for _, seconds := range times {
			e.Adverts = append(e.Adverts, capture.Advert{Src: netip.MustParseAddr("10.20.0.11"), VRID: 51, Priority: 150,
				Interval: 100 * time.Millisecond, Time: wall(seconds)})
		}
		slices.SortFunc(e.Adverts, func(a, b capture.Advert) int { return a.Time.Compare(b.Time) })
	}
	verdicts{
		"two reigns at a time": {func(e *Evidence) {
			e.Adverts = slices.Concat(adverts(11, 150, -3.8, 10.55), adverts(12, 100, 10.2, 60))
			slices.SortFunc(e.Adverts, func(a, b capture.Advert) int { return a.Time.Compare(b.Time) })
		}, "I3 node-b: node-a and node-b both advertised for 300ms"},
		"an advert that the kernel held back until the link was up again": {func(e *Evidence) {
			e.Faults = []Fault{{Kind: "link-flap", Period: during(18, 19), Parts: []Part{{PartLink, "node-a", ""}}}}
			interject(e, 20, 20.00001)
		}, "I3 node-a: node-b and node-a both advertised"},
		"an advert of a node whose link was up": {func(e *Evidence) { interject(e, 20, 20.00001) },
			"I3 node-a: node-b and node-a both advertised"},
		"a switch that saw nothing": {func(e *Evidence) { e.Adverts = nil }, "I3: no advert was captured"},
	}.test(t)
}

func TestReloadIsNoFault(t *testing.T) {
	reload := func(alone bool) Fault {
		return Fault{Kind: KindReload, Node: "node-b", Alone: alone, Period: during(30, 32)}
	}
	sick := func(e *Evidence) {
		e.edit("node-b", func(l *Log) {
			l.Transitions = append(l.Transitions, Transition{at(30.5), "Master", "Fault", 3}, Transition{at(31), "Fault", "Master", 3})
		})
	}
	verdicts{
		"a reload that is noticed": {func(e *Evidence) { e.Faults = []Fault{reload(true)}; sick(e) },
			"I5 node-b: a reload made its HAProxy count as unhealthy"},
		"a reload among other faults": {func(e *Evidence) { e.Faults = []Fault{reload(false)}; sick(e) }, ""},
		"a reload while the machine stood still": {func(e *Evidence) {
			e.Faults = []Fault{reload(true)}
			e.Stalls = []Span{{at(30.1), at(30.4)}}
			sick(e)
		}, ""},
		"a reload after which something is called": {func(e *Evidence) {
			e.Faults = []Fault{reload(true)}
			c := associate(3, 31, "node-b", "eipassoc-2", true)
			c.Changed = false
			e.Calls = append(e.Calls, c)
			e.edit("node-b", func(l *Log) {
				l.Calls = append(l.Calls, Line{at(30.9), at(31.1), "AssociateAddress", 3, "eipassoc-2", "done"})
			})
		}, "I5 node-b: AssociateAddress after a reload of HAProxy on node-b"},
		"an election of its own accord during a reload": {func(e *Evidence) {
			e.Faults = []Fault{reload(true)}
			e.edit("node-b", func(l *Log) {
				l.Leaderships = append(l.Leaderships, Leadership{at(30.2), 3, "", false}, Leadership{at(30.5), 4, "node-b", true})
				l.Calls = append(l.Calls, Line{at(30.9), at(31.1), "AssociateAddress", 4, "eipassoc-2", "done"})
			})
			c := associate(3, 31, "node-b", "eipassoc-2", true)
			c.Changed = false
			e.Calls = append(e.Calls, c)
			e.claimedInTerm4("node-b")
		}, ""},
	}.test(t)
}

func TestConverges(t *testing.T) {
	settled := func(e *Evidence, node int) *lab.Status { return &e.Settles[0].Sightings[node].Status }
	verdicts{
		"a cluster that does not settle": {func(e *Evidence) { e.Settles[0].Problem = "clients are not served" },
			"I6: round 1: the cluster did not settle within 2s: clients are not served"},
		"a run without an end": {func(e *Evidence) { e.Settles = nil }, "I6: the run ended before anything was mended"},
		"two Masters": {func(e *Evidence) { settled(e, 2).State = "Master" },
			`I6 node-c: round 1: is Master in the end, while EC2 leads to "node-b"`},
		"no Master": {func(e *Evidence) { settled(e, 1).State = "Backup" },
			`I6 node-b: round 1: is Backup in the end, while EC2 leads to "node-b"`},
		"a holder who does not lead": {func(e *Evidence) { settled(e, 0).Leader = "node-c" },
			"I6 node-a: round 1: says leader node-c, holder node-b by eipassoc-2"},
		"an association that EC2 does not have": {func(e *Evidence) { settled(e, 1).Addresses[0].AssociationID = "eipassoc-1" },
			"I6 node-b: round 1: says leader node-b, holder node-b by eipassoc-1"},
		"an unhealthy end": {func(e *Evidence) { settled(e, 1).Healthy = false }, "I6 node-b: round 1: is unhealthy in the end"},
		"a node that does not answer": {func(e *Evidence) { e.Settles[0].Sightings = e.Settles[0].Sightings[:2] },
			"I6: round 1: 2 of 3 nodes answered in the end"},
		"an address that a person took away": {func(e *Evidence) { e.Calls = append(e.Calls, associate(3, 40, "", "eipassoc-9", true)) },
			`I6 node-a: round 1: says leader node-b, holder node-b by eipassoc-2; EC2 leads to "somewhere else"` +
				` / I6 node-b: round 1: is Master in the end, while EC2 leads to "somewhere else" / I6 node-c: round 1: says leader node-b`},
	}.test(t)
}

func TestMemory(t *testing.T) {
	lost := Fault{Kind: "disk-zeroed", Node: "node-c", StoreLost: true, Period: during(20, 22)}
	started := func(id string) func(e *Evidence) {
		return func(e *Evidence) {
			e.Faults = []Fault{lost}
			e.edit("node-c", func(l *Log) { l.Starts = append(l.Starts, Start{at(23), id}) })
		}
	}
	killed := Fault{Kind: KindAllKilled, Period: during(20, 20.1)}
	// remembered is a look at the Master after every agent was killed.
	remembered := func(e *Evidence, history []claim, change func(*lab.Status)) {
		e.Faults = []Fault{killed}
		e.Sightings = append(e.Sightings[:2], look("node-b", 15, "Master", 3, 30, slices.Concat(firstClaim, secondClaim)))
		after := look("node-b", 25, "Master", 5, 33, history)
		change(&after.Status)
		e.Sightings = append(e.Sightings, after)
	}
	whole := slices.Concat(firstClaim, secondClaim)
	unchanged := func(*lab.Status) {}
	verdicts{
		"a lost store comes back as somebody else": {started("node-c.2"), ""},
		"a lost store comes back as before":        {started("node-c.1"), "I7 node-c: runs as node-c.1 again, whose store was lost (disk-zeroed)"},
		"every agent killed, nothing forgotten":    {func(e *Evidence) { remembered(e, whole, unchanged) }, ""},
		"every agent killed, and the end forgotten": {func(e *Evidence) { remembered(e, whole[:3], unchanged) },
			"I8 node-b: is Master in term 5 and does not know what was committed in term 3 / I8 node-b: every agent was killed, and then nobody knew of"},
		"every agent killed, and the index goes back": {func(e *Evidence) { remembered(e, whole, func(s *lab.Status) { s.AppliedIndex = 29 }) },
			"I8 node-b: every agent was killed, and then the applied index was 29, after 30"},
		"every agent killed, and a drain forgotten": {func(e *Evidence) {
			remembered(e, whole, unchanged)
			e.Sightings[2].Status.Nodes[0].Drained = true
		}, "I8 node-b: every agent was killed, and then node-a was drained false, after true"},
		"two histories": {func(e *Evidence) {
			other := slices.Clone(whole)
			other[3].Mode = "takeover"
			e.Sightings = append(e.Sightings, look("node-c", 55, "Backup", 3, 30, other))
		}, "I8 node-c: its history has"},
	}.test(t)
}

func TestCrash(t *testing.T) {
	verdicts{"a crash": {func(e *Evidence) {
		e.edit("node-c", func(l *Log) { l.Crashes = []string{"panic: page 7 already freed"} })
	}, "crash node-c: the agent crashed: panic: page 7 already freed"}}.test(t)
}
