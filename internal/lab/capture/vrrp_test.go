package capture

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const (
	ether = "020000000002 020000000001 0800 "
	// 10.20.0.11 to 10.20.0.12, protocol 112, TTL 255
	ipv4 = "45c0001c00010000ff700000 0a14000b 0a14000c "
)

// Payloads that keepalived 2.2.7 sends; see RFC 9568 section 5 and RFC 3768 section 5.
func TestDecode(t *testing.T) {
	a, b := netip.MustParseAddr("10.20.0.11"), netip.MustParseAddr("10.20.0.12")
	tests := map[string]struct {
		frame string
		want  *Advert
	}{
		"version 3, 0.5 s": {
			ether + ipv4 + "3133650000320000",
			&Advert{Src: a, Dst: b, Version: 3, VRID: 51, Priority: 101, Interval: 500 * time.Millisecond},
		},
		"version 3, goodbye, reserved bits set": {
			ether + ipv4 + "31330000f00a0000",
			&Advert{Src: a, Dst: b, Version: 3, VRID: 51, Priority: 0, Interval: 100 * time.Millisecond},
		},
		"version 2, 1 s": {
			ether + ipv4 + "21336500000179cb0000000000000000",
			&Advert{Src: a, Dst: b, Version: 2, VRID: 51, Priority: 101, Interval: time.Second},
		},
		"IPv4 options": {
			ether + "46c0002000010000ff700000 0a14000b 0a14000c 00000000" + "3133640000640000",
			&Advert{Src: a, Dst: b, Version: 3, VRID: 51, Priority: 100, Interval: time.Second},
		},
		"not protocol 112":     {ether + "45c0001c00010000ff110000 0a14000b 0a14000c 3133650000320000", nil},
		"not IPv4":             {"020000000002 020000000001 86dd " + ipv4 + "3133650000320000", nil},
		"type 2":               {ether + ipv4 + "3233650000320000", nil},
		"version 4":            {ether + ipv4 + "4133650000320000", nil},
		"cut off in the VRRP":  {ether + ipv4 + "31336500", nil},
		"cut off in IPv4":      {ether + "45c0", nil},
		"header longer than 0": {ether + "4fc0001c00010000ff700000 0a14000b 0a14000c 3133650000320000", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			data, err := hex.DecodeString(strings.ReplaceAll(test.frame, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			got, ok := decode(data, time.Time{})
			if ok != (test.want != nil) {
				t.Fatalf("decoded: %t", ok)
			}
			if ok {
				if diff := cmp.Diff(*test.want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("a frame that is no frame at all, but long enough"))
	f.Fuzz(func(_ *testing.T, frame []byte) { decode(frame, time.Time{}) })
}
