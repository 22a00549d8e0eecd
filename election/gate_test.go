package election

import (
	"net"
	"net/netip"
	"testing"
)

// caller is a connection from somewhere that remembers whether it was closed.
type caller struct {
	net.Conn
	from   string
	closed bool
}

func (c *caller) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.from))
}

func (c *caller) Close() error {
	c.closed = true
	return nil
}

// enter lets so many of them in, from one address.
func enter(g *gate, from string, count int) (conns []*muxConn, callers []*caller) {
	for range count {
		c := &caller{from: from}
		conn := &muxConn{Conn: c, raw: c}
		g.enter(conn)
		conns, callers = append(conns, conn), append(callers, c)
	}
	return conns, callers
}

// TestTheOldestGivesWay, and only where it is crowded: strangers never touch the room of a peer.
func TestTheOldestGivesWay(t *testing.T) {
	g := newGate([]Peer{{Name: "node-a", Address: "10.0.0.1:7400"}, {Name: "node-b", Address: "10.0.0.2:7400"}})
	_, peers := enter(g, "10.0.0.2:40000", maxPerPeer)
	first, strangers := enter(g, "10.0.9.1:40000", 2)
	enter(g, "10.0.9.2:40000", maxStrangers-2)
	for i, c := range append(strangers, peers...) {
		if c.closed {
			t.Fatalf("%d is closed, and there is room for all", i)
		}
	}
	g.leave(first[0]) // its handshake is over
	if _, c := enter(g, "10.0.9.3:40000", 1); strangers[1].closed || c[0].closed {
		t.Error("somebody was crowded out, and one had left")
	}
	if _, c := enter(g, "[::ffff:10.0.9.3]:40000", 1); !strangers[1].closed || !first[1].crowdedOut.Load() || c[0].closed {
		t.Error("the oldest stranger has not given way to the newest")
	}
	if strangers[0].closed || peers[0].closed {
		t.Error("somebody else was closed")
	}
	if _, c := enter(g, "[::ffff:10.0.0.2]:40000", 1); !peers[0].closed || peers[1].closed || c[0].closed {
		t.Error("the oldest connection of the peer has not given way to its newest")
	}
}
