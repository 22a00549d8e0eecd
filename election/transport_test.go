package election

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// answering is a transport whose peers answer AppendEntries in a given way after a given time.
type answering struct {
	*raft.InmemTransport
	answer func(*raft.AppendEntriesResponse) error
}

func (a answering) AppendEntries(_ raft.ServerID, _ raft.ServerAddress, _ *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	return a.answer(resp)
}

func TestOnlyAReplyOfTheSameTermIsEvidence(t *testing.T) {
	t.Parallel()
	const term, start = 7, 100 * time.Millisecond
	tests := map[string]struct {
		replyTerm uint64
		success   bool
		err       error
		counts    bool
	}{
		"a success":                        {replyTerm: term, success: true, counts: true},
		"a log that does not match yet":    {replyTerm: term, success: false, counts: true},
		"a follower that has gone further": {replyTerm: term + 1},
		"an answer of an older term":       {replyTerm: term - 1},
		"no answer":                        {replyTerm: term, success: true, err: io.EOF},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			clock := start
			_, inner := raft.NewInmemTransport("self")
			e := newEvidence()
			tr := newTransport(answering{inner, func(resp *raft.AppendEntriesResponse) error {
				clock += time.Second // the reply takes a second
				resp.Term, resp.Success = test.replyTerm, test.success
				return test.err
			}}, func() time.Duration { return clock }, e)
			err := tr.AppendEntries("peer", "address", &raft.AppendEntriesRequest{Term: term}, new(raft.AppendEntriesResponse))
			if !errors.Is(err, test.err) {
				t.Errorf("AppendEntries = %v, want %v", err, test.err)
			}
			if got, ok := e.of(term)["peer"]; ok != test.counts || ok && got != start {
				t.Errorf("stamp %v, %v; want one of %v: %v", got, ok, start, test.counts)
			}
		})
	}
}

func TestTheWrapperKeepsPreVote(t *testing.T) {
	t.Parallel()
	_, inner := raft.NewInmemTransport("self")
	var tr raft.Transport = newTransport(inner, nil, newEvidence())
	if _, ok := tr.(raft.WithPreVote); !ok {
		t.Error("Raft would switch pre-vote off")
	}
	if _, ok := tr.(raft.WithClose); !ok {
		t.Error("Raft would leave the transport open at shutdown")
	}
}
