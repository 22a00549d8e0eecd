package vrrpaudit

import (
	"net/netip"
	"slices"
	"time"
)

// crossing is how far apart two adverts can be sent by nodes that have not heard each other yet. A Master that hears of a better one
// stops; its one advert that was on the way by then makes no second Master.
const crossing = 10 * time.Millisecond

// contest is a time during which more than one sender reigns, as far as can be told so far: whoever will turn out to have gone silent
// when another began was no Master any more.
type contest struct {
	began   time.Time
	members []*member // in the order in which they began, the incumbent first
}

type member struct {
	reign    *reign    // its latest
	before   time.Time // the last advert of anybody before that began
	rounds   int       // adverts since the contest began
	at, prev time.Time // the last advert and the one before, whether in the contest or not
	torn     bool      // it was Master beside another one in an earlier reign
}

func newContest(incumbent *reign, at time.Time) *contest {
	return &contest{began: at, members: []*member{{reign: incumbent, at: incumbent.last}}}
}

// heardEarlier compares by the last advert.
func heardEarlier(a, b *member) int { return a.at.Compare(b.at) }

// join takes part in the contest with a reign's first advert.
func (c *contest) join(new *reign) {
	latest := slices.MaxFunc(c.members, heardEarlier)
	m := &member{}
	if i := c.index(new.sender); i >= 0 {
		for _, other := range c.members {
			other.torn = c.tornFromAnyone(other)
		}
		m = c.members[i]
		c.members = slices.Delete(c.members, i, i+1)
	}
	m.reign, m.before = new, latest.at
	c.members = append(c.members, m)
	c.count(new.sender, new.first)
}

// count takes note of one more advert. Without a contest it does nothing.
func (c *contest) count(s *sender, at time.Time) {
	if c == nil {
		return
	}
	if i := c.index(s); i >= 0 {
		m := c.members[i]
		m.rounds++
		m.prev, m.at = m.at, at
	}
}

func (c *contest) index(s *sender) int {
	return slices.IndexFunc(c.members, func(m *member) bool { return m.reign.sender == s })
}

// yieldsTo says whether a member made room for another one: it was silent when that began, but for one advert that crossed the other's
// first. That also covers two that begin at the same time, and one of which stops at once.
func (m *member) yieldsTo(other *member) bool {
	began := other.reign.first
	return !m.at.After(began.Add(crossing)) && !m.prev.After(began)
}

// tornFrom says whether both took themselves for Master. An advert in the midst of another's long reign crosses nothing: who sent it, a
// frozen Master that woke up or a Backup that heard nothing, took itself for Master.
func (m *member) tornFrom(other *member) bool {
	return m != other && !m.yieldsTo(other) && !other.yieldsTo(m)
}

func (c *contest) tornFromAnyone(m *member) bool {
	return m.torn || slices.ContainsFunc(c.members, m.tornFrom)
}

// masters returns who was Master beside another one. With none it was an ordinary hand-over, several of them, or none at all.
func (c *contest) masters() []*member {
	return slices.DeleteFunc(slices.Clone(c.members), func(m *member) bool { return !c.tornFromAnyone(m) })
}

// succession returns who was Master one after the other: all but those that made room for one who had begun before them.
func (c *contest) succession() []*member {
	var line []*member
	for i, m := range c.members {
		if !slices.ContainsFunc(c.members[:i], m.yieldsTo) {
			line = append(line, m)
		}
	}
	return line
}

// handOver describes how a newcomer followed a member that made room for it.
func handOver(old, new *member) Event {
	e := Event{
		Kind: HandOver, At: new.reign.first, From: old.reign.sender.addr, To: new.reign.sender.addr,
		Cause: string(byYielding), Duration: Seconds(new.reign.first.Sub(new.before)),
	}
	// A Backup of higher priority takes over before its dead Master's own Master_Down_Interval is over.
	if time.Duration(e.Duration) > 2*old.reign.voice.interval {
		e.Cause = string(bySilence)
	}
	if old.at.After(new.reign.first) {
		e.Crossed = Seconds(old.at.Sub(new.reign.first))
	}
	return e
}

// tornBetween describes a time of more than one Master. It lasts until all but one have sent their last advert.
func (c *contest) tornBetween(masters []*member, still []*reign, cutOff bool) Event {
	e := Event{Kind: TwoMasters, At: masters[1].reign.first}
	var ends []time.Time
	for _, m := range masters {
		if m.torn { // with the reign before its latest
			e.At = c.began
		}
		e.Masters = append(e.Masters, Share{Sender: m.reign.sender.addr, Priority: m.reign.voice.priority, Adverts: m.rounds})
		ends = append(ends, m.at)
	}
	slices.SortFunc(ends, func(a, b time.Time) int { return b.Compare(a) })
	e.Until = ends[1]
	e.Duration = Seconds(e.Until.Sub(e.At))
	switch {
	case cutOff && len(still) > 1:
		e.Detail = "until the end of the capture"
	case len(still) == 1:
		e.To = still[0].sender.addr
	}
	slices.SortFunc(e.Masters, func(a, b Share) int { return netip.Addr.Compare(a.Sender, b.Sender) })
	return e
}
