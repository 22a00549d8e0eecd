package judge

import (
	"encoding/json"
	"slices"

	"github.com/hacluster/hacluster/fsm"
)

// Final is what a run has come to, some time after its last fault.
type Final struct {
	Leader  string          // node name; "" = none
	Healthy map[string]bool // the HAProxies by node, of running nodes
	// Actual is the association at EC2, ActualNode the node that has it. "" = none, or somebody else's.
	Actual, ActualNode string
	States             map[string]fsm.State // of running nodes
	Masters            []string             // nodes in state Master

	// NoCandidate: the world holds no node that could serve, whatever has been committed of that.
	NoCandidate bool
}

// Settled judges the end: the address is with the healthy leader, which alone is Master (I6), and nothing that was committed
// is lost (I8).
func (j *Judge) Settled(f Final) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if f.Leader == "" {
		j.accuse("I6", "there is no leader")
		return
	}
	j.compareStates(f)
	switch {
	case f.NoCandidate:
		// A drained Master stays as long as nobody can take over; an unhealthy one does not.
		for _, node := range f.Masters {
			if !f.Healthy[node] {
				j.accuse("I6", "%s is Master, but its HAProxy is unhealthy", node)
			}
		}
	case j.leftAlone(f.Actual):
		for _, node := range f.Masters {
			j.accuse("I6", "%s is Master, but the address is left to whom a person gave it", node)
		}
	default:
		j.converged(f)
	}
}

func (j *Judge) converged(f Final) {
	agreed := f.States[f.Leader].Addresses[j.cfg.Address]
	switch {
	case !f.Healthy[f.Leader]:
		j.accuse("I6", "the leader %s is unhealthy, though there is a candidate", f.Leader)
	case f.ActualNode != f.Leader:
		j.accuse("I6", "the leader is %s, but the address is with %q (%s)", f.Leader, f.ActualNode, f.Actual)
	case string(agreed.Association) != f.Actual || !agreed.HeldBy(fsm.NodeName(f.Leader)):
		j.accuse("I6", "agreed are %s at %s (claim %+v), but EC2 has %s at %s", agreed.Association, agreed.Holder, agreed.Claim, f.Actual, f.ActualNode)
	case !slices.Equal(f.Masters, []string{f.Leader}):
		j.accuse("I6", "the leader is %s, but Master are %v", f.Leader, f.Masters)
	}
}

func (j *Judge) compareStates(f Final) {
	if got := f.States[f.Leader].Index; got < j.state.Index {
		j.accuse("I8", "the leader %s has applied %d, but %d were committed", f.Leader, got, j.state.Index)
	}
	want, err := json.Marshal(j.state)
	if err != nil {
		j.accuse("I8", "the judge cannot encode its own state: %v", err)
	}
	for node, state := range f.States {
		got, err := json.Marshal(state)
		if state.Index == j.state.Index && (err != nil || string(got) != string(want)) {
			j.accuse("I8", "%s disagrees about the state at index %d:\n%s\nwant\n%s", node, state.Index, got, want)
		}
	}
}
