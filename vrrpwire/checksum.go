package vrrpwire

import (
	"encoding/binary"
	"net/netip"
)

// Protocol is VRRP's number in the IPv4 header (RFC 9568 section 5.1.1.4).
const Protocol = 112

// ChecksumMode says what the checksum of a VRRPv3 advertisement covers. VRRPv2 never covers a pseudo-header
// (RFC 3768 section 5.3.8), so the mode does not touch it.
type ChecksumMode uint8

const (
	// ChecksumPseudoHeader covers the IPv4 pseudo-header too: keepalived's default, and the zero value.
	ChecksumPseudoHeader ChecksumMode = iota
	// ChecksumAsV2 leaves the pseudo-header out: keepalived's v3_checksum_as_v2, and what its manual reads in RFC 9568.
	ChecksumAsV2
)

// String returns the mode as the configuration file writes it.
func (m ChecksumMode) String() string {
	if m == ChecksumAsV2 {
		return "as-v2"
	}
	return "pseudo-header"
}

// checksum returns the Internet checksum (RFC 1071) that belongs into the packet, whatever stands in the field now.
func checksum(packet []byte, src, dst netip.Addr, mode ChecksumMode) uint16 {
	sum := onesSum(packet, src, dst, mode)
	field := uint32(binary.BigEndian.Uint16(packet[checksumOffset:]))
	return ^fold(sum - field)
}

// checksumOK is RFC 1071's test: everything, the checksum included, adds up to minus zero.
func checksumOK(packet []byte, src, dst netip.Addr, mode ChecksumMode) bool {
	return fold(onesSum(packet, src, dst, mode)) == 0xffff
}

// checksumForm finds out what the checksum in a packet covers, the rule for its kind first.
func checksumForm(packet []byte, src, dst netip.Addr) ChecksumForm {
	multicastGroup := netip.AddrFrom4([4]byte{224, 0, 0, 18}) // RFC 9568 section 5.1.1.2
	message, size := messageSum(packet), len(packet)
	fits := func(pseudo uint32) bool { return fold(message+pseudo) == 0xffff }
	switch {
	case src.Is4() && packet[0]>>4 == Version2:
		if fits(0) {
			return FormAsV2
		}
	case fits(pseudoSum(src, dst, size)):
		return FormPseudoHeader
	case src.Is4() && fits(0):
		return FormAsV2
	case src.Is4() && fits(pseudoSum(src, multicastGroup, size)):
		return FormOldUnicast
	}
	return FormNone
}

// onesSum adds the packet, and the pseudo-header if the mode asks for it.
func onesSum(packet []byte, src, dst netip.Addr, mode ChecksumMode) uint32 {
	sum := messageSum(packet)
	if packet[0]>>4 == Version3 && mode == ChecksumPseudoHeader {
		sum += pseudoSum(src, dst, len(packet))
	}
	return sum
}

// messageSum adds a packet, whose length is even for every legal advertisement. It has at most 4096 bytes (255 IPv6 addresses), so 32
// bits cannot overflow.
func messageSum(packet []byte) uint32 {
	var sum uint32
	for i := 0; i+1 < len(packet); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(packet[i:]))
	}
	return sum
}

// pseudoSum adds the pseudo-header. That of IPv6 (RFC 8200 section 8.1) has the same fields as that of IPv4, only wider.
func pseudoSum(src, dst netip.Addr, size int) uint32 {
	return addressSum(src) + addressSum(dst) + Protocol + uint32(size)
}

// addressSum counts what is no address as zero: such a packet cannot exist, so its checksum may be wrong.
func addressSum(address netip.Addr) uint32 {
	switch {
	case address.Is4():
		octets := address.As4()
		return messageSum(octets[:])
	case address.Is6():
		octets := address.As16()
		return messageSum(octets[:])
	default:
		return 0
	}
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}
