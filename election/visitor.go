package election

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// Visitor calls the nodes of a cluster as one of them does, without taking part: for hacluster doctor, and before the first start. It
// listens nowhere and has no store, so it may be used beside the running node of its name.
type Visitor struct {
	cfg    Config
	mux    *mux
	client *http.Client

	mu    sync.Mutex
	links map[string]Link
	// generations are what peers said of themselves when they were introduced: no peer answers who is of another.
	generations map[string]generation
}

// Link is what was seen of a peer's port when a connection to it was last made.
type Link struct {
	// Connect is how long the connection took, TCP only. It is about one round trip.
	Connect time.Duration
	// TLS is the state after the handshake; nil over plain TCP.
	TLS *tls.ConnectionState
}

// NewVisitor uses Cluster, Name, Peers, Network and Security of cfg. Nothing is started.
func NewVisitor(cfg Config) *Visitor {
	cfg = cfg.withDefaults()
	c := &Visitor{cfg: cfg, links: make(map[string]Link), generations: make(map[string]generation)}
	c.mux = newMux(cfg)
	c.mux.network = timedNetwork{Network: cfg.Network}
	c.client = newClient(cfg.peer, c.dial)
	return c
}

// Close ends all connections that carry no call.
func (c *Visitor) Close() { c.client.CloseIdleConnections() }

// Call is Node.Call.
func (c *Visitor) Call(ctx context.Context, peerName, path string, in, out any) error {
	c.mu.Lock()
	from := sender{c.cfg.Cluster, c.generations[peerName]}
	c.mu.Unlock()
	return call(ctx, c.client, from, peerName, path, in, out)
}

// Introduction is what a node tells of itself to whoever may connect.
type Introduction struct {
	Cluster string
	Node    string
	// Initialized: it takes part in Raft, or is about to.
	Initialized bool
	// Peers are the sorted names of the nodes in its configuration.
	Peers []string
}

// Introduce asks a peer who it is. Errors are those of Call.
func (c *Visitor) Introduce(ctx context.Context, peerName string) (Introduction, error) {
	var answer identityAnswer
	if err := c.Call(ctx, peerName, identityPath, nil, &answer); err != nil {
		return Introduction{}, err
	}
	c.mu.Lock()
	c.generations[peerName] = answer.Generation
	c.mu.Unlock()
	return Introduction{Cluster: answer.Cluster, Node: answer.Node, Initialized: answer.Initialized, Peers: answer.Peers}, nil
}

// Link returns what was seen of the peer's port; false if no connection came about.
func (c *Visitor) Link(peerName string) (Link, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.links[peerName]
	return l, ok
}

func (c *Visitor) dial(ctx context.Context, address, protocol, peerName string) (net.Conn, error) {
	conn, err := c.mux.dial(ctx, address, protocol, peerName)
	if err != nil {
		return nil, err
	}
	var l Link
	if own, ok := conn.(*muxConn); ok {
		if timed, ok := own.raw.(timedConn); ok {
			l.Connect = timed.took
		}
		if own.session != nil {
			state := own.session.conn.ConnectionState()
			l.TLS = &state
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.links[peerName] = l
	return conn, nil
}

// timedNetwork measures how long its connections take.
type timedNetwork struct{ Network }

type timedConn struct {
	net.Conn
	took time.Duration
}

// Dial implements Network.
func (n timedNetwork) Dial(ctx context.Context, address string) (net.Conn, error) {
	start := time.Now()
	conn, err := n.Network.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	return timedConn{Conn: conn, took: time.Since(start)}, nil
}
