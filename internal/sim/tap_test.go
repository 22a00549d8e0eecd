package sim

import (
	"bytes"
	"testing"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/raft"
)

// TestObedience: what counts as following a leader: an AppendEntries that was answered, without an error, in its own term.
func TestObedience(t *testing.T) {
	heartbeat := raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{Addr: []byte("10.0.0.1:7946")}, Term: 7}
	entries := raft.AppendEntriesRequest{Term: 7, Entries: []*raft.Log{{Index: 3, Term: 9, Data: []byte("\xa4Term\x09")}}}
	tests := []struct {
		name    string
		request []byte
		answer  []byte
		want    bool
	}{
		{"a heartbeat", message(rpcAppendEntries, heartbeat), answer("", raft.AppendEntriesResponse{Term: 7, Success: true}), true},
		{"entries", message(rpcAppendEntries, entries), answer("", raft.AppendEntriesResponse{Term: 7, Success: true}), true},
		{"entries that do not fit its log", message(rpcAppendEntries, entries), answer("", raft.AppendEntriesResponse{Term: 7}), true},
		{"it is in a newer term", message(rpcAppendEntries, heartbeat), answer("", raft.AppendEntriesResponse{Term: 8}), false},
		{"it fails", message(rpcAppendEntries, heartbeat), answer("shut down", raft.AppendEntriesResponse{Term: 7}), false},
		{"a vote", message(1, raft.RequestVoteRequest{Term: 7}), answer("", raft.RequestVoteResponse{Term: 7, Granted: true}), false},
		{"nothing was asked", nil, answer("", raft.AppendEntriesResponse{Term: 7}), false},
		{"noise", []byte{rpcAppendEntries, 0xc1}, []byte{0xc1}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			term, obeys := obedience(tt.request, tt.answer)
			if obeys != tt.want || obeys && term != 7 {
				t.Errorf("obeys %v in term %d, want %v in term 7", obeys, term, tt.want)
			}
		})
	}
}

// message and answer write as raft.NetworkTransport does.
func message(kind byte, body any) []byte { return append([]byte{kind}, encoded(body)...) }

func answer(failed string, body any) []byte { return append(encoded(failed), encoded(body)...) }

func encoded(v any) []byte {
	var b bytes.Buffer
	codec.NewEncoder(&b, &codec.MsgpackHandle{}).MustEncode(v)
	return b.Bytes()
}
