package fsm

import (
	"errors"
	"slices"
)

// Denial says why an entry changed nothing.
type Denial string

// The denials.
const (
	// DeniedMalformed: the bytes are no command that this build understands.
	DeniedMalformed Denial = "malformed command"
	// DeniedNewer: the command is of a level that this build does not know. Nothing was applied, the index included; see Level.Check.
	DeniedNewer Denial = "newer than this build"
	// DeniedLevel: the state is not at the command's level yet.
	DeniedLevel Denial = "above the level of the state"
	// DeniedTooOld: a node's build does not know the level.
	DeniedTooOld Denial = "the build of a node is too old"
	// DeniedTerm: proposed in one term, appended in another.
	DeniedTerm Denial = "proposed in another term"
	// DeniedUnknownNode: the node is not a member.
	DeniedUnknownNode Denial = "unknown node"
	// DeniedNotCandidate: the node is unhealthy, drained or a witness. Unlike Node.Candidate it may be out of EC2's reach: a holder that
	// needs no call stays (docs/adr/0005).
	DeniedNotCandidate Denial = "not a candidate"
	// DeniedNotReleased: the claim before stands; ask its node for a release first.
	DeniedNotReleased Denial = "the claim before is not released"
	// DeniedUnobserved: the state knows no association to displace; read EC2 first.
	DeniedUnobserved Denial = "association not observed"
	// DeniedSuperseded: the association to adopt was replaced by a later one; read EC2 again.
	DeniedSuperseded Denial = "association superseded"
	// DeniedContested: the association may be disassociated by a call in flight; strict fencing wants a fresh one.
	DeniedContested Denial = "association contested"
	// DeniedRespected: somebody else's association is respected, and the claim does not say that it is gone.
	DeniedRespected Denial = "a foreign association is respected"
	// DeniedStaleClaim: the entry speaks of a claim that is not the newest, or not the node's, or released.
	DeniedStaleClaim Denial = "not the current claim"
	// DeniedRemoved: the node was removed, and was not admitted since.
	DeniedRemoved Denial = "node was removed"
	// DeniedTaken: another node has the address.
	DeniedTaken Denial = "address of another node"
	// DeniedInvalid: a field has no meaning, such as an unknown mode.
	DeniedInvalid Denial = "invalid field"
)

// Result answers one applied entry.
type Result struct {
	// Denied is "" when the entry was accepted.
	Denied Denial
	// Grant is set when a Claim was accepted.
	Grant Grant
}

// Grant is what an accepted claim allows.
type Grant struct {
	// Index of the claim's log entry.
	Index uint64
	Mode  Mode
	// Displaces is the association to disassociate first, in a takeover; "" = the address was free.
	Displaces AssociationID
	// Clean as in GrantedClaim.
	Clean bool
}

// Atomic reports whether the claim is carried out by one AssociateAddress that takes the address from whoever has it.
func (g Grant) Atomic() bool { return g.Mode == Handover || g.Mode == Seizure }

// Apply applies the log entry (index, term, command) and answers it. Bytes that are no command change nothing but the
// index, and never panic. A command for which Newest.Check returns an error must not be passed to it.
func (s *State) Apply(index, term uint64, command []byte) Result {
	return s.apply(Newest, index, term, command)
}

// apply is Apply of a build that knows levels up to knows. What it denies by level, every build that gets this far denies.
func (s *State) apply(knows Level, index, term uint64, command []byte) Result {
	c, err := decode(knows, command)
	if errors.As(err, new(*NewerError)) {
		return denied(DeniedNewer)
	}
	s.Index, s.Term = index, term
	if err != nil {
		return denied(DeniedMalformed)
	}
	if c.term() != term {
		return denied(DeniedTerm)
	}
	if raise, ok := c.(SetLevel); ok {
		return s.setLevel(raise)
	}
	if c.level() > s.Level {
		return denied(DeniedLevel)
	}
	return s.execute(c)
}

