package vrrpwire

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/boottime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The cast of every scenario: a node under test, a peer that it knows, and a stranger on the same wire.
var (
	nodeAddr     = netip.MustParseAddr("10.97.0.1")
	peerAddr     = netip.MustParseAddr("10.97.0.2")
	strangerAddr = netip.MustParseAddr("10.97.0.3")
)

// world is a wire with a bare port for the peer and one for the stranger.
type world struct {
	open           func(Config, Permit) (*Endpoint, error)
	peer, stranger datagrams
	now            func() time.Duration
	queued         func(*Endpoint) bool // a packet waits in the node's receive queue
	exact          bool                 // nothing happens later than it is due
}

// inBothWorlds runs one scenario over an in-memory wire in a bubble, where time is exact, and over raw sockets in
// two network namespaces joined by a veth pair.
func inBothWorlds(t *testing.T, scenario func(*testing.T, world)) {
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { scenario(t, memoryWorld(t)) })
	})
	t.Run("veth", func(t *testing.T) { scenario(t, newVeth(t).world(t)) })
}

func memoryWorld(t *testing.T) world {
	t.Helper()
	segment := NewSegment()
	born := time.Now()
	return world{
		exact: true,
		open:  segment.Open, peer: plug(t, segment, peerAddr), stranger: plug(t, segment, strangerAddr),
		// As on a machine, boottime is not 0 when a test begins, nor a multiple of the interval.
		now: func() time.Duration { return time.Hour + 37*time.Millisecond + time.Since(born) },
		queued: func(e *Endpoint) bool {
			segment.mu.Lock()
			defer segment.mu.Unlock()
			return len(segment.ports[nodeAddr].queue) > 0
		},
	}
}

func plug(t *testing.T, segment *Segment, addr netip.Addr) datagrams {
	t.Helper()
	conn, err := segment.plug(addr)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// config is what the node runs with unless a scenario says otherwise.
func (w world) config(t *testing.T) Config {
	return Config{
		VRID: 51, Version: Version3, Priority: 100, Interval: 100 * time.Millisecond,
		Source: nodeAddr, Peers: []netip.Addr{peerAddr}, Now: w.now, Logger: zaptest.NewLogger(t),
	}
}

// start opens and runs an endpoint. stop ends it and demands a clean end; it may be called more than once.
func (w world) start(t *testing.T, cfg Config, permit Permit) (e *Endpoint, stop func()) {
	t.Helper()
	e, err := w.open(cfg, permit)
	if err != nil {
		t.Fatalf("open endpoint: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v, want nil after its context ended", err)
		}
	})
	t.Cleanup(stop)
	return e, stop
}

// say sends an advert to the node.
func say(t *testing.T, from datagrams, src netip.Addr, advert Advertisement) {
	t.Helper()
	payload, err := advert.Append(nil, src, nodeAddr, ChecksumPseudoHeader)
	if err != nil {
		t.Fatal(err)
	}
	sayBytes(t, from, payload)
}

func sayBytes(t *testing.T, from datagrams, payload []byte) {
	t.Helper()
	if err := from.send(nodeAddr, 1, payload); err != nil {
		t.Fatal(err)
	}
}

// next returns the next packet of the node that reaches a port within d, and false if there is none.
func next(t *testing.T, at datagrams, d time.Duration) (packet, Advertisement, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	for {
		p, err := at.recv()
		if errors.Is(err, errNoPacket) {
			if at.wait(ctx) != nil {
				return packet{}, Advertisement{}, false
			}
			continue
		}
		if err != nil {
			t.Fatalf("receive: %v", err)
		}
		advert, err := Parse(p.payload, p.src, p.dst, ChecksumPseudoHeader)
		if err != nil {
			t.Fatalf("the node sent what cannot be parsed: %v", err)
		}
		return p, advert, true
	}
}

// wantAdvert demands an advert with this priority within d.
func wantAdvert(t *testing.T, at datagrams, d time.Duration, priority uint8) packet {
	t.Helper()
	p, advert, ok := next(t, at, d)
	if !ok {
		t.Fatalf("no advert within %v, want one with priority %d", d, priority)
	}
	if advert.Priority != priority || advert.VRID != 51 || p.src != nodeAddr {
		t.Fatalf("%v advertises %+v, want %v with priority %d", p.src, advert, nodeAddr, priority)
	}
	return p
}

func wantSilence(t *testing.T, at datagrams, d time.Duration) {
	t.Helper()
	if _, advert, ok := next(t, at, d); ok {
		t.Fatalf("the node sent %+v, want silence for %v", advert, d)
	}
}

// eventually polls what happens in the kernel or in another goroutine, and gives no other sign.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soon); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", soon, what)
		}
	}
}

