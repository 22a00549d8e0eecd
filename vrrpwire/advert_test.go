package vrrpwire

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

var (
	sameAdvert = cmpopts.EquateComparable(netip.Addr{})

	hostA = netip.MustParseAddr("10.99.0.1")
	hostB = netip.MustParseAddr("10.99.0.2")
	vip   = netip.MustParseAddr("10.99.0.100")
)

// unhex reads bytes written in groups, as a packet dump shows them.
func unhex(t testing.TB, dump string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(dump, " ", ""))
	if err != nil {
		t.Fatalf("decode hex of the test: %v", err)
	}
	return b
}

// The bytes were seen on the wire between two keepalived, from 10.99.0.1 to 10.99.0.2.
func TestWireBytes(t *testing.T) {
	tests := map[string]struct {
		bytes  string
		mode   ChecksumMode
		advert Advertisement
	}{
		"v2 without addresses": {
			bytes:  "2133 6500 0001 79cb 0000000000000000",
			advert: Advertisement{Version: 2, VRID: 51, Priority: 101, Interval: time.Second},
		},
		"v2 ignores the checksum mode": {
			bytes:  "2133 6500 0001 79cb 0000000000000000",
			mode:   ChecksumAsV2,
			advert: Advertisement{Version: 2, VRID: 51, Priority: 101, Interval: time.Second},
		},
		"v2 with password abc and one address": {
			bytes: "2133 6501 0101 a9a0 0a630064 6162630000000000",
			advert: Advertisement{
				Version: 2, VRID: 51, Priority: 101, Interval: time.Second,
				Addresses: []netip.Addr{vip}, Auth: Auth{Type: AuthPass, Key: [8]byte{'a', 'b', 'c'}},
			},
		},
		"v3 with one address": {
			bytes: "3133 6501 0032 498d 0a630064",
			advert: Advertisement{
				Version: 3, VRID: 51, Priority: 101, Interval: 500 * time.Millisecond, Addresses: []netip.Addr{vip},
			},
		},
		"v3 with one address, checksum without pseudo-header": {
			bytes: "3133 6501 0032 5ed2 0a630064",
			mode:  ChecksumAsV2,
			advert: Advertisement{
				Version: 3, VRID: 51, Priority: 101, Interval: 500 * time.Millisecond, Addresses: []netip.Addr{vip},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			wire := unhex(t, test.bytes)
			got, err := Parse(wire, hostA, hostB, test.mode)
			if err != nil {
				t.Fatalf("Parse: %v", err)
			}
			if diff := cmp.Diff(test.advert, got, sameAdvert); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
			prefix := []byte("kept")
			again, err := test.advert.Append(prefix, hostA, hostB, test.mode)
			if err != nil {
				t.Fatalf("Append: %v", err)
			}
			if diff := cmp.Diff(append([]byte("kept"), wire...), again); diff != "" {
				t.Errorf("Append (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRejects(t *testing.T) {
	const good = "3133 6501 0032 498d 0a630064"
	tests := map[string]struct {
		bytes  string
		reason Reason
	}{
		"nothing":                           {"", ReasonLength},
		"header cut":                        {"3133 6501 0032 49", ReasonLength},
		"address cut":                       {"3133 6501 0032 498d 0a6300", ReasonLength},
		"address missing":                   {"3133 6501 0032 498d", ReasonLength},
		"one byte too many":                 {good + "00", ReasonLength},
		"v2 without its authentication":     {"2133 6500 0001 79cb", ReasonLength},
		"keepalived's auth_hmac trailer":    {good + strings.Repeat("00", 28), ReasonLength},
		"version 1":                         {"1133 6501 0032 498d 0a630064", ReasonVersion},
		"version 4":                         {"4133 6501 0032 498d 0a630064", ReasonVersion},
		"type 2":                            {"3233 6501 0032 498d 0a630064", ReasonType},
		"authentication by AH":              {"2133 6500 0201 77cb 0000000000000000", ReasonAuthMismatch},
		"an authentication type nobody has": {"2133 6500 0301 76cb 0000000000000000", ReasonAuthType},
		"checksum off by one":               {"3133 6501 0032 498e 0a630064", ReasonChecksum},
		"priority changed on the way":       {"3133 6601 0032 498d 0a630064", ReasonChecksum},
		"checksum without pseudo-header":    {"3133 6501 0032 5ed2 0a630064", ReasonChecksum},
		"virtual router 0":                  {"2100 6500 0001 79fe 0000000000000000", ReasonVRID},
		"v2 interval 0":                     {"2133 6500 0000 79cc 0000000000000000", ReasonInterval},
		"v3 interval 0, reserved bits set":  {"3133 6501 f000 59be 0a630064", ReasonInterval},
		"the garbage of a port scan (text)": {hex.EncodeToString([]byte("GET / HTTP/1.0\r\n")), ReasonVersion},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(unhex(t, test.bytes), hostA, hostB, ChecksumPseudoHeader)
			var packetErr *PacketError
			if !errors.As(err, &packetErr) || packetErr.Reason != test.reason {
				t.Errorf("Parse: %v, want reason %s", err, test.reason)
			}
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("Parse: %v does not wrap ErrMalformed", err)
			}
			if diff := cmp.Diff(Advertisement{}, got, sameAdvert); diff != "" {
				t.Errorf("a failed Parse left half a value:\n%s", diff)
			}
		})
	}
}

func TestAppendRejects(t *testing.T) {
	good := Advertisement{Version: 3, VRID: 51, Priority: 100, Interval: time.Second}
	tests := map[string]struct {
		spoil func(*Advertisement)
		want  string
	}{
		"version":            {func(a *Advertisement) { a.Version = 1 }, "version 1"},
		"virtual router":     {func(a *Advertisement) { a.VRID = 0 }, "virtual router id 0"},
		"v3 below its unit":  {func(a *Advertisement) { a.Interval = 5 * time.Millisecond }, "interval 5ms"},
		"v3 between units":   {func(a *Advertisement) { a.Interval = 15 * time.Millisecond }, "interval 15ms"},
		"v3 over 12 bits":    {func(a *Advertisement) { a.Interval = 40960 * time.Millisecond }, "up to 40.95s"},
		"v2 part of seconds": {func(a *Advertisement) { a.Version, a.Interval = 2, 1500*time.Millisecond }, "multiples of 1s"},
		"IPv6 address": {
			func(a *Advertisement) { a.Addresses = []netip.Addr{netip.IPv6Loopback()} }, "address ::1: not IPv4",
		},
		"256 addresses": {func(a *Advertisement) { a.Addresses = make([]netip.Addr, 256) }, "256 addresses"},
		"v3 with password": {
			func(a *Advertisement) { a.Auth = Auth{Type: AuthPass} }, "VRRPv3 has no authentication",
		},
		"key without type": {
			func(a *Advertisement) { a.Version, a.Auth = 2, Auth{Key: [8]byte{1}} }, "authentication none with a key",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			spoiled := good
			test.spoil(&spoiled)
			got, err := spoiled.Append([]byte("kept"), hostA, hostB, ChecksumPseudoHeader)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Append: %v, want an error that says %q", err, test.want)
			}
			if string(got) != "kept" {
				t.Errorf("a failed Append returned %q, want the slice as it was", got)
			}
		})
	}
}

