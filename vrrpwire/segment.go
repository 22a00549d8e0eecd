package vrrpwire

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
)

// segmentQueue bounds what a port of a Segment holds unread, about as many packets as the kernel's default receive
// buffer. A full queue loses the new packet, and the reader learns of it, as with the kernel.
const segmentQueue = 256

// Segment is an in-memory wire: endpoints opened on it hear one another as through raw sockets, at once and in
// order. Simulations and tests use it in place of a network, also under testing/synctest.
type Segment struct {
	mu    sync.Mutex
	ports map[netip.Addr]*port
	relay Relay
}

// Relay decides what becomes of a packet. It is called at the moment of the send, with the sending endpoint locked, so it must
// not call an endpoint. deliver hands the packet to its destination; it may be called later, or not at all.
type Relay func(from, to netip.Addr, payload []byte, deliver func())

// SetRelay puts a relay between the endpoints, for packets sent from now on. Nil delivers at once.
func (s *Segment) SetRelay(r Relay) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.relay = r
}

// NewSegment returns a wire with nobody on it.
func NewSegment() *Segment { return &Segment{ports: make(map[netip.Addr]*port)} }

// Open does on the segment what the function Open does on the machine's network. Config.Interface is ignored.
func (s *Segment) Open(cfg Config, permit Permit) (*Endpoint, error) {
	return open(cfg, permit, func() (datagrams, error) { return s.plug(cfg.Source) })
}

func (s *Segment) plug(address netip.Addr) (datagrams, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ports[address] != nil {
		return nil, fmt.Errorf("plug %v into the segment: the address is taken", address)
	}
	p := &port{segment: s, address: address, ready: make(chan struct{}, 1)}
	s.ports[address] = p
	return p, nil
}

// port is one address on a Segment. Its queue is guarded by the segment's mutex.
type port struct {
	segment *Segment
	address netip.Addr
	queue   []packet
	lost    bool
	ready   chan struct{}
}

func (p *port) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.ready:
		return nil
	}
}

func (p *port) recv() (packet, error) {
	p.segment.mu.Lock()
	defer p.segment.mu.Unlock()
	if len(p.queue) > 0 {
		first := p.queue[0]
		p.queue = p.queue[1:]
		return first, nil
	}
	if p.lost {
		p.lost = false
		return packet{}, errOverrun
	}
	return packet{}, errNoPacket
}

// obstacle: on a segment nothing waits.
func (p *port) obstacle(netip.Addr) error { return nil }

// send loses a packet to an address that nobody has, as a network does.
func (p *port) send(dst netip.Addr, id uint16, payload []byte) error {
	pkt := packet{src: p.address, dst: dst, id: id, ttl: sendTTL, payload: slices.Clone(payload)}
	p.segment.mu.Lock()
	relay := p.segment.relay
	p.segment.mu.Unlock()
	if relay == nil {
		p.segment.deliver(pkt)
		return nil
	}
	relay(pkt.src, pkt.dst, pkt.payload, func() { p.segment.deliver(pkt) })
	return nil
}

func (s *Segment) deliver(pkt packet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to := s.ports[pkt.dst]
	switch {
	case to == nil:
		return
	case len(to.queue) == segmentQueue:
		to.lost = true
	default:
		to.queue = append(to.queue, pkt)
	}
	select {
	case to.ready <- struct{}{}:
	default:
	}
}

// Close frees the address.
func (p *port) Close() error {
	p.segment.mu.Lock()
	defer p.segment.mu.Unlock()
	delete(p.segment.ports, p.address)
	return nil
}
