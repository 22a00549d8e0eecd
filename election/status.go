package election

import (
	"slices"

	"github.com/hashicorp/raft"
)

// Starting is the state of a node before Raft runs: it looks for its place in the cluster.
const Starting = "Starting"

// Status is a snapshot of the node for people and monitoring; nothing may be decided by it.
type Status struct {
	// ServerID is the node's name and incarnation, as Raft knows it.
	ServerID string `json:"server_id"`
	// Incarnation identifies the data of this node: a node that lost its store has a new one.
	Incarnation string `json:"incarnation"`
	// Generation names the recoveries from a loss of the quorum that the cluster has gone through; "" is none.
	Generation string `json:"generation,omitempty"`
	// State is Raft's word: Follower, Candidate, Leader, Shutdown; or Starting.
	State string `json:"state"`
	// Phase says in words what the node is doing or waiting for, such as
	// "waiting for node-c (10.0.0.3:7946): connection refused".
	Phase string `json:"phase"`
	// Term is the current term.
	Term uint64 `json:"term"`
	// Leader is the name of the leader, "" if unknown.
	Leader string `json:"leader"`
	// LastIndex, CommitIndex and AppliedIndex are log positions.
	LastIndex    uint64 `json:"last_index"`
	CommitIndex  uint64 `json:"commit_index"`
	AppliedIndex uint64 `json:"applied_index"`
	// StoreError says why the store refuses writes, such as "no space left on device"; "" as long as it takes them. Such a node
	// cannot lead, and does not count for durability: alert on it.
	StoreError string `json:"store_error,omitempty"`
	// Voters are the sorted names of the nodes that vote.
	Voters []string `json:"voters"`
	// RefusedConnections counts connections that spoke no known protocol, were meant for another server id, or came
	// while too many others were waiting.
	RefusedConnections uint64 `json:"refused_connections"`
	// Refusals are the same by reason, and under TLS also open connections that were cut, because the peer's certificate expired.
	Refusals map[string]uint64 `json:"refusals,omitempty"`
}

// Known reports whether the data dir has been part of a cluster before, by what Open found there.
func (n *Node) Known() bool { return n.origin != fresh }

// Status returns what the node knows of itself.
func (n *Node) Status() Status {
	s := Status{
		ServerID:    string(n.self.serverID()),
		Incarnation: n.self.Incarnation,
		Generation:  string(n.generation()),
		State:       Starting,
		Phase:       n.phase.get(),
		StoreError:  n.storeError.get(),
	}
	if n.mux != nil {
		s.RefusedConnections, s.Refusals = n.mux.refused.total(), n.mux.refused.counts()
	}
	if r := n.raft.Load(); r != nil {
		n.addRaftStatus(&s, r)
	}
	return s
}

func (n *Node) addRaftStatus(s *Status, r *raft.Raft) {
	leadership := n.leadership(r)
	s.State = r.State().String()
	s.Term = leadership.Term
	s.Leader = leadership.Leader
	s.LastIndex = r.LastIndex()
	s.CommitIndex = r.CommitIndex()
	s.AppliedIndex = r.AppliedIndex()
	s.Voters = voterNames(r)
}

func voterNames(r *raft.Raft) []string {
	var names []string
	for _, id := range voters(r) {
		names = append(names, nodeName(id))
	}
	slices.Sort(names)
	return names
}