func (s *State) execute(c Command) Result {
	switch c := c.(type) {
	case Claim:
		return s.claim(c)
	case Confirm:
		return s.confirm(c)
	case Release:
		return s.release(c)
	case GuardDone:
		return s.guardDone(c)
	case SetHealth:
		return s.changeNode(c.Node, func(n *Node) { n.Healthy, n.EC2, n.Reason = c.Healthy, c.EC2, c.Reason })
	case SetDrain:
		return s.changeNode(c.Node, func(n *Node) { n.Drained = c.Drained })
	case UpsertNode:
		return s.upsertNode(c)
	case AdmitNode:
		return s.admitNode(c)
	case RemoveNode:
		return s.removeNode(c)
	default:
		return denied(DeniedMalformed)
	}
}

func denied(d Denial) Result { return Result{Denied: d} }

// claim grants or denies. The mode is decided here and nowhere else.
func (s *State) claim(c Claim) Result {
	if c.AllocationID == "" || (c.Fencing != Strict && c.Fencing != Balanced && c.Fencing != Fast) {
		return denied(DeniedInvalid)
	}
	node, known := s.Nodes[c.Node]
	if !known {
		return denied(DeniedUnknownNode)
	}
	if !node.Healthy || node.Drained || node.Witness {
		return denied(DeniedNotCandidate)
	}
	a := s.Addresses[c.AllocationID].clone()
	granted := GrantedClaim{Index: s.Index, Term: s.Term, Node: c.Node, Fencing: c.Fencing}
	granted.Clean = a.clean(c.Node)
	if d := a.grant(&granted, c); d != "" {
		return denied(d)
	}
	a.Claim, a.Foreign = &granted, ""
	s.Addresses[c.AllocationID] = a
	s.record(Transition{UnixMilli: c.UnixMilli, Address: c.AllocationID, Event: eventGranted, Node: c.Node,
		Mode: granted.Mode, Association: c.Association, Reason: c.Reason})
	return Result{Grant: Grant{Index: s.Index, Mode: granted.Mode, Displaces: granted.Displaces, Clean: granted.Clean}}
}

// clean as in GrantedClaim, for a claim of node's.
func (a *Address) clean(node NodeName) bool {
	if a.Claim == nil {
		return !a.Uncertain
	}
	return a.Claim.Clean && (a.Claim.Released || a.Claim.Node == node)
}

func (a *Address) grant(g *GrantedClaim, c Claim) Denial {
	switch {
	case c.Released && a.Claim != nil && !a.Claim.Released:
		return DeniedNotReleased
	case a.Foreign != "" && (!c.Observed || c.Association == a.Foreign):
		// A new leader's state may lag behind the respect; its first claim reads nothing.
		return DeniedRespected
	}
	switch c.Mode {
	case Adopt:
		return a.grantAdopt(g, c)
	case Handover:
		return a.grantAtomic(g, c)
	case Takeover:
		return a.grantTakeover(g, c)
	default:
		return DeniedInvalid
	}
}

// grantAtomic allows one atomic call where that is safe enough for the fencing, and falls back to a takeover. While an earlier atomic call
// may still land it never is safe: that call could displace this one's association.
func (a *Address) grantAtomic(g *GrantedClaim, c Claim) Denial {
	switch {
	case c.Fencing == Strict || a.Claim == nil || len(a.Attempts) > 0:
		return a.grantTakeover(g, c)
	case a.Claim.Released:
		g.Mode = Handover
	case c.Fencing == Fast:
		g.Mode = Seizure
	default:
		return a.grantTakeover(g, c)
	}
	a.Attempts = append(a.Attempts, Attempt{Claim: g.Index, Term: g.Term, Node: g.Node})
	return ""
}

func (a *Address) grantAdopt(g *GrantedClaim, c Claim) Denial {
	if !c.Observed || c.Association == "" {
		return DeniedUnobserved
	}
	if a.Uncertain {
		a.mark(c.Association, Contested)
	}
	switch a.Fates[c.Association] {
	case Superseded:
		return DeniedSuperseded
	case Contested:
		if c.Fencing == Strict {
			return a.grantTakeover(g, c)
		}
	}
	g.Mode = Adopt
	a.confirmed(g, c.Association)
	return ""
}

