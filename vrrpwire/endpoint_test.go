package vrrpwire

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// soon is time enough for a machine under load; in the bubble it costs nothing.
const soon = 20 * time.Second

func TestReignAndResign(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w world) {
		e, _ := w.start(t, w.config(t), fresh(w.now).permit)
		wantSilence(t, w.peer, 150*time.Millisecond) // a Backup says nothing

		e.Reign(0)
		for want := uint16(1); want <= 4; want++ {
			p := wantAdvert(t, w.peer, soon, 100)
			if p.id != want || p.ttl != 255 {
				t.Errorf("advert with IP ID %d and TTL %d, want %d and 255", p.id, p.ttl, want)
			}
		}

		e.Resign("test")
		wantLastWord(t, w.peer)
		e.Resign("again")
		wantSilence(t, w.peer, 250*time.Millisecond)
		stats := e.Stats()
		if stats.Sent < 4 || stats.PriorityZeroSent != 1 || stats.SendErrors != 0 {
			t.Errorf("counted %+v, want 4 or more adverts and one with priority 0", stats)
		}
	})
}

// wantLastWord reads what was sent up to a priority 0, which must be here already.
func wantLastWord(t *testing.T, at datagrams) {
	t.Helper()
	for {
		_, advert, ok := next(t, at, soon)
		if !ok {
			t.Fatal("no priority 0 at the end of the reign")
		}
		if advert.Priority == PriorityStop {
			return
		}
	}
}

func TestResignOfAnUnheardReignIsSilent(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w world) {
		e, stop := w.start(t, w.config(t), fresh(w.now).permit)
		e.Reign(w.now() + time.Hour)
		e.Resign("before the first advert")
		e.Reign(w.now() + time.Hour)
		stop()
		wantSilence(t, w.peer, 150*time.Millisecond)
	})
}

func TestStoppingSaysPriorityZero(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w world) {
		e, stop := w.start(t, w.config(t), fresh(w.now).permit)
		e.Reign(0)
		wantAdvert(t, w.peer, soon, 100)
		stop()
		wantLastWord(t, w.peer)
		e.Reign(0)
		wantSilence(t, w.peer, 150*time.Millisecond) // an endpoint that ended stays mute
	})
}

// I3, the lease: without fresh quorum evidence the node is silent, asks for some, and speaks as soon as there is.
func TestNoEvidenceNoAdvert(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w world) {
		quorum := fresh(w.now)
		quorum.lose()
		cfg := w.config(t)
		cfg.NeedEvidence = quorum.need
		e, _ := w.start(t, cfg, quorum.permit)
		e.Reign(0)
		wantSilence(t, w.peer, 350*time.Millisecond)
		counted := func() bool { return quorum.timesAsked() >= 4 && e.Stats().Suppressed >= 2 }
		if !w.exact {
			eventually(t, "evidence was asked for, and adverts counted as suppressed", counted)
		}
		if !counted() {
			t.Errorf("in 3.5 intervals of silence evidence was asked for %d times, want a try each tenth of an interval, and %d adverts counted "+
				"as suppressed", quorum.timesAsked(), e.Stats().Suppressed)
		}
		quorum.renew()
		wantAdvert(t, w.peer, soon, 100)
	})
}

// I3, the freeze: while the node is stopped between its check and its send, a successor begins to advertise. Its
// packet waits in the kernel. What the node was permitted before is void; it must read the packet, and then find
// evidence newer than that.
func TestAdvertQueuedDuringAFreezeSilences(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w world) {
		quorum := fresh(w.now)
		frozen, thaw := make(chan struct{}), make(chan struct{})
		var calls atomic.Int32
		permit := func(notBefore time.Duration) error {
			err := quorum.permit(notBefore)
			if calls.Add(1) == 1 {
				close(frozen)
				<-thaw
			}
			return err
		}
		e, _ := w.start(t, w.config(t), permit)
		e.Reign(0)
		<-frozen
		say(t, w.peer, peerAddr, Advertisement{Version: 3, VRID: 51, Priority: 200, Interval: 100 * time.Millisecond})
		eventually(t, "the successor's advert is queued", func() bool { return w.queued(e) })
		close(thaw)

		wantSilence(t, w.peer, 350*time.Millisecond)
		quorum.renew() // it was a stranger's whim: the quorum still stands behind this node
		wantAdvert(t, w.peer, soon, 100)
	})
}

