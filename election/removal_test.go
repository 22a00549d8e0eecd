package election

import (
	"testing"

	"github.com/hashicorp/raft"
)

// TestWhoIsBelievedAboutARemoval: a leader, unless as many others who answer still count this node among the members.
func TestWhoIsBelievedAboutARemoval(t *testing.T) {
	t.Parallel()
	n := &Node{self: identity{Node: "node-c", Incarnation: "3"}}
	answer := func(leading bool, members ...raft.ServerID) identityAnswer {
		return identityAnswer{Leading: leading, Members: members}
	}
	const a, b, c, d, e raft.ServerID = "node-a.1", "node-b.2", "node-c.3", "node-d.4", "node-e.5"
	recovered := answer(true, a)
	recovered.Generation = "0a1b2c3d"
	for _, tc := range []struct {
		name    string
		answers []identityAnswer
		want    bool
	}{
		{"nobody answers", nil, false},
		{"nobody leads", []identityAnswer{answer(false, a, b), answer(false, a, b)}, false},
		{"it is a member", []identityAnswer{answer(true, a, b, c), answer(false, a, b, c)}, false},
		{"it was removed", []identityAnswer{answer(true, a, b), answer(false, a, b)}, true},
		{"only the leader is reached", []identityAnswer{answer(true, a, b)}, true},
		{"a liar leads alone", []identityAnswer{answer(true, a), answer(false, a, b, c)}, false},
		{"the other one is about to hear of it", []identityAnswer{answer(true, a, b), answer(false, a, b, c)}, false},
		{"two were removed while they were away together", []identityAnswer{answer(true, a, d, e), answer(false, a, d, e), answer(false, a, b, c, d, e)}, true},
		{"one who has no memory says nothing", []identityAnswer{answer(true, a, b), answer(false)}, true},
		{"a leader of another generation", []identityAnswer{recovered}, false},
		{"another incarnation of its name", []identityAnswer{answer(true, a, b, "node-c.9")}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			answers := make(map[string]identityAnswer)
			for i, answer := range tc.answers {
				answers[string(rune('a'+i))] = answer
			}
			if got := n.expelledBy(answers); got != tc.want {
				t.Errorf("believed: %t, want %t", got, tc.want)
			}
		})
	}
}
