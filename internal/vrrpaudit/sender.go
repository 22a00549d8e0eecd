package vrrpaudit

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/packets"
	"github.com/hacluster/hacluster/vrrpwire"
)

// sender is one source address as a speaker for one virtual router.
type sender struct {
	addr       netip.Addr
	packets    int // without duplicates
	duplicates int
	adverts    int // rounds with a priority above 0
	priorities priorities
	voice      voice // of the last advert
	settings   settings
	copies     copies
	round      round
	intervals  intervals
	farewell   *Event // the row of priority-0 adverts that is not over; nil if there is none
}

func newSender(addr netip.Addr) *sender {
	return &sender{addr: addr, round: round{served: make(map[netip.Addr]struct{})}}
}

// voice is the least that makes a packet an advert: whoever sends it claims to be Master, even if every receiver refuses it for
// its checksum, length or password.
type voice struct {
	version  uint8
	priority uint8
	interval time.Duration
}

const voiceLen = 8 // the fixed header of both versions

// hear reads the header of a VRRP message, whatever follows it.
func hear(message []byte) (voice, bool) {
	if len(message) < voiceLen || message[0]&0x0f != 1 || message[1] == 0 {
		return voice{}, false
	}
	v := voice{version: message[0] >> 4, priority: message[2]}
	switch v.version {
	case vrrpwire.Version2:
		v.interval = time.Duration(message[5]) * time.Second
	case vrrpwire.Version3:
		v.interval = time.Duration(binary.BigEndian.Uint16(message[4:])&0x0fff) * 10 * time.Millisecond
	default:
		return voice{}, false
	}
	if v.interval == 0 {
		v.interval = time.Second // the default of both versions; nobody can mean 0
	}
	return v, true
}

// down returns Master_Down_Interval by the sender's own priority: a silence that long ends its reign.
func (v voice) down() time.Duration {
	return vrrpwire.MasterDownInterval(v.priority, v.interval, v.version)
}

const (
	// copyWindow is how far apart a capture of several interfaces can show one packet.
	copyWindow = 100 * time.Millisecond
	// copyMemory is how many packets of a sender can lie between two copies of one.
	copyMemory = 64
	// maxServed bounds a round; keepalived allows 255 peers.
	maxServed = 256
)

// copies recognises one packet that was captured in several places, as by tcpdump -i any on a bridge.
type copies struct {
	recent [copyMemory]sighting
	next   int
}

type sighting struct {
	at        time.Time
	dst       netip.Addr
	id        uint16
	message   uint64 // a hash
	where     string
	direction packets.Direction
}

func (c *copies) seen(p packets.Packet, message uint64) bool {
	now := sighting{at: p.Time, dst: p.Dst, id: p.ID, message: message, where: p.Interface, direction: p.Direction}
	window := copyWindow
	if v, ok := hear(p.Message); ok {
		window = min(window, v.interval/2)
	}
	for i := range c.recent {
		if c.recent[i].shows(now, window) {
			return true
		}
	}
	c.recent[c.next%copyMemory] = now
	c.next++
	return false
}

// shows says whether two sightings are of one packet. The identification tells them apart; IPv6 has none, and some set it to 0:
// then only another place makes a copy, since keepalived says priority 0 twice within microseconds.
func (s sighting) shows(t sighting, window time.Duration) bool {
	same := s.dst == t.dst && s.id == t.id && s.message == t.message && t.at.Sub(s.at) <= window
	return same && (t.id != 0 || s.where != t.where || s.direction != t.direction)
}

// round is one advert as it goes to each unicast peer in turn.
type round struct {
	began    time.Time
	priority uint8
	served   map[netip.Addr]struct{}
}

// next says whether a packet begins a new round: its receiver was served in this one, or it says something else, or comes too late.
func (r *round) next(v voice, dst netip.Addr, at time.Time) bool {
	_, served := r.served[dst]
	if !served && len(r.served) > 0 && len(r.served) < maxServed && v.priority == r.priority && at.Sub(r.began) <= v.interval/2 {
		r.served[dst] = struct{}{}
		return false
	}
	clear(r.served)
	r.served[dst] = struct{}{}
	r.began, r.priority = at, v.priority
	return true
}

// maxIntervals is how many intervals are kept for the median: up to so many it is exact, then of every second one, every fourth...
const maxIntervals = 1024

// intervals measures the time between adverts of one reign.
type intervals struct {
	least, most time.Duration
	count       int
	stride      int // every stride-th is kept
	kept        []time.Duration
}

func (m *intervals) add(d time.Duration) {
	if m.count == 0 {
		m.least, m.stride = d, 1
	}
	m.least, m.most = min(m.least, d), max(m.most, d)
	if m.count%m.stride == 0 {
		m.kept = append(m.kept, d)
	}
	m.count++
	if len(m.kept) == maxIntervals {
		for i := range maxIntervals / 2 {
			m.kept[i] = m.kept[2*i]
		}
		m.kept = m.kept[:maxIntervals/2]
		m.stride *= 2
	}
}

func (m *intervals) median() time.Duration {
	if m.count == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(m.kept))
	return sorted[(len(sorted)-1)/2]
}

// priorities is a set.
type priorities [4]uint64

func (p *priorities) add(priority uint8) { p[priority/64] |= 1 << (priority % 64) }

func (p *priorities) list() []int {
	var list []int
	for i, word := range p {
		for ; word != 0; word &= word - 1 {
			list = append(list, i*64+bits.TrailingZeros64(word))
		}
	}
	return list
}
