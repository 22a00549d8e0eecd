package vrrpwire

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// said is one advert and when it came, after the beginning of the test.
type said struct {
	At       time.Duration
	Priority uint8
}

// record is all that reaches the peer in d, with its time, exact in a bubble.
func record(t *testing.T, w world, d time.Duration) []said {
	t.Helper()
	var all []said
	begin := w.now()
	for {
		left := d - (w.now() - begin)
		if left <= 0 {
			return all
		}
		_, advert, ok := next(t, w.peer, left)
		if !ok {
			return all
		}
		all = append(all, said{w.now() - begin, advert.Priority})
	}
}

const ms = time.Millisecond

// In these scenarios 100 ms is the interval, and the schedule is exact.
func TestSchedule(t *testing.T) {
	tests := map[string]struct {
		scenario func(t *testing.T, w world) []said
		want     []said
	}{
		"at once, then each interval": {
			scenario: func(t *testing.T, w world) []said {
				e, _ := w.start(t, w.config(t), fresh(w.now).permit)
				e.Reign(0)
				return record(t, w, 350*ms)
			},
			want: []said{{0, 100}, {100 * ms, 100}, {200 * ms, 100}, {300 * ms, 100}},
		},
		"not before the successor's time": {
			scenario: func(t *testing.T, w world) []said {
				e, _ := w.start(t, w.config(t), fresh(w.now).permit)
				e.Reign(w.now() + 130*ms)
				return record(t, w, 350*ms)
			},
			want: []said{{130 * ms, 100}, {230 * ms, 100}, {330 * ms, 100}},
		},
		"a lower peer is not answered before that time": {
			scenario: func(t *testing.T, w world) []said {
				e, _ := w.start(t, w.config(t), fresh(w.now).permit)
				e.Reign(w.now() + 130*ms)
				say(t, w.peer, peerAddr, Advertisement{Version: 3, VRID: 51, Priority: 0, Interval: time.Second})
				return record(t, w, 200*ms)
			},
			want: []said{{130 * ms, 100}},
		},
		"a refused advert is tried again each tenth, and the schedule stays": {
			scenario: func(t *testing.T, w world) []said {
				quorum := fresh(w.now)
				quorum.lose()
				e, _ := w.start(t, w.config(t), quorum.permit)
				e.Reign(0)
				time.AfterFunc(135*ms, quorum.renew)
				return record(t, w, 350*ms)
			},
			want: []said{{140 * ms, 100}, {200 * ms, 100}, {300 * ms, 100}},
		},
		"slots missed in a stall are skipped, not made up for": {
			scenario: func(t *testing.T, w world) []said {
				quorum, stalled := fresh(w.now), false
				began := w.now()
				e, _ := w.start(t, w.config(t), func(notBefore time.Duration) error {
					if !stalled && w.now()-began >= 200*ms {
						stalled = true
						time.Sleep(350 * ms)
					}
					return quorum.permit(notBefore)
				})
				e.Reign(0)
				return record(t, w, 750*ms)
			},
			want: []said{{0, 100}, {100 * ms, 100}, {550 * ms, 100}, {600 * ms, 100}, {700 * ms, 100}},
		},
		"an answer does not move the schedule, and answers keep a distance": {
			scenario: func(t *testing.T, w world) []said {
				e, _ := w.start(t, w.config(t), fresh(w.now).permit)
				e.Reign(0)
				for _, at := range []time.Duration{3 * ms, 4 * ms, 50 * ms} {
					time.AfterFunc(at, func() {
						say(t, w.peer, peerAddr, Advertisement{Version: 3, VRID: 51, Priority: 0, Interval: time.Second})
					})
				}
				return record(t, w, 150*ms)
			},
			want: []said{{0, 100}, {10 * ms, 100}, {50 * ms, 100}, {100 * ms, 100}},
		},
		"resigning is the last word": {
			scenario: func(t *testing.T, w world) []said {
				e, _ := w.start(t, w.config(t), fresh(w.now).permit)
				e.Reign(0)
				time.AfterFunc(150*ms, func() { e.Resign("test") })
				return record(t, w, time.Second)
			},
			want: []said{{0, 100}, {100 * ms, 100}, {150 * ms, 0}},
		},
		"a second reign on top is one reign to the peers": {
			scenario: func(t *testing.T, w world) []said {
				e, _ := w.start(t, w.config(t), fresh(w.now).permit)
				e.Reign(0)
				time.AfterFunc(30*ms, func() { e.Reign(w.now() + 100*ms) })
				time.AfterFunc(80*ms, func() { e.Resign("test") })
				return record(t, w, 300*ms)
			},
			want: []said{{0, 100}, {80 * ms, 0}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := memoryWorld(t)
				if diff := cmp.Diff(test.want, test.scenario(t, w)); diff != "" {
					t.Errorf("on the wire (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// The interval is kept on the long run, even if every single advert is late: the schedule is absolute.
func TestIntervalDoesNotDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		quorum := fresh(w.now)
		e, _ := w.start(t, w.config(t), func(notBefore time.Duration) error {
			time.Sleep(rand.N(checkAge)) // a busy machine
			return quorum.permit(notBefore)
		})
		e.Reign(0)
		heard := record(t, w, time.Minute+checkAge)
		if len(heard) != 601 {
			t.Errorf("%d adverts in a minute and its first moment, want 601", len(heard))
		}
		for i, advert := range heard {
			if late := advert.At - time.Duration(i)*100*ms; late < 0 || late > checkAge {
				t.Errorf("advert %d is %v late", i, late)
			}
		}
	})
}

// Measures the real thing. make test is content with a short look, at adverts that come and are not too many; -drift=60s takes the long
// one. A busy machine skips slots: by those that were kept, and in ten seconds at least, the schedule shows.
var driftFor = flag.Duration("drift", time.Second, "how long to measure the advertisement interval on a real link")

func TestIntervalOnARealLink(t *testing.T) {
	w := newVeth(t).world(t)
	e, _ := w.start(t, w.config(t), fresh(w.now).permit)
	reigned := w.now()
	e.Reign(0)
	began := w.now() - reigned
	heard := record(t, w, *driftFor)
	if len(heard) < 2 {
		t.Fatalf("%d adverts in %v", len(heard), *driftFor)
	}
	passed := heard[len(heard)-1].At - heard[0].At
	slots := int((passed + 50*ms) / (100 * ms))
	mean := passed / time.Duration(max(slots, 1))
	t.Logf("%d adverts, in %d slots of %v: drift %.4f %%", len(heard), slots+1, mean, 100*(float64(mean)/float64(100*ms)-1))
	// From the beginning of the reign: the first advert that was heard may have been late in its slot.
	if due := int((began+heard[len(heard)-1].At+50*ms)/(100*ms)) + 1; len(heard) > due {
		t.Errorf("%d adverts in %d slots", len(heard), due)
	}
	if *driftFor >= 10*time.Second && (mean < 99*ms || mean > 101*ms) {
		t.Errorf("a slot each %v, want each 100 ms within 1 %%", mean)
	}
}

// An advert that goes out late in its slot was not suppressed; one whose slot ends, by the next or by the end of the
// reign, was.
func TestSuppressedCountsSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		quorum := fresh(w.now)
		quorum.lose()
		e, _ := w.start(t, w.config(t), quorum.permit)
		e.Reign(0)
		time.AfterFunc(335*ms, quorum.renew)
		time.AfterFunc(450*ms, quorum.lose)
		want := []said{{340 * ms, 100}, {400 * ms, 100}}
		if diff := cmp.Diff(want, record(t, w, 555*ms)); diff != "" {
			t.Fatalf("on the wire (-want +got):\n%s", diff)
		}
		e.Resign("no quorum")
		if stats := e.Stats(); stats.Suppressed != 4 || stats.Sent != 2 {
			t.Errorf("counted %+v, want 2 sent, and suppressed: 3 before and 1 after them", stats)
		}
	})
}

