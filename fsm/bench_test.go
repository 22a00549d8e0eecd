package fsm

import (
	"fmt"
	"testing"
)

// benchHolder holds the benchmarks' address by the association benchAssociation; benchGuest is a member that comes and goes.
const (
	benchHolder      NodeName      = "node-a"
	benchGuest       NodeName      = "node-c"
	benchAssociation AssociationID = "eipassoc-0123456789abcdef0"
	benchTerm                      = 7
)

// benchState is a cluster of three in steady state: one holds, nothing is contested, and the history has so many entries.
func benchState(history int) State {
	s := New()
	for i, name := range []NodeName{benchHolder, "node-b", benchGuest} {
		s.Nodes[name] = Node{Attributes: benchAttributes(name, i), Healthy: true, EC2: true, Reason: "all checks pass"}
	}
	s.Index, s.Term = 1000, benchTerm
	s.Addresses[eip] = Address{
		Holder: benchHolder, Association: benchAssociation,
		Claim: &GrantedClaim{Index: 998, Term: benchTerm, Node: benchHolder, Mode: Handover, Fencing: Balanced, Confirmed: true, Clean: true},
	}
	for i := range history {
		s.History = append(s.History, Transition{
			Index: uint64(i), Term: benchTerm, UnixMilli: 1_700_000_000_000 + int64(i), Address: eip, Event: "claim granted",
			Node: benchHolder, Mode: Takeover, Association: associationID(i), Reason: "node-b was deposed",
		})
	}
	return s
}

func benchAttributes(name NodeName, i int) Attributes {
	return Attributes{
		Name: name, Address: fmt.Sprintf("10.20.0.%d:7400", 11+i), Priority: 100,
		ENI: fmt.Sprintf("eni-0123456789abcdef%d", i), PrivateIP: fmt.Sprintf("10.20.0.%d", 11+i), Version: "v1.0.0", Level: Newest,
	}
}

func associationID(i int) AssociationID { return AssociationID(fmt.Sprintf("eipassoc-%017x", i)) }

// withFates gives the address so many ids that must not be trusted: the one part of the state that only grows.
func (s State) withFates(n int) State {
	a := s.Addresses[eip]
	for i := range n {
		a.mark(associationID(i), Superseded)
	}
	s.Addresses[eip] = a
	return s
}

// benchCommands has one command of each kind that benchState accepts.
func benchCommands() []Command {
	o := Origin{Term: benchTerm, UnixMilli: 1_700_000_000_000, Reason: "haproxy master process exited"}
	return []Command{
		Claim{Origin: o, Node: benchHolder, AllocationID: eip, Fencing: Balanced, Mode: Takeover, Observed: true, Association: benchAssociation},
		Confirm{Origin: o, Node: benchHolder, AllocationID: eip, Claim: 998, Association: associationID(1), Settled: true},
		Release{Origin: o, Node: benchHolder, AllocationID: eip, Ends: 998, Settled: true},
		GuardDone{Origin: o, Node: benchHolder, AllocationID: eip, Association: benchAssociation, Through: 998},
		SetHealth{Origin: o, Node: benchHolder, Healthy: true, EC2: true},
		SetDrain{Origin: o, Node: benchHolder},
		UpsertNode{Origin: o, Node: benchAttributes(benchHolder, 0)},
		RemoveNode{Origin: o, Node: benchGuest},
		SetLevel{Origin: o, Level: Newest, Needs: "v1.0.0"},
	}
}

func encode(b *testing.B, c Command) []byte {
	b.Helper()
	entry, err := Encode(c)
	if err != nil {
		b.Fatal(err)
	}
	return entry
}

// Each command meets the same state, with a full history, which is what an old cluster has.
func BenchmarkApply(b *testing.B) {
	for _, c := range benchCommands() {
		b.Run(string(c.kind()), func(b *testing.B) {
			s, entry := benchState(historyLimit), encode(b, c)
			address, guest := s.Addresses[eip], s.Nodes[benchGuest]
			b.ReportAllocs()
			for b.Loop() {
				s.Addresses[eip], s.Nodes[benchGuest], s.Level = address, guest, 1 // what the command before changed
				if r := s.Apply(1001, benchTerm, entry); r.Denied != "" {
					b.Fatal(r.Denied)
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, c := range benchCommands() {
		b.Run(string(c.kind()), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				encode(b, c)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range benchCommands() {
		b.Run(string(c.kind()), func(b *testing.B) {
			entry := encode(b, c)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(entry); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// sized is a state of a size that is worth knowing.
type sized struct {
	name  string
	state State
}

// benchStates: the history is bounded, so 10,000 entries cannot come up; they show what the bound saves. Fates are not bounded:
// an address gets one with each takeover and each association that is replaced.
func benchStates() []sized {
	return []sized{
		{"young", benchState(10)},
		{fmt.Sprintf("history=%d", historyLimit), benchState(historyLimit)},
		{"history=10000", benchState(10_000)},
		{"fates=10000", benchState(historyLimit).withFates(10_000)},
	}
}

func BenchmarkClone(b *testing.B) {
	for _, s := range benchStates() {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.state.Clone()
			}
		})
	}
}

func BenchmarkSnapshot(b *testing.B) {
	for _, s := range benchStates() {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			var text []byte
			for b.Loop() {
				text = snapshot(b, s.state)
			}
			b.ReportMetric(float64(len(text)), "snapshot-bytes")
		})
	}
}

func BenchmarkRestore(b *testing.B) {
	for _, s := range benchStates() {
		b.Run(s.name, func(b *testing.B) {
			text := snapshot(b, s.state)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Restore(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func snapshot(b *testing.B, s State) []byte {
	b.Helper()
	text, err := s.Snapshot()
	if err != nil {
		b.Fatal(err)
	}
	return text
}
