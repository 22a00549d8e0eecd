package election

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/raft"
)

// Raft believes its members: a term is taken over from whoever names it, for ever, and a message is read to its end, however long. These
// bounds keep what one member with a broken or stolen identity says from outliving it (docs/SECURITY.md).
const (
	// maxTerm is more than a cluster reaches: a thousand elections a second for thousands of years. At the end of uint64 there would be no
	// next term, and so never a leader again.
	maxTerm = 1 << 48
	// maxAppend is how many entries one request carries at most. Each has less than 64 KiB (package fsm).
	maxAppend = 16
	// maxRaftRequest bounds one request of Raft's in bytes. Decoded it takes a hundred times the room, if it is made for that.
	maxRaftRequest = (maxAppend + 1) * 64 << 10
	// maxRaftSnapshot is the same for one that brings a snapshot, which goes to the disk as it comes; real ones have some hundred kilobytes.
	maxRaftSnapshot = 64 << 20

	// requestStall is how long a request may stand still once it has begun, requestWithin how long it may take as a whole.
	requestStall  = transportTimeout
	requestWithin = 10 * time.Second

	// snapshotRequest is the first byte of a request that brings one (net_transport.go, rpcInstallSnapshot).
	snapshotRequest = 2
)

const (
	absurdTerm = "absurd_term"
	tooLong    = "too_long"
)

// checkTerm says who named a term that is none.
func checkTerm(term uint64, who string) error {
	if term <= maxTerm {
		return nil
	}
	return refusal{absurdTerm, fmt.Errorf("%s speaks of term %d, which no cluster reaches: revoke its certificate, and find out what it is",
		who, term)}
}

// checkRequest looks at what another node asks of Raft.
func checkRequest(command any) error {
	switch r := command.(type) {
	case *raft.AppendEntriesRequest:
		if err := checkTerm(r.Term, claimed(r.RPCHeader)); err != nil {
			return err
		}
		return checkEntries(r)
	case *raft.RequestVoteRequest:
		return checkTerm(r.Term, claimed(r.RPCHeader))
	case *raft.RequestPreVoteRequest:
		return checkTerm(r.Term, claimed(r.RPCHeader))
	case *raft.InstallSnapshotRequest:
		if err := checkTerm(r.Term, claimed(r.RPCHeader)); err != nil {
			return err
		}
		return checkConfiguration(r.Configuration, claimed(r.RPCHeader))
	}
	return nil
}

// checkEntries refuses what Raft panics over, at once or when it applies it, and then again at each start.
func checkEntries(r *raft.AppendEntriesRequest) error {
	who := claimed(r.RPCHeader)
	for _, e := range r.Entries {
		switch {
		case e == nil:
			return refusal{unknownReason, fmt.Errorf("%s sends an entry that is none", who)}
		case e.Type == raft.LogConfiguration:
			if err := checkConfiguration(e.Data, who); err != nil {
				return err
			}
		case e.Type != raft.LogCommand && e.Type != raft.LogNoop && e.Type != raft.LogBarrier:
			return refusal{unknownReason, fmt.Errorf("%s sends an entry of the unknown type %d", who, e.Type)}
		}
	}
	return nil
}

func checkConfiguration(data []byte, who string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = refusal{unknownReason, fmt.Errorf("%s sends a configuration that is none: %v", who, p)}
		}
	}()
	raft.DecodeConfiguration(data) // panics where it cannot
	return nil
}

// claimed is who the sender says it is.
func claimed(h raft.RPCHeader) string { return fmt.Sprintf("%.64q", h.ID) }

// RequestVote implements raft.Transport.
func (t *transport) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest,
	resp *raft.RequestVoteResponse) error {
	err := t.preVoteTransport.RequestVote(id, target, args, resp)
	return errors.Join(err, checkTerm(resp.Term, string(id)))
}

// RequestPreVote implements raft.WithPreVote.
func (t *transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest,
	resp *raft.RequestPreVoteResponse) error {
	err := t.preVoteTransport.RequestPreVote(id, target, args, resp)
	return errors.Join(err, checkTerm(resp.Term, string(id)))
}

// boundedConn is a connection on which Raft answers requests, one at a time: what comes between two answers is one request.
//
// Raft reads a snapshot in its main loop and sets no deadline: of a leader that dies halfway, or of a liar, it would wait for the rest until
// TCP gives up, and neither follow nor vote meanwhile.
type boundedConn struct {
	net.Conn
	got    int // bytes of the request so far
	limit  int
	began  time.Time // its first byte
	refuse func(net.Addr, error)
}

// Read implements net.Conn.
func (c *boundedConn) Read(p []byte) (int, error) {
	if c.got > 0 {
		until := time.Now().Add(requestStall)
		if last := c.began.Add(requestWithin); last.Before(until) {
			until = last
		}
		if err := c.SetReadDeadline(until); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Read(p)
	if c.got == 0 && n > 0 {
		c.begin(p[0])
	}
	if c.got += n; c.got <= c.limit {
		return n, err
	}
	long := refusal{tooLong, fmt.Errorf("a request of Raft's exceeds %d bytes", c.limit)}
	c.refuse(c.RemoteAddr(), long)
	return 0, errors.Join(long, c.Close())
}

func (c *boundedConn) begin(kind byte) {
	c.began, c.limit = time.Now(), maxRaftRequest
	if kind == snapshotRequest {
		c.limit = maxRaftSnapshot
	}
}

// Write implements net.Conn.
func (c *boundedConn) Write(p []byte) (int, error) {
	c.got = 0
	if err := c.SetReadDeadline(time.Time{}); err != nil { // the next request may be long in coming
		return 0, err
	}
	return c.Conn.Write(p)
}
