package fsm

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// upgraded says that these nodes' builds know all that this one does.
func (c *cluster) upgraded(names ...NodeName) {
	c.t.Helper()
	for _, n := range names {
		c.apply(UpsertNode{Origin: c.origin(), Node: Attributes{Name: n, Priority: 100, Level: Newest}})
	}
}

func (c *cluster) raise(l Level) Result {
	return c.apply(SetLevel{Origin: c.origin(), Level: l, Needs: "v1.2.0"})
}

// TestLevelRises: by one entry, once every node understands it, and never back.
func TestLevelRises(t *testing.T) {
	withAddress := UpsertNode{Origin: Origin{Term: 1}, Node: Attributes{Name: "a", Priority: 100, Level: 2, VRRPAddress: "10.0.0.1"}}
	c := newCluster(t)
	if c.state.Level != 1 {
		t.Fatalf("a new state is at level %d", c.state.Level)
	}
	c.upgraded("a", "b")
	c.want(c.raise(2), DeniedTooOld, "", "")
	c.want(c.apply(withAddress), DeniedLevel, "", "")
	c.upgraded("c")
	c.want(c.raise(2), "", "", "")
	if c.state.Level != 2 || c.state.Needs != "v1.2.0" {
		t.Errorf("the state is at level %d and needs %q", c.state.Level, c.state.Needs)
	}
	if last := c.state.History[len(c.state.History)-1]; last.Event != "level 2" {
		t.Errorf("the history ends with %+v", last)
	}
	c.want(c.apply(withAddress), "", "", "")
	c.want(c.raise(2), DeniedInvalid, "", "")
	c.want(c.raise(1), DeniedInvalid, "", "")
	if c.state.Level != 2 {
		t.Errorf("the level went down to %d", c.state.Level)
	}
}

// TestTooOld: what a build, or its operator, is told when the state is beyond it.
func TestTooOld(t *testing.T) {
	c := newCluster(t)
	c.upgraded("a", "b", "c")
	raise, err := Encode(SetLevel{Origin: c.origin(), Level: 2, Needs: "v1.2.0"})
	if err != nil {
		t.Fatal(err)
	}
	c.raise(2)
	snapshot, err := c.state.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	const named = "install hacluster v1.2.0 or later"
	tests := map[string]struct {
		err  error
		want string
	}{
		"the entry that raised it":       {Level(1).Check(raise), named},
		"a snapshot":                     {Level(1).Check(snapshot), named},
		"a joining node":                 {c.state.Admits(1), named},
		"another entry of the level":     {Level(1).Check([]byte("\x02" + `{"kind":"new","body":{"term":1}}`)), "install the version that the other nodes run"},
		"an entry in an unknown writing": {Level(1).Check([]byte("\x02\x00\x01")), "install the version that the other nodes run"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			newer := (*NewerError)(nil)
			if !errors.As(tt.err, &newer) || newer.Level != 2 || newer.Knows != 1 {
				t.Fatalf("%v (%+v), want level 2 where 1 is known", tt.err, newer)
			}
			if !strings.HasSuffix(tt.err.Error(), tt.want) {
				t.Errorf("%q does not end with %q", tt.err, tt.want)
			}
		})
	}
	for name, err := range map[string]error{
		"the entry": Level(2).Check(raise), "the snapshot": Level(2).Check(snapshot), "a node of this build": c.state.Admits(2), "nothing": Level(1).Check(nil),
	} {
		if err != nil {
			t.Errorf("%s is refused: %v", name, err)
		}
	}
}

// TestOlderBuildAgrees: whatever the log holds, a build that knows level 1 has the same state as one that knows 2, up to the entry that
// it cannot read; there it stops, unchanged. Nothing of level 2 is in the state before that entry.
func TestOlderBuildAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		newer, older := New(), New()
		term := uint64(1)
		for index := uint64(1); index <= 40; index++ {
			term += uint64(rapid.IntRange(0, 1).Draw(t, "election"))
			command := drawCommand(t, term)
			if command.level() > newer.Level && command.kind() != kindSetLevel {
				continue // no leader proposes it
			}
			entry, err := Encode(command)
			if err != nil {
				t.Fatal(err)
			}
			answer := newer.apply(2, index, term, entry)
			before := older.Clone()
			again := older.apply(1, index, term, entry)
			if Level(1).Check(entry) != nil {
				if d := cmp.Diff(before, older); d != "" || again.Denied != DeniedNewer {
					t.Fatalf("the older build was answered %+v to what it cannot read, and:\n%s", again, d)
				}
				return
			}
			if answer != again {
				t.Fatalf("entry %d answered %+v and %+v", index, answer, again)
			}
			if d := cmp.Diff(newer, older, cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("the builds differ after entry %d:\n%s", index, d)
			}
			if newer.Level != 1 {
				t.Fatalf("level %d by an entry that the older build could read", newer.Level)
			}
		}
	})
}

// TestWhatNobodyProposes: bytes that say a lower level than their content has are malformed to the build that understands the content
// too, as they are to those that do not.
func TestWhatNobodyProposes(t *testing.T) {
	c := newCluster(t)
	c.upgraded("a", "b", "c")
	c.raise(2)
	for _, entry := range []string{
		"\x01" + `{"kind":"upsert-node","body":{"term":1,"node":{"name":"a","address":"","priority":1,"vrrp_address":"10.0.0.1"}}}`,
		"\x01" + `{"kind":"set-level","body":{"term":1,"level":2}}`,
	} {
		if r := c.state.Apply(c.index+1, 1, []byte(entry)); r.Denied != DeniedMalformed {
			t.Errorf("denied=%q, want %q: %q", r.Denied, DeniedMalformed, entry)
		}
	}
	if entry, err := Encode(SetLevel{Origin: c.origin(), Level: Newest + 1}); err == nil {
		t.Errorf("this build proposes what it cannot read: %q", entry)
	}
}

// TestLevel1Build compiles the build that stands for the release before, and lets it read the golden files.
func TestLevel1Build(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-tags", "hacluster_level1", "-run", "^TestGolden$", "-v", ".").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestGolden/level_2") {
		t.Fatalf("%v:\n%s", err, out)
	}
}
