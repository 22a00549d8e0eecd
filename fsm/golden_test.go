package fsm

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files of levels that have none; those that are there stay for ever")

// TestGolden: testdata/levelN.log and levelN.snapshot are what a release of that level has written to disks. Every later build must read
// them, apply the log as that release did, and write the same snapshot, byte by byte, as older nodes read it. A release of an older level
// must refuse them.
//
// They are never changed once their level was released. A new level gets new ones, by -update.
func TestGolden(t *testing.T) {
	for level := Level(1); level <= 2; level++ {
		t.Run(fmt.Sprintf("level %d", level), func(t *testing.T) {
			name := filepath.Join("testdata", fmt.Sprintf("level%d", level))
			if _, err := os.Stat(name + ".log"); *update && errors.Is(err, os.ErrNotExist) {
				writeGolden(t, level, name)
			}
			log, want := readGolden(t, name)
			if level > Newest {
				refuses(t, log, want)
				return
			}
			state := New()
			for _, e := range log {
				state.Apply(e.index, e.term, e.command)
			}
			if state.Level != level {
				t.Errorf("the log leads to level %d", state.Level)
			}
			snapshots(t, state, want)
			restored, err := Restore(want)
			if err != nil {
				t.Fatal(err)
			}
			snapshots(t, restored, want)
		})
	}
}

// refuses: a build that is too old stops at the first entry that it cannot read, with a state that it can, and takes no snapshot.
func refuses(t *testing.T, log []goldenEntry, snapshot []byte) {
	t.Helper()
	state := New()
	var refusal error
	for _, e := range log {
		if refusal = Newest.Check(e.command); refusal != nil {
			break
		}
		state.Apply(e.index, e.term, e.command)
	}
	if !errors.As(refusal, new(*NewerError)) || state.Level != Newest {
		t.Errorf("at level %d: %v", state.Level, refusal)
	}
	if _, err := Restore(snapshot); !errors.As(err, new(*NewerError)) {
		t.Errorf("restore: %v", err)
	}
}

func snapshots(t *testing.T, s State, want []byte) {
	t.Helper()
	got, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("snapshot:\n%s\nwant:\n%s", got, want)
	}
}

type goldenEntry struct {
	index, term uint64
	command     []byte
}

// readGolden reads a log of lines "index term command", the command quoted as in Go, and a snapshot as it is.
func readGolden(t *testing.T, name string) (log []goldenEntry, snapshot []byte) {
	t.Helper()
	text, err := os.ReadFile(name + ".log")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var e goldenEntry
		words := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		if len(words) != 3 {
			t.Fatalf("line %q", line)
		}
		command, quoteErr := strconv.Unquote(words[2])
		_, err := fmt.Sscan(words[0]+" "+words[1], &e.index, &e.term)
		if err := errors.Join(quoteErr, err); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		e.command = []byte(command)
		log = append(log, e)
	}
	if snapshot, err = os.ReadFile(name + ".snapshot"); err != nil {
		t.Fatal(err)
	}
	return log, snapshot
}

func writeGolden(t *testing.T, level Level, name string) {
	t.Helper()
	state, log, term := New(), strings.Builder{}, uint64(0)
	for i, c := range goldenStory(level) {
		command, err := Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		index := uint64(i + 2) // the first is Raft's own
		term = max(term, c.term())
		fmt.Fprintf(&log, "%d %d %q\n", index, term, command)
		state.Apply(index, term, command)
	}
	snapshot, err := state.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name+".log", []byte(log.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name+".snapshot", snapshot, 0o644); err != nil {
		t.Fatal(err)
	}
}

// goldenStory has every command that the level knows, some denied. Its entries are numbered from 2.
func goldenStory(level Level) []Command {
	o := func(term uint64, reason string) Origin {
		return Origin{Term: term, UnixMilli: 1_750_000_000_000, Reason: reason}
	}
	var story []Command
	for i, n := range []NodeName{"node-a", "node-b", "node-c"} {
		story = append(story, UpsertNode{Origin: o(2, "joined"), Node: goldenAttributes(n, i, level).At(1)},
			SetHealth{Origin: o(2, "all checks pass"), Node: n, Healthy: n != "node-c", EC2: true})
	}
	story = append(story,
		Claim{Origin: o(2, "first claim"), Node: "node-a", AllocationID: eip, Fencing: Strict, Mode: Takeover, Observed: true}, // entry 8
		Confirm{Origin: o(2, "first claim"), Node: "node-a", AllocationID: eip, Claim: 8, Association: "eipassoc-1", Settled: true},
		Claim{Origin: o(3, "no release"), Node: "node-b", AllocationID: eip, Fencing: Balanced, Mode: Handover, Released: true},
		Claim{Origin: o(3, "no release"), Node: "node-b", AllocationID: eip, Fencing: Balanced, Mode: Handover}, // entry 11
		Confirm{Origin: o(3, "no release"), Node: "node-b", AllocationID: eip, Claim: 11, Association: "eipassoc-2"},
		Release{Origin: o(3, "agent stopping"), Node: "node-b", AllocationID: eip, Ends: 11, Settled: true, Alone: true},
		Claim{Origin: o(4, "node-b released"), Node: "node-a", AllocationID: eip, Fencing: Fast, Mode: Handover}, // entry 14
		Confirm{Origin: o(4, "node-b released"), Node: "node-a", AllocationID: eip, Claim: 14, Association: "eipassoc-3"},
		GuardDone{Origin: o(4, "guard"), Node: "node-a", AllocationID: eip, Association: "eipassoc-3", Through: 14},
		Claim{Origin: o(4, "seized"), Node: "node-b", AllocationID: eip, Fencing: Fast, Mode: Handover}, // entry 17, never answered
		Claim{Origin: o(5, "read"), Node: "node-a", AllocationID: eip, Fencing: Balanced, Mode: Adopt, Observed: true, Association: "eipassoc-3"},
		Release{Origin: o(5, "respected"), Node: "node-a", AllocationID: eip, Ends: 18, Foreign: "eipassoc-9"},
		SetDrain{Origin: o(5, "drained"), Node: "node-b", Drained: true},
		RemoveNode{Origin: o(5, "removed"), Node: "node-c"},
		RemoveNode{Origin: o(4, "late"), Node: "node-a"},
	)
	if level >= 2 {
		story = append(story, SetLevel{Origin: o(5, "every node knows it"), Level: 2, Needs: "v1.1.0"},
			UpsertNode{Origin: o(5, "joined"), Node: goldenAttributes("node-a", 0, level)},
			AdmitNode{Origin: o(5, "let in"), Node: goldenAttributes("node-d", 3, level)},
			AdmitNode{Origin: o(5, "let in"), Node: goldenAttributes("node-e", 4, level)},
			RemoveNode{Origin: o(5, "removed"), Node: "node-e"})
	}
	return story
}

func goldenAttributes(n NodeName, i int, level Level) Attributes {
	return Attributes{Name: n, Address: fmt.Sprintf("10.0.0.%d:7400", i+1), Priority: uint8(100 + i), Witness: n == "node-c",
		ENI: fmt.Sprintf("eni-%d", i), PrivateIP: fmt.Sprintf("10.0.0.%d", i+1), Version: "v1.0.0", Level: level,
		VRRPAddress: fmt.Sprintf("10.0.1.%d", i+1)}
}
