package election

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
)

const (
	maxStrangers = 256 // connections that have not said yet what for, from addresses of no peer
	maxPerPeer   = 32  // the same, from the address of each peer
)

// What bounds the connections of one caller that are through their handshake. A member has about ten; each has a quarter of a megabyte of
// Raft's buffers. Without TLS several members may call from one address.
const (
	maxOpen      = 64
	maxOpenPlain = 256
)

// welcome notes whose connection it is, and refuses one too many. Without TLS callers are told apart by their addresses.
func (m *mux) welcome(conn *muxConn) error {
	caller, most := conn.RemoteAddr().String(), maxOpenPlain
	if host, _, err := net.SplitHostPort(caller); err == nil {
		caller = host
	}
	if conn.session != nil {
		caller, most = conn.session.peer, maxOpen
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	open := 0
	for other := range m.conns {
		if other.caller == caller {
			open++
		}
	}
	if open >= most {
		return refusal{crowdedOut, fmt.Errorf("%s has %d connections open already: find out what opens them", caller, open)}
	}
	conn.caller = caller
	return nil
}

// gate bounds the connections that have not proved anything yet. Where it is full the oldest gives way to the new one: a handshake takes
// some milliseconds, so a peer that has no configured address gets through a crowd of connections that only wait. A flood from elsewhere
// does not touch the room that each peer's own address has.
type gate struct {
	mu      sync.Mutex
	peers   map[netip.Addr]bool
	waiting map[netip.Addr][]*muxConn // by address of a peer; all others under the zero address
}

func newGate(peers []Peer) *gate {
	g := &gate{waiting: make(map[netip.Addr][]*muxConn)}
	g.setPeers(peers)
	return g
}

// setPeers says who has room of its own from now on.
func (g *gate) setPeers(peers []Peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.peers = make(map[netip.Addr]bool)
	for _, p := range peers {
		if addr, err := netip.ParseAddrPort(p.Address); err == nil {
			g.peers[addr.Addr().Unmap()] = true
		}
	}
}

// enter lets a connection in, and closes the one that has to give way.
func (g *gate) enter(conn *muxConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	room, limit := g.room(conn.RemoteAddr())
	crowd := g.waiting[room]
	if len(crowd) >= limit {
		crowd[0].crowdedOut.Store(true)
		_ = crowd[0].raw.Close() // its handshake ends with an error
		crowd = slices.Delete(crowd, 0, 1)
	}
	g.waiting[room] = append(crowd, conn)
}

// leave is for a connection whose handshake is over.
func (g *gate) leave(conn *muxConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for room, crowd := range g.waiting { // its address may have become that of a peer meanwhile, or ceased to be
		g.waiting[room] = slices.DeleteFunc(crowd, func(c *muxConn) bool { return c == conn })
	}
}

func (g *gate) room(remote net.Addr) (room netip.Addr, limit int) {
	if from, err := netip.ParseAddrPort(remote.String()); err == nil && g.peers[from.Addr().Unmap()] {
		return from.Addr().Unmap(), maxPerPeer
	}
	return netip.Addr{}, maxStrangers
}
