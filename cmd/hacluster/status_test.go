package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hacluster/hacluster/internal/adminapi"
)

// TestStatusShowsTheWire: what is odd on the wire stands out, with what to do about it.
func TestStatusShowsTheWire(t *testing.T) {
	var out strings.Builder
	err := printVRRP(&out, &adminapi.VRRP{
		Sent: 120, Received: 31, Rejected: map[string]uint64{"unknown_sender": 40, "vers_err": 2},
		Senders: []adminapi.Sender{
			{Address: "10.0.1.12", Node: "node-b", Peer: true, Adverts: 31, Rejected: map[string]uint64{"vers_err": 2},
				Last: &adminapi.Advert{Version: 3, Priority: 100, IntervalMS: 100, AgeMS: 73_400}},
			{Address: "10.0.1.13", Node: "node-c", Peer: true},
			{Address: "10.0.0.9", Adverts: 40, Rejected: map[string]uint64{"unknown_sender": 40},
				Last: &adminapi.Advert{Version: 2, Priority: 254, IntervalMS: 1000, AgeMS: 312}},
		},
		Notices: []adminapi.Notice{{Text: "10.0.0.9 also advertises VRID 51: find it and stop it", Packets: 40, AgeMS: 312}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `
VRRP: 120 adverts sent, 31 received, 42 packets rejected
  10.0.1.12  node-b      VRRPv3 priority 100 every 100ms, 1m13s ago  vers_err 2
  10.0.0.9   not a node  VRRPv2 priority 254 every 1s, 312ms ago     unknown_sender 40
! 10.0.0.9 also advertises VRID 51: find it and stop it (40 packets, the last 312ms ago)
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}
