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

// onesSum adds the packet, whose length is even for every legal advertisement, and the pseudo-header if the mode
// asks for it. A packet has at most 1044 bytes, so 32 bits cannot overflow.
func onesSum(packet []byte, src, dst netip.Addr, mode ChecksumMode) uint32 {
	var sum uint32
	for i := 0; i+1 < len(packet); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(packet[i:]))
	}
	if packet[0]>>4 == Version3 && mode == ChecksumPseudoHeader {
		sum += addressSum(src) + addressSum(dst) + Protocol + uint32(len(packet))
	}
	return sum
}

// addressSum counts an address that is not IPv4 as zero: such a packet cannot exist, so its checksum may be wrong.
func addressSum(address netip.Addr) uint32 {
	if !address.Is4() {
		return 0
	}
	octets := address.As4()
	return uint32(binary.BigEndian.Uint16(octets[0:])) + uint32(binary.BigEndian.Uint16(octets[2:]))
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}
