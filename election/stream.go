package election

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

// serverAddress is a Raft address, "host:port/serverid". Raft gives the dialler nothing but the address, and the dialler must
// say which incarnation it means.
func serverAddress(address string, id raft.ServerID) raft.ServerAddress {
	return raft.ServerAddress(address + "/" + string(id))
}

func splitServerAddress(target raft.ServerAddress) (address, id string, err error) {
	address, id, ok := strings.Cut(string(target), "/")
	if !ok || id == "" {
		return "", "", fmt.Errorf("server address %q is not host:port/serverid", target)
	}
	return address, id, nil
}

// stream is the raft.StreamLayer over the mux.
type stream struct {
	*lane
	mux *mux
	ctx context.Context // of Run: StreamLayer has no place for one
}

// Accept implements net.Listener.
func (s stream) Accept() (net.Conn, error) {
	conn, err := s.lane.Accept()
	if err != nil {
		return nil, err
	}
	return &boundedConn{Conn: conn, refuse: func(from net.Addr, why error) { s.mux.refused.note(from, why) }}, nil
}

// Dial implements raft.StreamLayer.
func (s stream) Dial(target raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	address, id, err := splitServerAddress(target)
	if err != nil {
		return nil, err
	}
	if conn := s.mux.spares.take(target); conn != nil {
		return conn, nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, timeout)
	defer cancel()
	return s.mux.dial(ctx, address, raftProtocol, id)
}

// raftAddr is what Raft takes for its own address and tells its peers.
type raftAddr raft.ServerAddress

// Network implements net.Addr.
func (raftAddr) Network() string { return "tcp" }

// String implements net.Addr.
func (a raftAddr) String() string { return string(a) }
