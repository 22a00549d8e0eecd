package fsm

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// newestCluster is a newCluster whose nodes all know the newest level.
func newestCluster(t *testing.T) *cluster {
	c := newCluster(t)
	c.state.Level = Newest
	return c
}

func at(name NodeName, address string) Attributes {
	return Attributes{Name: name, Address: address, Priority: 100, VRRPAddress: "vrrp of " + address}
}

// standing is who is what, in words.
func (c *cluster) standing() string {
	return fmt.Sprint("members ", slices.Sorted(maps.Keys(c.state.Nodes)), " admitted ", slices.Sorted(maps.Keys(c.state.Admitted)),
		" removed ", slices.Sorted(maps.Keys(c.state.Removed)))
}

// TestMembersComeAndGo: the members a, b and c, and a node d that is none.
func TestMembersComeAndGo(t *testing.T) {
	admit := func(a Attributes) func(*cluster) Command {
		return func(c *cluster) Command { return AdmitNode{Origin: c.origin(), Node: a} }
	}
	says := func(a Attributes) func(*cluster) Command {
		return func(c *cluster) Command { return UpsertNode{Origin: c.origin(), Node: a} }
	}
	remove := func(n NodeName) func(*cluster) Command {
		return func(c *cluster) Command { return RemoveNode{Origin: c.origin(), Node: n} }
	}
	d := at("d", "10.0.0.4:7400")
	tests := []struct {
		name  string
		story []func(*cluster) Command
		last  Denial // of the last entry; all before are accepted
		want  string
	}{
		{"a node is let in", []func(*cluster) Command{admit(d)}, "", "members [a b c] admitted [d] removed []"},
		{"and comes", []func(*cluster) Command{admit(d), says(d)}, "", "members [a b c d] admitted [] removed []"},
		{"a member is removed", []func(*cluster) Command{remove("a")}, "", "members [b c] admitted [] removed [a]"},
		{"it is not taken at its word any more", []func(*cluster) Command{remove("a"), says(at("a", "x"))}, DeniedRemoved, "members [b c] admitted [] removed [a]"},
		{"removed twice", []func(*cluster) Command{remove("a"), remove("a")}, "", "members [b c] admitted [] removed [a]"},
		{"admitted again", []func(*cluster) Command{remove("a"), admit(at("a", "10.0.0.1:7400")), says(at("a", "10.0.0.1:7400"))}, "",
			"members [a b c] admitted [] removed []"},
		{"an admission is taken back", []func(*cluster) Command{admit(d), remove("d")}, "", "members [a b c] admitted [] removed [d]"},
		{"a voter that has said nothing yet is removed", []func(*cluster) Command{remove("e")}, "", "members [a b c] admitted [] removed [e]"},
		{"a member is admitted where it is", []func(*cluster) Command{says(at("a", "10.0.0.1:7400")), admit(at("a", "10.0.0.1:7400"))}, "",
			"members [a b c] admitted [] removed []"},
		{"a member is replaced by a machine elsewhere", []func(*cluster) Command{says(at("a", "10.0.0.1:7400")), admit(at("a", "10.0.0.9:7400"))}, "",
			"members [a b c] admitted [a] removed []"},
		{"which the old one does not undo", []func(*cluster) Command{says(at("a", "10.0.0.1:7400")), admit(at("a", "10.0.0.9:7400")), says(at("a", "10.0.0.1:7400"))}, "",
			"members [a b c] admitted [a] removed []"},
		{"and which comes", []func(*cluster) Command{says(at("a", "10.0.0.1:7400")), admit(at("a", "10.0.0.9:7400")), says(at("a", "10.0.0.9:7400"))}, "",
			"members [a b c] admitted [] removed []"},
		{"the address of a member", []func(*cluster) Command{says(at("a", "10.0.0.4:7400")), admit(d)}, DeniedTaken, "members [a b c] admitted [] removed []"},
		{"the address of one that was let in", []func(*cluster) Command{admit(at("e", "10.0.0.4:7400")), admit(d)}, DeniedTaken, "members [a b c] admitted [e] removed []"},
		{"the adverts of another node", []func(*cluster) Command{admit(Attributes{Name: "e", Address: "x", VRRPAddress: d.VRRPAddress}), admit(d)}, DeniedTaken,
			"members [a b c] admitted [e] removed []"},
		{"without an address", []func(*cluster) Command{admit(Attributes{Name: "d"})}, DeniedInvalid, "members [a b c] admitted [] removed []"},
		{"without a name", []func(*cluster) Command{admit(Attributes{Address: "x"})}, DeniedInvalid, "members [a b c] admitted [] removed []"},
		{"with an endless name", []func(*cluster) Command{admit(at(NodeName(strings.Repeat("d", 64)), "x"))}, DeniedInvalid, "members [a b c] admitted [] removed []"},
		{"nobody is removed", []func(*cluster) Command{remove("")}, DeniedInvalid, "members [a b c] admitted [] removed []"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newestCluster(t)
			for i, step := range tt.story {
				want := Denial("")
				if i == len(tt.story)-1 {
					want = tt.last
				}
				if r := c.apply(step(c)); r.Denied != want {
					t.Errorf("entry %d: denied=%q, want %q", i+1, r.Denied, want)
				}
			}
			if got := c.standing(); got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestARemovedNodeClaimsNothing: its reign in the state stands, so that its successor knows what to displace; it gets no new one.
func TestARemovedNodeClaimsNothing(t *testing.T) {
	c := newestCluster(t)
	c.holds("a", Balanced, "x1")
	c.apply(RemoveNode{Origin: c.origin(), Node: "a"})
	c.want(c.claim("a", Balanced, Takeover), DeniedUnknownNode, "", "")
	c.want(c.claim("b", Balanced, Takeover), "", Takeover, "x1")
}

// TestRemovedNamesAreBounded: an Auto Scaling group leaves a name for each instance that ever was. The one removed first is forgotten.
func TestRemovedNamesAreBounded(t *testing.T) {
	c := newestCluster(t)
	for i := range removedLimit + 3 {
		c.apply(RemoveNode{Origin: c.origin(), Node: NodeName(fmt.Sprintf("n%03d", i))})
	}
	if n := len(c.state.Removed); n != removedLimit {
		t.Errorf("%d names are kept, want %d", n, removedLimit)
	}
	if first := slices.Sorted(maps.Keys(c.state.Removed))[0]; first != "n003" {
		t.Errorf("the first name kept is %s, want n003", first)
	}
}

// TestMembersSurviveASnapshot.
func TestMembersSurviveASnapshot(t *testing.T) {
	c := newestCluster(t)
	c.apply(AdmitNode{Origin: c.origin(), Node: at("d", "10.0.0.4:7400")})
	c.apply(RemoveNode{Origin: c.origin(), Node: "b"})
	b, err := c.state.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	restored, err := Restore(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(c.state, restored, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("(-before +after):\n%s", d)
	}
}