// I3: a receive queue that ran over may have held a successor's advert.
func TestOverrunCountsAsAnAdvert(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w world) {
		quorum := fresh(w.now)
		frozen, thaw := make(chan struct{}), make(chan struct{})
		var calls atomic.Int32
		permit := func(notBefore time.Duration) error {
			err := quorum.permit(notBefore)
			if calls.Add(1) == 1 {
				close(frozen)
				<-thaw
			}
			return err
		}
		e, _ := w.start(t, w.config(t), permit)
		e.Reign(0)
		<-frozen
		for range 1000 { // more than the queue holds, less than one drain may read
			say(t, w.stranger, strangerAddr, Advertisement{Version: 3, VRID: 51, Priority: 200, Interval: time.Second})
		}
		close(thaw)

		wantSilence(t, w.peer, 350*time.Millisecond)
		if stats := e.Stats(); stats.Rejected[ReasonOverrun] == 0 {
			t.Errorf("counted %v, want an overrun", stats.Rejected)
		}
		quorum.renew()
		wantAdvert(t, w.peer, soon, 100)
	})
}

// A Master answers who would win if it kept silent, and nobody else; and no packet ends its reign.
func TestAnswers(t *testing.T) {
	tests := map[string]struct {
		priority uint8
		answered bool
	}{
		"lower priority":                       {priority: 99, answered: true},
		"priority 0":                           {priority: 0, answered: true},
		"same priority from a higher address":  {priority: 100, answered: false},
		"higher priority":                      {priority: 101, answered: false},
		"the owner of the address, so it says": {priority: 255, answered: false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inBothWorlds(t, func(t *testing.T, w world) {
				quorum := fresh(w.now)
				cfg := w.config(t)
				cfg.Interval = time.Second
				cfg.NeedEvidence = quorum.renew // the quorum answers at once
				e, _ := w.start(t, cfg, quorum.permit)
				e.Reign(0)
				wantAdvert(t, w.peer, soon, 100)
				say(t, w.peer, peerAddr, Advertisement{Version: 3, VRID: 51, Priority: test.priority, Interval: time.Second})
				if test.answered {
					wantAdvert(t, w.peer, 700*time.Millisecond, 100)
				} else {
					wantSilence(t, w.peer, 300*time.Millisecond)
				}
				wantAdvert(t, w.peer, soon, 100) // the regular one
			})
		})
	}
}

// Everything that is not an acceptable advert of a peer is counted under keepalived's name for it, and does nothing.
func TestListenerCountsByReason(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w world) {
		e, _ := w.start(t, w.config(t), fresh(w.now).permit)
		good := Advertisement{Version: 3, VRID: 51, Priority: 90, Interval: time.Second}
		other := func(change func(*Advertisement)) Advertisement {
			changed := good
			change(&changed)
			return changed
		}
		say(t, w.stranger, strangerAddr, good)
		say(t, w.peer, peerAddr, other(func(a *Advertisement) { a.VRID = 52 }))
		say(t, w.peer, peerAddr, other(func(a *Advertisement) { a.Version = 2 }))
		say(t, w.peer, peerAddr, other(func(a *Advertisement) { a.Addresses = []netip.Addr{vip} }))
		say(t, w.peer, hostA, good) // the checksum is another sender's
		sayBytes(t, w.peer, []byte{0x31})
		sayBytes(t, w.peer, unhex(t, "3233 6500 0032 0000"))
		before := w.now()
		say(t, w.peer, peerAddr, good)
		say(t, w.peer, peerAddr, other(func(a *Advertisement) { a.Priority = 0 }))

		for _, priority := range []uint8{90, 0} {
			heard := <-e.Heard()
			if heard.From != peerAddr || heard.Advertisement.Priority != priority || heard.At < before || heard.At > w.now() {
				t.Errorf("heard %+v, want priority %d of %v", heard, priority, peerAddr)
			}
		}
		want := Stats{Received: 2, PriorityZeroReceived: 1, ForeignMaster: 1, IntervalMismatch: 2, Rejected: map[Reason]uint64{
			ReasonUnknownSender: 1, ReasonVRID: 1, ReasonVersion: 1, ReasonAddresses: 1,
			ReasonChecksum: 1, ReasonLength: 1, ReasonType: 1,
		}}
		if diff := cmp.Diff(want, e.Stats()); diff != "" {
			t.Errorf("Stats (-want +got):\n%s", diff)
		}
	})
}

