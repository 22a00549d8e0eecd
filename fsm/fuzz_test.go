package fsm

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// situations are states that an entry may meet, by the number that the fuzzer draws. All are in term 1.
func situations(t *testing.T) []State {
	stories := []func(c *cluster){
		func(c *cluster) { c.state = New() },
		func(*cluster) {},
		func(c *cluster) { c.holds("a", Balanced, "x1") },
		func(c *cluster) { c.holds("a", Strict, "x1") },
		func(c *cluster) { c.holds("a", Balanced, "x1"); c.release("a", true) },
		func(c *cluster) { c.holds("a", Balanced, "x1"); c.release("a", true); c.claim("b", Balanced, Handover) },
		func(c *cluster) { c.holds("a", Strict, "x1"); c.claim("b", Strict, Takeover) },
		func(c *cluster) { c.upgraded("a", "b", "c") },
		func(c *cluster) { c.upgraded("a", "b", "c"); c.raise(Newest) },
	}
	states := make([]State, 0, len(stories))
	for _, tell := range stories {
		c := newCluster(t)
		tell(c)
		states = append(states, c.state)
	}
	return states
}

// FuzzApply: whatever bytes are in the log, in whatever situation: replicas agree, what the fence rests on holds (I2), the state
// survives a snapshot, and an entry adds no more than its own size to it.
func FuzzApply(f *testing.F) {
	f.Fuzz(func(t *testing.T, situation uint8, entry []byte) {
		all := situations(t)
		before := all[int(situation)%len(all)]
		one, other := before.Clone(), before.Clone()
		index, term := before.Index+1, uint64(1)
		result := one.Apply(index, term, entry)
		if Newest.Check(entry) != nil {
			if d := cmp.Diff(before, one); d != "" || result.Denied != DeniedNewer {
				t.Fatalf("an entry that this build cannot read was answered %+v, and:\n%s", result, d)
			}
			return
		}
		if again := other.Apply(index, term, entry); again != result {
			t.Fatalf("two replicas answer %+v and %+v", result, again)
		}
		if d := cmp.Diff(one, other); d != "" {
			t.Fatalf("two replicas differ:\n%s", d)
		}
		if one.Index != index || one.Term != term {
			t.Errorf("entry (%d, %d) was counted as (%d, %d)", index, term, one.Index, one.Term)
		}
		checkGrant(t, before, one, result)
		checkFates(t, before, one)
		checkSnapshot(t, one)
		if grown, most := size(t, one)-size(t, before), 8*len(entry)+1024; grown > most {
			t.Errorf("an entry of %d bytes added %d to the state, want at most %d", len(entry), grown, most)
		}
	})
}

// checkGrant: a claim stands only by the entry that was granted, and what was denied changes nothing, but for calls that are known to
// be answered.
func checkGrant(t *testing.T, before, after State, result Result) {
	t.Helper()
	for id, now := range after.Addresses {
		old := before.Addresses[id]
		switch {
		case cmp.Equal(old.Claim, now.Claim):
		case now.Claim == nil:
			t.Errorf("the claim of %s is forgotten", id)
		case old.Claim != nil && old.Claim.Index == now.Claim.Index:
			want := *old.Claim
			want.Confirmed, want.Released = old.Claim.Confirmed || now.Claim.Confirmed, old.Claim.Released || now.Claim.Released
			if *now.Claim != want {
				t.Errorf("the claim of %s went from %+v to %+v", id, *old.Claim, *now.Claim)
			}
		case result.Denied != "" || result.Grant.Index != after.Index || now.Claim.Index != after.Index || now.Claim.Term != after.Term:
			t.Errorf("%s is claimed by %+v, but the entry was answered %+v", id, *now.Claim, result)
		}
	}
	if result.Denied != "" {
		answered := cmpopts.IgnoreFields(Address{}, "Attempts")
		if d := cmp.Diff(before, after, cmpopts.IgnoreFields(State{}, "Index", "Term"), answered, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("denied (%s), and yet:\n%s", result.Denied, d)
		}
	}
}

// checkFates: fates are never cut or softened, and there is never a second atomic call of unknown outcome.
func checkFates(t *testing.T, before, after State) {
	t.Helper()
	for id, old := range before.Addresses {
		for association, fate := range old.Fates {
			if now := after.Addresses[id].Fates[association]; now != fate && now != Contested {
				t.Errorf("fate of %s went from %q to %q", association, fate, now)
			}
		}
	}
	for id, now := range after.Addresses {
		if len(now.Attempts) > max(1, len(before.Addresses[id].Attempts)) {
			t.Errorf("%s has the attempts %+v", id, now.Attempts)
		}
	}
}

func checkSnapshot(t *testing.T, s State) {
	t.Helper()
	first, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	restored, err := Restore(first)
	if err != nil {
		t.Fatalf("restore a snapshot: %v\n%s", err, first)
	}
	if d := cmp.Diff(s, restored, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("a snapshot has lost something:\n%s", d)
	}
	if second, err := restored.Snapshot(); err != nil || !bytes.Equal(first, second) {
		t.Fatalf("the snapshot of what was restored differs (%v):\n%s\n%s", err, first, second)
	}
}

func size(t *testing.T, s State) int {
	t.Helper()
	b, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return len(b)
}

// FuzzDecode: what is understood is well-formed, and says the same after another turn.
func FuzzDecode(f *testing.F) {
	f.Fuzz(func(t *testing.T, entry []byte) {
		first, err := Decode(entry)
		if err != nil {
			return
		}
		if !json.Valid(entry[1:]) {
			t.Errorf("taken for %+v: %q", first, entry)
		}
		again, err := Encode(first)
		if err != nil {
			t.Fatal(err)
		}
		second, err := Decode(again)
		if err != nil {
			t.Fatalf("decode what Encode wrote: %v", err)
		}
		if d := cmp.Diff(first, second); d != "" {
			t.Errorf("after another turn:\n%s", d)
		}
	})
}

// FuzzRestore: what is taken for a snapshot is a state that survives one, and that can be used.
func FuzzRestore(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Restore(b)
		if err != nil {
			return
		}
		if !json.Valid(b[1:]) {
			t.Errorf("taken for a state: %q", b)
		}
		checkSnapshot(t, s)
		for _, a := range s.Addresses {
			if a.Claim != nil && a.Claim.Index > s.Index || s.Index > 1<<62 {
				return // no log leads there, and an index could come twice
			}
		}
		c := &cluster{t: t, state: s, index: s.Index, term: s.Term}
		for _, command := range []Command{
			UpsertNode{Origin: c.origin(), Node: Attributes{Name: "a"}},
			SetHealth{Origin: c.origin(), Node: "a", Healthy: true, EC2: true},
			SetDrain{Origin: c.origin(), Node: "a"},
			Claim{Origin: c.origin(), Node: "a", AllocationID: eip, Fencing: Strict, Mode: Takeover, Observed: true, Association: "x"},
		} {
			before := c.state.Clone()
			result := c.apply(command)
			checkGrant(t, before, c.state, result)
			checkFates(t, before, c.state)
		}
		checkSnapshot(t, c.state)
	})
}
