// Package adminapi is the local control socket of an agent: HTTP over a unix socket of mode 0600, and the client that the
// command line uses. It answers what is, and takes the operator's requests; it decides nothing.
package adminapi

import (
	"cmp"
	"slices"
	"time"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
)

// Status is one node's view of the cluster.
type Status struct {
	Cluster string `json:"cluster"`
	Node    string `json:"node"`
	Version string `json:"version"`
	State   string `json:"state"` // Init, Backup, Master or Fault
	// Ready: this node knows a leader, and its HAProxy is healthy.
	Ready   bool   `json:"ready"`
	Healthy bool   `json:"healthy"`
	Health  string `json:"health"`
	EC2     bool   `json:"ec2"`

	Leader string `json:"leader"`
	Term   uint64 `json:"term"`
	// Phase says in words what the Raft node does: "voter", "waiting for node-c (10.0.0.3:7946)".
	Phase string `json:"phase"`
	// StoreError says why this node's disk takes no more entries; it falls behind.
	StoreError string `json:"store_error,omitempty"`
	// Claim says in words what a leader does about the address.
	Claim string `json:"claim,omitempty"`

	AllocationID  string `json:"allocation_id"`
	PublicIP      string `json:"public_ip,omitempty"`
	Holder        string `json:"holder"`
	AssociationID string `json:"association_id"`
	// Confirmed: the newest claim was carried out and stands.
	Confirmed bool `json:"confirmed"`
	// Guarded: a call of the past may still disturb the association; it is watched.
	Guarded bool `json:"guarded"`

	// Hints counts what this node made of missing adverts since it started.
	Hints controller.HintCounts `json:"hints"`
	// Certificate is what the other nodes know this one by; nil without TLS.
	Certificate *Certificate `json:"certificate,omitempty"`
	// Refusals counts the connections to this node's port that were refused or cut, by reason.
	Refusals map[string]uint64 `json:"refusals,omitempty"`
	// VRRP is what this node sent and heard; nil on a witness without hints.
	VRRP *VRRP `json:"vrrp,omitempty"`

	// Generation names the recoveries of the cluster from a loss of its quorum, "" if there was none.
	Generation   string       `json:"generation,omitempty"`
	AppliedIndex uint64       `json:"applied_index"`
	Nodes        []Node       `json:"nodes"`
	History      []Transition `json:"history"` // newest last, at most 20
}

// Certificate is the part of a node's certificate chain that ends first.
type Certificate struct {
	Name     string    `json:"name"` // whose it is, in words
	NotAfter time.Time `json:"not_after"`
	// DaysLeft counts whole days, and is negative once it has expired.
	DaysLeft int `json:"days_left"`
}

// Node is one member as the cluster agreed on it.
type Node struct {
	Name      string `json:"name"`
	Address   string `json:"address"`
	Priority  int    `json:"priority"`
	Witness   bool   `json:"witness"`
	Healthy   bool   `json:"healthy"`
	EC2       bool   `json:"ec2"`
	Drained   bool   `json:"drained"`
	PrivateIP string `json:"private_ip,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// Transition is one line of the history.
type Transition struct {
	Time          time.Time `json:"time"`
	Term          uint64    `json:"term"`
	Event         string    `json:"event"`
	Node          string    `json:"node"`
	Mode          string    `json:"mode,omitempty"`
	AssociationID string    `json:"association_id,omitempty"`
	Reason        string    `json:"reason,omitempty"`
}

const historyShown = 20

// Identity is what does not change while an agent runs.
type Identity struct {
	Cluster, Node, Version string
	AllocationID           fsm.AllocationID
	Witness                bool
}

// describe makes a Status of what the controller and the Raft node know.
func describe(id Identity, v *controller.View, traffic *controller.Traffic, raft election.Status) Status {
	a := v.Committed.Addresses[id.AllocationID]
	s := Status{
		Cluster: id.Cluster, Node: id.Node, Version: id.Version,
		State: string(v.State), Healthy: v.Healthy || id.Witness, Health: v.Health, EC2: v.EC2,
		Leader: string(v.Leadership.Leader), Term: v.Leadership.Term,
		Phase: raft.Phase, StoreError: raft.StoreError, Claim: v.ClaimStep,
		AllocationID: string(id.AllocationID), Holder: string(a.Holder), AssociationID: string(a.Association),
		Confirmed: a.Claim != nil && a.Claim.Confirmed && !a.Claim.Released, Guarded: a.Guarded(),
		Hints: v.Hints, Refusals: raft.Refusals, VRRP: describeTraffic(traffic), AppliedIndex: v.Committed.Index,
		Generation: raft.Generation,
	}
	s.Ready = s.Leader != "" && s.Healthy && s.State != string(controller.Init)
	if v.Read != nil && v.Read.PublicIP.IsValid() {
		s.PublicIP = v.Read.PublicIP.String()
	}
	for _, n := range v.Committed.Nodes {
		s.Nodes = append(s.Nodes, Node{Name: string(n.Name), Address: n.Address, Priority: int(n.Priority), Witness: n.Witness,
			Healthy: n.Healthy, EC2: n.EC2, Drained: n.Drained, PrivateIP: n.PrivateIP, Reason: n.Reason})
	}
	slices.SortFunc(s.Nodes, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	s.History = transitions(v.Committed.History)
	return s
}

func transitions(history []fsm.Transition) []Transition {
	if extra := len(history) - historyShown; extra > 0 {
		history = history[extra:]
	}
	out := make([]Transition, 0, len(history))
	for _, t := range history {
		out = append(out, Transition{Time: time.UnixMilli(t.UnixMilli).UTC(), Term: t.Term, Event: t.Event, Node: string(t.Node),
			Mode: string(t.Mode), AssociationID: string(t.Association), Reason: t.Reason})
	}
	return out
}
