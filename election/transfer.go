package election

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// Transfer makes one attempt to hand leadership to the named node and returns when it has left this one. It needs Raft
// leadership. While it runs, Apply answers ErrTransferInProgress. An error says that this node leads on, or that ctx ended
// first; do not repeat a failed attempt at the same target at once (hashicorp/raft#696).
func (n *Node) Transfer(ctx context.Context, name string) error {
	r := n.raft.Load()
	if r == nil || r.State() != raft.Leader {
		return ErrNotLeader
	}
	target, err := transferTarget(servers(r), name)
	if err != nil {
		return err
	}
	if target.ID == n.self.serverID() {
		return fmt.Errorf("transfer leadership to %s: it leads already", name)
	}
	if !n.awaitLog(ctx, r, target.ID) {
		return fmt.Errorf("transfer leadership to %s: its log is not being replicated at present", name)
	}
	err = wait(ctx, r.LeadershipTransferToServer(target.ID, target.Address))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader):
		return ErrNotLeader
	case errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return ErrTransferInProgress
	default:
		return fmt.Errorf("transfer leadership to %s: %w", name, err)
	}
}

// awaitLog waits up to an election timeout until the peer's log is being replicated. A second attempt at a peer from which Raft
// backs off blocks inside Raft (#696).
func (n *Node) awaitLog(ctx context.Context, r *raft.Raft, id raft.ServerID) bool {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Timing.Election)
	defer cancel()
	for {
		changed := n.evidence.changes()
		if start, ok := n.evidence.ofLog(r.CurrentTerm())[id]; ok && n.cfg.Now()-start <= n.cfg.Timing.EvidenceMaxAge {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

func transferTarget(servers []raft.Server, name string) (raft.Server, error) {
	i := slices.IndexFunc(servers, func(s raft.Server) bool {
		return nodeName(s.ID) == name && s.Suffrage == raft.Voter
	})
	if i < 0 {
		return raft.Server{}, fmt.Errorf("%w: no voter is called %q", ErrUnknownNode, name)
	}
	return servers[i], nil
}

// suspectTransfer tells watchTransfers that a command was refused because of a transfer. A report that finds another one
// pending is dropped: the watcher looks at the present state anyway.
func (n *Node) suspectTransfer(term uint64) {
	select {
	case n.suspects <- term:
	default:
	}
}

// watchTransfers ends Run when a transfer never ends: hashicorp/raft#696 leaves a leader that refuses every command for
// ever while its heartbeats go on.
func (n *Node) watchTransfers(ctx context.Context, r *raft.Raft) error {
	for {
		select {
		case term := <-n.suspects:
			if err := n.awaitTransferEnd(ctx, r, term); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// awaitTransferEnd asks with a barrier, the only harmless question that Raft refuses during a transfer.
func (n *Node) awaitTransferEnd(ctx context.Context, r *raft.Raft, term uint64) error {
	const interval = 100 * time.Millisecond
	// A healthy transfer may take an election timeout, and then one more RPC that nobody can abort.
	limit := max(2*transportTimeout, n.cfg.Timing.Election+transportTimeout)
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		if !leading(r, term) {
			return nil
		}
		if err := wait(ctx, r.Barrier(interval)); !errors.Is(err, raft.ErrLeadershipTransferInProgress) {
			return nil
		}
		select {
		case <-time.After(interval):
		case <-deadline.C:
			return fmt.Errorf("leader of term %d has refused commands for %v because of a leadership transfer that does not end "+
				"(hashicorp/raft#696): the process ends and must be restarted", term, limit)
		case <-ctx.Done():
			return nil
		}
	}
}