// A peer whose adverts are rejected for a finer point does advertise: that is reason enough to ask for evidence.
func TestRejectedPeerIsSuspectAllTheSame(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w world) {
		quorum := fresh(w.now)
		e, _ := w.start(t, w.config(t), quorum.permit)
		say(t, w.peer, peerAddr, Advertisement{Version: 2, VRID: 51, Priority: 90, Interval: time.Second})
		eventually(t, "the advert is rejected", func() bool { return e.Stats().Rejected[ReasonVersion] == 1 })
		e.Reign(0)
		wantSilence(t, w.peer, 250*time.Millisecond)
		quorum.renew()
		wantAdvert(t, w.peer, soon, 100)
	})
}

// What this node wants of an advert beyond its being well-formed.
func TestExpectations(t *testing.T) {
	v3 := Config{VRID: 51, Version: 3, Interval: time.Second}
	v2 := Config{VRID: 51, Version: 2, Interval: time.Second}
	v2Pass := Config{VRID: 51, Version: 2, Interval: time.Second, Auth: Auth{AuthPass, [8]byte{'a'}}}
	tests := map[string]struct {
		cfg    Config
		advert Advertisement
		ttl    uint8
		want   string
	}{
		"v3, another interval: the Master's counts": {v3, Advertisement{Version: 3, VRID: 51, Interval: time.Minute}, 255, ""},
		"v2, another interval": {
			v2, Advertisement{Version: 2, VRID: 51, Interval: time.Minute}, 255, "advert_interval_err: interval 1m0s, want 1s",
		},
		"v2, password": {
			v2, Advertisement{Version: 2, VRID: 51, Interval: time.Second, Auth: Auth{Type: AuthPass}}, 255,
			"authtype_mismatch: authentication PASS, want none: write the same auth_pass on both, or none",
		},
		"v2, the same password": {v2Pass, Advertisement{Version: 2, VRID: 51, Interval: time.Second, Auth: Auth{AuthPass, [8]byte{'a'}}}, 255, ""},
		"v2, another password": {
			v2Pass, Advertisement{Version: 2, VRID: 51, Interval: time.Minute, Auth: Auth{AuthPass, [8]byte{'b'}}}, 255,
			"auth_failure: another password: write the same auth_pass on both",
		},
		"v2, no password": {
			v2Pass, Advertisement{Version: 2, VRID: 51, Interval: time.Minute}, 255,
			"authtype_mismatch: authentication none, want PASS: write the same auth_pass on both, or none",
		},
		"any TTL by default": {v3, Advertisement{Version: 3, VRID: 51}, 1, ""},
		"a TTL below the least": {
			Config{VRID: 51, Version: 3, MinTTL: 254}, Advertisement{Version: 3, VRID: 51}, 253,
			"ip_ttl_err: TTL 253, want at least 254",
		},
		"the same addresses in another order": {
			Config{VRID: 51, Version: 3, Addresses: []netip.Addr{vip, hostA}},
			Advertisement{Version: 3, VRID: 51, Addresses: []netip.Addr{hostA, vip}}, 255, "",
		},
		"as many addresses, but others": {
			Config{VRID: 51, Version: 3, Addresses: []netip.Addr{vip}},
			Advertisement{Version: 3, VRID: 51, Addresses: []netip.Addr{hostA}}, 255,
			fmt.Sprintf("addr_list_err: addresses [%v], want [%v]: name the same on both", hostA, vip),
		},
		"no addresses where some are wanted": {
			Config{VRID: 51, Version: 3, Addresses: []netip.Addr{vip}}, Advertisement{Version: 3, VRID: 51}, 255,
			fmt.Sprintf("addr_list_err: addresses [], want [%v]: name the same on both", vip),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := test.cfg.expect(test.advert, test.ttl); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("verdict %q, want %q", got, test.want)
			}
		})
	}
}

