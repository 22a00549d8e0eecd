package vrrpwire

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// ChecksumForm says which way of computing the checksum gives the one in the packet.
type ChecksumForm string

// What a checksum can cover. Over IPv4, [FormAsV2] is the rule for VRRPv2, and [FormPseudoHeader] keepalived's for VRRPv3. Over
// IPv6, where the kernel computes it, a pseudo-header is always covered.
const (
	FormPseudoHeader ChecksumForm = "pseudo-header"
	FormAsV2         ChecksumForm = "as-v2" // the message alone
	// FormOldUnicast is keepalived's old_unicast_checksum: a pseudo-header that names 224.0.0.18, wherever the packet goes.
	FormOldUnicast ChecksumForm = "old-unicast"
	FormNone       ChecksumForm = "none" // no way fits: the packet was damaged, or made by something else
)

// hmacTrailerLen is the length of a trailer (draft-cassen-vrrp-auth-hmac).
const hmacTrailerLen = 28

// hmacSHA256 is the only scheme there is: HMAC-SHA256, cut to 16 bytes.
const hmacSHA256 = 1

// HMACTrailer is what keepalived 2.4 puts behind an advertisement under auth_hmac. It is decoded and not verified: that takes the key,
// and the order of what came before.
type HMACTrailer struct {
	KeyID   uint8
	Sent    time.Time // the sender's clock, to 1/65536 s, in UTC
	Counter uint16    // tells packets of the same Sent apart
	HMAC    [16]byte
}

// Decoded is an advertisement as a capture shows it: nothing is expected of it beyond being one.
type Decoded struct {
	Advertisement              // the addresses may be IPv6
	Checksum      ChecksumForm // which way of computing it fits
	Trailer       *HMACTrailer // nil without one
}

// Decode reads one advertisement from the payload of an IP packet, of either version, that went from src to dst. It is for whoever
// looks on: a wrong checksum is told and not refused, authentication is shown and not judged. The payload must be without the
// padding that Ethernet adds to short frames.
//
// Every error is a *PacketError which names keepalived's counter and wraps ErrMalformed; what was decoded is then the zero value.
func Decode(payload []byte, src, dst netip.Addr) (Decoded, error) {
	src, dst = src.Unmap(), dst.Unmap()
	s, err := shapeOf(payload, src)
	if err != nil {
		return Decoded{}, err
	}
	size := s.size()
	if len(payload) != size && len(payload) != size+hmacTrailerLen {
		return Decoded{}, s.wrongLength(payload)
	}
	message := payload[:size]
	advert, err := s.header(message)
	if err != nil {
		return Decoded{}, err
	}
	trailer, err := parseTrailer(payload[size:])
	if err != nil {
		return Decoded{}, err
	}
	advert.Addresses = s.addresses(message)
	return Decoded{Advertisement: advert, Checksum: checksumForm(message, src, dst), Trailer: trailer}, nil
}

// parseTrailer returns nil for nothing.
func parseTrailer(b []byte) (*HMACTrailer, error) {
	if len(b) == 0 {
		return nil, nil
	}
	kind, reserved := b[0], binary.BigEndian.Uint16(b[2:])
	if kind != hmacSHA256 || reserved != 0 {
		return nil, malformed(ReasonTrailer, "authentication trailer of type %d, reserved field %#04x", kind, reserved)
	}
	seconds, fraction := binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint16(b[8:])
	return &HMACTrailer{
		KeyID:   b[1],
		Sent:    time.Unix(int64(seconds), int64(fraction)*int64(time.Second)>>16).UTC(),
		Counter: binary.BigEndian.Uint16(b[10:]),
		HMAC:    [16]byte(b[12:hmacTrailerLen]),
	}, nil
}
