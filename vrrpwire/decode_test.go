package vrrpwire

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A message of VRRPv3 over IPv4 with the address 10.99.0.100, from 10.99.0.1 to 10.99.0.2; and keepalived 2.4's trailer behind it, of
// key 7, sent half a second after 2026-06-01 00:00:00 UTC, the third at that moment. testdata/kinds.txt has what real keepalived sends.
const (
	plainV3 = "3133 6501 0032 498d 0a630064"
	trailer = "0107 0000 6a1ccb80 8000 0003 000102030405060708090a0b0c0d0e0f"
)

func TestDecodeNamesTheChecksum(t *testing.T) {
	tests := map[string]struct {
		bytes string
		form  ChecksumForm
	}{
		"v3, keepalived's default":   {plainV3, FormPseudoHeader},
		"v3, v3_checksum_as_v2":      {"3133 6501 0032 5ed2 0a630064", FormAsV2},
		"v3, old_unicast_checksum":   {"3133 6501 0032 73df 0a630064", FormOldUnicast},
		"v3, damaged":                {"3133 6501 0032 498e 0a630064", FormNone},
		"v2":                         {"2133 6500 0001 79cb 0000000000000000", FormAsV2},
		"v2, damaged":                {"2133 6500 0001 79ca 0000000000000000", FormNone},
		"v2 never has pseudo-header": {"2133 6500 0001 6482 0000000000000000", FormNone},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d, err := Decode(unhex(t, test.bytes), hostA, hostB)
			if err != nil || d.Checksum != test.form {
				t.Errorf("checksum %q, %v; want %q", d.Checksum, err, test.form)
			}
		})
	}
}

func TestDecodeTrailer(t *testing.T) {
	d, err := Decode(unhex(t, plainV3+trailer), hostA, hostB)
	if err != nil {
		t.Fatal(err)
	}
	want := Decoded{
		Advertisement: Advertisement{Version: 3, VRID: 51, Priority: 101, Interval: 500 * time.Millisecond, Addresses: []netip.Addr{vip}},
		Checksum:      FormPseudoHeader,
		Trailer: &HMACTrailer{
			KeyID: 7, Sent: time.Date(2026, 6, 1, 0, 0, 0, 500e6, time.UTC), Counter: 3,
			HMAC: [16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		},
	}
	if diff := cmp.Diff(want, d, sameAdvert); diff != "" {
		t.Errorf("Decode (-want +got):\n%s", diff)
	}
}

func TestDecodeRejects(t *testing.T) {
	six := netip.MustParseAddr("fd99::1")
	tests := map[string]struct {
		bytes  string
		src    netip.Addr
		reason Reason
	}{
		"nothing":                         {"", hostA, ReasonLength},
		"a trailer cut short":             {plainV3 + trailer[:len(trailer)-2], hostA, ReasonLength},
		"a trailer of another type":       {plainV3 + "02" + trailer[2:], hostA, ReasonTrailer},
		"a trailer with reserved bits":    {plainV3 + strings.Replace(trailer, "0000", "0001", 1), hostA, ReasonTrailer},
		"one IPv4 address over IPv6":      {plainV3, six, ReasonLength},
		"v2 authentication data in IPv6":  {"2133 6500 0001 79cb 0000000000000000", six, ReasonLength},
		"version 4":                       {"4133 6500 0032 498d", hostA, ReasonVersion},
		"authentication type 3":           {"2133 6500 0301 79cb 0000000000000000", hostA, ReasonAuthType},
		"type 2":                          {"3233 6501 0032 498d 0a630064", hostA, ReasonType},
		"virtual router 0":                {"3100 6501 0032 498d 0a630064", hostA, ReasonVRID},
		"interval 0":                      {"3133 6501 0000 498d 0a630064", hostA, ReasonInterval},
		"keepalived's order: auth before": {"2233 6500 0300 79cb 0000000000000000", hostA, ReasonAuthType},
		"interval before type":            {"2233 6500 0000 79cb 0000000000000000", hostA, ReasonInterval},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Decode(unhex(t, test.bytes), test.src, hostB)
			var packetErr *PacketError
			if !errors.As(err, &packetErr) || packetErr.Reason != test.reason || !errors.Is(err, ErrMalformed) {
				t.Errorf("Decode: %v, want reason %s", err, test.reason)
			}
			if diff := cmp.Diff(Decoded{}, got, sameAdvert); diff != "" {
				t.Errorf("a failed Decode left half a value:\n%s", diff)
			}
		})
	}
}

func TestPassword(t *testing.T) {
	for text, ok := range map[string]bool{"a": true, "12345678": true, "": false, "123456789": false} {
		auth, err := Password(text)
		if (err == nil) != ok || ok && (auth.Type != AuthPass || strings.TrimRight(string(auth.Key[:]), "\x00") != text) {
			t.Errorf("Password(%q) = %v, %v", text, auth, err)
		}
		if err != nil && text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%v shows the password", err)
		}
	}
}
