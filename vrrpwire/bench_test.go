package vrrpwire

import (
	"net/netip"
	"testing"
	"time"
)

type namedAdvert struct {
	name string
	Advertisement
}

// benchAdverts are what a node sends and hears: its own kind, the kind for keepalived peers that need VRRPv2, and that of
// a keepalived which names its addresses.
func benchAdverts() []namedAdvert {
	v3 := Advertisement{Version: Version3, VRID: 51, Priority: 150, Interval: 10 * time.Millisecond}
	v2, named := v3, v3
	v2.Version, v2.Interval = Version2, time.Second
	named.Addresses = []netip.Addr{vip}
	return []namedAdvert{{"v3", v3}, {"v2", v2}, {"v3-one-address", named}}
}

func BenchmarkAppend(b *testing.B) {
	for _, advert := range benchAdverts() {
		b.Run(advert.name, func(b *testing.B) {
			buf := make([]byte, 0, maxPacket)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := advert.Append(buf, hostA, hostB, ChecksumPseudoHeader); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, advert := range benchAdverts() {
		b.Run(advert.name, func(b *testing.B) {
			wire := onWire(b, advert.Advertisement)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(wire, hostA, hostB, ChecksumPseudoHeader); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// At 10 ms a Master sends and its peers parse a hundred adverts a second, for as long as nothing happens: none may leave
// anything for the garbage collector. Only a peer that names addresses costs, one slice.
func TestAdvertsDoNotAllocate(t *testing.T) {
	for _, advert := range benchAdverts() {
		t.Run(advert.name, func(t *testing.T) {
			wire, buf := onWire(t, advert.Advertisement), make([]byte, 0, maxPacket)
			appending := testing.AllocsPerRun(100, func() {
				if _, err := advert.Append(buf, hostA, hostB, ChecksumPseudoHeader); err != nil {
					t.Fatal(err)
				}
			})
			parsing := testing.AllocsPerRun(100, func() {
				if _, err := Parse(wire, hostA, hostB, ChecksumPseudoHeader); err != nil {
					t.Fatal(err)
				}
			})
			if appending != 0 {
				t.Errorf("Append allocates %v times", appending)
			}
			if want := float64(min(len(advert.Addresses), 1)); parsing != want {
				t.Errorf("Parse allocates %v times, want %v", parsing, want)
			}
		})
	}
}

func onWire(t testing.TB, advert Advertisement) []byte {
	t.Helper()
	wire, err := advert.Append(nil, hostA, hostB, ChecksumPseudoHeader)
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// What an advert costs beside the codec: the look at the route and the neighbour, once a peer, and the send.
func BenchmarkSend(b *testing.B) {
	v := newVeth(b)
	var conn datagrams
	var err error
	inside(b, v.node, func() { conn, err = openRaw(nodeAddr, nodeDevice) })
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	wire := onWire(b, benchAdverts()[0].Advertisement)
	b.Run("look", func(b *testing.B) {
		for b.Loop() {
			if err := conn.obstacle(peerAddr); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("send", func(b *testing.B) {
		for b.Loop() {
			if err := conn.send(peerAddr, 1, wire); err != nil {
				b.Fatal(err)
			}
		}
	})
}
