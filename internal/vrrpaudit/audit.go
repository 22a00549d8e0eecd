// Package vrrpaudit judges a sequence of VRRP packets, as a capture shows them: who was Master when, for how long nobody or more
// than one was, and which packets a receiver refuses.
//
// It believes packets only and knows nothing of the nodes. It is pure: packets in, a [Report] out. What it remembers is bounded by
// the number of senders, not of packets.
//
//	audit.go     the way of a packet
//	ordered.go   packets in order of time
//	sender.go    copies, rounds, intervals
//	router.go    reigns, hand-overs, gaps
//	contest.go   more than one Master
//	settings.go  what the senders of one virtual router must agree on
//	finding.go   what is found
//	report.go    the result; text.go writes it for people
//	line.go      one packet, as tcpdump would show it
package vrrpaudit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/packets"
	"github.com/hacluster/hacluster/vrrpwire"
)

// maxSenders bounds what is remembered. A subnet has fewer; a flood of made-up sources has more.
const maxSenders = 1024

// TTLs that the rules know.
const ttlOnLink = 255 // RFC 9568 section 5.1.1.3: who receives another one was not asked from its own link

// Options say what an auditor knows beforehand.
type Options struct {
	Peers     []netip.Addr // who may speak; empty: anybody
	Multicast bool         // multicast is meant; a VPC of AWS carries none
	MinTTL    uint8        // least TTL that is in order; 0 means 255
}

// Audit judges packets.
type Audit struct {
	opts      Options
	seed      maphash.Seed
	queue     ordered
	routers   map[routerKey]*router
	now       time.Time // of the packet judged last
	packets   int
	senders   int
	unjudged  int // packets of senders beyond maxSenders
	backwards int // how often the capture's clock went back
}

// routerKey is what makes two adverts speak of the same virtual router: its number within an address family, and a link.
type routerKey struct {
	vrid  uint8
	ipv6  bool
	vlans string
}

// New returns an auditor that has seen nothing.
func New(opts Options) *Audit {
	if opts.MinTTL == 0 {
		opts.MinTTL = ttlOnLink
	}
	return &Audit{opts: opts, seed: maphash.MakeSeed(), routers: make(map[routerKey]*router)}
}

// Add judges one packet. Packets may come a second late, as captures of several interfaces write them.
func (a *Audit) Add(p packets.Packet) { a.queue.push(p, a.judge) }

func (a *Audit) judge(p packets.Packet) {
	a.packets++
	if p.Time.Before(a.now) {
		a.backwards++
		for _, r := range a.routers {
			r.forget()
		}
	}
	a.now = p.Time
	r := a.router(p)
	s := a.sender(r, p.Src)
	if s == nil {
		a.unjudged++
		return
	}
	if s.copies.seen(p, maphash.Bytes(a.seed, p.Message)) {
		s.duplicates++
		return
	}
	s.packets++
	a.inspect(r, s, p)
	if v, ok := hear(p.Message); ok {
		r.advert(s, v, p)
	}
}

func (a *Audit) router(p packets.Packet) *router {
	key := routerKey{ipv6: p.Src.Is6()}
	if len(p.Message) > 1 {
		key.vrid = p.Message[1]
	}
	if len(p.VLANs) > 0 {
		key.vlans = fmt.Sprint(p.VLANs)
	}
	r, known := a.routers[key]
	if !known && a.senders < maxSenders { // a router comes with a sender
		r = newRouter(key, slices.Clone(p.VLANs))
		a.routers[key] = r
	}
	return r
}

func (a *Audit) sender(r *router, addr netip.Addr) *sender {
	if r == nil {
		return nil
	}
	s, known := r.senders[addr]
	if !known && a.senders < maxSenders {
		s = newSender(addr)
		r.senders[addr] = s
		a.senders++
	}
	return s
}

// inspect judges a packet by itself.
func (a *Audit) inspect(r *router, s *sender, p packets.Packet) {
	found := func(kind Kind, reason vrrpwire.Reason, format string, args ...any) {
		r.findings.add(Problem{Kind: kind, Sender: s.addr, Reason: string(reason), Detail: fmt.Sprintf(format, args...), First: p.Time})
	}
	if len(a.opts.Peers) > 0 && !slices.Contains(a.opts.Peers, p.Src) {
		found(UnknownSender, "", "it is none of the peers that were named")
	}
	if p.Dst.IsMulticast() && !a.opts.Multicast {
		found(Multicast, "", "to %v", p.Dst)
	}
	if p.TTL < a.opts.MinTTL {
		found(WrongTTL, vrrpwire.ReasonTTL, "TTL %d, want at least %d", p.TTL, a.opts.MinTTL)
	}
	switch {
	case p.Defect != "":
		found(Malformed, vrrpwire.ReasonLength, "%s", p.Defect)
	case p.Missing > 0:
		found(Cut, "", "the capture's snap length cut %d bytes off", p.Missing)
	case p.AH:
		found(Unverified, "", "behind an authentication header (AH)")
		r.observe(s, settingsBehindAH(p.Message), p.Time)
	default:
		a.decode(r, s, p, found)
	}
}

func (a *Audit) decode(r *router, s *sender, p packets.Packet, found func(Kind, vrrpwire.Reason, string, ...any)) {
	d, err := vrrpwire.Decode(p.Message, p.Src, p.Dst)
	var refusal *vrrpwire.PacketError
	switch {
	case errors.As(err, &refusal):
		found(Malformed, refusal.Reason, "%s", cause(refusal))
		return
	case err != nil:
		found(Malformed, vrrpwire.ReasonLength, "%v", err)
		return
	}
	if d.Checksum == vrrpwire.FormNone {
		found(BadChecksum, vrrpwire.ReasonChecksum, "%#04x fits no way of computing it", binary.BigEndian.Uint16(p.Message[6:]))
		return // what else it says may be the damage
	}
	if d.Trailer != nil {
		found(Unverified, "", "with an authentication trailer (auth_hmac), key %d", d.Trailer.KeyID)
	}
	r.observe(s, settingsOf(d), p.Time)
}
