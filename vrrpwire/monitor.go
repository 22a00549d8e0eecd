package vrrpwire

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"
)

const (
	// maxStrangers bounds what is remembered of senders that are no configured peers. The one that was heard least recently gives way.
	maxStrangers = 32
	// foreignAfter is how long a peer may advertise without leave before it is called a foreign master. A deposed Master may go on for
	// as long as its evidence is fresh, and news of a new one may come later than its adverts.
	foreignAfter = time.Second
	// summaryEvery is the least time between two log lines on the same matter of the same sender.
	summaryEvery = time.Minute
	// linesPerSummary bounds the log lines on all senders together in that time: a stranger can forge any number of addresses.
	linesPerSummary = 32
)

// Matters that are no reason to reject a packet, in the place of one.
const (
	// MatterForeignMaster: the sender advertises this virtual router although it is not its turn.
	MatterForeignMaster Reason = "foreign_master"
	// MatterInterval: in VRRPv3 another interval is accepted, but somebody configured it.
	MatterInterval Reason = "interval_mismatch"
)

// Sender is what was heard from one address since Open.
type Sender struct {
	Address  netip.Addr
	Peer     bool              // configured as one
	Last     Advertisement     // the newest of this virtual router that was understood, accepted or not
	LastAt   time.Duration     // CLOCK_BOOTTIME when it was read; 0: there was none
	Adverts  uint64            // of this virtual router that were understood, accepted or not
	Rejected map[Reason]uint64 // packets not accepted
	Notices  []Notice          // what an operator should look at, the newest first
}

// Notice is a matter of one sender that an operator should look at.
type Notice struct {
	Matter      Reason
	Text        string        // a sentence with the remedy
	Count       uint64        // packets
	First, Last time.Duration // CLOCK_BOOTTIME
}

// monitor remembers what was heard from whom. It is guarded by the endpoint's mutex.
//
// Whatever it sees it counts and tells, and that is all: a packet is evidence and never authority.
type monitor struct {
	cfg     Config
	log     *zap.Logger
	senders map[netip.Addr]*sender // every peer, and at most maxStrangers others

	lines      int // logged since linesSince
	linesSince time.Duration
}

// sender is the Sender in the making; its Notices are in notices.
type sender struct {
	Sender
	seenAt    time.Duration // of the newest packet of any kind
	uninvited uninvited
	notices   map[Reason]*notice
}

// uninvited is a run of adverts that the sender may not send.
type uninvited struct {
	since, last time.Duration // 0: there is none
}

type notice struct {
	Notice
	loggedAt time.Duration
	unlogged uint64
}

func newMonitor(cfg Config, log *zap.Logger) *monitor {
	m := &monitor{cfg: cfg, log: log, senders: make(map[netip.Addr]*sender, len(cfg.Peers))}
	for _, peer := range cfg.Peers {
		m.senders[peer] = newSender(peer, true)
	}
	return m
}

func newSender(address netip.Addr, peer bool) *sender {
	return &sender{
		Sender:  Sender{Address: address, Peer: peer, Rejected: make(map[Reason]uint64)},
		notices: make(map[Reason]*notice),
	}
}

func (m *monitor) isPeer(address netip.Addr) bool {
	s := m.senders[address]
	return s != nil && s.Peer
}

// sender returns the entry of an address and notes that it was seen.
func (m *monitor) sender(address netip.Addr, now time.Duration) *sender {
	s := m.senders[address]
	if s == nil {
		m.makeRoom()
		s = newSender(address, false)
		m.senders[address] = s
	}
	s.seenAt = now
	return s
}

func (m *monitor) makeRoom() {
	strangers := slices.DeleteFunc(slices.Collect(maps.Values(m.senders)), func(s *sender) bool { return s.Peer })
	if len(strangers) < maxStrangers {
		return
	}
	oldest := slices.MinFunc(strangers, func(a, b *sender) int { return cmp.Compare(a.seenAt, b.seenAt) })
	delete(m.senders, oldest.Address)
}

// advert notes an advert of this virtual router that was understood, accepted or not. It reports whether it is one of a foreign master.
func (m *monitor) advert(h Heard) (foreign bool) {
	s := m.sender(h.From, h.At)
	s.Adverts++
	s.Last, s.LastAt = h.Advertisement, h.At
	if !m.foreign(s, h) {
		return false
	}
	m.tell(s, MatterForeignMaster, h.At, m.foreignText(s))
	return true
}

