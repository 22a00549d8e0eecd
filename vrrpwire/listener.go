package vrrpwire

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"
)

// drainLimit is more packets than the kernel's default receive buffer holds. A listener that still finds packets
// after that many is being flooded, and must let others have the mutex.
const drainLimit = 1024

var errFlooded = errors.New("packets arrive faster than they can be read")

// listen reads packets as they arrive.
func (e *Endpoint) listen(ctx context.Context) error {
	for {
		if err := e.conn.wait(ctx); err != nil {
			return err
		}
		e.mu.Lock()
		err := e.drain()
		e.mu.Unlock()
		if err != nil && !errors.Is(err, errFlooded) {
			return err
		}
	}
}

// drain handles every packet that is queued. Afterwards, without an error, nothing that reached this node before the
// call is unknown to it. The mutex is held.
func (e *Endpoint) drain() error {
	for range drainLimit {
		p, err := e.conn.recv()
		switch {
		case errors.Is(err, errNoPacket):
			return nil
		case errors.Is(err, errOverrun):
			e.overrun()
		case err != nil:
			return err
		default:
			e.handle(p)
		}
	}
	e.suspectAt = e.cfg.Now()
	return errFlooded
}

// overrun takes lost packets for the worst that they can have been: a peer's advert.
func (e *Endpoint) overrun() {
	e.suspectAt = e.cfg.Now()
	e.stats.Rejected[ReasonOverrun]++
	level := zap.DebugLevel
	if e.stats.Rejected[ReasonOverrun] == 1 {
		level = zap.WarnLevel
	}
	e.log.Log(level, "VRRP packets lost", zap.Error(errOverrun))
}

// handle judges one packet. Packets are evidence and never authority: the most that one can do is to make this
// node ask for new evidence, answer, or tell its owner.
func (e *Endpoint) handle(p packet) {
	if p.src == e.cfg.Source {
		return // our own, looped back
	}
	now := e.cfg.Now()
	advert, err := e.judge(p)
	var refusal *PacketError
	if errors.As(err, &refusal) {
		e.reject(p, now, refusal)
		return
	}
	e.accept(Heard{From: p.src, Advertisement: advert, At: now})
}

// judge returns the advert if it is acceptable, and otherwise a *PacketError. Unlike keepalived, which looks at the sender last and
// only if it is told to (check_unicast_src), it looks there first.
func (e *Endpoint) judge(p packet) (Advertisement, error) {
	if !e.monitor.isPeer(p.src) {
		return Advertisement{}, unwanted(ReasonUnknownSender,
			"no configured peer: stop it, or close IP protocol 112 to it in the security group")
	}
	advert, err := Parse(p.payload, p.src, p.dst, e.cfg.Checksum)
	if err != nil {
		return Advertisement{}, err
	}
	return advert, e.cfg.expect(advert, p.ttl)
}

// expect compares a well-formed advert with this node's own settings. The order and the verdicts are keepalived's
// (vrrp_check_packet); the interval of VRRPv3 may differ, since there the Master's counts.
func (c Config) expect(a Advertisement, ttl uint8) error {
	switch {
	case a.VRID != c.VRID:
		return unwanted(ReasonVRID, "virtual router %d, want %d", a.VRID, c.VRID)
	case a.Version != c.Version:
		return unwanted(ReasonVersion, "VRRPv%d, want VRRPv%d: write the same version on both", a.Version, c.Version)
	case a.Auth.Type != c.Auth.Type:
		return unwanted(ReasonAuthMismatch, "authentication %v, want %v: write the same auth_pass on both, or none", a.Auth.Type, c.Auth.Type)
	case a.Auth.Key != c.Auth.Key:
		return unwanted(ReasonAuthFailure, "another password: write the same auth_pass on both")
	case a.Version == Version2 && a.Interval != c.Interval:
		return unwanted(ReasonInterval, "interval %v, want %v", a.Interval, c.Interval)
	case !c.names(a.Addresses):
		return unwanted(ReasonAddresses, "addresses %v, want %v: name the same on both", a.Addresses, c.Addresses)
	case ttl < c.MinTTL:
		return unwanted(ReasonTTL, "TTL %d, want at least %d", ttl, c.MinTTL)
	default:
		return nil
	}
}

// names reports whether these are the node's addresses, as keepalived compares them: as many, and each of ours among them.
func (c Config) names(theirs []netip.Addr) bool {
	return len(theirs) == len(c.Addresses) &&
		!slices.ContainsFunc(c.Addresses, func(ours netip.Addr) bool { return !slices.Contains(theirs, ours) })
}

// reject counts a packet and makes of it what can be made. Whose packets are rejected may advertise all the same, with other settings:
// of a peer that is reason enough to ask for evidence (I3).
func (e *Endpoint) reject(p packet, now time.Duration, why *PacketError) {
	if d, err := Decode(p.payload, p.src, p.dst); err == nil && d.Checksum != FormNone {
		why = e.cfg.explain(why, d)
		if d.VRID == e.cfg.VRID {
			e.overhear(Heard{From: p.src, Advertisement: d.Advertisement, At: now})
		}
	}
	e.stats.Rejected[why.Reason]++
	e.monitor.rejected(p.src, now, why)
}

// explain says what only the more lenient look at a rejected packet can tell.
func (c Config) explain(why *PacketError, d Decoded) *PacketError {
	switch {
	case why.Reason == ReasonUnknownSender:
		return why
	case d.VRID != c.VRID:
		return unwanted(ReasonVRID, "virtual router %d, want %d", d.VRID, c.VRID)
	case why.Reason == ReasonChecksum:
		return unwanted(ReasonChecksum, "the checksum is computed the way %s, want %v: write the same checksum mode on both", d.Checksum, c.Checksum)
	case why.Reason == ReasonLength && d.Trailer != nil:
		return unwanted(ReasonLength, "keepalived's auth_hmac is not spoken here: remove it there")
	default:
		return why
	}
}

// overhear notes an advert of this virtual router, acceptable or not.
func (e *Endpoint) overhear(h Heard) {
	if h.Advertisement.Priority != PriorityStop && e.monitor.isPeer(h.From) {
		e.suspectAt = h.At
	}
	if e.monitor.advert(h) {
		e.stats.ForeignMaster++
	}
}

func (e *Endpoint) accept(h Heard) {
	e.stats.Received++
	e.overhear(h)
	if e.monitor.accepted(h) {
		e.stats.IntervalMismatch++
	}
	if h.Advertisement.Priority == PriorityStop {
		e.stats.PriorityZeroReceived++
	}
	if e.reign.begun(h.At) && e.outranks(h) {
		e.reign.owesAnswer = true
		e.poke()
	}
	e.pass(h)
}

// pass puts an advert into the queue. A full one loses its oldest.
func (e *Endpoint) pass(h Heard) {
	for {
		select {
		case e.heard <- h:
			return
		default:
		}
		select {
		case <-e.heard:
			e.stats.HeardDropped++
		default:
		}
	}
}

// outranks says whether this node wins against a peer's advert, by priority, then by address
// (RFC 9568 section 6.4.3).
func (e *Endpoint) outranks(h Heard) bool {
	theirs := h.Advertisement.Priority
	return theirs < e.cfg.Priority || theirs == e.cfg.Priority && h.From.Less(e.cfg.Source)
}
