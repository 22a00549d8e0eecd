package vrrpwire

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"go.uber.org/zap"
)

const (
	// answerGap is the shortest time between an advert and an answer, so that two nodes cannot drive each other.
	answerGap = 10 * time.Millisecond
	// slowestRetry and quickestRetry bound the time after which an advert that was held back is tried again.
	slowestRetry  = 50 * time.Millisecond
	quickestRetry = time.Millisecond
	// checkAge is how old a check may be when the packet leaves. A longer pause in between (a stalled guest, a
	// stolen CPU) voids it: that is as close to the send as I3 can be had.
	checkAge = 5 * time.Millisecond
	// checkTries bounds how often the check is repeated on the spot, with the mutex held.
	checkTries = 3
)

var (
	errUnsettled = errors.New("the check was overtaken by a pause or by a peer's advert")
	errNobody    = errors.New("no peer can be sent to")
)

// reign is what there is to do on the wire while the node is Master. All times are CLOCK_BOOTTIME.
type reign struct {
	active     bool
	advertised bool          // a peer has been sent an advert: leaving owes it priority 0
	start      time.Duration // nothing is sent before
	interval   time.Duration
	slot       time.Duration // when the next regular advert is due
	withheld   bool          // the advert of this slot was held back
	owesAnswer bool          // a peer's advert asks for one of ours
	lastSent   time.Duration
	retryAt    time.Duration // nothing is tried before; 0: the last try went well
}

// due returns when the next advert should go out.
func (r *reign) due() time.Duration {
	at := r.slot
	if r.owesAnswer {
		at = min(at, r.lastSent+answerGap)
	}
	return max(at, r.retryAt)
}

// skipMissed moves to the slot that holds now: what was missed is not sent in a burst. It returns whether an advert
// that was held back is given up here.
func (r *reign) skipMissed(now time.Duration) (suppressed bool) {
	late := now - r.slot
	if late < r.interval {
		return false
	}
	r.slot += late.Truncate(r.interval)
	suppressed, r.withheld = r.withheld, false
	return suppressed
}

// served notes an advert. One that comes before its slot, as an answer, does not move the schedule.
func (r *reign) served(now time.Duration) {
	if late := now - r.slot; late >= 0 {
		r.slot += late.Truncate(r.interval) + r.interval
	}
	r.withheld, r.owesAnswer, r.lastSent, r.retryAt = false, false, now, 0
}

// refused notes that an advert which was due at the time due was held back.
func (r *reign) refused(due, now time.Duration) {
	r.withheld = r.withheld || due >= r.slot
	r.retryAt = now + min(max(r.interval/10, quickestRetry), slowestRetry)
}

// begun says whether the node is Master on the wire yet.
func (r *reign) begun(now time.Duration) bool { return r.active && now >= r.start }

// advertise sends what is due until ctx ends.
func (e *Endpoint) advertise(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.wake:
		case <-timer.C:
		}
		pause, refused := e.tick()
		if pause > 0 {
			timer.Reset(pause)
		} else {
			timer.Stop()
		}
		if refused && e.cfg.NeedEvidence != nil {
			e.cfg.NeedEvidence()
		}
	}
}

// tick sends an advert if one is due. It returns how long the next one is away, 0 without a reign, and whether the
// advert was held back.
func (e *Endpoint) tick() (pause time.Duration, refused bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := &e.reign
	if !r.active {
		return 0, false
	}
	if now := e.cfg.Now(); now >= r.due() {
		refused = !e.serve(now)
	}
	return max(r.due()-e.cfg.Now(), time.Nanosecond), refused
}

// serve tries to send the advert that is due and reports whether it was allowed to.
func (e *Endpoint) serve(now time.Duration) bool {
	r := &e.reign
	if r.skipMissed(now) {
		e.stats.Suppressed++
	}
	if err := e.check(); err != nil {
		e.holdBack(now, err)
		return false
	}
	left := e.broadcast(e.cfg.Priority)
	if !left && len(e.cfg.Peers) > 0 {
		e.holdBack(now, errNobody) // ARP is answered in a moment if at all, long before the next slot
		return true
	}
	if r.retryAt != 0 {
		e.log.Info("adverts go out again")
	}
	if left {
		e.stats.Sent++
		r.advertised = true
	}
	r.served(e.cfg.Now())
	return true
}

// holdBack puts the advert that was due at the time due off for a moment.
func (e *Endpoint) holdBack(due time.Duration, why error) {
	if e.reign.retryAt == 0 {
		e.log.Info("adverts held back", zap.Error(why))
	}
	e.reign.refused(due, e.cfg.Now())
}

// check is I3 right before a send: the permit holds for evidence newer than anything that a peer is known to have
// said, and the drain that follows it brought nothing new. Where a packet came in, or time went by, while the
// permit was asked or the peers were surveyed, its answer is about the past, and it is asked again.
func (e *Endpoint) check() error {
	for range checkTries {
		suspectAt, asked := e.suspectAt, e.cfg.Now()
		if err := e.permit(suspectAt); err != nil {
			return err
		}
		e.survey()
		if err := e.drain(); err != nil {
			return err
		}
		if e.suspectAt == suspectAt && e.cfg.Now()-asked <= checkAge {
			return nil
		}
	}
	return errUnsettled
}

// survey finds out which peers an advert would leave for at once. I3 needs that: what the kernel parks until ARP is
// answered leaves seconds later, without a check, even if this process is dead by then.
func (e *Endpoint) survey() {
	for _, peer := range e.cfg.Peers {
		e.out.obstacles[peer] = e.conn.obstacle(peer)
	}
}

// broadcast sends one logical advert to each peer, all with the same IP ID as keepalived does, and reports whether
// any packet left. An unreachable peer does not keep the others from hearing it. A survey precedes it.
func (e *Endpoint) broadcast(priority uint8) bool {
	e.out.ipID = max(e.out.ipID+1, 1) // the kernel would replace 0
	left := false
	for _, peer := range e.cfg.Peers {
		err := e.sendTo(peer, priority)
		left = left || err == nil
		e.noteSend(peer, err)
	}
	return left
}

func (e *Endpoint) sendTo(peer netip.Addr, priority uint8) error {
	if err := e.out.obstacles[peer]; err != nil {
		return err
	}
	b, err := e.cfg.advert(priority).Append(e.out.buf[:0], e.cfg.Source, peer, e.cfg.Checksum)
	if err != nil {
		return err
	}
	e.out.buf = b
	return e.conn.send(peer, e.out.ipID, b)
}

// noteSend logs a peer that cannot be sent to once, and once more when it can be again.
func (e *Endpoint) noteSend(peer netip.Addr, err error) {
	switch {
	case errors.Is(err, errUnresolved):
		e.stats.Unresolved++
	case err != nil:
		e.stats.SendErrors++
	}
	if failing := err != nil; failing != e.out.failing[peer] {
		e.out.failing[peer] = failing
		if failing {
			e.log.Warn("VRRP peer cannot be sent to", zap.Stringer(keyPeer, peer), zap.Error(err))
		} else {
			e.log.Info("VRRP peer can be sent to again", zap.Stringer(keyPeer, peer))
		}
	}
}
