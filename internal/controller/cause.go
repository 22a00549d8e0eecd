package controller

import "strings"

// Cause is the reason of a transition in one word, for counting. The reason itself is a sentence: it names nodes, terms and errors,
// and there is no end of them.
type Cause string

// The causes.
const (
	CauseStarted         Cause = "started"           // the node knows a leader, or its own HAProxy
	CauseUnhealthy       Cause = "unhealthy"         // its HAProxy
	CauseHealthy         Cause = "healthy"           // its HAProxy, again
	CauseStopping        Cause = "stopping"          // the agent was told to end
	CauseLeadershipLost  Cause = "leadership_lost"   // Raft has another leader, or none
	CauseDeposed         Cause = "deposed"           // another leader asked for the release
	CauseOperator        Cause = "operator"          // asked for the transfer
	CausePreempted       Cause = "preempted"         // by a node of higher priority
	CauseDrained         Cause = "drained"           // by an operator
	CauseEC2             Cause = "ec2_unreachable"   // while something may have to be repaired
	CauseUnconfirmed     Cause = "unconfirmed"       // for too long
	CauseRefresh         Cause = "refresh"           // of a contested association needs another way to EC2
	CauseForeignMove     Cause = "foreign_move"      // somebody else moved the address
	CauseForeignGone     Cause = "foreign_gone"      // a respected association ended
	CauseFirstClaim      Cause = "first_claim"       // of the cluster
	CauseOwnClaim        Cause = "own_claim"         // this node claimed last, and leads again
	CauseReleased        Cause = "released"          // the former holder let go
	CauseReleasedOnAsked Cause = "released_on_asked" // it was deposed, and let go when it was asked
	CauseUnanswered      Cause = "no_answer"         // it was deposed, and gave no release
	CauseNodeDown        Cause = "node_down"         // it was found dead
	CauseSeized          Cause = "seized"            // fast fencing asks nobody
	CauseRemoved         Cause = "removed"           // from the cluster
	CauseOther           Cause = "other"
)

// Cause returns the word for the transition's reason.
func (t Transition) Cause() Cause {
	switch {
	case t.To == Fault:
		return CauseUnhealthy
	case t.From == Init:
		return CauseStarted
	case t.From == Fault:
		return CauseHealthy
	default:
		return causeOf(t.Reason)
	}
}

// causeOf sorts the sentences of this package; a test holds it to all that the transcripts show. Of several addresses' stories it takes
// the first.
func causeOf(reason string) Cause {
	first, _, _ := strings.Cut(reason, "; ")
	begins := func(words string) bool { return strings.HasPrefix(first, words) }
	ends := func(words string) bool { return strings.HasSuffix(first, words) }
	for _, known := range []struct {
		is    bool
		cause Cause
	}{
		{begins("no release from "), CauseUnanswered}, // before the rest: an error of the network follows
		{first == "agent stopping", CauseStopping},
		{first == "leadership lost", CauseLeadershipLost},
		{first == "drained", CauseDrained},
		{first == "to be removed" || first == "removed from the cluster", CauseRemoved},
		{first == "first claim", CauseFirstClaim},
		{first == "this node claimed last", CauseOwnClaim},
		{first == "the respected association is gone", CauseForeignGone},
		{begins("released to the leader of term "), CauseDeposed},
		{begins("transfer asked by the operator"), CauseOperator},
		{begins("preempted by "), CausePreempted},
		{begins("EC2 is out of reach"), CauseEC2},
		{begins("claim not confirmed for "), CauseUnconfirmed},
		{begins("refresh of a contested association"), CauseRefresh},
		{begins("foreign move: "), CauseForeignMove},
		{ends(" released"), CauseReleased},
		{ends(" was deposed"), CauseReleasedOnAsked},
		{ends(" is down"), CauseNodeDown},
		{ends(" leads no more"), CauseSeized},
	} {
		if known.is {
			return known.cause
		}
	}
	return CauseOther
}

// refusal is why a final check keeps something in.
type refusal struct{ word, text string }

// Error implements error.
func (r refusal) Error() string { return r.text }

// Reason is the refusal in one word, for counting.
func (r refusal) Reason() string { return r.word }

// RefusalWords returns the words of all errors with which the final check keeps a call in (invariants I1, I4): what their method Reason
// returns.
func RefusalWords() []string {
	return []string{errNotLeading.word, errNotGranted.word, errUnhealthy.word, errNoEvidence.word}
}