// With a password each advert carries it, priority 0 too, and what comes without it is counted as keepalived counts it.
func TestPasswordOnTheWire(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w world) {
		auth, err := Password("abcdefgh")
		if err != nil {
			t.Fatal(err)
		}
		cfg := w.config(t)
		cfg.Version, cfg.Interval, cfg.Auth = Version2, time.Second, auth
		quorum := fresh(w.now)
		cfg.NeedEvidence = quorum.renew
		e, _ := w.start(t, cfg, quorum.permit)
		good := Advertisement{Version: 2, VRID: 51, Priority: 90, Interval: time.Second, Auth: auth}
		other := good
		other.Auth.Key[7]++
		say(t, w.peer, peerAddr, other)
		say(t, w.peer, peerAddr, Advertisement{Version: 2, VRID: 51, Priority: 90, Interval: time.Second})
		sayBytes(t, w.peer, unhex(t, "2133 6500 0301 76cb 0000000000000000")) // authentication type 3
		good.Priority = PriorityStop
		say(t, w.peer, peerAddr, good)
		<-e.Heard()
		want := map[Reason]uint64{ReasonAuthFailure: 1, ReasonAuthMismatch: 1, ReasonAuthType: 1}
		if diff := cmp.Diff(want, e.Stats().Rejected); diff != "" {
			t.Errorf("rejected (-want +got):\n%s", diff)
		}

		e.Reign(0)
		for _, priority := range []uint8{100, PriorityStop} {
			if priority == PriorityStop {
				e.Resign("test")
			}
			if _, advert, ok := next(t, w.peer, soon); !ok || advert.Auth != auth || advert.Priority != priority {
				t.Errorf("the node says %+v, want priority %d with the password", advert, priority)
			}
		}
	})
}

// RFC 9568 section 6.4.3: the higher priority wins, and among equals the higher address.
func TestOutranks(t *testing.T) {
	e := &Endpoint{cfg: Config{Priority: 100, Source: hostA}}
	tests := []struct {
		from     netip.Addr
		priority uint8
		want     bool
	}{
		{from: hostB, priority: 99, want: true},
		{from: hostB, priority: 100, want: false},
		{from: hostA.Prev(), priority: 100, want: true},
		{from: hostA.Prev(), priority: 101, want: false},
	}
	for _, test := range tests {
		heard := Heard{From: test.from, Advertisement: Advertisement{Priority: test.priority}}
		if got := e.outranks(heard); got != test.want {
			t.Errorf("%v with priority 100 outranks %v with %d: %t, want %t", hostA, test.from, test.priority, got, test.want)
		}
	}
}

func TestOwnPacketsAreNoNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		segment := NewSegment()
		w := world{open: segment.Open, now: func() time.Duration { return time.Hour }}
		e, _ := w.start(t, w.config(t), fresh(w.now).permit)
		segment.deliver(packet{src: nodeAddr, dst: nodeAddr, payload: []byte("looped back")})
		synctest.Wait()
		if diff := cmp.Diff(Stats{Rejected: map[Reason]uint64{}}, e.Stats()); diff != "" {
			t.Errorf("Stats (-want +got):\n%s", diff)
		}
	})
}

func TestStatsAreACopy(t *testing.T) {
	e, err := NewSegment().Open(world{now: func() time.Duration { return 0 }}.config(t), func(time.Duration) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	e.Stats().Rejected[ReasonLength]++
	if stats := e.Stats(); len(stats.Rejected) > 0 {
		t.Errorf("a caller changed the counters to %v", stats.Rejected)
	}
}

// Who judges a peer's silence must first hear what is waiting in the socket, whether the listener has run or not.
func TestDrainHearsWhatHasArrived(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, w world) {
		e, err := w.open(w.config(t), fresh(w.now).permit)
		if err != nil {
			t.Fatal(err)
		}
		say(t, w.peer, peerAddr, Advertisement{Version: 3, VRID: 51, Priority: 200, Interval: 100 * time.Millisecond})
		eventually(t, "the advert is queued", func() bool { return w.queued(e) })
		e.Drain() // nobody listens: the endpoint is not run
		select {
		case h := <-e.Heard():
			if h.Advertisement.Priority != 200 {
				t.Errorf("heard %+v", h)
			}
		default:
			t.Error("an advert that had arrived was not heard")
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		e.Drain() // a closed endpoint has nothing to say
	})
}
