package adminapi

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
)

// TestLevelNamesWhomItWaitsFor: a voter that has said nothing is waited for as much as a node that has said too little.
func TestLevelNamesWhomItWaitsFor(t *testing.T) {
	s := fsm.New()
	for name, level := range map[fsm.NodeName]fsm.Level{"node-a": fsm.Newest, "node-b": fsm.Newest - 1, "node-d": fsm.Newest - 1} {
		s.Nodes[name] = fsm.Node{Attributes: fsm.Attributes{Name: name, Level: level}}
	}
	got := describeLevel(&controller.View{Committed: s}, election.Status{Voters: []string{"node-a", "node-b", "node-c"}})
	want := Level{InUse: 1, Known: int(fsm.Newest), WaitsFor: []string{"node-b", "node-c", "node-d"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("level (-want +got):\n%s", d)
	}
}
