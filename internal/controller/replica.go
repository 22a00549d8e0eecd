package controller

import (
	"cmp"
	"slices"
	"sync"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
)

// Replica is this node's copy of the replicated state: Raft writes it, the driver and the final check read it. It implements
// election.StateMachine and election.Directory.
type Replica struct {
	mu      sync.RWMutex
	state   fsm.State
	changed chan struct{} // one slot: "newer than when you last looked"
}

// NewReplica returns an empty copy.
func NewReplica() *Replica {
	return &Replica{state: fsm.New(), changed: make(chan struct{}, 1)}
}

// Apply applies one committed entry and returns its fsm.Result.
func (r *Replica) Apply(term, index uint64, command []byte) any {
	r.mu.Lock()
	result := r.state.Apply(index, term, command)
	r.mu.Unlock()
	r.signal()
	return result
}

// Snapshot returns the state as bytes.
func (r *Replica) Snapshot() ([]byte, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.state.Snapshot()
}

// Restore replaces the state by a snapshot.
func (r *Replica) Restore(b []byte) error {
	s, err := fsm.Restore(b)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.state = s
	r.mu.Unlock()
	r.signal()
	return nil
}

// Check implements election.StateMachine.
func (r *Replica) Check(data []byte) error { return fsm.Newest.Check(data) }

// Admits returns why a build that knows this level is too old to join; see election.Config.
func (r *Replica) Admits(level uint8) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.state.Admits(fsm.Level(level))
}

// State returns a copy.
func (r *Replica) State() fsm.State {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.state.Clone()
}

// Admitted returns the members, and who was let in and has not come yet, sorted by name.
func (r *Replica) Admitted() []election.Peer {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var peers []election.Peer
	for name, n := range r.state.Nodes {
		if _, anew := r.state.Admitted[name]; !anew {
			peers = append(peers, peerOf(n.Attributes))
		}
	}
	for _, a := range r.state.Admitted {
		peers = append(peers, peerOf(a))
	}
	slices.SortFunc(peers, func(a, b election.Peer) int { return cmp.Compare(a.Name, b.Name) })
	return peers
}

func peerOf(a fsm.Attributes) election.Peer {
	return election.Peer{Name: string(a.Name), Address: a.Address, Witness: a.Witness}
}

// Removed reports whether a node was removed, and was not admitted since.
func (r *Replica) Removed(name string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, removed := r.state.Removed[fsm.NodeName(name)]
	return removed
}

// Changed delivers one signal for any number of changes since the last.
func (r *Replica) Changed() <-chan struct{} { return r.changed }

// granted reports whether the claim of (term, index) is node's and still the newest.
func (r *Replica) granted(id fsm.AllocationID, node fsm.NodeName, term, index uint64) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c := r.state.Addresses[id].Claim
	return c != nil && c.Node == node && c.Term == term && c.Index == index && !c.Released
}

func (r *Replica) signal() {
	select {
	case r.changed <- struct{}{}:
	default: // one is waiting already, and will read this change too
	}
}
