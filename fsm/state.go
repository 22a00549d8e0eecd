package fsm

import (
	"maps"
	"slices"
)

// historyLimit bounds the transitions kept per state; older ones are dropped.
const historyLimit = 256

// removedLimit bounds the names remembered of removed nodes; the one that was removed first is forgotten. In an Auto Scaling group each
// instance that ever was leaves one.
const removedLimit = 64

// State is what the cluster agrees on. It is a value: Clone before handing it to another goroutine.
type State struct {
	// Index and Term of the last applied entry.
	Index uint64 `json:"index"`
	Term  uint64 `json:"term"`

	// Level is that of the commands which are accepted by now; a snapshot has it in its first byte.
	Level Level `json:"-"`
	// Needs is a version that knows the level, "" at level 1.
	Needs string `json:"needs,omitempty"`

	Addresses map[AllocationID]Address `json:"addresses"`
	// Nodes are the members, by what they last said of themselves.
	Nodes map[NodeName]Node `json:"nodes"`
	// Admitted may join, and have not said anything of themselves since.
	Admitted map[NodeName]Attributes `json:"admitted,omitempty"`
	// Removed may not join before they are admitted again, by the index of the entry that removed them. At most removedLimit.
	Removed map[NodeName]uint64 `json:"removed,omitempty"`
	// History of transitions, oldest first, at most historyLimit.
	History []Transition `json:"history"`
}

// Address is what is agreed about one Elastic IP.
type Address struct {
	// Holder and Association are the last confirmed ones.
	Holder      NodeName      `json:"holder,omitempty"`
	Association AssociationID `json:"association_id,omitempty"`
	// Claim is the newest granted one; nil before the first.
	Claim *GrantedClaim `json:"claim,omitempty"`
	// Fates of association ids that must not be trusted. Never cut.
	Fates map[AssociationID]Fate `json:"fates,omitempty"`
	// Attempts are atomic calls whose outcome is not known.
	Attempts []Attempt `json:"attempts,omitempty"`
	// GuardDone is the association for which a guard was completed.
	GuardDone AssociationID `json:"guard_done,omitempty"`
	// Foreign is an association made by somebody else which is respected.
	Foreign AssociationID `json:"foreign,omitempty"`
	// Uncertain says that claims of the past were lost with a quorum: an association that is found may be one that they named.
	Uncertain bool `json:"uncertain,omitempty"`
}

// GrantedClaim is the right to call EC2 for one address.
type GrantedClaim struct {
	Index     uint64   `json:"index"` // of the log entry; the fence
	Term      uint64   `json:"term"`
	Node      NodeName `json:"node"`
	Mode      Mode     `json:"mode"`
	Fencing   Fencing  `json:"fencing"`
	Confirmed bool     `json:"confirmed,omitempty"`
	Released  bool     `json:"released,omitempty"`
	// Clean says that no other node's reign can still be on: there was no claim before this one, or a clean one of the same node or
	// released; or this one was released by a node that knew (invariant I3). A release alone says nothing of the reign before it.
	Clean bool `json:"clean,omitempty"`
	// Displaces is the id that a takeover disassociates; "" when the address was free.
	Displaces AssociationID `json:"displaces,omitempty"`
}

// Fate says why an association id must not be trusted.
type Fate string

// The fates of association ids.
const (
	// Contested: some takeover named the id, so a DisassociateAddress of it may be in flight.
	Contested Fate = "contested"
	// Superseded: a later association was confirmed, so whoever still reads this id reads the past.
	Superseded Fate = "superseded"
)

// Attempt is an atomic AssociateAddress that was allowed and whose answer is not known.
type Attempt struct {
	Claim uint64   `json:"claim"` // index of the claim that allowed it
	Term  uint64   `json:"term"`
	Node  NodeName `json:"node"`
}

// Attributes are what a node says of itself when it joins.
type Attributes struct {
	Name      NodeName `json:"name"`
	Address   string   `json:"address"` // host:port between the nodes
	Priority  uint8    `json:"priority"`
	Witness   bool     `json:"witness,omitempty"`
	ENI       string   `json:"eni,omitempty"`
	PrivateIP string   `json:"private_ip,omitempty"`
	Version   string   `json:"version,omitempty"`
	// Level is the newest that the node's build knows.
	Level Level `json:"level,omitempty"`
	// VRRPAddress is where its adverts come from and go to; "" = not known. It is of level 2; see At.
	VRRPAddress string `json:"vrrp_address,omitempty"`
}

// Node is a member with its committed condition.
type Node struct {
	Attributes
	Healthy bool   `json:"healthy"`
	EC2     bool   `json:"ec2"`
	Drained bool   `json:"drained,omitempty"`
	Reason  string `json:"reason,omitempty"` // of the last health change
}

// Candidate reports whether the node may hold an address.
func (n Node) Candidate() bool { return n.Healthy && n.EC2 && !n.Drained && !n.Witness }

