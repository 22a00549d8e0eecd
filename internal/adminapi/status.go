// Package adminapi is the local control socket of an agent: HTTP over a unix socket that one group may use, and the client
// that the command line uses. It answers what is, and takes the operator's requests; it decides nothing.
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
	Level      Level  `json:"level"`
	// Holder of all addresses; empty while they are not with one node.
	Holder    string    `json:"holder"`
	Addresses []Address `json:"addresses"`

	// Hints counts what this node made of missing adverts since it started.
	Hints controller.HintCounts `json:"hints"`
	// Certificate is what the other nodes know this one by; nil without TLS.
	Certificate *Certificate `json:"certificate,omitempty"`
	// Refusals counts the connections to this node's port that were refused or cut, by reason.
	Refusals map[string]uint64 `json:"refusals,omitempty"`
	// VRRP is what this node sent and heard; nil on a witness without hints.
	VRRP *VRRP `json:"vrrp,omitempty"`

	// Voters are the names of the nodes that vote. Answering are those that answer the leader, itself included; nil: not known here.
	Voters    []string `json:"voters"`
	Answering []string `json:"answering,omitempty"`
	// Verdict is the summary in words, where it was asked for.
	Verdict *Verdict `json:"verdict,omitempty"`

	// Generation names the recoveries of the cluster from a loss of its quorum, "" if there was none.
	Generation   string       `json:"generation,omitempty"`
	AppliedIndex uint64       `json:"applied_index"`
	Nodes        []Node       `json:"nodes"`
	History      []Transition `json:"history"` // newest last, at most 20
	// LastFailover is the newest move to another node; nil: the history knows none.
	LastFailover *Move `json:"last_failover,omitempty"`
}

// Certificate is the part of a node's certificate chain that ends first.
type Certificate struct {
	Name     string    `json:"name"` // whose it is, in words
	NotAfter time.Time `json:"not_after"`
	// DaysLeft counts whole days, and is negative once it has expired.
	DaysLeft int `json:"days_left"`
}

// Address is one Elastic IP as the cluster agreed on it.
type Address struct {
	AllocationID string `json:"allocation_id"`
	// PublicIP as EC2 showed it last; empty on a witness, and before the first read.
	PublicIP string `json:"public_ip,omitempty"`
	// Holder and AssociationID are those of the last association that was confirmed.
	Holder        string `json:"holder"`
	AssociationID string `json:"association_id"`
	// Confirmed: the newest claim was carried out and stands.
	Confirmed bool `json:"confirmed"`
	// Guarded: a call of the past may still disturb the association; it is watched.
	Guarded bool `json:"guarded"`
	// Claim says in words what a leader does about the address.
	Claim string `json:"claim,omitempty"`
	// Since is when the holder got it, as far back as the history goes; nil: not known.
	Since *time.Time `json:"since,omitempty"`
}

// Held reports whether one node holds every address, as far as the cluster agreed.
func (s Status) Held() bool {
	return s.Holder != "" && !slices.ContainsFunc(s.Addresses, func(a Address) bool { return !a.Confirmed })
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
	Version   string `json:"version,omitempty"`
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
	AllocationID  string    `json:"allocation_id,omitempty"`
}

const historyShown = 20

// Identity is what does not change while an agent runs.
type Identity struct {
	Cluster, Node, Version string
	Witness                bool
}

// describe makes a Status of what the controller and the Raft node know.
func describe(id Identity, v *controller.View, traffic *controller.Traffic, raft election.Status) Status {
	s := Status{
		Cluster: id.Cluster, Node: id.Node, Version: id.Version,
		State: string(v.State), Healthy: v.Healthy || id.Witness, Health: v.Health, EC2: v.EC2,
		Leader: string(v.Leadership.Leader), Term: v.Leadership.Term,
		Phase: raft.Phase, StoreError: raft.StoreError, Level: describeLevel(v, raft),
		Addresses: addresses(v),
		Hints:     v.Hints, Refusals: raft.Refusals, VRRP: describeTraffic(traffic), AppliedIndex: v.Committed.Index,
		Voters: raft.Voters, LastFailover: lastFailover(moves(v.Committed.History, v.Moments)), Generation: raft.Generation,
	}
	s.Ready = v.Ready(id.Witness)
	s.Holder = commonHolder(s.Addresses)
	for _, n := range v.Committed.Nodes {
		s.Nodes = append(s.Nodes, Node{Name: string(n.Name), Address: n.Address, Priority: int(n.Priority), Witness: n.Witness,
			Healthy: n.Healthy, EC2: n.EC2, Drained: n.Drained, PrivateIP: n.PrivateIP, Reason: n.Reason, Version: n.Version})
	}
	slices.SortFunc(s.Nodes, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	s.History = transitions(v.Committed.History)
	return s
}

func addresses(v *controller.View) []Address {
	out := make([]Address, 0, len(v.Addresses))
	for _, seen := range v.Addresses {
		agreed := v.Committed.Addresses[seen.ID]
		a := Address{AllocationID: string(seen.ID), Holder: string(agreed.Holder), AssociationID: string(agreed.Association),
			Confirmed: agreed.Claim != nil && agreed.Claim.Confirmed && !agreed.Claim.Released, Guarded: agreed.Guarded(), Claim: seen.Step, Since: since(v.Committed.History, seen.ID, agreed.Holder)}
		if seen.Read != nil && seen.Read.PublicIP.IsValid() {
			a.PublicIP = seen.Read.PublicIP.String()
		}
		out = append(out, a)
	}
	return out
}

// since returns when the holder's present reign over an address began: the first of its confirmations after anybody else's.
func since(history []fsm.Transition, id fsm.AllocationID, holder fsm.NodeName) *time.Time {
	var begin *time.Time
	for _, t := range history {
		switch {
		case t.Address != id || t.Event != eventConfirmed:
		case t.Node != holder:
			begin = nil
		case begin == nil:
			when := at(t.UnixMilli)
			begin = &when
		}
	}
	return begin
}

func commonHolder(addresses []Address) string {
	if len(addresses) == 0 || slices.ContainsFunc(addresses, func(a Address) bool { return a.Holder != addresses[0].Holder }) {
		return ""
	}
	return addresses[0].Holder
}

func transitions(history []fsm.Transition) []Transition {
	if extra := len(history) - historyShown; extra > 0 {
		history = history[extra:]
	}
	out := make([]Transition, 0, len(history))
	for _, t := range history {
		out = append(out, transitionOf(t))
	}
	return out
}

func transitionOf(t fsm.Transition) Transition {
	return Transition{Time: at(t.UnixMilli), Term: t.Term, Event: t.Event, Node: string(t.Node), Mode: string(t.Mode),
		AssociationID: string(t.Association), Reason: t.Reason, AllocationID: string(t.Address)}
}