// The numbers of VRRPv2 do not depend on the interval; 156/256 s and 305 ms are in the captures (t1, t4).
func TestTimers(t *testing.T) {
	tests := []struct {
		version, priority uint8
		interval          time.Duration
		skew, down        time.Duration
	}{
		{version: 2, priority: 100, interval: time.Second, skew: 609375 * time.Microsecond, down: 3609375 * time.Microsecond},
		{version: 2, priority: 100, interval: 10 * time.Second, skew: 609375 * time.Microsecond, down: 30609375 * time.Microsecond},
		{version: 3, priority: 100, interval: 500 * time.Millisecond, skew: 304687500, down: 1804687500},
		{version: 3, priority: 254, interval: 100 * time.Millisecond, skew: 781250, down: 300781250},
		{version: 3, priority: PriorityOwner, interval: 2560 * time.Millisecond, skew: 10 * time.Millisecond, down: 7690 * time.Millisecond},
	}
	for _, test := range tests {
		if got := SkewTime(test.priority, test.interval, test.version); got != test.skew {
			t.Errorf("SkewTime(%d, %v, v%d) = %v, want %v", test.priority, test.interval, test.version, got, test.skew)
		}
		if got := MasterDownInterval(test.priority, test.interval, test.version); got != test.down {
			t.Errorf("MasterDownInterval(%d, %v, v%d) = %v, want %v", test.priority, test.interval, test.version, got, test.down)
		}
	}
}