// needPrivileges skips a test that needs root or a program and has not got it. In CI that is a failure: nobody reads
// what was skipped there.
func needPrivileges(t testing.TB, programs ...string) {
	t.Helper()
	missing := ""
	if os.Geteuid() != 0 {
		missing = "needs root (network namespaces, raw sockets)"
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			missing = "needs the program " + program
		}
	}
	switch {
	case missing == "":
	case os.Getenv("CI") == "true":
		t.Fatalf("THIS TEST %s", missing)
	default:
		t.Skipf("SKIPPED, NOT TESTED: %s", missing)
	}
}

const (
	nodeDevice = "node0"
	peerDevice = "peer0"
)

// veth is two network namespaces joined by a veth pair: the node's, and the one of the peer and the stranger.
type veth struct {
	node, peer netns.NsHandle
}

func newVeth(t testing.TB) veth {
	t.Helper()
	needPrivileges(t)
	v := veth{node: newNamespace(t), peer: newNamespace(t)}
	v.plug(t)
	return v
}

// plug makes the pair and gives its ends their addresses.
func (v veth) plug(t testing.TB) {
	t.Helper()
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: nodeDevice}, PeerName: peerDevice}
	pair.PeerNamespace = netlink.NsFd(v.peer)
	node, peer := newHandle(t, v.node), newHandle(t, v.peer)
	if err := node.LinkAdd(pair); err != nil {
		t.Fatalf("create veth pair: %v", err)
	}
	nodeLink := configure(t, node, nodeDevice, nodeAddr)
	peerLink := configure(t, peer, peerDevice, peerAddr, strangerAddr)
	acquaint(t, node, nodeLink, peerLink, peerAddr, strangerAddr)
	acquaint(t, peer, peerLink, nodeLink, nodeAddr)
}

func newNamespace(t testing.TB) (created netns.NsHandle) {
	t.Helper()
	// The thread is in the new namespace afterwards and must not serve another goroutine: it is never unlocked.
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		var err error
		created, err = netns.New()
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatalf("create network namespace: %v", err)
	}
	t.Cleanup(func() { _ = created.Close() })
	return created
}

func newHandle(t testing.TB, ns netns.NsHandle) *netlink.Handle {
	t.Helper()
	handle, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatalf("open netlink: %v", err)
	}
	t.Cleanup(handle.Close)
	return handle
}

func configure(t testing.TB, handle *netlink.Handle, device string, addrs ...netip.Addr) netlink.Link {
	t.Helper()
	link, err := handle.LinkByName(device)
	if err != nil {
		t.Fatalf("find %s: %v", device, err)
	}
	for _, addr := range addrs {
		parsed, err := netlink.ParseAddr(addr.String() + "/24")
		if err != nil {
			t.Fatal(err)
		}
		if err := handle.AddrAdd(link, parsed); err != nil {
			t.Fatalf("give %s the address %v: %v", device, addr, err)
		}
	}
	if err := handle.LinkSetUp(link); err != nil {
		t.Fatalf("set %s up: %v", device, err)
	}
	return link
}

// acquaint waits until the link carries packets and enters the neighbours: an ARP request lost before that is
// repeated after a second, and the adverts that wait for it then arrive together.
func acquaint(t testing.TB, handle *netlink.Handle, own, other netlink.Link, neighbours ...netip.Addr) {
	t.Helper()
	eventually(t, "the link is up", func() bool {
		link, err := handle.LinkByIndex(own.Attrs().Index)
		return err == nil && link.Attrs().OperState == netlink.OperUp
	})
	for _, neighbour := range neighbours {
		entry := netlink.Neigh{
			LinkIndex: own.Attrs().Index, State: netlink.NUD_PERMANENT,
			IP: neighbour.AsSlice(), HardwareAddr: other.Attrs().HardwareAddr,
		}
		if err := handle.NeighSet(&entry); err != nil { // the other end may have asked by now, and be entered
			t.Fatalf("enter neighbour %v: %v", neighbour, err)
		}
	}
}

// inside runs f on a thread of its own in the namespace; what f opens stays there.
func inside(t testing.TB, ns netns.NsHandle, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread dies with the goroutine
		err := netns.Set(ns)
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatalf("enter network namespace: %v", err)
	}
}

func (v veth) world(t *testing.T) world {
	t.Helper()
	return world{
		peer: v.openRaw(t, peerAddr, peerDevice), stranger: v.openRaw(t, strangerAddr, peerDevice), now: boottime.Now,
		open: v.open(t),
		queued: func(e *Endpoint) (waiting bool) {
			err := e.conn.(*rawConn).fd.Control(func(fd uintptr) { waiting, _ = readable(int(fd)) })
			return err == nil && waiting
		},
	}
}

// open returns Open in the node's namespace.
func (v veth) open(t *testing.T) func(Config, Permit) (*Endpoint, error) {
	return func(cfg Config, permit Permit) (e *Endpoint, err error) {
		inside(t, v.node, func() { e, err = Open(cfg, permit) })
		return e, err
	}
}

func (v veth) openRaw(t *testing.T, addr netip.Addr, device string) (conn datagrams) {
	t.Helper()
	var err error
	inside(t, v.peer, func() { conn, err = openRaw(addr, device) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
