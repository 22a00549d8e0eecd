package election

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
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
	conn   *tls.Conn
	peer   string // the name of a node, or of an operator
	isNode bool
}

// authenticate answers the handshake of a connection that came in, and returns the protocol that it is for. Members of the cluster get
// in, and operators; the latter never into Raft.
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
	case isNode && !m.isMember(name):
		return "", refusal{notAMember, fmt.Errorf("node %q is no member: add it to nodes in the configuration here, or revoke its certificate", name)}
	case !isNode && protocol == raftProtocol:
		return "", refusal{operatorInRaft, fmt.Errorf("operator %q asks for Raft: only nodes may; revoke the certificate if nobody knows why", name)}
	}
	m.establish(conn, &session{conn: secured, peer: name, isNode: isNode})
	return protocol, nil
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
	m.establish(conn, &session{conn: secured, peer: node, isNode: true})
	return nil
}

// establish puts TLS over a connection. Nobody else reads or writes it yet.
func (m *mux) establish(conn *muxConn, s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	conn.Conn, conn.session = s.conn, s
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
		if err == nil && isNode && !m.isMember(name) {
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

// callerKey is where a request's context has the caller.
type callerKey struct{}

// principal is who is at the other end of a connection under TLS.
type principal struct {
	name   string
	isNode bool
}

// withCaller is the ConnContext of the rpc server.
func withCaller(ctx context.Context, conn net.Conn) context.Context {
	if c, ok := conn.(*muxConn); ok && c.session != nil {
		return context.WithValue(ctx, callerKey{}, principal{c.session.peer, c.session.isNode})
	}
	return ctx
}

// Caller returns the node that a request for Config.RPC comes from, as its certificate says. Without TLS nobody knows.
func Caller(ctx context.Context) (node string, known bool) {
	c, _ := ctx.Value(callerKey{}).(principal)
	return c.name, c.isNode
}

// WithCaller returns the context of a request that comes from a node. It is for tests of handlers.
func WithCaller(ctx context.Context, node string) context.Context {
	return context.WithValue(ctx, callerKey{}, principal{node, true})
}

// mayCall says whether the caller of a request may use the path. Operators may ask a node who it is, and nothing that changes anything.
func mayCall(r *http.Request) bool {
	c, secured := r.Context().Value(callerKey{}).(principal)
	return !secured || c.isNode || r.URL.Path == identityPath
}
