package sim

import (
	"bytes"
	"net"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/raft"
)

// tapped is a listener whose connections are listened to.
type tapped struct {
	net.Listener
	life *life
}

// Accept implements net.Listener.
func (t tapped) Accept() (net.Conn, error) {
	conn, err := t.Listener.Accept()
	if err != nil {
		return nil, err // not a nil connection in an interface
	}
	return &tap{Conn: conn, life: t.life}, nil
}

// tap is the answering end of a connection between nodes. It reads along what Raft says there, and tells the judge each time that this
// node obeys a leader. That is how the judge knows who follows whom: from what crosses the network, where the leader's own evidence
// is made by the product. hashicorp/raft answers one request before it reads the next, from one goroutine.
type tap struct {
	net.Conn
	life    *life
	deaf    bool // not a connection of Raft
	greeted bool // the first line has passed, which says whose connection it is
	heard   []byte
	at      time.Duration // when the first byte of the request was read
}

// raftGreeting is how the first line of Raft's connections begins (package election).
const raftGreeting = "hacluster-raft/"

// Read implements net.Conn.
func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	if t.deaf || n == 0 {
		return n, err
	}
	if len(t.heard) == 0 {
		t.at = t.life.node.world.elapsed()
	}
	t.heard = append(t.heard, p[:n]...)
	if !t.greeted {
		t.greet()
	}
	return n, err
}

func (t *tap) greet() {
	end := bytes.IndexByte(t.heard, '\n')
	if end < 0 {
		return
	}
	t.greeted, t.deaf = true, !bytes.HasPrefix(t.heard, []byte(raftGreeting))
	t.heard = nil
}

// Write implements net.Conn. It is the answer to what was heard.
func (t *tap) Write(p []byte) (int, error) {
	if !t.deaf && !t.life.dead.Load() {
		if term, obeys := obedience(t.heard, p); obeys {
			t.life.node.world.judge.Followed(t.life.node.name, term, t.at)
		}
	}
	t.heard = nil
	return t.Conn.Write(p)
}

// rpcAppendEntries is how a request for AppendEntries begins: the type of the RPC, then its encoding.
const rpcAppendEntries = 0

// obedience reports whether a request was an AppendEntries that was answered in its own term, and which term that is.
func obedience(request, answer []byte) (term uint64, obeys bool) {
	if len(request) == 0 || request[0] != rpcAppendEntries {
		return 0, false
	}
	var asked raft.AppendEntriesRequest
	var failed string
	var answered raft.AppendEntriesResponse
	if codec.NewDecoderBytes(request[1:], &codec.MsgpackHandle{}).Decode(&asked) != nil {
		return 0, false
	}
	d := codec.NewDecoderBytes(answer, &codec.MsgpackHandle{})
	if d.Decode(&failed) != nil || failed != "" || d.Decode(&answered) != nil {
		return 0, false
	}
	return asked.Term, asked.Term == answered.Term
}
