package election

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// applyDeadline is how long a command may take to commit while a quorum answers. A healthy cluster needs milliseconds.
const applyDeadline = 2 * time.Second

// Apply submits a command and returns the index of its log entry and what the state machine's Apply returned. It refuses
// unless this node leads in term; Raft itself has no such precondition, so a command may still land in a later term of this
// node when leadership changes during the call: the state machine must compare the term in the command with the entry's.
//
// Every error is either an ErrNotAppended or an ErrUnknownOutcome. Apply returns when ctx ends, and after 2 s at the latest.
func (n *Node) Apply(ctx context.Context, term uint64, command []byte) (index uint64, response any, err error) {
	r := n.raft.Load()
	if r == nil || !leading(r, term) {
		return 0, nil, ErrNotLeader
	}
	if err := ctx.Err(); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrNotAppended, err)
	}
	ctx, cancel := context.WithTimeout(ctx, applyDeadline)
	defer cancel()
	done := make(chan applied, 1)
	go func() { done <- n.submit(r, term, command) }()
	select {
	case a := <-done:
		return a.index, a.response, a.err
	case <-ctx.Done():
		return 0, nil, fmt.Errorf("%w: %w", ErrUnknownOutcome, ctx.Err())
	}
}

type applied struct {
	index    uint64
	response any
	err      error
}

// submit waits for the command whatever becomes of the caller, so that the watchdog sees a log that does not commit even
// when callers give up early. Raft answers at the latest when leadership ends.
func (n *Node) submit(r *raft.Raft, term uint64, command []byte) applied {
	watchdog := time.AfterFunc(applyDeadline, func() { n.reportStuckLog(term) })
	defer watchdog.Stop()
	future := r.Apply(command, applyDeadline)
	if err := future.Error(); err != nil {
		if errors.Is(err, raft.ErrLeadershipTransferInProgress) {
			n.suspectTransfer(term)
		}
		return applied{err: applyError(err)}
	}
	return applied{index: future.Index(), response: future.Response()}
}

// applyError sorts Raft's errors by what they say about the entry.
func applyError(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader):
		return ErrNotLeader
	case errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return ErrTransferInProgress
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return fmt.Errorf("%w: raft took no command for %v", ErrNotAppended, applyDeadline)
	case errors.Is(err, raft.ErrLeadershipLost):
		return ErrLeadershipLost
	default:
		// For one, the store refused the entry: it may be on disk all the same.
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	}
}

// reportStuckLog ends Run if this node still leads and a quorum still answers: then nobody else is to blame, and as long as
// the heartbeats go on nobody else will be elected. Without fresh evidence the quorum is lost, and Raft itself steps down. Fresh means
// that the evidence is not older than the pause between two messages of the log, which is up to twice Commit.
func (n *Node) reportStuckLog(term uint64) {
	r := n.raft.Load()
	if r == nil || !leading(r, term) {
		return
	}
	t0, ok := quorumStart(voters(r), n.self.serverID(), n.cfg.Now(), n.evidence.ofLog(term))
	if !ok || n.cfg.Now()-t0 > 2*n.cfg.Timing.Commit+n.cfg.Timing.EvidenceMaxAge {
		return
	}
	n.fail(fmt.Errorf("leader of term %d has not committed a command for %v while a quorum answers: "+
		"check the disk under %s; the process ends so that another node can lead", term, applyDeadline, n.cfg.DataDir))
}

// wait returns the future's error, or ctx's if that ends first; the future is then left to end by itself, at the latest with
// the process.
func wait(ctx context.Context, future raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- future.Error() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
