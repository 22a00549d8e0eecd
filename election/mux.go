package election

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The first line of each connection names the protocol and whom it is meant for. TLS will say the same by ALPN.
const (
	raftProtocol = "hacluster-raft/1" // target: a server id
	rpcProtocol  = "hacluster-rpc/1"  // target: a node name
)

const (
	maxPreamble       = 256 // bytes, newline included
	maxHandshakes     = 256 // connections that have not sent their first line yet
	handshakeDeadline = 5 * time.Second
	dialTimeout       = time.Second
)

// mux shares one TCP port between Raft and rpc. It owns every connection of the node, dialled or accepted: Raft leaves those
// that it has accepted open when it shuts down.
type mux struct {
	network  Network
	listener net.Listener
	rpc      *lane
	// raft is nil until Raft runs; until then its connections are refused.
	raft     atomic.Pointer[lane]
	serverID string
	refused  atomic.Uint64

	mu     sync.Mutex
	conns  map[*muxConn]struct{}
	closed bool
}

// tcpNetwork is the Network of production.
type tcpNetwork struct{}

// Listen implements Network. Its errors name the remedy.
func (tcpNetwork) Listen(address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	switch {
	case err == nil:
		return listener, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen on %s: another process has this port: stop it (find it with ss -ltnp) or change the address of this node: %w", address, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("listen on %s: this machine has no such address: correct the address of this node: %w", address, err)
	default:
		return nil, fmt.Errorf("listen on %s: correct the address of this node: %w", address, err)
	}
}

// Dial implements Network.
func (tcpNetwork) Dial(ctx context.Context, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// listenMux binds the address. Nothing is accepted before serve.
func listenMux(network Network, address string) (*mux, error) {
	listener, err := network.Listen(address)
	if err != nil {
		return nil, err
	}
	return &mux{network: network, listener: listener, rpc: newLane(listener.Addr()), conns: make(map[*muxConn]struct{})}, nil
}

// openRaft begins to accept Raft connections meant for serverID.
func (m *mux) openRaft(serverID string, address net.Addr) *lane {
	l := newLane(address)
	m.serverID = serverID
	m.raft.Store(l)
	return l
}

// serve accepts connections until close. It returns when all its goroutines have ended.
func (m *mux) serve(ctx context.Context) error {
	const pauseAfterError = 50 * time.Millisecond // out of file descriptors, mostly
	waiting := make(chan struct{}, maxHandshakes)
	var handshakes sync.WaitGroup
	defer handshakes.Wait()
	for {
		accepted, err := m.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			select {
			case <-time.After(pauseAfterError):
				continue
			case <-ctx.Done():
				return nil
			}
		}
		conn := m.own(accepted)
		select {
		case waiting <- struct{}{}:
			handshakes.Go(func() {
				m.handshake(conn)
				<-waiting
			})
		default:
			m.refuse(conn)
		}
	}
}

// handshake reads the first line and passes the connection on, or closes it.
func (m *mux) handshake(conn *muxConn) {
	if err := conn.SetDeadline(time.Now().Add(handshakeDeadline)); err != nil {
		m.refuse(conn)
		return
	}
	protocol, target, err := readPreamble(conn)
	if err != nil {
		m.refuse(conn)
		return
	}
	var l *lane
	switch protocol {
	case rpcProtocol:
		// Whether the node is meant is answered there, with a message.
		l = m.rpc
	case raftProtocol:
		// I7: whoever dials the old incarnation at this address must not be answered by the new one.
		if open := m.raft.Load(); open != nil && target == m.serverID {
			l = open
		}
	}
	if l == nil || conn.SetDeadline(time.Time{}) != nil || !l.offer(conn) {
		m.refuse(conn)
	}
}

func (m *mux) refuse(conn *muxConn) {
	m.refused.Add(1)
	_ = conn.Close()
}

// readPreamble reads byte by byte, because what follows the newline belongs to the protocol. It is done once per connection.
func readPreamble(conn net.Conn) (protocol, target string, err error) {
	var line []byte
	var b [1]byte
	for len(line) < maxPreamble {
		if _, err := conn.Read(b[:]); err != nil {
			return "", "", fmt.Errorf("read preamble: %w", err)
		}
		if b[0] == '\n' {
			protocol, target, _ = strings.Cut(string(line), " ")
			return protocol, target, nil
		}
		line = append(line, b[0])
	}
	return "", "", errors.New("read preamble: no newline")
}

// dial connects to address and names protocol and target.
func (m *mux) dial(ctx context.Context, address, protocol, target string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	dialled, err := m.network.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	conn := m.own(dialled)
	if _, err := conn.Write([]byte(protocol + " " + target + "\n")); err != nil {
		return nil, errors.Join(fmt.Errorf("write preamble to %s: %w", address, err), conn.Close())
	}
	return conn, nil
}

// own registers a connection; one that comes after close is closed at once.
func (m *mux) own(conn net.Conn) *muxConn {
	owned := &muxConn{Conn: conn, mux: m}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		_ = conn.Close()
		return owned
	}
	m.conns[owned] = struct{}{}
	return owned
}

// close ends serve and every connection. It may be called more than once.
func (m *mux) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	_ = m.listener.Close()
	_ = m.rpc.Close()
	if l := m.raft.Load(); l != nil {
		_ = l.Close()
	}
	for conn := range m.conns {
		_ = conn.Conn.Close()
	}
	clear(m.conns)
}

// muxConn is a connection that the mux knows of until it is closed.
type muxConn struct {
	net.Conn
	mux *mux
}

// Close implements net.Conn.
func (c *muxConn) Close() error {
	c.mux.mu.Lock()
	delete(c.mux.conns, c)
	c.mux.mu.Unlock()
	return c.Conn.Close()
}

// lane is the net.Listener of one protocol.
type lane struct {
	address net.Addr
	conns   chan net.Conn
	done    chan struct{}
	once    sync.Once
}

func newLane(address net.Addr) *lane {
	return &lane{address: address, conns: make(chan net.Conn), done: make(chan struct{})}
}

// offer waits until someone accepts, or the lane is closed.
func (l *lane) offer(conn net.Conn) bool {
	select {
	case l.conns <- conn:
		return true
	case <-l.done:
		return false
	}
}

// Accept implements net.Listener.
func (l *lane) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *lane) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr implements net.Listener.
func (l *lane) Addr() net.Addr {
	return l.address
}
