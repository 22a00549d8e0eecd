package simnet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// Host is one life of a machine at an address, from Boot until Crash.
type Host struct {
	net       *Network
	address   string
	frozen    bool
	down      bool
	silent    bool // down without a word
	listeners map[string]*listener
}

// Boot brings a host up. The address must be an IP address, and free. Streams that a former host at this address left open are
// broken now, as a kernel that knows nothing of them answers with a reset.
func (n *Network) Boot(address string) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts[address] != nil {
		panic("simnet: " + address + " is up already")
	}
	h := &Host{net: n, address: address, listeners: make(map[string]*listener)}
	n.hosts[address] = h
	for c := range n.conns {
		if c.in.from.address == address && c.in.from.silent {
			c.in.end(time.Now().Add(n.travel(c.in.link)), reset())
		}
	}
	n.announce()
	return h
}

// Ending is how a host goes down.
type Ending struct {
	// Silent: the machine is gone and nobody is told. Otherwise its kernel lives, closes the streams of the dead process and
	// refuses new ones.
	Silent bool
	// Lost: what it has sent and nobody has received yet is lost, except for what goes to Keep.
	Lost bool
	Keep string
}

// Crash takes the host down for good: its own programs find every connection closed.
func (h *Host) Crash(e Ending) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if h.down {
		return
	}
	delete(n.hosts, h.address)
	h.down, h.silent, h.frozen = true, e.Silent, false
	n.silent[h.address] = e.Silent
	for _, l := range h.listeners {
		l.shut()
	}
	for c := range n.conns {
		if c.out.from != h {
			continue
		}
		if e.Lost && c.out.to.address != e.Keep {
			c.out.chunks = nil
		}
		if !e.Silent {
			c.out.end(time.Now().Add(n.travel(c.out.link)), reset())
		}
		c.shut()
	}
	n.release(func(p *pipe) bool { return p.from == h })
}

// Freeze stops the host: nothing reaches it and nothing leaves it until Thaw. Its programs go on and do not notice, so whoever
// simulates a machine has to stop them too.
func (h *Host) Freeze() {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.frozen = true
}

// Thaw ends a Freeze.
func (h *Host) Thaw() {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if !h.frozen {
		return
	}
	h.frozen = false
	n.release(func(p *pipe) bool { return p.from == h || p.to == h })
}

// Listen takes connections at address, a host:port of this host.
func (h *Host) Listen(address string) (net.Listener, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil || at.Addr().String() != h.address {
		return nil, errno("listen", syscall.EADDRNOTAVAIL)
	}
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if h.down || h.listeners[address] != nil {
		return nil, errno("listen", syscall.EADDRINUSE)
	}
	l := &listener{host: h, address: at, wake: make(chan struct{}, 1)}
	h.listeners[address] = l
	return l, nil
}

// Dial connects to address, a host:port, until ctx ends.
func (h *Host) Dial(ctx context.Context, address string) (*Conn, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %q: %w", address, err)
	}
	to := at.Addr().String()
	if err := h.pass(ctx, h.address, to); err != nil {
		return nil, err
	}
	conn, err := h.connect(at)
	if err := h.pass(ctx, to, h.address); err != nil {
		if conn != nil {
			_ = conn.Close()
		}
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// pass lets one packet of a handshake travel from one address to the other.
func (h *Host) pass(ctx context.Context, from, to string) error {
	n := h.net
	travelled := false
	for {
		n.mu.Lock()
		l, changed := n.link(from, to), n.changed
		source, target := n.hosts[from], n.hosts[to]
		dead := h.down
		// A host that died with a word still has a kernel, which answers.
		open := !l.cut && !stands(source) && !stands(target) && !n.silentAt(from) && !n.silentAt(to)
		delay := n.travel(l)
		n.mu.Unlock()
		var wait <-chan time.Time
		switch {
		case dead:
			return errno("dial", syscall.ENETDOWN)
		case open && (travelled || delay == 0):
			return nil
		case open:
			changed, travelled = nil, true
			timer := time.NewTimer(delay)
			defer timer.Stop()
			wait = timer.C
		}
		select {
		case <-changed:
		case <-wait:
		case <-ctx.Done():
			return opError("dial", os.ErrDeadlineExceeded)
		}
	}
}

func stands(h *Host) bool { return h != nil && h.frozen }

// connect is the arrival of a SYN.
func (h *Host) connect(to netip.AddrPort) (*Conn, error) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	target := n.hosts[to.Addr().String()]
	var l *listener
	if target != nil {
		l = target.listeners[to.String()]
	}
	if l == nil || l.closed || n.link(h.address, target.address).refused {
		return nil, errno("dial", syscall.ECONNREFUSED)
	}
	n.ports++
	own := netip.AddrPortFrom(netip.MustParseAddr(h.address), max(n.ports, 1024))
	client, server := n.pair(h, target, own, to)
	l.queue = append(l.queue, server)
	signal(l.wake)
	return client, nil
}

// listener is a place that connections arrive at. The network's mutex guards it.
type listener struct {
	host    *Host
	address netip.AddrPort
	queue   []*Conn // not accepted yet; bounded by the diallers, who wait
	closed  bool
	wake    chan struct{}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		l.host.net.mu.Lock()
		var next *Conn
		closed := l.closed
		if len(l.queue) > 0 {
			next, l.queue = l.queue[0], l.queue[1:]
		}
		l.host.net.mu.Unlock()
		switch {
		case closed:
			signal(l.wake) // for whoever else waits
			return nil, opError("accept", net.ErrClosed)
		case next != nil:
			return next, nil
		}
		<-l.wake
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	n := l.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if !l.closed {
		l.shut()
		delete(l.host.listeners, l.address.String())
	}
	return nil
}

// shut ends the listener and resets what nobody has accepted.
func (l *listener) shut() {
	l.closed = true
	for _, c := range l.queue {
		c.out.end(time.Now(), reset())
		c.shut()
	}
	l.queue = nil
	signal(l.wake)
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.address) }

func opError(op string, err error) error { return &net.OpError{Op: op, Net: "tcp", Err: err} }

func errno(op string, err syscall.Errno) error { return opError(op, os.NewSyscallError(op, err)) }

// reset is what a reader sees at the end of a stream that the other side has broken off.
func reset() error { return errno("read", syscall.ECONNRESET) }

func signal(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default: // one is waiting already, and stands for this one too
	}
}

// silentAt reports whether nobody answers at an address: no host is up there, and the last one went without a word.
func (n *Network) silentAt(address string) bool { return n.hosts[address] == nil && n.silent[address] }