func TestCodecDoesNotAllocate(t *testing.T) {
	for _, version := range []uint8{Version2, Version3} {
		advert := Advertisement{Version: version, VRID: 51, Priority: 100, Interval: time.Second}
		buf := make([]byte, 0, 64)
		allocs := testing.AllocsPerRun(100, func() {
			b, err := advert.Append(buf, hostA, hostB, ChecksumPseudoHeader)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Parse(b, hostA, hostB, ChecksumPseudoHeader); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("VRRPv%d: %v allocations to encode and decode an advert without addresses, want 0", version, allocs)
		}
	}
}

// anyAdvert draws adverts that fit the wire.
func anyAdvert(t *rapid.T) Advertisement {
	advert := Advertisement{
		Version:  rapid.Uint8Range(Version2, Version3).Draw(t, "version"),
		VRID:     rapid.Uint8Min(1).Draw(t, "vrid"),
		Priority: rapid.Uint8().Draw(t, "priority"),
	}
	for range rapid.IntRange(0, maxAddresses).Draw(t, "count") {
		advert.Addresses = append(advert.Addresses, anyAddr(t))
	}
	if advert.Version == Version3 {
		advert.Interval = time.Duration(rapid.IntRange(1, 4095).Draw(t, "centiseconds")) * unitV3
		return advert
	}
	advert.Interval = time.Duration(rapid.IntRange(1, 255).Draw(t, "seconds")) * unitV2
	if rapid.Bool().Draw(t, "password") {
		advert.Auth = Auth{Type: AuthPass, Key: [8]byte(rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "key"))}
	}
	return advert
}

func anyAddr(t *rapid.T) netip.Addr {
	return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address")))
}

func TestEveryAdvertSurvivesTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		advert, src, dst := anyAdvert(t), anyAddr(t), anyAddr(t)
		mode := ChecksumMode(rapid.Uint8Range(0, 1).Draw(t, "mode"))
		wire, err := advert.Append(nil, src, dst, mode)
		if err != nil {
			t.Fatalf("Append: %v", err)
		}
		got, err := Parse(wire, src, dst, mode)
		if err != nil {
			t.Fatalf("Parse: %v", err)
		}
		if diff := cmp.Diff(advert, got, sameAdvert); diff != "" {
			t.Errorf("after the wire (-want +got):\n%s", diff)
		}
	})
}

// Whatever is on the wire: either it is rejected with a reason, or what was understood is the same after another
// turn over the wire.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"2133 6500 0001 79cb 0000000000000000",
		"2133 6501 0101 a9a0 0a630064 6162630000000000",
		"3133 6501 0032 498d 0a630064",
		"3133 6501 0032 5ed2 0a630064",
		"3133 6500 0032",
	} {
		f.Add(unhex(f, seed), false)
		f.Add(unhex(f, seed), true)
	}
	f.Fuzz(func(t *testing.T, payload []byte, asV2 bool) {
		mode := ChecksumPseudoHeader
		if asV2 {
			mode = ChecksumAsV2
		}
		first, err := Parse(payload, hostA, hostB, mode)
		if err != nil {
			var packetErr *PacketError
			if !errors.As(err, &packetErr) || !errors.Is(err, ErrMalformed) {
				t.Fatalf("Parse: %v is no *PacketError that wraps ErrMalformed", err)
			}
			return
		}
		again, err := first.Append(nil, hostA, hostB, mode)
		if err != nil {
			t.Fatalf("Append what Parse returned: %v", err)
		}
		second, err := Parse(again, hostA, hostB, mode)
		if err != nil {
			t.Fatalf("Parse what Append returned: %v", err)
		}
		if diff := cmp.Diff(first, second, sameAdvert); diff != "" {
			t.Errorf("second turn (-first +second):\n%s", diff)
		}
	})
}
