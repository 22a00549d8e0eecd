package judge

import (
	"slices"

	"github.com/hacluster/hacluster/fsm"
)

// Call is a mutating EC2 call that passed its final check, and what was true at that moment.
type Call struct {
	ID     int // not 0
	Node   string
	Server string // the node's server id
	Term   uint64
	Claim  uint64 // index of the claim that it is made under

	Address            fsm.AllocationID
	Associate          bool // or else a DisassociateAddress
	AllowReassociation bool
	Association        string // of a DisassociateAddress

	Leading bool     // Raft's word, not the driver's
	Voters  []string // names of the nodes that vote, by Raft's word; who of them follows is the judge's own knowledge
	Healthy bool     // the word of the node's HAProxy check
}

func (c Call) what() string {
	switch {
	case !c.Associate:
		return "DisassociateAddress " + c.Association
	case c.AllowReassociation:
		return "AssociateAddress with reassociation"
	default:
		return "AssociateAddress"
	}
}

// Called says that the final check let a call out (invariants I1 and I4).
func (j *Judge) Called(c Call) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.calls[c.ID] = made{Call: c, epoch: epoch{j.number, c.Term}, in: j.generation}
	j.acts(c.Server, "calls EC2")
	g, granted := j.grants[c.Claim]
	switch {
	case !granted:
		j.accuse("I1", "%s calls %s under claim %d, which was never granted", c.Node, c.what(), c.Claim)
	case g.address != c.Address:
		j.accuse("I1", "%s calls %s for %s under claim %d, which is for %s", c.Node, c.what(), c.Address, c.Claim, g.address)
	case g.term != c.Term || string(g.node) != c.Node:
		j.accuse("I1", "%s calls %s in term %d under claim %d, which was granted to %s in term %d", c.Node, c.what(), c.Term, c.Claim, g.node, g.term)
	case g.released != 0:
		j.accuse("I1", "%s calls %s under claim %d, which was released at index %d", c.Node, c.what(), c.Claim, g.released)
	}
	if !c.Leading {
		j.accuse("I1", "%s calls %s, but does not lead in term %d", c.Node, c.what(), c.Term)
	}
	if !c.Healthy {
		j.accuse("I1", "%s calls %s, but its HAProxy is unhealthy", c.Node, c.what())
	}
	j.demandQuorum("I4", c.Node, "calls "+c.what(), c.Term, c.Voters, 0)
}

// Late reports whether a claim of a later term, or of another node, has been granted since the claim of a call.
func (j *Judge) Late(call int) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.calls[call]
	newest := j.state.Addresses[c.Address].Claim
	if c.in != j.generation {
		return newest != nil && j.grants[newest.Index].node != "" // since the recovery
	}
	return newest != nil && newest.Index > c.Claim && (newest.Term > c.Term || string(newest.Node) != c.Node)
}

// Changed says that a call ended the association old, or made new, or both; "" is none. Call 0 is a person (invariants I2 and I6).
func (j *Judge) Changed(call int, old, new string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	c, known := j.calls[call]
	if call != 0 && !known {
		j.accuse("I1", "call %d changes EC2 without having passed a final check", call)
	}
	if l := j.lives[fsm.AssociationID(old)]; known && old != "" && c.before(l.epoch) {
		switch {
		case j.fenced(c, l):
			j.accuse("I2", "%s of %s (term %d, claim %d) displaces %s, which was made or adopted in term %d%s", c.what(), c.Node, c.Term, c.Claim, old, l.term, c.since(l))
		case !j.guarded(c):
			j.accuse("I2", "%s of %s (term %d, claim %d) displaces %s of term %d%s, and nobody is on guard for it", c.what(), c.Node, c.Term, c.Claim, old, l.term, c.since(l))
		}
	}
	j.displaced(c, fsm.AssociationID(old))
	if new != "" {
		j.lives[fsm.AssociationID(new)] = life{epoch: c.epoch}
		j.makers[fsm.AssociationID(new)] = call
	}
}

// since says for a violation that a recovery was between a call and what it displaces, as terms do not tell.
func (c made) since(l life) string {
	if c.generation == l.generation {
		return ""
	}
	return " after a recovery"
}

// fenced reports whether the setting promises that this call does not displace this association: under strict fencing always, otherwise
// in takeovers, unless the association had been named in one before it was adopted (docs/SAFETY.md).
func (j *Judge) fenced(c made, l life) bool {
	return j.cfg.Fencing == fsm.Strict || c.in.grants[c.Claim].Mode == fsm.Takeover && !l.contested
}

// guarded reports whether the nodes agree to watch for what a call that is not fenced may still do: an atomic call is on record until it
// is answered or refused by EC2 for its age, an association that was named in a takeover is watched for as long. One attempt stands
// for all calls whose claim was lost with the quorum.
func (j *Judge) guarded(c made) bool {
	a := j.state.Addresses[c.Address]
	if c.Associate {
		claim := c.Claim
		if c.in != j.generation && claim > c.in.kept {
			claim = c.in.heir
		}
		return slices.ContainsFunc(a.Attempts, func(t fsm.Attempt) bool { return t.Claim == claim })
	}
	return a.Guarded()
}
