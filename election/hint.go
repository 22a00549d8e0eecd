package election

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/raft"
)

// ErrNoHint says that this node is not in the position to suspect that leader in that term any more.
var ErrNoHint = errors.New("not a follower of the suspected leader in this term")

// Hint makes this node stand for election at once, because its caller has reason to take the leader of term, suspect, for dead. It
// injects TimeoutNow into the node's own transport, as a leader sends it that hands over.
//
// The vote needs a quorum and an up-to-date log as always, so a wrong hint cannot break Raft. But it passes over pre-vote and over
// the loyalty of voters to a leader that is well, so it deposes one: the caller asks the other voters first. Nothing is done unless
// this node is a voter and follows suspect in term; then the error wraps ErrNoHint.
func (n *Node) Hint(ctx context.Context, suspect string, term uint64) error {
	r := n.raft.Load()
	if r == nil {
		return ErrNoHint
	}
	_, leader := r.LeaderWithID()
	if r.State() != raft.Follower || r.CurrentTerm() != term || nodeName(leader) != suspect || !slices.Contains(voters(r), n.self.serverID()) {
		return fmt.Errorf("stand for election in place of %s in term %d: %w", suspect, term, ErrNoHint)
	}
	return n.transport.inject(ctx, &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}})
}

// Voters returns the names of the nodes that vote, sorted; this node is among them only if it does. Empty before Raft runs.
func (n *Node) Voters() []string {
	r := n.raft.Load()
	if r == nil {
		return nil
	}
	return voterNames(r)
}

// Knock opens a connection to a peer and closes it. Nil says that the peer's machine is up, whatever its agent does: the kernel accepts
// for a process that is not scheduled. An error that wraps ECONNREFUSED says that the machine is up and no agent runs there.
func (n *Node) Knock(ctx context.Context, peer string) error {
	p, ok := n.roster.peer(peer)
	if !ok {
		return fmt.Errorf("%w: %q is neither configured nor a member", ErrUnknownNode, peer)
	}
	if err := n.mux.knock(ctx, p.Address, peer); err != nil {
		return fmt.Errorf("knock at %s: %w", peer, err)
	}
	return nil
}

// LastIndex returns the index of the last entry in the node's log.
func (n *Node) LastIndex() uint64 {
	r := n.raft.Load()
	if r == nil {
		return 0
	}
	return r.LastIndex()
}
