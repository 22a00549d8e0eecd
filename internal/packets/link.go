package packets

import (
	"encoding/binary"
	"fmt"

	"github.com/gopacket/gopacket/layers"
)

// Link types that package layers has no name for: how some BSDs write raw IP.
const (
	linkTypeRawBSD     layers.LinkType = 12
	linkTypeRawOpenBSD layers.LinkType = 14
)

// Link headers (https://www.tcpdump.org/linktypes.html).
const (
	ethernetLen = 14
	cookedLen   = 16 // Linux cooked version 1, what tcpdump -i any wrote until libpcap 1.10
	cooked2Len  = 20 // version 2
	loopbackLen = 4
)

// packetOutgoing is PACKET_OUTGOING of packet(7), as cooked captures write it.
const packetOutgoing = 4

// readable says whether frames of a link type are looked at.
func readable(link layers.LinkType) bool {
	switch link {
	case layers.LinkTypeEthernet, layers.LinkTypeLinuxSLL, layers.LinkTypeLinuxSLL2, layers.LinkTypeNull, layers.LinkTypeLoop,
		layers.LinkTypeRaw, layers.LinkTypeIPv4, layers.LinkTypeIPv6, linkTypeRawBSD, linkTypeRawOpenBSD:
		return true
	default:
		return false
	}
}

// frame reads a frame that begins with a link header. length is its length on the wire.
func (p *Packet) frame(link layers.LinkType, b []byte, length int) outcome {
	header := 0
	switch link {
	case layers.LinkTypeEthernet:
		header = ethernetLen
	case layers.LinkTypeLinuxSLL:
		header = cookedLen
	case layers.LinkTypeLinuxSLL2:
		header = cooked2Len
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		header = loopbackLen
	}
	if len(b) <= header {
		return tooShort(b, length)
	}
	etherType := p.link(link, b)
	return p.network(etherType, b[header:], length-header)
}

// link reads a link header that is complete, and returns the type of what follows.
func (p *Packet) link(link layers.LinkType, b []byte) uint16 {
	switch link {
	case layers.LinkTypeEthernet:
		return binary.BigEndian.Uint16(b[12:])
	case layers.LinkTypeLinuxSLL:
		p.Direction = direction(binary.BigEndian.Uint16(b))
		return binary.BigEndian.Uint16(b[14:])
	case layers.LinkTypeLinuxSLL2:
		p.Direction = direction(uint16(b[10]))
		p.Interface = fmt.Sprintf("#%d", binary.BigEndian.Uint32(b[4:]))
		return binary.BigEndian.Uint16(b)
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		// What stands here is the address family of the system that captured, in its byte order: IPv6 has five numbers.
		return ipType(b[loopbackLen])
	default:
		return ipType(b[0])
	}
}

func direction(packetType uint16) Direction {
	if packetType == packetOutgoing {
		return Out
	}
	return In
}

// ipType tells IPv4 from IPv6 by the first byte of the packet.
func ipType(first byte) uint16 {
	switch first >> 4 {
	case 4:
		return etherTypeIPv4
	case 6:
		return etherTypeIPv6
	default:
		return 0
	}
}
