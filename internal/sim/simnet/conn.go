package simnet

import (
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

// Conn is one end of a stream. It is a net.Conn for one reader at a time and any number of writers.
type Conn struct {
	net           *Network
	in, out       *pipe
	local, remote netip.AddrPort
	tag           *atomic.Value // shared by both ends

	// Guarded by the network's mutex.
	closed        bool
	readDeadline  time.Time
	writeDeadline time.Time
	lag           time.Duration
}

// pipe is one direction of a stream. The network's mutex guards it.
type pipe struct {
	from, to *Host
	link     *link
	chunks   []chunk
	deaf     bool // the reader has closed
	broken   bool // reading fails, whatever is on its way
	wake     chan struct{}
}

// chunk is what one write sent, or the end of the stream.
type chunk struct {
	data []byte
	at   time.Time // arrival, unless the way is blocked then
	end  error     // what reading the end says
}

func (n *Network) pair(from, to *Host, client, server netip.AddrPort) (*Conn, *Conn) {
	forth := &pipe{from: from, to: to, link: n.link(from.address, to.address), wake: make(chan struct{}, 1)}
	back := &pipe{from: to, to: from, link: n.link(to.address, from.address), wake: make(chan struct{}, 1)}
	tag := new(atomic.Value)
	a := &Conn{net: n, in: back, out: forth, local: client, remote: server, tag: tag}
	b := &Conn{net: n, in: forth, out: back, local: server, remote: client, tag: tag}
	n.conns[a], n.conns[b] = struct{}{}, struct{}{}
	return a, b
}

// SetTag leaves a note with the stream, for whoever holds the other end. It travels at once.
func (c *Conn) SetTag(v any) { c.tag.Store(v) }

// Tag returns the note, or nil.
func (c *Conn) Tag() any { return c.tag.Load() }

// SetLag makes everything that is written from now on take that much longer.
func (c *Conn) SetLag(d time.Duration) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.lag = d
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		c.net.mu.Lock()
		n, again, err := c.poll(p, time.Now())
		c.net.mu.Unlock()
		if again == nil {
			return n, err
		}
		c.in.wait(*again)
	}
}

// poll reads without waiting. again is nil if there was something, be it an error; otherwise it says when to look again, zero: when
// woken.
func (c *Conn) poll(p []byte, now time.Time) (n int, again *time.Time, err error) {
	switch {
	case c.closed:
		return 0, nil, opError("read", net.ErrClosed)
	case expired(c.readDeadline, now):
		return 0, nil, opError("read", os.ErrDeadlineExceeded)
	case c.in.broken:
		return 0, nil, reset()
	case len(p) == 0:
		return 0, nil, nil
	}
	until := c.readDeadline
	if len(c.in.chunks) == 0 || c.in.blocked() {
		return 0, &until, nil
	}
	first := &c.in.chunks[0]
	if first.at.After(now) {
		if until.IsZero() || first.at.Before(until) {
			until = first.at
		}
		return 0, &until, nil
	}
	if first.end != nil {
		return 0, nil, first.end
	}
	n = copy(p, first.data)
	if first.data = first.data[n:]; len(first.data) == 0 {
		c.in.chunks = c.in.chunks[1:]
	}
	return n, nil, nil
}

func expired(deadline, now time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

// Write implements net.Conn. It never waits.
func (c *Conn) Write(p []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	switch {
	case c.closed:
		return 0, opError("write", net.ErrClosed)
	case expired(c.writeDeadline, time.Now()):
		return 0, opError("write", os.ErrDeadlineExceeded)
	case c.in.broken:
		return 0, errno("write", syscall.EPIPE)
	}
	if !c.out.deaf {
		c.out.push(chunk{data: slices.Clone(p), at: c.arrival()})
	}
	return len(p), nil
}

func (c *Conn) arrival() time.Time { return time.Now().Add(c.net.travel(c.out.link) + c.lag) }

// Close implements net.Conn. What was written still arrives.
func (c *Conn) Close() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return opError("close", net.ErrClosed)
	}
	c.out.end(c.arrival(), io.EOF)
	c.shut()
	return nil
}

// shut makes this end unusable without a word to the other.
func (c *Conn) shut() {
	c.closed = true
	c.in.deaf, c.in.chunks = true, nil
	delete(c.net.conns, c)
	signal(c.in.wake)
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local) }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadlines(&t, &t) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(&t, nil) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(nil, &t) }

func (c *Conn) setDeadlines(read, write *time.Time) error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return opError("set", net.ErrClosed)
	}
	if write != nil {
		c.writeDeadline = *write
	}
	if read != nil {
		c.readDeadline = *read
		signal(c.in.wake)
	}
	return nil
}

// blocked reports whether nothing arrives at present.
func (p *pipe) blocked() bool { return p.link.cut || p.from.frozen || p.to.frozen }

// push sends a chunk: it is read behind those before it, whenever it arrives.
func (p *pipe) push(c chunk) {
	p.chunks = append(p.chunks, c)
	signal(p.wake)
}

// end sends the end of the stream behind what is on its way.
func (p *pipe) end(at time.Time, how error) {
	if !p.deaf {
		p.push(chunk{at: at, end: how})
	}
}

// revive lets what should have arrived by now arrive at the given time.
func (p *pipe) revive(now, at time.Time) {
	if len(p.chunks) > 0 && !p.chunks[0].at.After(now) {
		for i := range p.chunks {
			if p.chunks[i].at.Before(at) {
				p.chunks[i].at = at
			}
		}
	}
	signal(p.wake)
}

func (p *pipe) breakOff() {
	p.broken = true
	signal(p.wake)
}

// wait waits until woken, at the latest until a time; zero is for ever.
func (p *pipe) wait(until time.Time) {
	if until.IsZero() {
		<-p.wake
		return
	}
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-p.wake:
	case <-timer.C:
	}
}
