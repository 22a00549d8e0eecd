package election

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// transportTimeout bounds one RPC. Raft's default of 10 s would let one frozen peer block a leadership transfer that long.
const transportTimeout = time.Second

// preVoteTransport is any Raft transport that can ask for pre-votes; without it Raft silently switches pre-vote off.
type preVoteTransport interface {
	raft.Transport
	raft.WithPreVote
}

// transport changes five things about the transport inside it, which may be the one over TCP or one in memory.
type transport struct {
	preVoteTransport
	// consumer is what Raft reads: the RPCs of inner, forwarded, and those injected here.
	consumer chan raft.RPC
	now      func() time.Duration
	evidence *evidence
	// refused is told of requests that are not handed to Raft; nil: nobody is.
	refused func(error)
}

func newTransport(inner preVoteTransport, now func() time.Duration, e *evidence) *transport {
	return &transport{preVoteTransport: inner, consumer: make(chan raft.RPC), now: now, evidence: e}
}

// Consumer implements raft.Transport.
func (t *transport) Consumer() <-chan raft.RPC {
	return t.consumer
}

// SetHeartbeatHandler implements raft.Transport by doing nothing: the fast path changes term and state outside Raft's main
// loop, which can elect two leaders in one term (hashicorp/raft#695). Heartbeats take the way of all other RPCs, so a
// follower whose disk hangs does not acknowledge them either.
func (t *transport) SetHeartbeatHandler(func(raft.RPC)) {}

// AppendEntriesPipeline implements raft.Transport: never, since a pipeline can deadlock (hashicorp/raft#612) and would bypass
// the stamps.
func (t *transport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// AppendEntries implements raft.Transport and stamps the request. Only a reply of the same term is evidence: a follower that
// answers with a newer term has deserted, and this very reply deposes the leader.
func (t *transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	start := t.now()
	if err := t.preVoteTransport.AppendEntries(id, target, args, resp); err != nil {
		return err
	}
	if err := checkTerm(resp.Term, string(id)); err != nil {
		return err
	}
	if resp.Term == args.Term {
		t.evidence.acknowledge(id, args.Term, start, args.PrevLogEntry == 0 && len(args.Entries) == 0)
	}
	return nil
}

// Close implements raft.WithClose.
func (t *transport) Close() error {
	if inner, ok := t.preVoteTransport.(raft.WithClose); ok {
		return inner.Close()
	}
	return nil
}

// forward carries the RPCs of the inner transport to Raft until ctx ends. An RPC that nobody takes any more is dropped; its
// sender has a timeout.
func (t *transport) forward(ctx context.Context) error {
	for {
		select {
		case rpc := <-t.preVoteTransport.Consumer():
			if err := checkRequest(rpc.Command); err != nil {
				t.refuse(rpc, err)
				continue
			}
			select {
			case t.consumer <- rpc:
			case <-ctx.Done():
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (t *transport) refuse(rpc raft.RPC, why error) {
	rpc.Respond(nil, why) // its channel has room for the one answer
	if t.refused != nil {
		t.refused(why)
	}
}

// inject hands a request to this node's own Raft as if a peer had sent it, and waits for the reply.
func (t *transport) inject(ctx context.Context, request any) error {
	reply := make(chan raft.RPCResponse, 1)
	select {
	case t.consumer <- raft.RPC{Command: request, RespChan: reply}:
	case <-ctx.Done():
		return fmt.Errorf("inject %T: %w", request, ctx.Err())
	}
	select {
	case r := <-reply:
		return r.Error
	case <-ctx.Done():
		return fmt.Errorf("await reply to %T: %w", request, ctx.Err())
	}
}
