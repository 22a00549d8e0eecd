package vrrpwire

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPeersChangeUnderWay: in the middle of a reign the stranger takes the place of the peer: it gets the adverts and is listened to, and
// the peer is a stranger.
func TestPeersChangeUnderWay(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w world) {
		e, _ := w.start(t, w.config(t), fresh(w.now).permit)
		e.Reign(0)
		wantAdvert(t, w.peer, soon, 100)
		say(t, w.stranger, strangerAddr, low())
		eventually(t, "the stranger is rejected", func() bool { return e.Stats().Rejected[ReasonUnknownSender] == 1 })

		if err := e.SetPeers([]netip.Addr{strangerAddr}); err != nil {
			t.Fatal(err)
		}
		wantAdvert(t, w.stranger, soon, 100)
		for said := 0; ; said++ {
			if _, _, ok := next(t, w.peer, 150*time.Millisecond); !ok {
				break
			}
			if said > 50 {
				t.Fatal("adverts go on to a peer that is none any more")
			}
		}
		say(t, w.stranger, strangerAddr, low())
		select {
		case h := <-e.Heard():
			if h.From != strangerAddr {
				t.Errorf("heard %v", h.From)
			}
		case <-time.After(soon):
			t.Fatal("the new peer is not heard")
		}
		say(t, w.peer, peerAddr, low())
		eventually(t, "the former peer is rejected", func() bool { return e.Stats().Rejected[ReasonUnknownSender] == 2 })
		e.Resign("test")
		wantLastWord(t, w.stranger)

		senders := e.Senders()
		if len(senders) != 2 || senders[0].Address != strangerAddr || !senders[0].Peer || len(senders[0].Rejected) != 0 || senders[1].Peer {
			t.Errorf("senders %+v: want the new peer with a clean record, and the former one as a stranger", senders)
		}
	})
}

func low() Advertisement {
	return Advertisement{Version: Version3, VRID: 51, Priority: 50, Interval: 100 * time.Millisecond}
}

// TestImpossiblePeersChangeNothing.
func TestImpossiblePeersChangeNothing(t *testing.T) {
	e, err := NewSegment().Open(Config{VRID: 51, Version: Version3, Priority: 100, Interval: 100 * time.Millisecond, Source: nodeAddr,
		Peers: []netip.Addr{peerAddr}}, func(time.Duration) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	for want, peers := range map[string][]netip.Addr{
		"own source address": {peerAddr, nodeAddr},
		"given twice":        {strangerAddr, strangerAddr},
		"IPv4":               {netip.MustParseAddr("fe80::1")},
	} {
		if err := e.SetPeers(peers); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q in it", peers, err, want)
		}
	}
	if !slices.Equal(e.cfg.Peers, []netip.Addr{peerAddr}) || !e.monitor.isPeer(peerAddr) || e.monitor.isPeer(strangerAddr) {
		t.Errorf("the peers are %v", e.cfg.Peers)
	}
}