// I3: a permit is worth nothing once time has gone by. Here each check takes longer than a check may be old.
func TestStaleCheckDoesNotSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		slow := true
		began := w.now()
		e, _ := w.start(t, w.config(t), func(time.Duration) error {
			if slow = w.now()-began < 220*ms; slow {
				time.Sleep(checkAge + ms)
			}
			return nil
		})
		e.Reign(0)
		got := record(t, w, 350*ms)
		if len(got) == 0 || got[0].At < 220*ms {
			t.Errorf("heard %v, want nothing while the checks were too slow, and adverts then", got)
		}
	})
}

// The queue of adverts heard is bounded: a reader who comes late finds the newest.
func TestHeardKeepsTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		e, _ := w.start(t, w.config(t), fresh(w.now).permit)
		for priority := uint8(1); priority <= heardQueue+6; priority++ {
			say(t, w.peer, peerAddr, Advertisement{Version: 3, VRID: 51, Priority: priority, Interval: time.Second})
		}
		synctest.Wait()
		for want := uint8(7); want <= heardQueue+6; want++ {
			if heard := <-e.Heard(); heard.Advertisement.Priority != want {
				t.Fatalf("heard priority %d, want %d", heard.Advertisement.Priority, want)
			}
		}
		if stats := e.Stats(); stats.HeardDropped != 6 || stats.Received != heardQueue+6 {
			t.Errorf("counted %+v, want 6 dropped of %d received", stats, heardQueue+6)
		}
	})
}

