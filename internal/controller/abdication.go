package controller

import (
	"fmt"
	"time"

	"github.com/hacluster/hacluster/fsm"
)

// doubtAfter is how long a node that gave its word waits for the news of the leader that it gave it to.
const doubtAfter = 2 * time.Second

// abdication is this node's word to another: its own leaderships of terms below term are over, released to the leader of that term,
// whether Raft has told of that leader yet or not.
//
// Who asked for it may have lied, and then this node would never lead again. So a node that still leads an older term doubts, and has
// an entry committed in it. A quorum that takes the entry is in no later term; hence nobody had been elected in one when the word was given,
// and the word was given to nobody.
type abdication struct {
	term    uint64
	doubtAt time.Duration
	op      Op // of the entry
}

func (c *Core) abdicate(term uint64) {
	if c.limbo() && term == c.abdicated.term {
		return // asked for another address by the same leader
	}
	c.abdicated = abdication{term: term, doubtAt: c.now + doubtAfter}
}

// limbo reports whether this node leads, and gave its word that it does not.
func (c *Core) limbo() bool { return c.lead.Self && !c.leader() }

// doubtAt returns when to doubt; 0: there is nothing to doubt, or it is being tried.
func (c *Core) doubtAt() time.Duration {
	if !c.limbo() || c.abdicated.op != 0 {
		return 0
	}
	return c.abdicated.doubtAt
}

func (c *Core) considerDoubt() {
	if at := c.doubtAt(); at == 0 || c.now < at {
		return
	}
	// It says what is known already: what counts is that it is committed.
	c.abdicated.op = c.propose(fsm.UpsertNode{Origin: c.origin("still leading"), Node: c.cfg.Self.At(c.committed.Level)})
}

func (c *Core) doubtAnswered(e Proposed) {
	if e.failure() != nil { // if it was denied: appended in another term
		c.abdicated.op, c.abdicated.doubtAt = 0, c.now+doubtAfter
		return
	}
	c.note(fmt.Sprintf("asked for a release by a leader of term %d that nobody elected: going on as leader", c.abdicated.term), nil)
	c.abdicated = abdication{}
	if !c.leader() {
		return
	}
	for _, a := range c.charges {
		a.claim.begin(c.now)
	}
}