// Transition is one line of the history.
type Transition struct {
	Index       uint64        `json:"index"`
	Term        uint64        `json:"term"`
	UnixMilli   int64         `json:"unix_ms"`
	Address     AllocationID  `json:"allocation_id,omitempty"`
	Event       string        `json:"event"`
	Node        NodeName      `json:"node"`
	Mode        Mode          `json:"mode,omitempty"`
	Association AssociationID `json:"association_id,omitempty"`
	Reason      string        `json:"reason,omitempty"`
}

// The events of transitions.
const (
	eventGranted   = "claim granted"
	eventConfirmed = "confirmed"
	eventReleased  = "released"
	eventGuardDone = "guard done"
	eventRecovered = "recovered"
	eventAdmitted  = "admitted"
	eventRemoved   = "removed"
)

// New returns the empty state, at level 1: what a new cluster's nodes know is not known yet.
func New() State {
	return State{Level: 1, Addresses: map[AllocationID]Address{}, Nodes: map[NodeName]Node{}}
}

// Clone returns a copy that shares nothing with s.
func (s State) Clone() State {
	c := s
	c.Addresses = make(map[AllocationID]Address, len(s.Addresses))
	for id, a := range s.Addresses {
		c.Addresses[id] = a.clone()
	}
	c.Nodes, c.Admitted, c.Removed = maps.Clone(s.Nodes), maps.Clone(s.Admitted), maps.Clone(s.Removed)
	c.History = slices.Clone(s.History)
	return c
}

func (a Address) clone() Address {
	if a.Claim != nil {
		claim := *a.Claim
		a.Claim = &claim
	}
	a.Fates = maps.Clone(a.Fates)
	a.Attempts = slices.Clone(a.Attempts)
	return a
}

// Guarded reports whether a call of the past may still disturb the confirmed association: its id is contested, or an atomic
// attempt with unknown outcome is out.
func (a Address) Guarded() bool {
	if len(a.Attempts) > 0 {
		return true
	}
	return a.Association != "" && a.Fates[a.Association] != "" && a.Association != a.GuardDone
}

// HeldBy reports whether node's claim stands: granted, confirmed and not released.
func (a Address) HeldBy(node NodeName) bool {
	return a.Claim != nil && a.Claim.Node == node && a.Claim.Confirmed && !a.Claim.Released
}

func (a *Address) settle(claim uint64) {
	a.Attempts = slices.DeleteFunc(a.Attempts, func(t Attempt) bool { return t.Claim == claim })
}

func (a *Address) mark(id AssociationID, fate Fate) {
	// Superseded is the last word: what was replaced is gone, and only a stale read still shows it.
	if id == "" || a.Fates[id] == Superseded {
		return
	}
	if a.Fates == nil {
		a.Fates = map[AssociationID]Fate{}
	}
	a.Fates[id] = fate
}

// Unanswered reports whether an AssociateAddress of the node with this network interface may still be out: a claim of that node's stood since
// then (Unix milliseconds, by the clocks of those who proposed) and was never confirmed. An interface that is no member's may be that of a node
// which was removed, or let in anew, after such a claim. It may be unknown: after a recovery, or if the history does not reach back so far.
func (s State) Unanswered(id AllocationID, eni string, since int64) bool {
	unknown := len(s.History) == historyLimit && s.History[0].UnixMilli > since
	var newest Transition // the newest claim; empty if nothing of it is out
	open, moved := map[NodeName]bool{}, false
	for _, t := range s.History {
		switch {
		case t.Event == eventRecovered:
			unknown = unknown || t.UnixMilli >= since
		case t.Event == eventAdmitted, t.Event == eventRemoved:
			moved = moved || t.UnixMilli >= since && (unknown || open[t.Node] || newest.Node == t.Node)
		case t.Address != id:
		case t.Event == eventConfirmed:
			newest = Transition{}
		case t.Event == eventGranted, t.Event == eventReleased:
			if max(newest.UnixMilli, t.UnixMilli) >= since { // a call may be tried again for as long as its claim stands
				open[newest.Node] = true
			}
			newest = Transition{}
			if t.Event == eventGranted && t.Mode != Adopt {
				newest = t
			}
		}
	}
	open[newest.Node] = true
	member := false
	for name, n := range s.Nodes {
		if n.ENI == eni {
			member, unknown = true, unknown || open[name]
		}
	}
	return member && unknown || !member && moved
}

// Tried returns the index of node's newest claim since the address was last confirmed, as far as the history reaches back; 0 = none.
func (s State) Tried(id AllocationID, node NodeName) uint64 {
	for _, t := range slices.Backward(s.History) {
		switch {
		case t.Address != id:
		case t.Event == eventConfirmed, t.Event == eventGranted && t.Mode == Adopt:
			return 0
		case t.Event == eventGranted && t.Node == node:
			return t.Index
		}
	}
	return 0
}

func (s *State) record(t Transition) {
	t.Index, t.Term = s.Index, s.Term
	s.History = append(s.History, t)
	if extra := len(s.History) - historyLimit; extra > 0 {
		s.History = slices.Delete(s.History, 0, extra)
	}
}
