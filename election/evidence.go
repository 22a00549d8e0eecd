package election

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// evidence keeps, for the newest term, when the newest acknowledged AppendEntries to each peer STARTED.
//
// The start counts, not the reply: a reply says that the peer followed this leader at some instant after the request was
// sent, and nothing about the instant when the reply was at last read. hashicorp/raft's own lease is stamped at receipt, and
// counts replies that reject, so it cannot serve here (I3, I4).
type evidence struct {
	mu     sync.Mutex
	term   uint64
	starts map[raft.ServerID]time.Duration
	// logged is starts without heartbeats: Raft backs off from a peer's log for up to 10 s after it answers heartbeats again.
	logged  map[raft.ServerID]time.Duration
	changed chan struct{}
}

func newEvidence() *evidence {
	return &evidence{starts: make(map[raft.ServerID]time.Duration), logged: make(map[raft.ServerID]time.Duration), changed: make(chan struct{})}
}

// acknowledge records that id answered, in the same term, an AppendEntries of term that started at start. heartbeat: it carried
// nothing of the log.
func (e *evidence) acknowledge(id raft.ServerID, term uint64, start time.Duration, heartbeat bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if term < e.term {
		return
	}
	if term > e.term {
		e.term = term
		clear(e.starts)
		clear(e.logged)
	}
	// Heartbeats and replication run side by side, so the reply to an older request may come last.
	newer := later(e.starts, id, start)
	if !heartbeat {
		newer = later(e.logged, id, start) || newer
	}
	if newer {
		e.wakeLocked()
	}
}

// later raises a stamp and reports whether it did.
func later(stamps map[raft.ServerID]time.Duration, id raft.ServerID, start time.Duration) bool {
	if known, ok := stamps[id]; ok && known >= start {
		return false
	}
	stamps[id] = start
	return true
}

// of returns the stamps of term; the caller owns the map.
func (e *evidence) of(term uint64) map[raft.ServerID]time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if term != e.term {
		return nil
	}
	return maps.Clone(e.starts)
}

// ofLog is of without heartbeats.
func (e *evidence) ofLog(term uint64) map[raft.ServerID]time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if term != e.term {
		return nil
	}
	return maps.Clone(e.logged)
}

// changes returns a channel that is closed at the next acknowledgement or wake.
func (e *evidence) changes() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.changed
}

// wake makes everyone who waits look again: leadership changed.
func (e *evidence) wake() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wakeLocked()
}

func (e *evidence) wakeLocked() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// quorumStart returns the newest instant since which a quorum of the voters has acknowledged: the quorum-th newest stamp.
// self acknowledges itself now, if it is a voter.
func quorumStart(voters []raft.ServerID, self raft.ServerID, now time.Duration, starts map[raft.ServerID]time.Duration) (time.Duration, bool) {
	var acks []time.Duration
	for _, id := range voters {
		if id == self {
			acks = append(acks, now)
		} else if start, ok := starts[id]; ok {
			acks = append(acks, start)
		}
	}
	quorum := len(voters)/2 + 1
	if len(acks) < quorum {
		return 0, false
	}
	slices.SortFunc(acks, func(a, b time.Duration) int { return cmp.Compare(b, a) })
	return acks[quorum-1], true
}

// Evidence returns the START (on the clock of Config.Now) of the newest AppendEntries round that a quorum of voters, this
// node counted, acknowledged in this very term. No vote of a later term can have been complete at that instant. ok is false
// when this node does not lead in term, or no quorum has answered yet. It takes no lock of Raft and is cheap.
func (n *Node) Evidence(term uint64) (t0 time.Duration, ok bool) {
	r := n.raft.Load()
	// Self counts as of now only if "now" is read before the leadership that it vouches for.
	now := n.cfg.Now()
	if r == nil || !leading(r, term) {
		return 0, false
	}
	return quorumStart(voters(r), n.self.serverID(), now, n.evidence.of(term))
}

// Refresh provokes a heartbeat round at once and returns when Evidence(term) is newer than notBefore. It ends with
// ErrNotLeader when this node stops leading in term, and with the context's error.
func (n *Node) Refresh(ctx context.Context, term uint64, notBefore time.Duration) error {
	provoked := false
	for {
		changed := n.evidence.changes()
		t0, ok := n.Evidence(term)
		if ok && t0 > notBefore {
			return nil
		}
		if !n.Leading(term) {
			return ErrNotLeader
		}
		if !provoked {
			provoked = true
			n.provokeHeartbeats()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for fresh quorum evidence: %w", context.Cause(ctx))
		}
	}
}

// provokeHeartbeats uses the one side effect of VerifyLeader that is of use. Its answer proves nothing, since it counts
// replies to heartbeats that were sent before the call, and is not waited for.
func (n *Node) provokeHeartbeats() {
	if r := n.raft.Load(); r != nil {
		// VerifyLeader blocks while Raft's main loop does (a hanging disk); it returns at the latest at shutdown.
		go r.VerifyLeader()
	}
}

// Reachable returns the sorted names of the peers that have acknowledged, in the current term, an AppendEntries that
// started within the given age. Empty unless this node leads.
func (n *Node) Reachable(within time.Duration) []string {
	r := n.raft.Load()
	if r == nil {
		return nil
	}
	term := r.CurrentTerm()
	if !leading(r, term) {
		return nil
	}
	now := n.cfg.Now()
	var names []string
	for id, start := range n.evidence.of(term) {
		if now-start <= within {
			names = append(names, nodeName(id))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
