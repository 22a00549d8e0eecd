package vrrpwire

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"go.uber.org/zap"
)

// SetPeers replaces Config.Peers from the next advert and the next packet on. The kernel is asked at once for the link-layer addresses of
// those that are new, so that an advert finds them known; the adverts of one that is gone are a stranger's. An error, which says which
// address cannot be one, changes nothing.
func (e *Endpoint) SetPeers(peers []netip.Addr) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	changed := e.cfg
	changed.Peers = slices.Clone(peers)
	if err := errors.Join(changed.validatePeers()...); err != nil {
		return fmt.Errorf("change the VRRP peers: %w", err)
	}
	if e.closed || slices.Equal(changed.Peers, e.cfg.Peers) {
		return nil
	}
	e.log.Info("VRRP peers changed", zap.Stringers("peers", changed.Peers), zap.Stringers("before", e.cfg.Peers))
	for _, gone := range e.cfg.Peers {
		if !slices.Contains(changed.Peers, gone) {
			delete(e.out.obstacles, gone)
			delete(e.out.failing, gone)
		}
	}
	e.cfg.Peers = changed.Peers
	e.monitor.setPeers(changed.Peers)
	e.survey()
	return nil
}

// setPeers gives each peer its entry, and takes its standing from who is none any more: that one is forgotten, and is a stranger if it is
// heard again.
func (m *monitor) setPeers(peers []netip.Addr) {
	for address, s := range m.senders {
		if s.Peer && !slices.Contains(peers, address) {
			delete(m.senders, address)
		}
	}
	for _, peer := range peers {
		if s := m.senders[peer]; s == nil || !s.Peer {
			m.senders[peer] = newSender(peer, true) // what a stranger did is not held against a peer
		}
	}
}
