package controller

// Cause is the reason of a transition in one word, for counting. The sentence for people names nodes, terms and errors, and there is no
// end of them.
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
	CauseLeftInPlace     Cause = "left_in_place"     // another node has the address already, and had better lead
	CauseWitness         Cause = "witness"           // never holds
)

// reason is why the state changes, an address is claimed or the leadership handed over: for counting, and for people. It is written where
// it arises, always as reason{cause, text}, so that no sentence is without a word.
type reason struct {
	cause Cause
	text  string
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