// grantTakeover names the id that will be disassociated, so that nobody trusts it any more.
func (a *Address) grantTakeover(g *GrantedClaim, c Claim) Denial {
	g.Mode, g.Displaces = Takeover, c.Association
	if !c.Observed {
		if a.Association == "" {
			return DeniedUnobserved
		}
		g.Displaces = a.Association
	}
	a.mark(g.Displaces, Contested)
	if a.GuardDone == g.Displaces {
		a.GuardDone = "" // named again: another DisassociateAddress may be in flight
	}
	return ""
}

// confirmed makes id the agreed association. The one before it is gone from EC2 and must never be adopted from a stale read.
func (a *Address) confirmed(g *GrantedClaim, id AssociationID) {
	if a.Association != id {
		a.mark(a.Association, Superseded)
	}
	a.Association, a.Holder = id, g.Node
	g.Confirmed = true
}

func (s *State) confirm(c Confirm) Result {
	a, d := s.currentClaim(c.AllocationID, c.Claim, c.Node)
	if d != "" {
		return denied(d)
	}
	if c.Association == "" {
		return denied(DeniedInvalid)
	}
	if c.Settled {
		a.settle(c.Claim)
	}
	if a.Fates[c.Association] != "" && a.Claim.Fencing == Strict {
		s.Addresses[c.AllocationID] = a // the answer is known all the same
		return denied(DeniedContested)
	}
	a.confirmed(a.Claim, c.Association)
	if a.Claim.Mode != Adopt && a.Fates[c.Association] == "" {
		a.Uncertain = false // made by this cluster, and named by nobody
	}
	s.Addresses[c.AllocationID] = a
	s.record(Transition{UnixMilli: c.UnixMilli, Address: c.AllocationID, Event: eventConfirmed, Node: c.Node,
		Mode: a.Claim.Mode, Association: c.Association, Reason: c.Reason})
	return Result{}
}

func (s *State) release(c Release) Result {
	a := s.Addresses[c.AllocationID].clone()
	if !a.releasableBy(c) {
		return denied(DeniedStaleClaim)
	}
	a.Claim.Released = true
	a.Claim.Clean = a.Claim.Clean || c.Alone
	a.Foreign = c.Foreign
	if c.Settled {
		a.settle(c.Ends)
	}
	s.Addresses[c.AllocationID] = a
	s.record(Transition{UnixMilli: c.UnixMilli, Address: c.AllocationID, Event: eventReleased, Node: c.Node,
		Association: a.Association, Reason: c.Reason})
	return Result{}
}

// releasableBy: the newest claim, once; or again, to end the respect of a foreign move.
func (a *Address) releasableBy(c Release) bool {
	return a.Claim != nil && a.Claim.Index == c.Ends && a.Claim.Node == c.Node && (!a.Claim.Released || a.Foreign != "")
}

func (s *State) guardDone(c GuardDone) Result {
	a := s.Addresses[c.AllocationID].clone()
	if a.Claim == nil || a.Claim.Node != c.Node || a.Claim.Released || a.Association != c.Association {
		return denied(DeniedStaleClaim)
	}
	a.Attempts = slices.DeleteFunc(a.Attempts, func(t Attempt) bool { return t.Claim <= c.Through })
	a.GuardDone = c.Association
	s.Addresses[c.AllocationID] = a
	s.record(Transition{UnixMilli: c.UnixMilli, Address: c.AllocationID, Event: eventGuardDone, Node: c.Node,
		Association: c.Association, Reason: c.Reason})
	return Result{}
}

// currentClaim returns a copy of the address if its newest claim is this one and stands.
func (s *State) currentClaim(id AllocationID, claim uint64, node NodeName) (Address, Denial) {
	a := s.Addresses[id].clone()
	if a.Claim == nil || a.Claim.Index != claim || a.Claim.Node != node || a.Claim.Released {
		return Address{}, DeniedStaleClaim
	}
	return a, ""
}

func (s *State) changeNode(name NodeName, change func(*Node)) Result {
	n, known := s.Nodes[name]
	if !known {
		return denied(DeniedUnknownNode)
	}
	change(&n)
	s.Nodes[name] = n
	return Result{}
}
