package judge

import (
	"time"

	"github.com/hacluster/hacluster/fsm"
)

// Call is a mutating EC2 call that passed its final check, and what was true at that moment.
type Call struct {
	ID     int // not 0
	Node   string
	Server string // the node's server id
	Term   uint64
	Claim  uint64 // index of the claim that it is made under

	Associate          bool // or else a DisassociateAddress
	AllowReassociation bool
	Association        string // of a DisassociateAddress

	Leading bool // Raft's word, not the driver's
	Healthy bool // the word of the node's HAProxy check
	// QuorumAge is how long ago the newest round began that a quorum acknowledged in Term. Negative: there is none.
	QuorumAge time.Duration
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
	j.calls[c.ID] = c
	j.acts(c.Server, "calls EC2")
	g, granted := j.grants[c.Claim]
	switch {
	case !granted:
		j.accuse("I1", "%s calls %s under claim %d, which was never granted", c.Node, c.what(), c.Claim)
	case g.term != c.Term || string(g.node) != c.Node:
		j.accuse("I1", "%s calls %s in term %d under claim %d, which was granted to %s in term %d", c.Node, c.what(), c.Term, c.Claim, g.node, g.term)
	}
	if !c.Leading {
		j.accuse("I1", "%s calls %s, but does not lead in term %d", c.Node, c.what(), c.Term)
	}
	if !c.Healthy {
		j.accuse("I1", "%s calls %s, but its HAProxy is unhealthy", c.Node, c.what())
	}
	if c.QuorumAge < 0 || c.QuorumAge >= j.freshFor {
		j.accuse("I4", "%s calls %s, but the last round of a quorum began %v ago", c.Node, c.what(), c.QuorumAge)
	}
}

// Late reports whether a claim of a later term, or of another node, has been granted since the claim of a call.
func (j *Judge) Late(call int) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.calls[call]
	newest := j.state.Addresses[j.address].Claim
	return newest != nil && newest.Index > c.Claim && (newest.Term > c.Term || string(newest.Node) != c.Node)
}

// Changed says that a call ended the association old, or made new, or both; "" is none. Call 0 is a person (invariant I2).
func (j *Judge) Changed(call int, old, new string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	c, known := j.calls[call]
	if call != 0 && !known {
		j.accuse("I1", "call %d changes EC2 without having passed a final check", call)
	}
	if l := j.lives[fsm.AssociationID(old)]; old != "" && j.fenced(c) && l.term > c.Term && !j.excused(l) {
		j.accuse("I2", "%s of %s (term %d, claim %d) displaces %s, which was made or adopted in term %d", c.what(), c.Node, c.Term, c.Claim, old, l.term)
	}
	if new != "" {
		j.lives[fsm.AssociationID(new)] = life{term: c.Term}
	}
}

// fenced reports whether the setting promises the fence for this call: under strict fencing for all, otherwise for takeovers.
func (j *Judge) fenced(c Call) bool {
	return c.ID != 0 && (j.fencing == fsm.Strict || j.grants[c.Claim].Mode == fsm.Takeover)
}

// excused: balanced fencing adopts a contested association under guard (docs/SAFETY.md).
func (j *Judge) excused(l life) bool { return j.fencing != fsm.Strict && l.contested }
