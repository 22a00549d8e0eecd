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
	v := &Visitor{cfg: cfg, links: make(map[string]Link), generations: make(map[string]generation)}
	v.mux = newMux(cfg)
	v.mux.network = timedNetwork{Network: cfg.Network}
	v.client = newClient(cfg.peer, v.dial)
	return v
}

// Close ends all connections that carry no call.
func (v *Visitor) Close() { v.client.CloseIdleConnections() }

// Call is Node.Call.
func (v *Visitor) Call(ctx context.Context, peerName, path string, in, out any) error {
	v.mu.Lock()
	from := sender{v.cfg.Cluster, v.generations[peerName]}
	v.mu.Unlock()
	return call(ctx, v.client, from, peerName, path, in, out)
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
func (v *Visitor) Introduce(ctx context.Context, peerName string) (Introduction, error) {
	var answer identityAnswer
	if err := v.Call(ctx, peerName, identityPath, nil, &answer); err != nil {
		return Introduction{}, err
	}
	v.mu.Lock()
	v.generations[peerName] = answer.Generation
	v.mu.Unlock()
	return Introduction{Cluster: answer.Cluster, Node: answer.Node, Initialized: answer.Initialized, Peers: answer.Peers}, nil
}

// Link returns what was seen of the peer's port; false if no connection came about.
func (v *Visitor) Link(peerName string) (Link, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	l, ok := v.links[peerName]
	return l, ok
}

func (v *Visitor) dial(ctx context.Context, address, protocol, peerName string) (net.Conn, error) {
	conn, err := v.mux.dial(ctx, address, protocol, peerName)
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
	v.mu.Lock()
	defer v.mu.Unlock()
	v.links[peerName] = l
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
