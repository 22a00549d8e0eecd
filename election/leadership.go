package election

import (
	"context"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

// Leadership says who leads, as far as this node knows.
type Leadership struct {
	// Term is the term of this node. It never decreases.
	Term uint64
	// Leader is the name of the leader of Term, "" if unknown.
	Leader string
	// Self says that this node leads; Term is then the term in which it was elected.
	Self bool
}

// Leaderships returns the stream of leaderships. It has one slot in which the newest replaces an unread one, so a slow
// reader sees the newest state but perhaps not each step: compare terms, not Self. The channel is never closed; the last
// value before Run returns has Self false.
func (n *Node) Leaderships() <-chan Leadership {
	return n.leaderships
}

// Leading says whether this node is the Raft leader of term, as far as it knows itself: a deposed leader may still say yes
// until it hears of it (see Evidence). It is cheap and may be called from any goroutine.
func (n *Node) Leading(term uint64) bool {
	r := n.raft.Load()
	return r != nil && leading(r, term)
}

// leading reads the term on both sides of the state: the term never changes while a node leads, and it never decreases, so
// equal terms around the state Leader mean that it leads in that very term.
func leading(r *raft.Raft, term uint64) bool {
	return r.CurrentTerm() == term && r.State() == raft.Leader && r.CurrentTerm() == term
}

// watchLeadership publishes each change of leadership.
//
// It uses an observer rather than Config.NotifyCh: Raft's main loop blocks on a full NotifyCh, but never on an observer. An
// observation carries no news here, it only says "look again"; it is sent after the change, so one pending is enough.
func (n *Node) watchLeadership(ctx context.Context, r *raft.Raft) error {
	nudge := make(chan raft.Observation, 1)
	observer := raft.NewObserver(nudge, false, concernsLeadership)
	r.RegisterObserver(observer)
	defer r.DeregisterObserver(observer)

	last := Leadership{}
	for {
		if current := n.leadership(r); current != last {
			last = current
			n.log.Info("leadership", zap.Uint64(keyTerm, current.Term), zap.String(keyLeader, current.Leader), zap.Bool("self", current.Self))
			n.publish(current)
		}
		select {
		case <-nudge:
		case <-ctx.Done():
			return nil
		}
	}
}

func concernsLeadership(o *raft.Observation) bool {
	switch o.Data.(type) {
	case raft.RaftState, raft.LeaderObservation:
		return true
	default:
		return false
	}
}

// leadership reads term, state and leader as of one instant: Raft forgets the leader before it raises its term, so what is
// read between two equal terms belongs to that term.
func (n *Node) leadership(r *raft.Raft) Leadership {
	for {
		term := r.CurrentTerm()
		self := r.State() == raft.Leader
		_, leader := r.LeaderWithID()
		if r.CurrentTerm() != term {
			continue
		}
		switch {
		case self:
			return Leadership{Term: term, Leader: n.cfg.Name, Self: true}
		case leader == n.self.serverID():
			// Stepped down between the two reads.
			return Leadership{Term: term}
		default:
			return Leadership{Term: term, Leader: nodeName(leader)}
		}
	}
}

// publish replaces what is unread. It is called by one goroutine at a time, so the slot is free when it sends.
func (n *Node) publish(l Leadership) {
	select {
	case <-n.leaderships:
	default:
	}
	n.leaderships <- l
	n.evidence.wake()
}

// voters are the ids of the servers that vote in the latest configuration, committed or not, as Raft counts them.
func voters(r *raft.Raft) []raft.ServerID {
	var ids []raft.ServerID
	for _, server := range servers(r) {
		if server.Suffrage == raft.Voter {
			ids = append(ids, server.ID)
		}
	}
	return ids
}

// servers is the latest configuration. The future of GetConfiguration is complete when it is returned.
func servers(r *raft.Raft) []raft.Server {
	return r.GetConfiguration().Configuration().Servers
}
