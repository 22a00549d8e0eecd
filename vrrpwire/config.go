package vrrpwire

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/hacluster/hacluster/internal/boottime"
)

// Config describes one virtual router as this node speaks and hears it.
type Config struct {
	VRID     uint8
	Version  uint8         // Version2 or Version3
	Priority uint8         // 1 to 254, what the node advertises as Master
	Interval time.Duration // between adverts; see CheckInterval
	Checksum ChecksumMode
	Auth     Auth // sent and demanded; VRRPv2 only

	Source netip.Addr // IPv4 address of this machine: source of what is sent, destination of what is heard
	// Interface binds to one device: by name, by its IPv4 address, or by a network (10.0.0.0/16) that the address lies in. Empty: the
	// routing table decides.
	Interface string
	Peers     []netip.Addr // each advert goes to each of them, in this order; others are not listened to

	// MinTTL rejects adverts of peers further away, as keepalived's min_ttl does. 0 accepts every TTL: what
	// keepalived does in unicast, where RFC 9568's "must be 255" would shut out routed peers.
	MinTTL uint8
	// Addresses are named in each advert and expected in those of the peers, in any order: keepalived's virtual_ipaddress. They are
	// configured on no machine. keepalived before 2.3.3 is as strict, later versions only log.
	Addresses []netip.Addr

	// NeedEvidence is called when Permit held an advert back, so that fresh evidence can be provoked before the next
	// try. It must not block. Nil: nobody is told.
	NeedEvidence func()
	// MayReign says whether, as far as the holder knows, it may be a peer's turn to advertise now. A peer that advertises out of turn is
	// reported, no more. It is called with the endpoint locked: it must not block and must not call the endpoint. Nil: any peer may.
	MayReign func(peer netip.Addr) bool
	Now      func() time.Duration // nil: boottime.Now
	Logger   *zap.Logger          // nil: silent
}

// Permit says whether the holder still has quorum evidence that started after notBefore, a point of CLOCK_BOOTTIME;
// 0 asks for any that is fresh. An error holds the advert back. It is called with the endpoint locked: it must not
// block and must not call the endpoint.
type Permit func(notBefore time.Duration) error

// Validate returns everything that is wrong with the configuration, joined.
func (c Config) Validate() error {
	var errs []error
	if c.VRID == 0 {
		errs = append(errs, errors.New("virtual router id 0: want 1 to 255"))
	}
	if c.Version != Version2 && c.Version != Version3 {
		errs = append(errs, fmt.Errorf("VRRP version %d: want 2 or 3", c.Version))
	} else if err := CheckInterval(c.Interval, c.Version); err != nil {
		errs = append(errs, err)
	}
	if err := c.Auth.encodable(c.Version); err != nil {
		errs = append(errs, err)
	}
	if c.Priority == PriorityStop || c.Priority == PriorityOwner {
		errs = append(errs, fmt.Errorf("priority %d: want 1 to 254 (0 means \"I stop\", 255 \"I own the address\")", c.Priority))
	}
	if !c.Source.Is4() {
		errs = append(errs, fmt.Errorf("source address %v: want an IPv4 address of this machine", c.Source))
	}
	if len(c.Addresses) > maxAddresses {
		errs = append(errs, fmt.Errorf("%d virtual addresses: an advert names at most %d", len(c.Addresses), maxAddresses))
	}
	for _, address := range c.Addresses {
		if !address.Is4() {
			errs = append(errs, fmt.Errorf("virtual address %v: want an IPv4 address", address))
		}
	}
	return errors.Join(append(errs, c.validatePeers()...)...)
}

func (c Config) validatePeers() []error {
	var errs []error
	seen := make(map[netip.Addr]bool, len(c.Peers))
	for _, peer := range c.Peers {
		switch {
		case !peer.Is4():
			errs = append(errs, fmt.Errorf("peer address %v: want an IPv4 address", peer))
		case peer == c.Source:
			errs = append(errs, fmt.Errorf("peer address %v is this node's own source address", peer))
		case seen[peer]:
			errs = append(errs, fmt.Errorf("peer address %v is given twice", peer))
		}
		seen[peer] = true
	}
	return errs
}

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = boottime.Now
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	return c
}

// advert is what the node says with the given priority.
func (c Config) advert(priority uint8) Advertisement {
	return Advertisement{Version: c.Version, VRID: c.VRID, Priority: priority, Interval: c.Interval, Addresses: c.Addresses, Auth: c.Auth}
}
