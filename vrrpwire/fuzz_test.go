package vrrpwire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// canonical clears what receivers ignore: the reserved bits of VRRPv3, and the authentication data of VRRPv2 without authentication.
func canonical(payload []byte, mode ChecksumMode) []byte {
	c := bytes.Clone(payload)
	switch {
	case c[0]>>4 == Version3:
		c[4] &= 0x0f
	case AuthType(c[4]) == AuthNone:
		clear(c[len(c)-authLen:])
	}
	binary.BigEndian.PutUint16(c[checksumOffset:], checksum(c, hostA, hostB, mode))
	return c
}

// FuzzParseBehindTheChecksum: the checksum keeps chance out, not malice. What comes behind it is either refused or survives another
// turn over the wire; and the checksum notices one flipped bit.
func FuzzParseBehindTheChecksum(f *testing.F) {
	f.Fuzz(func(t *testing.T, payload []byte, asV2 bool) {
		if len(payload) < headerLen {
			return
		}
		mode := ChecksumPseudoHeader
		if asV2 {
			mode = ChecksumAsV2
		}
		binary.BigEndian.PutUint16(payload[checksumOffset:], checksum(payload, hostA, hostB, mode))
		first, err := Parse(payload, hostA, hostB, mode)
		if err != nil {
			if diff := cmp.Diff(Advertisement{}, first, sameAdvert); diff != "" {
				t.Errorf("refused (%v), and yet:\n%s", err, diff)
			}
			return
		}
		again, err := first.Append(nil, hostA, hostB, mode)
		if err != nil {
			t.Fatalf("Append what Parse returned: %v", err)
		}
		if diff := cmp.Diff(canonical(payload, mode), again); diff != "" {
			t.Errorf("encoded again (-wire +again):\n%s", diff)
		}
		second, err := Parse(again, hostA, hostB, mode)
		if err != nil {
			t.Fatalf("Parse what Append returned: %v", err)
		}
		if diff := cmp.Diff(first, second, sameAdvert); diff != "" {
			t.Errorf("second turn (-first +second):\n%s", diff)
		}
		for offset := range payload {
			if offset == checksumOffset || offset == checksumOffset+1 {
				continue
			}
			damaged := append([]byte(nil), payload...)
			damaged[offset] ^= 0x10
			if got, err := Parse(damaged, hostA, hostB, mode); err == nil {
				t.Fatalf("a flipped bit in byte %d goes unnoticed: %+v", offset, got)
			}
		}
	})
}

// FuzzDecode: whatever a capture holds is either refused for a reason, or of the length that it says, and read as Parse reads it.
func FuzzDecode(f *testing.F) {
	f.Fuzz(func(t *testing.T, payload []byte, overIPv6 bool) {
		src, dst := hostA, hostB
		if overIPv6 {
			src, dst = netip.IPv6Loopback(), netip.IPv6Unspecified()
		}
		d, err := Decode(payload, src, dst)
		if err != nil {
			var packetErr *PacketError
			if !errors.As(err, &packetErr) || !errors.Is(err, ErrMalformed) {
				t.Fatalf("Decode: %v is no *PacketError that wraps ErrMalformed", err)
			}
			return
		}
		if len(d.Addresses) != int(payload[3]) {
			t.Errorf("%d addresses, the message says %d", len(d.Addresses), payload[3])
		}
		for _, address := range d.Addresses {
			if address.Is6() != overIPv6 {
				t.Errorf("address %v, IPv6 %t", address, overIPv6)
			}
		}
		strict, err := Parse(payload, src, dst, ChecksumPseudoHeader)
		if err != nil || overIPv6 {
			return
		}
		if diff := cmp.Diff(strict, d.Advertisement, sameAdvert); diff != "" {
			t.Errorf("Parse and Decode (-Parse +Decode):\n%s", diff)
		}
		if d.Trailer != nil || d.Checksum == FormNone || d.Checksum == FormOldUnicast {
			t.Errorf("Parse accepts what Decode describes as %+v", d)
		}
	})
}
