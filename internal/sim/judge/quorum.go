package judge

import (
	"slices"
	"time"
)

// advertSlack is how long after its check an advert may leave (package vrrpwire).
const advertSlack = 5 * time.Millisecond

// Followed says that a node obeyed the leader of a term at an instant, the time since the run began: it received an AppendEntries of this
// term then, and answered in the same term. It must be told before the answer leaves.
func (j *Judge) Followed(node string, term uint64, at time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.followed[term] == nil {
		j.followed[term] = map[string]time.Duration{}
	}
	j.followed[term][node] = max(j.followed[term][node], at)
}

// quorumAge returns how long ago the newest instant is at which a quorum of the voters, the leader included, obeyed the leader of a term.
// The leader obeys itself now. ok is false if a quorum never did.
func (j *Judge) quorumAge(term uint64, leader string, voters []string) (age time.Duration, ok bool) {
	var obeyed []time.Duration
	for _, v := range voters {
		at, did := j.followed[term][v]
		if v == leader {
			at, did = j.cfg.Now(), true
		}
		if did {
			obeyed = append(obeyed, at)
		}
	}
	quorum := len(voters)/2 + 1
	if len(voters) == 0 || len(obeyed) < quorum {
		return 0, false
	}
	slices.Sort(obeyed)
	return j.cfg.Now() - obeyed[len(obeyed)-quorum], true
}

// demandQuorum accuses a leader that acts though a quorum last obeyed it too long ago. Clocks may run by a hundredth apart (I3).
func (j *Judge) demandQuorum(invariant, who, does string, term uint64, voters []string, slack time.Duration) {
	switch age, ok := j.quorumAge(term, who, voters); {
	case !ok:
		j.accuse(invariant, "%s %s, but no quorum of %v ever followed it in term %d", who, does, voters, term)
	case age > j.cfg.FreshFor+j.cfg.FreshFor/100+slack:
		j.accuse(invariant, "%s %s, but a quorum of %v last followed it in term %d %v ago", who, does, voters, term, age)
	}
}
