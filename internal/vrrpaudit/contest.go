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
// when the other began was no Master any more.
type contest struct {
	began   time.Time
	before  time.Time // the incumbent's last advert before
	members []*member // the incumbent first
}

type member struct {
	reign  *reign // its latest
	rounds int    // adverts since the contest began
	at     time.Time
}

func newContest(incumbent *reign, at time.Time) *contest {
	return &contest{began: at, before: incumbent.last, members: []*member{{reign: incumbent}}}
}

func (c *contest) incumbent() *member { return c.members[0] }

// join takes part in the contest with a reign's first advert.
func (c *contest) join(new *reign) {
	if i := c.index(new.sender); i >= 0 {
		c.members[i].reign = new
	} else {
		c.members = append(c.members, &member{reign: new})
	}
	c.count(new.sender, new.first)
}

// count takes note of one more advert. Without a contest it does nothing.
func (c *contest) count(s *sender, at time.Time) {
	if c == nil {
		return
	}
	if i := c.index(s); i >= 0 {
		c.members[i].rounds++
		c.members[i].at = at
	}
}

func (c *contest) index(s *sender) int {
	return slices.IndexFunc(c.members, func(m *member) bool { return m.reign.sender == s })
}

// masters returns who took itself for Master. With one it was an ordinary hand-over, or none at all; with more they were torn.
func (c *contest) masters() []*member {
	return slices.DeleteFunc(slices.Clone(c.members), c.yielded)
}

// yielded says whether a member made room: it was silent when another one began, but for one advert that crossed the other's first.
// That also covers two that begin at the same time, and one of which stops at once. An advert in the midst of another's long reign
// crosses nothing: who sent it, a frozen Master that woke up or a Backup that heard nothing, took itself for Master.
func (c *contest) yielded(m *member) bool {
	if m.rounds != 1 {
		return m.rounds == 0
	}
	return slices.ContainsFunc(c.members, func(x *member) bool {
		return x != m && x.rounds > 0 && m.at.Sub(x.reign.first).Abs() <= crossing
	})
}

// handOver describes the contest as what it was: a newcomer that the incumbent made room for.
func (c *contest) handOver(winner *member) Event {
	old := c.incumbent()
	e := Event{
		Kind: HandOver, At: winner.reign.first, From: old.reign.sender.addr, To: winner.reign.sender.addr,
		Cause: string(byYielding), Duration: Seconds(winner.reign.first.Sub(c.before)),
	}
	// A Backup of higher priority takes over before its dead Master's own Master_Down_Interval is over.
	if winner.reign.first.Sub(c.before) > 2*old.reign.voice.interval {
		e.Cause = string(bySilence)
	}
	if old.rounds == 1 {
		e.Crossed = Seconds(old.at.Sub(winner.reign.first))
	}
	return e
}

// tornBetween describes a time of more than one Master. It lasts until all but one have sent their last advert.
func (c *contest) tornBetween(masters []*member, still []*reign, cutOff bool) Event {
	e := Event{Kind: TwoMasters, At: c.began}
	var ends []time.Time
	for _, m := range masters {
		e.Masters = append(e.Masters, Share{Sender: m.reign.sender.addr, Priority: m.reign.voice.priority, Adverts: m.rounds})
		ends = append(ends, m.at)
	}
	slices.SortFunc(ends, func(a, b time.Time) int { return b.Compare(a) })
	e.Until = ends[1]
	if e.Until.Before(c.began) {
		e.Until = c.began
	}
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
