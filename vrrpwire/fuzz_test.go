package vrrpwire

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

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
		if len(again) != len(payload) {
			t.Fatalf("%d bytes became %d", len(payload), len(again))
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
