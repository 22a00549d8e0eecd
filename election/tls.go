package election

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/raft"
)

// Security proves who is at the other end of a connection. Its errors may have a method Reason() string: a word to count them by.
type Security interface {
	// Server answers a TLS handshake on conn, with the protocols to choose from by ALPN. ctx bounds it. conn stays the caller's.
	Server(ctx context.Context, conn net.Conn, protocols ...string) (*tls.Conn, error)
	// Client begins a TLS handshake on conn, and ends it only with the node of that name. ctx bounds it. conn stays the caller's.
	Client(ctx context.Context, conn net.Conn, node, protocol string) (*tls.Conn, error)
	// Peer says who is at the other end: a node, or else an operator. An error says that a handshake would fail today.
	Peer(state tls.ConnectionState) (name string, isNode bool, err error)
	// Changed gets a value when Peer may judge differently from now on. It has one reader.
	Changed() <-chan struct{}
}

// session is an authenticated connection.
type session struct {
	conn     *tls.Conn
	peer     string // the name of a node, or of an operator
	isNode   bool
	protocol string
}

// authenticate answers the handshake of a connection that came in, and returns the protocol that it is for. Raft is for members of the
// cluster. Other nodes and operators get as far as rpc, which judges each call.
func (m *mux) authenticate(ctx context.Context, conn *muxConn) (protocol string, err error) {
	secured, err := m.security.Server(ctx, conn.raw, raftProtocol, rpcProtocol)
	if err != nil {
		return "", err
	}
	state := secured.ConnectionState()
	name, isNode, err := m.security.Peer(state)
	if err != nil {
		return "", err
	}
	switch protocol = state.NegotiatedProtocol; {
	case isNode && protocol == raftProtocol && !m.isMember(name):
		return "", stranger(name)
	case !isNode && protocol == raftProtocol:
		return "", refusal{operatorInRaft, fmt.Errorf("operator %q asks for Raft: only nodes may; revoke the certificate if nobody knows why", name)}
	}
	return protocol, m.establish(conn, &session{conn: secured, peer: name, isNode: isNode, protocol: protocol})
}

// stranger is the refusal of a node with a good certificate that is no member.
func stranger(name string) error {
	return refusal{notAMember, fmt.Errorf("node %q is no member: let it in with 'hacluster members add', or revoke its certificate", name)}
}

// secure begins the handshake on a connection that was dialled.
func (m *mux) secure(ctx context.Context, conn *muxConn, protocol, target string) error {
	node := target
	if protocol == raftProtocol {
		node = nodeName(raft.ServerID(target))
	}
	secured, err := m.security.Client(ctx, conn.raw, node, protocol)
	if err != nil {
		return err
	}
	return m.establish(conn, &session{conn: secured, peer: node, isNode: true, protocol: protocol})
}

// establish puts TLS over a connection. Nobody else reads or writes it yet. From here on cutUnwelcome finds it; what it missed since the
// handshake, a revocation say, is an error.
func (m *mux) establish(conn *muxConn, s *session) error {
	m.mu.Lock()
	conn.Conn, conn.session = s.conn, s
	m.mu.Unlock()
	_, _, err := m.security.Peer(s.conn.ConnectionState())
	return err
}

// watchPeers cuts connections whose peer would be refused today: its certificate has expired or was revoked, or its authority is not
// trusted any more. It looks every minute, and when the files have changed.
func (m *mux) watchPeers(ctx context.Context) error {
	const interval = time.Minute
	if m.security == nil {
		return nil
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-m.security.Changed():
		case <-ctx.Done():
			return nil
		}
		m.cutUnwelcome()
	}
}

func (m *mux) cutUnwelcome() {
	for conn, s := range m.sessions() {
		name, isNode, err := m.security.Peer(s.conn.ConnectionState())
		if err == nil && isNode && s.protocol == raftProtocol && !m.isMember(name) {
			err = refusal{notAMember, fmt.Errorf("node %q is no member any more", name)}
		}
		if err != nil {
			m.refused.note(conn.RemoteAddr(), fmt.Errorf("cut the open connection with %s: %w", s.peer, err))
			_ = conn.Close()
		}
	}
}

func (m *mux) sessions() map[*muxConn]*session {
	m.mu.Lock()
	defer m.mu.Unlock()
	open := make(map[*muxConn]*session)
	for conn := range m.conns {
		if conn.session != nil {
			open[conn] = conn.session
		}
	}
	return open
}
