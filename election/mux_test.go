package election

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// servedMux is a running mux, its Raft lane open for server id node-a.1, and a dialler of its own.
func servedMux(t *testing.T) *mux {
	t.Helper()
	m, err := listenMux(Config{Name: "node-a", Peers: []Peer{{Name: "node-a", Address: "127.0.0.1:0"}}, Network: tcpNetwork{}})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- m.serve(t.Context()) }()
	t.Cleanup(func() {
		m.close()
		if err := <-served; err != nil {
			t.Errorf("serve = %v", err)
		}
	})
	return m
}

func accept(t *testing.T, l *lane) net.Conn {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestTheFirstLineSelectsTheProtocol(t *testing.T) {
	t.Parallel()
	m := servedMux(t)
	raftLane := m.openRaft("node-a.1", raftAddr("x"))
	for protocol, test := range map[string]struct {
		lane   *lane
		target string
	}{
		raftProtocol: {raftLane, "node-a.1"},
		rpcProtocol:  {m.rpc, "node-a"},
	} {
		dialled, err := m.dial(t.Context(), m.listener.Addr().String(), protocol, test.target)
		if err != nil {
			t.Fatal(err)
		}
		// What follows the line belongs to the protocol, to the byte.
		if _, err := dialled.Write([]byte("payload")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len("payload"))
		if _, err := io.ReadFull(accept(t, test.lane), got); err != nil || string(got) != "payload" {
			t.Errorf("%s: read %q, %v", protocol, got, err)
		}
	}
	if refused := m.refused.total(); refused != 0 {
		t.Errorf("%d connections refused", refused)
	}
}

func TestOtherConnectionsAreClosedAndCounted(t *testing.T) {
	t.Parallel()
	m := servedMux(t)
	m.openRaft("node-a.1", raftAddr("x"))
	tests := map[string]string{
		"garbage":                      "GET / HTTP/1.1\r\n\r\n",
		"a TLS client hello":           "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
		"no newline":                   strings.Repeat("x", 2*maxPreamble),
		"another version":              "hacluster-raft/2 node-a.1\n",
		"no target":                    "hacluster-raft/1\n",
		"an older incarnation, see I7": "hacluster-raft/1 node-a.0\n",
		"a prefix of the server id":    "hacluster-raft/1 node-a\n",
	}
	var want uint64
	for name, sent := range tests {
		conn, err := net.Dial("tcp", m.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := conn.Write([]byte(sent)); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 1)); n != 0 || errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
			t.Errorf("%s: read %d bytes, %v; want the connection closed", name, n, err)
		}
		if want++; m.refused.total() != want {
			t.Errorf("%s: %d refused, want %d", name, m.refused.total(), want)
		}
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestRaftIsRefusedUntilItRuns(t *testing.T) {
	t.Parallel()
	m := servedMux(t)
	conn, err := m.dial(t.Context(), m.listener.Addr().String(), raftProtocol, "node-a.1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a Raft connection was answered before Raft ran")
	}
}

func TestAConnectionThatSaysNothingIsClosedAfterFiveSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		m := &mux{conns: make(map[*muxConn]struct{}), rpc: newLane(nil), refused: newRefusals(nil)}
		began := time.Now()
		go m.receive(t.Context(), m.own(server))
		if _, err := client.Write([]byte(rpcProtocol)); err != nil { // no newline
			t.Fatal(err)
		}
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("read = %v, want EOF", err)
		}
		if took := time.Since(began); took != handshakeDeadline {
			t.Errorf("closed after %v, want %v", took, handshakeDeadline)
		}
	})
}

func TestTooManySilentConnectionsDoNotPileUp(t *testing.T) {
	t.Parallel()
	m := servedMux(t)
	const extra = 10
	for range maxPerPeer + extra { // the test dials from the node's own address
		conn, err := net.Dial("tcp", m.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
	eventually(t, "the surplus refused", func() error {
		if refused := m.refused.total(); refused != extra {
			return errors.New("not yet")
		}
		return nil
	})
}

// starved is a listener without a file descriptor for a connection, until it is closed.
type starved struct{ closed chan struct{} }

func (l starved) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	default:
		return nil, syscall.EMFILE
	}
}

func (l starved) Close() error { close(l.closed); return nil }

func (l starved) Addr() net.Addr { return raftAddr("10.0.0.1:7946") }

// A node that takes no connection at all looks like a dead one to the others. It must say so itself.
func TestANodeThatCannotAcceptSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		m := &mux{conns: make(map[*muxConn]struct{}), rpc: newLane(nil), refused: newRefusals(zap.New(core)),
			listener: starved{closed: make(chan struct{})}}
		served := make(chan error, 1)
		go func() { served <- m.serve(t.Context()) }()
		time.Sleep(time.Second)
		m.close()
		if err := <-served; err != nil {
			t.Errorf("serve = %v", err)
		}
		if m.refused.counts()[notAccepted] == 0 {
			t.Error("nothing is counted")
		}
		if said := logs.FilterMessage("cannot accept connections").All(); len(said) != 1 || said[0].ContextMap()["error"] != syscall.EMFILE.Error() {
			t.Errorf("it says %v, want one line", said)
		}
	})
}

func TestPreambleStopsAtTheNewline(t *testing.T) {
	t.Parallel()
	client, server := net.Pipe()
	defer func() { _ = server.Close() }()
	go func() {
		_, _ = client.Write([]byte("hacluster-rpc/1 node-b\nrest"))
		_ = client.Close()
	}()
	if line, err := readPreamble(server); err != nil || line != "hacluster-rpc/1 node-b" {
		t.Errorf("readPreamble = %q, %v", line, err)
	}
	if rest, _ := io.ReadAll(server); !bytes.Equal(rest, []byte("rest")) {
		t.Errorf("left for the protocol: %q", rest)
	}
}
