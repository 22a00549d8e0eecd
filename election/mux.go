package election

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The first line of each connection names the protocol and whom it is meant for. Under TLS the protocol is agreed in the handshake
// (ALPN), and the line, inside, says only whom it is meant for.
const (
	raftProtocol = "hacluster-raft/1" // target: a server id
	rpcProtocol  = "hacluster-rpc/1"  // target: a node name
)

const (
	maxPreamble       = 256             // bytes, newline included
	handshakeDeadline = 5 * time.Second // from accepting a connection to its first line, TLS included
	dialTimeout       = time.Second     // TLS included
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

	security Security               // nil: plain TCP
	isMember func(name string) bool // asked under TLS only
	gate     *gate
	refused  *refusals
	spares   spares

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

// listenMux binds the address of this node. Nothing is accepted before serve.
func listenMux(cfg Config) (*mux, error) {
	listener, err := cfg.Network.Listen(cfg.address())
	if err != nil {
		return nil, err
	}
	m := newMux(cfg)
	m.listener, m.rpc = listener, newLane(listener.Addr())
	m.isMember = func(name string) bool {
		_, ok := cfg.peer(name)
		return ok
	}
	if m.security != nil {
		m.refused = newRefusals(cfg.Logger.Named("election"))
	}
	return m, nil
}

// newMux makes one that only dials.
func newMux(cfg Config) *mux {
	return &mux{network: cfg.Network, conns: make(map[*muxConn]struct{}), security: cfg.Security, gate: newGate(cfg.Peers), refused: newRefusals(nil),
		spares: spares{taken: make(chan struct{}, 1)}}
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
	var handshakes sync.WaitGroup
	defer handshakes.Wait()
	for {
		accepted, err := m.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			m.refused.tell("cannot accept connections", m.listener.Addr(), refusal{notAccepted, err})
			select {
			case <-time.After(pauseAfterError):
				continue
			case <-ctx.Done():
				return nil
			}
		}
		conn := m.own(accepted)
		m.gate.enter(conn)
		handshakes.Go(func() {
			defer m.gate.leave(conn)
			m.receive(ctx, conn)
		})
	}
}

// receive passes a connection on, or counts and closes it.
func (m *mux) receive(ctx context.Context, conn *muxConn) {
	err := m.handshake(ctx, conn)
	switch {
	case err == nil:
		return
	case conn.crowdedOut.Load():
		m.refused.note(conn.RemoteAddr(), refusal{crowdedOut, errors.New("too many connections wait for their handshake: " +
			"find out what opens them, and keep it out by the security group")})
	case m.security != nil && errors.Is(err, io.EOF):
		// A knock: nothing was said that could be refused.
	default:
		m.refused.note(conn.RemoteAddr(), err)
	}
	_ = conn.Close()
}

// handshake finds out what a connection is for, and passes it on. An error says why it cannot be.
func (m *mux) handshake(ctx context.Context, conn *muxConn) error {
	if err := conn.SetDeadline(time.Now().Add(handshakeDeadline)); err != nil {
		return err
	}
	protocol, target, err := m.greet(ctx, conn)
	if err != nil {
		return err
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
	if l == nil {
		return refusal{notForUs, fmt.Errorf("%q for %q: nobody here", protocol, target)}
	}
	if err := m.welcome(conn); err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	if !l.offer(conn) {
		return net.ErrClosed
	}
	return nil
}

// greet finds out what a connection is for, after TLS if there is any.
func (m *mux) greet(ctx context.Context, conn *muxConn) (protocol, target string, err error) {
	if m.security == nil {
		line, err := readPreamble(conn)
		protocol, target, _ = strings.Cut(line, " ")
		return protocol, target, err
	}
	if protocol, err = m.authenticate(ctx, conn); err != nil {
		return "", "", err
	}
	target, err = readPreamble(conn)
	return protocol, target, err
}

// readPreamble reads one line byte by byte, because what follows the newline belongs to the protocol. It is done once per connection.
func readPreamble(conn net.Conn) (string, error) {
	var line []byte
	var b [1]byte
	for len(line) < maxPreamble {
		if _, err := conn.Read(b[:]); err != nil {
			return "", fmt.Errorf("read preamble: %w", err)
		}
		if b[0] == '\n' {
			return string(line), nil
		}
		line = append(line, b[0])
	}
	return "", errors.New("read preamble: no newline")
}

// dial connects to address, proves under TLS that the node of target is there, and says what for.
func (m *mux) dial(ctx context.Context, address, protocol, target string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	dialled, err := m.network.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	conn := m.own(dialled)
	line := protocol + " " + target
	if m.security != nil {
		if err := m.secure(ctx, conn, protocol, target); err != nil {
			return nil, errors.Join(fmt.Errorf("secure the connection to %s: %w", address, err), conn.Close())
		}
		line = target
	}
	if _, err := conn.Write([]byte(line + "\n")); err != nil {
		return nil, errors.Join(fmt.Errorf("write preamble to %s: %w", address, err), conn.Close())
	}
	return conn, nil
}

// knock connects to address and hangs up. The kernel accepts for a process that is not scheduled, so under TLS there is no handshake.
func (m *mux) knock(ctx context.Context, address, peer string) error {
	if m.security == nil {
		conn, err := m.dial(ctx, address, rpcProtocol, peer)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := m.network.Dial(ctx, address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// own registers a connection; one that comes after close is closed at once.
func (m *mux) own(conn net.Conn) *muxConn {
	owned := &muxConn{Conn: conn, raw: conn, mux: m}
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
		_ = conn.raw.Close()
	}
	clear(m.conns)
}

// muxConn is a connection that the mux knows of until it is closed.
type muxConn struct {
	net.Conn          // raw, or TLS over it once the handshake is done
	raw      net.Conn // what the kernel knows
	mux      *mux

	crowdedOut atomic.Bool
	// caller is who has it open, as far as it is known; "" if it was dialled, or is in its handshake. It is guarded by mux.mu.
	caller string
	// session is nil without TLS and during its handshake. It is set under mux.mu, before anybody gets the connection.
	session *session
}

// Close implements net.Conn. It closes below TLS: the farewell of TLS could wait seconds for a peer that does not read.
func (c *muxConn) Close() error {
	c.mux.mu.Lock()
	delete(c.mux.conns, c)
	c.mux.mu.Unlock()
	return c.raw.Close()
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
