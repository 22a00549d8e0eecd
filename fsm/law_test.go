package fsm

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

var (
	someNode    = rapid.SampledFrom([]NodeName{"a", "b", "c", "z"})
	someAddress = rapid.SampledFrom([]string{"", "10.0.0.1:1", "10.0.0.2:1"})
	someID      = rapid.SampledFrom([]AssociationID{"", "x1", "x2", "x3", "x4"})
	someModes   = rapid.SampledFrom([]Mode{Takeover, Handover, Adopt, "?"})
	someFence   = rapid.SampledFrom([]Fencing{Strict, Balanced, "?"})
)

func drawCommand(t *rapid.T, term uint64) Command {
	o := Origin{Term: term - uint64(rapid.IntRange(0, 1).Draw(t, "late")), Reason: "drawn"}
	node, id := someNode.Draw(t, "node"), someID.Draw(t, "id")
	index := uint64(rapid.IntRange(0, 40).Draw(t, "claim"))
	flag := rapid.Bool().Draw(t, "flag")
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		return Claim{Origin: o, Node: node, AllocationID: eip, Fencing: someFence.Draw(t, "fencing"), Mode: someModes.Draw(t, "mode"), Observed: flag, Association: id}
	case 1:
		return Confirm{Origin: o, Node: node, AllocationID: eip, Claim: index, Association: id, Settled: flag}
	case 2:
		return Release{Origin: o, Node: node, AllocationID: eip, Ends: index, Settled: flag}
	case 3:
		return GuardDone{Origin: o, Node: node, AllocationID: eip, Association: id, Through: index}
	case 4:
		return SetHealth{Origin: o, Node: node, Healthy: flag, EC2: true}
	case 5:
		return SetDrain{Origin: o, Node: node, Drained: flag}
	case 6:
		return UpsertNode{Origin: o, Node: Attributes{Name: node, Priority: 100, Level: Level(rapid.IntRange(0, 2).Draw(t, "level"))}}
	case 7:
		return AdmitNode{Origin: o, Node: Attributes{Name: node, Address: someAddress.Draw(t, "address")}}
	case 8:
		return RemoveNode{Origin: o, Node: node}
	default:
		return SetLevel{Origin: o, Level: Level(rapid.IntRange(0, int(Newest)).Draw(t, "level")), Needs: "v2"}
	}
}

// TestReplicasAgree: whatever the log holds, two replicas that apply it agree, and so does one that was restored from a
// snapshot in the middle; and no log breaks what the fence rests on.
func TestReplicasAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one, other := New(), New()
		term := uint64(1)
		for index := uint64(1); index <= 40; index++ {
			term += uint64(rapid.IntRange(0, 1).Draw(t, "election"))
			entry, err := Encode(drawCommand(t, term))
			if err != nil {
				t.Fatal(err)
			}
			before := one.Clone()
			if a, b := one.Apply(index, term, entry), other.Apply(index, term, entry); a != b {
				t.Fatalf("entry %d answered %+v and %+v", index, a, b)
			}
			checkFence(t, before, one)
			if rapid.IntRange(0, 9).Draw(t, "snapshot") == 0 {
				other = throughSnapshot(t, other)
			}
		}
		if d := cmp.Diff(one, other, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("replicas differ:\n%s", d)
		}
	})
}

// checkFence: fates are never cut or softened, and an atomic call is never allowed beside one with unknown outcome.
func checkFence(t *rapid.T, before, after State) {
	old, now := before.Addresses[eip], after.Addresses[eip]
	for id, fate := range old.Fates {
		if got := now.Fates[id]; got != fate && got != Superseded {
			t.Fatalf("fate of %s went from %q to %q", id, fate, got)
		}
	}
	if len(now.Attempts) > 1 {
		t.Fatalf("two atomic attempts with unknown outcome: %+v", now.Attempts)
	}
	if c := now.Claim; c != nil && c.Fencing == Strict && c.Confirmed && now.Fates[now.Association] == Contested && old.Association != now.Association {
		t.Fatalf("strict fencing confirmed the contested %s", now.Association)
	}
}

func throughSnapshot(t *rapid.T, s State) State {
	b, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	restored, err := Restore(b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := restored.Snapshot()
	if err != nil || !bytes.Equal(b, again) {
		t.Fatalf("snapshot of a restored state differs (%v):\n%s\n%s", err, b, again)
	}
	return restored
}

func TestCloneSharesNothing(t *testing.T) {
	c := newCluster(t)
	c.holds("a", Balanced, "x1")
	c.release("a", true)
	c.claim("b", Balanced, Handover)
	clone := c.state.Clone()
	before, err := clone.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	c.confirm("b", "x2")
	c.claim("c", Balanced, Takeover)
	c.apply(SetHealth{Origin: c.origin(), Node: "a"})
	after, err := clone.Snapshot()
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("a clone changed with its original (%v)", err)
	}
}
