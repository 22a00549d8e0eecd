// Package capture records VRRP adverts (IP protocol 112) on the switch of the lab, and finds reigns that overlap.
//
// It is a witness from outside: it shares no code with vrrpwire, so that an error there cannot hide itself.
package capture

import (
	"encoding/binary"
	"net/netip"
	"time"
)

const (
	etherHeaderLen = 14
	minIPHeaderLen = 20
	protoVRRP      = 112
)

// Advert is one VRRP advertisement as it was sent.
type Advert struct {
	Time     time.Time
	Src, Dst netip.Addr
	Version  uint8
	VRID     uint8
	Priority uint8 // 0: the sender stops being Master
	Interval time.Duration
}

// Down returns Master_Down_Interval as a Backup of the same priority counts it: 3 x interval + skew, with the skew of
// VRRPv3 (RFC 9568 section 6.1). A sender that was silent for so long has stopped reigning, whether it said so or not.
func (a Advert) Down() time.Duration {
	return 3*a.Interval + a.Interval*time.Duration(256-int(a.Priority))/256
}

// decode reads an Ethernet frame; ok is false for what is no VRRP advertisement.
func decode(frame []byte, at time.Time) (advert Advert, ok bool) {
	if len(frame) < etherHeaderLen+minIPHeaderLen || binary.BigEndian.Uint16(frame[12:]) != 0x0800 {
		return Advert{}, false
	}
	ip := frame[etherHeaderLen:]
	headerLen := int(ip[0]&0x0f) * 4
	if ip[0]>>4 != 4 || ip[9] != protoVRRP || headerLen < minIPHeaderLen || len(ip) < headerLen+8 {
		return Advert{}, false
	}
	vrrp := ip[headerLen:]
	if vrrp[0]&0x0f != 1 {
		return Advert{}, false
	}
	advert = Advert{
		Time: at, Src: netip.AddrFrom4([4]byte(ip[12:16])), Dst: netip.AddrFrom4([4]byte(ip[16:20])),
		Version: vrrp[0] >> 4, VRID: vrrp[1], Priority: vrrp[2],
	}
	switch advert.Version {
	case 2:
		advert.Interval = time.Duration(vrrp[5]) * time.Second
	case 3:
		advert.Interval = time.Duration(binary.BigEndian.Uint16(vrrp[4:])&0x0fff) * 10 * time.Millisecond
	default:
		return Advert{}, false
	}
	return advert, true
}
