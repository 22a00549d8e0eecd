package vrrpaudit

import (
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/packets"
)

// router is one virtual router and its history so far.
type router struct {
	key      routerKey
	vlans    []uint16
	senders  map[netip.Addr]*sender
	open     []*reign // who reigns now, in order of beginning
	last     *reign   // the reign that ended, and was heard last
	contest  *contest // while more than one reigns
	findings findings
}

func newRouter(key routerKey, vlans []uint16) *router {
	return &router{key: key, vlans: vlans, senders: make(map[netip.Addr]*sender), findings: newFindings()}
}

// lateAfter is how many Master_Down_Intervals a successor may take. One is VRRP's rule; by Raft's own timers, without a hint, it takes about
// five of the default.
const lateAfter = 5

// ending is how a reign ended.
type ending string

const (
	bySilence  ending = "silence"
	byFarewell ending = "priority 0"
	byYielding ending = "preemption" // it went silent when another one began
)

// reign is a time during which a sender is Master: from its first advert with a priority above 0 until it says priority 0, or until
// its last such advert before a silence of its own Master_Down_Interval.
type reign struct {
	sender *sender
	voice  voice // of its last advert
	first  time.Time
	last   time.Time // its last advert with a priority above 0
	heard  time.Time // its last advert, with priority 0 or not
	end    ending
}

func (r *reign) over() time.Time { return r.last.Add(r.voice.down()) }

// advert takes note of a packet that claims, or gives up, to be Master.
func (r *router) advert(s *sender, v voice, p packets.Packet) {
	r.expire(p.Time)
	before := s.round.began
	fresh := s.round.next(v, p.Dst, p.Time)
	if !r.tellsNothing(s, v, p.Time) {
		r.decide()
	}
	s.voice = v
	if v.priority == 0 {
		r.resign(s, p.Time, fresh)
		return
	}
	s.farewell = nil
	s.priorities.add(v.priority)
	if fresh {
		s.adverts++
	}
	current := r.reignOf(s)
	if current == nil {
		r.begin(&reign{sender: s, voice: v, first: p.Time, last: p.Time, heard: p.Time})
		return
	}
	current.voice, current.last, current.heard = v, p.Time, p.Time
	if fresh {
		s.intervals.add(p.Time.Sub(before))
		r.contest.count(s, p.Time)
		r.decide()
	}
}

// decide settles a contest in which one is left. Where that is because another resigned, it waits for the next packet that tells something:
// who was silent only because its advert was not due yet did not make room.
func (r *router) decide() {
	if r.contest != nil && len(r.open) < 2 {
		r.settle(false)
	}
}

// tellsNothing leaves a contest open: whoever is left advertises no later than it had to, or another one repeats that it resigns.
func (r *router) tellsNothing(s *sender, v voice, at time.Time) bool {
	current := r.reignOf(s)
	if v.priority == 0 {
		return current == nil
	}
	return current != nil && at.Sub(current.last) <= v.interval+crossing
}

func (r *router) reignOf(s *sender) *reign {
	for _, o := range r.open {
		if o.sender == s {
			return o
		}
	}
	return nil
}

// expire ends the reigns that were silent for too long, in the order in which their time ran out.
func (r *router) expire(now time.Time) {
	for {
		var first *reign
		for _, o := range r.open {
			if now.After(o.over()) && (first == nil || o.over().Before(first.over())) {
				first = o
			}
		}
		if first == nil {
			return
		}
		r.close(first, bySilence)
	}
}

// begin opens a reign. Beside nobody it is a succession; beside others, a contest: only what follows tells whether it was a hand-over.
func (r *router) begin(new *reign) {
	if len(r.open) == 0 {
		r.succeed(new)
		r.open = append(r.open, new)
		return
	}
	if r.contest == nil {
		r.contest = newContest(r.open[0], new.first)
	}
	r.open = append(r.open, new)
	r.contest.join(new)
}

// succeed tells how a reign follows the one before.
func (r *router) succeed(new *reign) {
	before := r.last
	switch {
	case before == nil:
	case before.sender == new.sender && before.end == bySilence:
		r.gap(before, new.first, "")
	default:
		e := Event{
			Kind: HandOver, At: new.first, From: before.sender.addr, To: new.sender.addr,
			Cause: string(before.end), Duration: Seconds(new.first.Sub(before.heard)),
		}
		if down := before.voice.down(); time.Duration(e.Duration) > lateAfter*down {
			e.Warning, e.Down = true, Seconds(down)
		}
		r.findings.happen(e)
	}
}

func (r *router) gap(silent *reign, until time.Time, detail string) {
	r.findings.happen(Event{
		Kind: Gap, At: silent.last, Until: until, From: silent.sender.addr, Duration: Seconds(until.Sub(silent.last)),
		Down: Seconds(silent.voice.down()), Detail: detail,
	})
}

func (r *router) resign(s *sender, at time.Time, fresh bool) {
	if current := r.reignOf(s); current != nil {
		current.heard = at
		r.close(current, byFarewell)
	} else if r.last != nil && r.last.sender == s && r.last.end == byFarewell {
		r.last.heard = at // keepalived says it twice
	}
	switch {
	case s.farewell == nil:
		s.farewell = r.findings.happen(Event{Kind: Resigned, At: at, From: s.addr, Adverts: 1})
	case fresh:
		s.farewell.Adverts++
		s.farewell.Until = at
	}
}

func (r *router) close(old *reign, how ending) {
	old.end = how
	r.open = slices.DeleteFunc(r.open, func(o *reign) bool { return o == old })
	if r.last == nil || !old.heard.Before(r.last.heard) {
		r.last = old
	}
	if how != byFarewell || r.contest != nil && len(r.contest.masters()) > 0 {
		r.decide()
	}
}

// settle judges the contest that is over, or that the end of the capture cuts off.
func (r *router) settle(cutOff bool) {
	c := r.contest
	r.contest = nil
	masters, line := c.masters(), c.succession()
	if len(masters) > 0 {
		r.findings.happen(c.tornBetween(masters, r.open, cutOff))
	}
	for i := 1; i < len(line); i++ {
		old, new := slices.MaxFunc(line[:i], heardEarlier), line[i]
		if !slices.Contains(masters, old) || !slices.Contains(masters, new) {
			r.findings.happen(handOver(old, new))
		}
	}
	if len(masters) > 0 {
		return
	}
	for _, m := range c.members {
		if m != line[len(line)-1] && slices.Contains(r.open, m.reign) {
			r.close(m.reign, byYielding)
		}
	}
}

// forget drops what is open when the clock of the capture was set back: no time can be told across that.
func (r *router) forget() {
	r.open, r.last, r.contest = nil, nil, nil
}

// finish judges what is open when the capture ends.
func (r *router) finish(end time.Time) {
	r.expire(end)
	if r.contest != nil {
		r.settle(true)
	}
	switch {
	case r.last == nil || len(r.open) > 0:
	case r.last.end == bySilence:
		r.gap(r.last, end, "until the end of the capture")
	default: // it resigned, and may have been stopped for good
		r.findings.longest = max(r.findings.longest, end.Sub(r.last.heard))
	}
}
