package adminapi

import (
	"slices"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
)

// Level says which commands and snapshots the cluster uses (docs/UPGRADE.md).
type Level struct {
	// InUse is the cluster's. A build that knows less can neither join nor go on.
	InUse int `json:"in_use"`
	// Known is the newest that this node's build knows.
	Known int `json:"known"`
	// WaitsFor names the nodes whose builds, as far as they have said, know less than this one's; InUse rises when there are none.
	WaitsFor []string `json:"waits_for,omitempty"`
}

func describeLevel(v *controller.View, raft election.Status) Level {
	l := Level{InUse: int(v.Committed.Level), Known: int(fsm.Newest)}
	behind := func(name fsm.NodeName) bool { return v.Committed.Nodes[name].Level < fsm.Newest }
	for name := range v.Committed.Nodes {
		if behind(name) {
			l.WaitsFor = append(l.WaitsFor, string(name))
		}
	}
	for _, name := range raft.Voters { // one that is not in the state has said nothing yet
		if behind(fsm.NodeName(name)) {
			l.WaitsFor = append(l.WaitsFor, name)
		}
	}
	slices.Sort(l.WaitsFor)
	l.WaitsFor = slices.Compact(l.WaitsFor)
	return l
}
