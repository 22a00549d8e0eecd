// Package packets takes VRRP packets out of capture files ([Reader]) and off live interfaces ([Listener]).
//
// It knows what is around a VRRP message: link layers, VLAN tags, IPv4, IPv6 and the authentication header. What is inside is
// vrrpwire's business, and what a sequence of packets means is vrrpaudit's.
package packets

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Direction says whether this machine sent a packet, where the capture knows.
type Direction string

// Directions as a capture of Linux tells them.
const (
	DirectionUnknown Direction = ""
	In               Direction = "in"
	Out              Direction = "out"
)

// Packet is one IP packet that carries VRRP.
type Packet struct {
	Time      time.Time // when the kernel that captured it saw it
	Interface string    // where; "" if the capture does not say
	Direction Direction
	VLANs     []uint16 // VLAN identifiers, the outer first
	Src, Dst  netip.Addr
	TTL       uint8  // or hop limit
	ID        uint16 // IPv4 identification; 0 over IPv6
	AH        bool   // behind an authentication header (RFC 4302), which nobody here verifies
	Message   []byte // the VRRP message as far as it was captured, without Ethernet's padding
	Missing   int    // bytes at the end that the capture's snap length cut off
	Defect    string // what is wrong with the IP packet itself; "" if nothing is
}

// EtherTypes (IEEE 802 Numbers, IANA).
const (
	etherTypeIPv4 = 0x0800
	etherTypeIPv6 = 0x86dd
	etherTypeVLAN = 0x8100
	etherTypeQinQ = 0x88a8
	// etherTypeOldQinQ was used for outer tags before IEEE 802.1ad.
	etherTypeOldQinQ = 0x9100
)

// IP protocols and IPv6 extension headers (Protocol Numbers, IANA).
const (
	protocolHopByHop    = 0
	protocolRouting     = 43
	protocolFragment    = 44
	protocolAH          = 51
	protocolDestination = 60
	protocolVRRP        = 112
)

const (
	ipv4HeaderLen = 20
	ipv6HeaderLen = 40
	vlanTagLen    = 4
	// extensionLen is the least that an extension header, or the fixed part of AH that says how long it is, has.
	extensionLen = 8
	// maxExtensions is more than any packet has; IPv6 allows each once or twice.
	maxExtensions = 8
	maxVLANs      = 4
)

// outcome is what a frame turned out to be.
type outcome int

const (
	other    outcome = iota
	cutShort         // the snap length left too little to tell
	carriesVRRP
)

// network reads a frame from behind its link header. length is what it had there on the wire, which is more than b if the
// capture's snap length cut it.
func (p *Packet) network(etherType uint16, b []byte, length int) outcome {
	for range maxVLANs {
		if !isTag(etherType) {
			break
		}
		if len(b) < vlanTagLen {
			return tooShort(b, length)
		}
		p.VLANs = append(p.VLANs, binary.BigEndian.Uint16(b)&0x0fff)
		etherType = binary.BigEndian.Uint16(b[2:])
		b, length = b[vlanTagLen:], length-vlanTagLen
	}
	switch etherType {
	case etherTypeIPv4:
		return p.ipv4(b, length)
	case etherTypeIPv6:
		return p.ipv6(b, length)
	default:
		return other
	}
}

func isTag(etherType uint16) bool {
	return etherType == etherTypeVLAN || etherType == etherTypeQinQ || etherType == etherTypeOldQinQ
}

func tooShort(b []byte, length int) outcome {
	if len(b) < length {
		return cutShort
	}
	return other
}

func (p *Packet) ipv4(b []byte, length int) outcome {
	if len(b) < ipv4HeaderLen {
		return tooShort(b, length)
	}
	protocol := b[9]
	if b[0]>>4 != 4 || protocol != protocolVRRP && protocol != protocolAH {
		return other
	}
	p.ID, p.TTL = binary.BigEndian.Uint16(b[4:]), b[8]
	p.Src, p.Dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	header, total := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < ipv4HeaderLen || total < header {
		p.defect("IPv4 header of %d bytes in a packet of %d", header, total)
		header, total = ipv4HeaderLen, max(total, ipv4HeaderLen)
	}
	if binary.BigEndian.Uint16(b[6:])&0x3fff != 0 {
		p.defect("a fragment: VRRP is never fragmented")
	}
	return p.datagram(protocol, b, header, total, length)
}

func (p *Packet) ipv6(b []byte, length int) outcome {
	if len(b) < ipv6HeaderLen {
		return tooShort(b, length)
	}
	if b[0]>>4 != 6 {
		return other
	}
	p.TTL = b[7]
	p.Src, p.Dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	total := ipv6HeaderLen + int(binary.BigEndian.Uint16(b[4:]))
	return p.datagram(b[6], b, ipv6HeaderLen, total, length)
}

// datagram cuts an IP packet to its own length, which leaves the padding of Ethernet out.
func (p *Packet) datagram(protocol uint8, b []byte, header, total, length int) outcome {
	if total > length {
		p.defect("IP says %d bytes, and %d came", total, length)
		total = length
	}
	missing := max(0, total-len(b))
	b = b[:min(total, len(b))]
	return p.upper(protocol, b[min(header, len(b)):], missing)
}

// upper walks through the headers between IP and VRRP.
func (p *Packet) upper(protocol uint8, b []byte, missing int) outcome {
	for range maxExtensions {
		size := 0
		switch protocol {
		case protocolVRRP:
			p.Message, p.Missing = slices.Clone(b), missing
			return carriesVRRP
		case protocolAH, protocolHopByHop, protocolRouting, protocolDestination, protocolFragment:
			if len(b) < extensionLen {
				return tooShort(b, len(b)+missing)
			}
			size = extensionSize(protocol, b)
		default:
			return other
		}
		p.AH = p.AH || protocol == protocolAH
		if protocol == protocolFragment {
			p.defect("a fragment: VRRP is never fragmented")
		}
		if size > len(b) && missing == 0 {
			p.defect("an extension header of %d bytes where %d are left", size, len(b))
		}
		protocol, b = b[0], b[min(size, len(b)):]
	}
	return other
}

// extensionSize returns the bytes of a header that says so itself, in units of its own (RFC 8200 section 4, RFC 4302 section 2.2).
func extensionSize(protocol uint8, b []byte) int {
	switch protocol {
	case protocolAH:
		return (int(b[1]) + 2) * 4
	case protocolFragment:
		return extensionLen
	default:
		return (int(b[1]) + 1) * 8
	}
}

// defect keeps the first.
func (p *Packet) defect(format string, args ...any) {
	if p.Defect == "" {
		p.Defect = fmt.Sprintf(format, args...)
	}
}