// One peer after the other hears the same logical advert: the same IP ID; 0 is no ID.
func TestPeersShareTheID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		cfg := w.config(t)
		cfg.Peers = []netip.Addr{peerAddr, strangerAddr}
		e, _ := w.start(t, cfg, fresh(w.now).permit)
		e.mu.Lock()
		e.out.ipID = 0xfffe
		e.mu.Unlock()
		e.Reign(0)
		for _, want := range []uint16{0xffff, 1, 2} {
			first, second := wantAdvert(t, w.peer, soon, 100), wantAdvert(t, w.stranger, soon, 100)
			if first.id != want || second.id != want {
				t.Errorf("IP IDs %d and %d, want %d for both", first.id, second.id, want)
			}
		}
	})
}

// I3: Resign has returned, so nothing but silence follows, whatever races with it: a regular advert, an answer, or
// a second resignation. Real time and real threads, for the race detector.
func TestNothingFollowsResign(t *testing.T) {
	segment := NewSegment()
	peer := plug(t, segment, peerAddr)
	w := world{open: segment.Open, peer: peer}
	cfg := w.config(t)
	cfg.Interval, cfg.Now, cfg.Logger = 10*ms, nil, nil
	e, _ := w.start(t, cfg, func(time.Duration) error { return nil })

	ctx, cancel := context.WithCancel(t.Context())
	var provoking sync.WaitGroup
	provoking.Go(func() {
		for ctx.Err() == nil {
			say(t, peer, peerAddr, Advertisement{Version: 3, VRID: 51, Priority: 0, Interval: time.Second})
		}
	})
	defer provoking.Wait()
	defer cancel()

	for round := range 150 {
		e.Reign(0)
		if round%3 == 0 {
			wantAdvert(t, peer, soon, cfg.Priority)
		}
		var resigning sync.WaitGroup
		for range 2 {
			resigning.Go(func() { e.Resign("race") })
		}
		resigning.Wait()
		reign := priorities(t, peer, 0)
		if n := len(reign); n > 0 && (reign[n-1] != PriorityStop || slices.Index(reign, PriorityStop) != n-1) {
			t.Fatalf("round %d: the reign ended with %v, want one 0 at the end", round, reign)
		}
		if late := priorities(t, peer, ms); len(late) > 0 {
			t.Fatalf("round %d: %v was sent after Resign returned", round, late)
		}
	}
}

// I3: Resign comes while the permit is being asked for an advert. It waits for that advert's fate, and so has the
// last word.
func TestResignWaitsForTheCheckInProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		asked, answer := make(chan struct{}, 1), make(chan struct{})
		e, _ := w.start(t, w.config(t), func(time.Duration) error {
			asked <- struct{}{}
			<-answer
			return nil
		})
		e.Reign(0)
		<-asked
		resigned := make(chan struct{})
		go func() {
			defer close(resigned)
			e.Resign("test")
		}()
		runtime.Gosched()
		close(answer)
		<-resigned
		if diff := cmp.Diff([]uint8{100, 0}, priorities(t, w.peer, 300*ms)); diff != "" {
			t.Errorf("priorities on the wire (-want +got):\n%s", diff)
		}
	})
}

// priorities reads what was advertised, and waits d for more.
func priorities(t *testing.T, at datagrams, d time.Duration) []uint8 {
	t.Helper()
	var all []uint8
	for {
		_, advert, ok := next(t, at, d)
		if !ok {
			return all
		}
		all = append(all, advert.Priority)
	}
}

func TestOpenRefuses(t *testing.T) {
	good := Config{
		VRID: 51, Version: 3, Priority: 100, Interval: time.Second, Source: nodeAddr, Peers: []netip.Addr{peerAddr},
	}
	permit := func(time.Duration) error { return nil }
	bad := Config{Version: 3, Priority: 255, Interval: 15 * ms, Peers: []netip.Addr{peerAddr, peerAddr, netip.IPv6Loopback()}}
	_, err := NewSegment().Open(bad, permit)
	want := `check VRRP configuration: virtual router id 0: want 1 to 255
interval 15ms: VRRPv3 carries multiples of 10ms up to 40.95s
priority 255: want 1 to 254 (0 means "I stop", 255 "I own the address")
source address invalid IP: want an IPv4 address of this machine
peer address 10.97.0.2 is given twice
peer address ::1: want an IPv4 address`
	if got := fmt.Sprint(err); got != want {
		t.Errorf("Open: %s", cmp.Diff(want, got))
	}
	segment := NewSegment()
	if _, err := segment.Open(good, nil); err == nil {
		t.Error("Open without a permit: no error")
	}
	e, err := segment.Open(good, permit)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