// foreign says whether an advert comes from someone who should not advertise, and has done so for a while if it is a peer.
func (m *monitor) foreign(s *sender, h Heard) bool {
	a, run := h.Advertisement, &s.uninvited
	if a.Priority == PriorityStop || m.mayReign(s) {
		*run = uninvited{}
		return false
	}
	if run.since == 0 || h.At-run.last > MasterDownInterval(a.Priority, a.Interval, a.Version) {
		run.since = h.At
	}
	run.last = h.At
	return !s.Peer || h.At-run.since >= foreignAfter
}

func (m *monitor) mayReign(s *sender) bool {
	return s.Peer && (m.cfg.MayReign == nil || m.cfg.MayReign(s.Address))
}

func (m *monitor) foreignText(s *sender) string {
	who := "which is no configured peer"
	if s.Peer {
		who = "a configured peer whose turn it is not"
	}
	return fmt.Sprintf("%v, %s, also advertises VRID %d with priority %d (foreign master): no advert moves the Elastic IP, but a notify script "+
		"of keepalived's can: find what sends them there and stop it", s.Address, who, s.Last.VRID, s.Last.Priority)
}

// accepted notes what is odd about an advert that is accepted all the same.
func (m *monitor) accepted(h Heard) (odd bool) {
	theirs, ours := h.Advertisement.Interval, m.cfg.Interval
	if theirs == ours {
		return false
	}
	m.tell(m.sender(h.From, h.At), MatterInterval, h.At,
		fmt.Sprintf("%v advertises every %v, this node every %v: write the same advertisement interval on both", h.From, theirs, ours))
	return true
}

// rejected notes a packet that was not accepted. That a stranger is a foreign master says it all; and a peer's other virtual routers are
// none of ours.
func (m *monitor) rejected(from netip.Addr, now time.Duration, why *PacketError) {
	s := m.sender(from, now)
	s.Rejected[why.Reason]++
	if !s.Peer && s.uninvited.since != 0 || why.Reason == ReasonVRID {
		return
	}
	m.tell(s, why.Reason, now, fmt.Sprintf("VRRP packets of %v are not accepted, %v", from, why))
}

// tell counts a matter and logs it: the first time, and then a summary each minute as long as it goes on.
func (m *monitor) tell(s *sender, matter Reason, now time.Duration, text string) {
	n := s.notices[matter]
	if n == nil {
		n = &notice{Notice: Notice{Matter: matter, First: now}}
		s.notices[matter] = n
	}
	n.Text, n.Last = text, now
	n.Count++
	n.unlogged++
	if n.Count > 1 && now-n.loggedAt < summaryEvery || !m.mayLog(now) {
		return
	}
	m.log.Warn(text, zap.Stringer(keyPeer, s.Address), zap.String("matter", string(matter)), zap.Uint64("packets", n.unlogged))
	n.loggedAt, n.unlogged = now, 0
}

// mayLog counts a line where one is left.
func (m *monitor) mayLog(now time.Duration) bool {
	if now-m.linesSince >= summaryEvery {
		m.linesSince, m.lines = now, 0
	}
	m.lines++
	return m.lines <= linesPerSummary
}

// report copies the table, peers first.
func (m *monitor) report() []Sender {
	all := slices.SortedFunc(maps.Values(m.senders), func(a, b *sender) int {
		switch {
		case a.Peer && !b.Peer:
			return -1
		case b.Peer && !a.Peer:
			return 1
		default:
			return a.Address.Compare(b.Address)
		}
	})
	report := make([]Sender, len(all))
	for i, s := range all {
		report[i] = s.report()
	}
	return report
}

func (s *sender) report() Sender {
	r := s.Sender
	r.Rejected = maps.Clone(s.Rejected)
	for _, n := range s.notices {
		r.Notices = append(r.Notices, n.Notice)
	}
	slices.SortFunc(r.Notices, func(a, b Notice) int { return cmp.Or(cmp.Compare(b.Last, a.Last), cmp.Compare(a.Matter, b.Matter)) })
	return r
}
