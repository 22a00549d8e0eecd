package vrrpwire

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"go.uber.org/zap"
)

// drainLimit is more packets than the kernel's default receive buffer holds. Who still finds packets after that
// many is being flooded, and must let others have the mutex.
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
	e.reject(e.cfg.Source, unwanted(ReasonOverrun, "%w", errOverrun))
}

// handle judges one packet. Packets are evidence and never authority: the most that one can do is to make this
// node ask for new evidence, answer, or tell its owner.
func (e *Endpoint) handle(p packet) {
	if p.src == e.cfg.Source {
		return // our own, looped back
	}
	now := e.cfg.Now()
	advert, err := e.judge(p, now)
	var refusal *PacketError
	if errors.As(err, &refusal) {
		e.reject(p.src, refusal)
		return
	}
	e.accept(Heard{From: p.src, Advertisement: advert, At: now})
}

// judge returns the advert if it is acceptable, and otherwise a *PacketError.
func (e *Endpoint) judge(p packet, now time.Duration) (Advertisement, error) {
	if !e.peers[p.src] {
		return Advertisement{}, unwanted(ReasonUnknownSender, "not a configured peer")
	}
	advert, err := Parse(p.payload, p.src, p.dst, e.cfg.Checksum)
	if err != nil {
		return Advertisement{}, err
	}
	// Before the finer checks: a peer with another interval or version is misconfigured, yet it does advertise.
	if advert.VRID == e.cfg.VRID && advert.Priority != PriorityStop {
		e.suspectAt = now
	}
	return advert, e.cfg.expect(advert, p.ttl)
}

// expect compares a well-formed advert with this node's own settings. The order and the verdicts are keepalived's
// (vrrp_check_packet); the interval of VRRPv3 may differ, since there the Master's counts.
func (c Config) expect(a Advertisement, ttl uint8) error {
	switch {
	case a.VRID != c.VRID:
		return unwanted(ReasonVRID, "virtual router %d, want %d", a.VRID, c.VRID)
	case ttl < c.MinTTL:
		return unwanted(ReasonTTL, "TTL %d, want at least %d", ttl, c.MinTTL)
	case a.Version != c.Version:
		return unwanted(ReasonVersion, "VRRPv%d, want VRRPv%d", a.Version, c.Version)
	case a.Auth.Type != AuthNone:
		return unwanted(ReasonAuthMismatch, "authentication type %d, want none", a.Auth.Type)
	case a.Version == Version2 && a.Interval != c.Interval:
		return unwanted(ReasonInterval, "interval %v, want %v", a.Interval, c.Interval)
	case len(a.Addresses) > 0 && !c.AcceptAddresses:
		return unwanted(ReasonAddresses, "%d addresses, want none", len(a.Addresses))
	default:
		return nil
	}
}

// reject counts a packet. Only the first of its reason is logged for the operator, whose log must not be filled by
// whoever can send here.
func (e *Endpoint) reject(from netip.Addr, err *PacketError) {
	e.stats.Rejected[err.Reason]++
	level := zap.DebugLevel
	if e.stats.Rejected[err.Reason] == 1 {
		level = zap.WarnLevel
	}
	e.log.Log(level, "VRRP packet rejected", zap.Stringer(keyPeer, from), zap.Error(err))
}

func (e *Endpoint) accept(h Heard) {
	e.stats.Received++
	if h.Advertisement.Priority == PriorityStop {
		e.stats.PriorityZeroReceived++
	}
	if e.reign.begun(h.At) && e.outranks(h) {
		e.reign.owesAnswer = true
		e.poke()
	}
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
