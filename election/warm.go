package election

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

const (
	// warmInterval is how often idle connections are looked after. It is less than the idle limits of both ends of rpc.
	warmInterval = 20 * time.Second
	// warmAgain is the same while one is missing or has just been taken. Not sooner: the moment after one was taken is
	// an election, and from a peer that refuses Raft one is taken after the other.
	warmAgain = 2 * time.Second
)

// keepWarm, under TLS, keeps a connection to each other voter ready for Raft, and one for rpc, so that no handshake is part of a failover:
// followers have nothing to say to one another until their leader is dead.
func (n *Node) keepWarm(ctx context.Context, r *raft.Raft) error {
	if n.cfg.Security == nil {
		return nil
	}
	defer n.mux.spares.keep(nil)
	for {
		well := n.warmAll(ctx, n.otherVoters(r))
		if !n.mux.spares.pause(ctx, well) {
			return nil
		}
	}
}

func (n *Node) otherVoters(r *raft.Raft) []raft.Server {
	return slices.DeleteFunc(slices.Clone(servers(r)), func(s raft.Server) bool { return s.ID == n.self.serverID() || s.Suffrage != raft.Voter })
}

// warmAll says whether all was well already.
func (n *Node) warmAll(ctx context.Context, peers []raft.Server) bool {
	var warming sync.WaitGroup
	var cold atomic.Bool
	n.mux.spares.keep(peers)
	for _, peer := range peers {
		warming.Go(func() {
			if !n.warm(ctx, peer) {
				cold.Store(true)
			}
		})
	}
	warming.Wait()
	return len(peers) > 0 && !cold.Load() // none: the configuration has not come yet
}

// warm says whether all was well already. A connection that was just dialled may yet be refused: the other side judges last.
func (n *Node) warm(ctx context.Context, server raft.Server) bool {
	name := nodeName(server.ID)
	if _, err := n.ask(ctx, name); err != nil { // net/http keeps the connection of a call
		n.log.Debug("no warm connection for rpc", zap.String(keyPeer, name), zap.Error(err))
		return false
	}
	if n.mux.spares.has(server.Address) {
		return true
	}
	if err := n.mux.openSpare(ctx, server.Address); err != nil {
		n.log.Debug("no warm connection for raft", zap.String(keyPeer, name), zap.Error(err))
	}
	return false
}

func (m *mux) openSpare(ctx context.Context, target raft.ServerAddress) error {
	address, id, err := splitServerAddress(target)
	if err != nil {
		return err
	}
	conn, err := m.dial(ctx, address, raftProtocol, id)
	if err != nil {
		return err
	}
	m.spares.put(target, conn.(*muxConn)) // dial returns nothing else
	return nil
}

// spares holds one idle Raft connection for each peer: authenticated, and never used. Raft keeps those that it has used itself.
type spares struct {
	mu    sync.Mutex
	ready map[raft.ServerAddress]*muxConn
	// taken holds one token from a take until somebody looks for what is missing; more would say no more.
	taken chan struct{}
}

// put keeps conn until take or keep.
func (s *spares) put(target raft.ServerAddress, conn *muxConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready == nil {
		s.ready = make(map[raft.ServerAddress]*muxConn)
	}
	if old := s.ready[target]; old != nil {
		_ = old.Close()
	}
	s.ready[target] = conn
}

// has says whether there is one that is still good. One that is not is closed.
func (s *spares) has(target raft.ServerAddress) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	conn := s.ready[target]
	if conn != nil && !quiet(conn.raw) {
		_ = conn.Close()
		delete(s.ready, target)
		return false
	}
	return conn != nil
}

// take returns the one for target, or nil.
func (s *spares) take(target raft.ServerAddress) *muxConn {
	if !s.has(target) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	conn := s.ready[target]
	delete(s.ready, target)
	select {
	case s.taken <- struct{}{}:
	default:
	}
	return conn
}

// keep closes those to anybody else.
func (s *spares) keep(peers []raft.Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for target, conn := range s.ready {
		if !slices.ContainsFunc(peers, func(p raft.Server) bool { return p.Address == target }) {
			_ = conn.Close()
			delete(s.ready, target)
		}
	}
}

// pause returns when it is time to look for what is missing, and says whether to go on.
func (s *spares) pause(ctx context.Context, well bool) bool {
	if well {
		select {
		case <-time.After(warmInterval - warmAgain):
		case <-s.taken:
		case <-ctx.Done():
			return false
		}
	}
	select {
	case <-time.After(warmAgain):
		return true
	case <-ctx.Done():
		return false
	}
}

// quiet says whether a connection is open and nobody has spoken: a peer that was restarted since has closed it, and to find that out by
// a request for a vote would cost the vote.
func quiet(conn net.Conn) bool {
	inner, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := inner.SyscallConn()
	if err != nil {
		return false
	}
	isQuiet := false
	err = raw.Control(func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		isQuiet = err == syscall.EAGAIN
	})
	return err == nil && isQuiet
}
