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
	// Actual is where each address is at EC2.
	Actual  map[fsm.AllocationID]Place
	States  map[string]fsm.State // of running nodes
	Masters []string             // nodes in state Master

	// NoCandidate: the world holds no node that could serve, whatever has been committed of that.
	NoCandidate bool
}

// Place is where an address is at EC2: its association, and the node that has it. "" = none, or somebody else's.
type Place struct{ Association, Node string }

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
	default:
		j.converged(f)
	}
}

// converged: each address is with the healthy leader, but for those that are left to whom a person gave them.
func (j *Judge) converged(f Final) {
	left, known := 0, len(j.violations)
	for _, id := range j.cfg.Addresses {
		agreed, actual := f.States[f.Leader].Addresses[id], f.Actual[id]
		switch {
		case j.leftAlone(id, actual):
			left++
		case !f.Healthy[f.Leader]:
			j.accuse("I6", "the leader %s is unhealthy, though there is a candidate", f.Leader)
			return
		case actual.Node != f.Leader:
			j.accuse("I6", "the leader is %s, but %s is with %q (%s)", f.Leader, id, actual.Node, actual.Association)
		case string(agreed.Association) != actual.Association || !agreed.HeldBy(fsm.NodeName(f.Leader)):
			j.accuse("I6", "agreed are %s at %s (claim %+v), but EC2 has %s at %s", agreed.Association, agreed.Holder, agreed.Claim, actual.Association, actual.Node)
		}
	}
	if len(j.violations) == known {
		j.oneMaster(f, left)
	}
}

// oneMaster: the leader, unless too many addresses are left to others.
func (j *Judge) oneMaster(f Final, left int) {
	enough := left == 0 || j.cfg.MasterOfAny && left < len(j.cfg.Addresses)
	switch {
	case enough && !slices.Equal(f.Masters, []string{f.Leader}):
		j.accuse("I6", "the leader is %s, but Master are %v", f.Leader, f.Masters)
	case !enough && len(f.Masters) > 0:
		j.accuse("I6", "Master are %v, but %d addresses are left to whom a person gave them", f.Masters, left)
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
