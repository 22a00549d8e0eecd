package eip

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

// impatient is an endpoint that closes connections on which nothing was asked for d, as load balancers do.
func impatient(d time.Duration) func(*http.Server) {
	return func(s *http.Server) { s.IdleTimeout, s.ReadHeaderTimeout = d, d }
}

// Whatever happened before, the call of a failover finds a connection: it dials nothing and waits for no handshake.
func TestWarmCall(t *testing.T) {
	for name, tc := range map[string]struct {
		serve  func(*http.Server)
		before func(*bubble)
	}{
		"directly after the read": {before: func(b *bubble) {}},
		"after ten minutes without a call": {before: func(b *bubble) {
			b.pass(10 * time.Minute)
		}},
		"endpoint closes idle connections after 5 s": {serve: impatient(5 * time.Second), before: func(b *bubble) {
			b.pass(10*time.Minute + 7*time.Second)
		}},
		"endpoint closes idle connections after 60 s": {serve: impatient(time.Minute), before: func(b *bubble) {
			b.pass(10*time.Minute + 59*time.Second)
		}},
		"after an association of our own": {before: func(b *bubble) {
			if _, err := b.client.Associate(b.Context(), true, permit); err != nil {
				b.Fatal(err)
			}
		}},
		"after a call that failed": {before: func(b *bubble) {
			inject(b.T, b.fake, ec2fake.Fault{Kind: ec2fake.Drop})
			_, err := b.client.Associate(b.Context(), true, permit)
			wantClass(b.T, err, Unknown)
			inject(b.T, b.fake)
		}},
		"after a call that was not permitted": {before: func(b *bubble) {
			_, err := b.client.Associate(b.Context(), true, func() error { return errNotLeader })
			wantClass(b.T, err, NotPermitted)
		}},
		"resolver or endpoint out of reach for ten minutes": {before: func(b *bubble) {
			b.unreachable.Store(true)
			b.pass(10 * time.Minute)
		}},
		"connections died silently": {before: func(b *bubble) {
			b.swallow()
			b.pass(spareAge)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, tc.serve, func(b *bubble) {
				b.read()
				tc.before(b)
				synctest.Wait()
				b.onPath.Store(0)
				calls := len(b.fake.Calls(0))
				if _, err := b.client.Associate(b.Context(), true, permit); err != nil {
					b.Error(err)
				}
				if n := b.onPath.Load(); n != 0 {
					b.Errorf("the call waited for %d new connections, want none", n)
				}
				if n := len(b.fake.Calls(0)) - calls; n != 1 {
					b.Errorf("%d requests, want one", n)
				}
			})
		})
	}
}

// The first call of all has to dial: what TestWarmCall counts is there to be counted.
func TestColdCallDials(t *testing.T) {
	inBubble(t, nil, func(b *bubble) {
		b.read()
		if n := b.onPath.Load(); n != 1 {
			b.Errorf("%d connections for the first call, want one", n)
		}
		if w := b.client.Warm(); w.ConnectedSince != time.Now() || w.ConnectErr != nil || w.Opened != 1 || w.Taken != 0 {
			b.Errorf("after it: %+v, want one spare", w)
		}
	})
}

// A takeover by compare-and-set makes two calls: neither dials.
func TestTwoWarmCalls(t *testing.T) {
	inBubble(t, nil, func(b *bubble) {
		b.read()
		b.pass(time.Minute)
		b.onPath.Store(0)
		if err := b.client.Disassociate(b.Context(), placeholderID, permit); err != nil {
			b.Error(err)
		}
		if _, err := b.client.Associate(b.Context(), false, permit); err != nil {
			b.Error(err)
		}
		if n := b.onPath.Load(); n != 0 {
			b.Errorf("the calls waited for %d new connections, want none", n)
		}
	})
}

// A connection may die without a sign less than spareAge before the call that needs it (over TCP, less than the 8 s of its
// keep-alive). The request is then lost, and nobody can know it: Unknown, after the deadline. The next call must not follow it,
// neither on a connection that an earlier request left behind nor on the spare.
func TestSilentlyDeadConnections(t *testing.T) {
	for name, idle := range map[string]time.Duration{"the last request's and the spare": 0, "the spare": 2 * idleTimeout} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(b *bubble) {
				b.read()
				b.pass(idle)
				b.swallow()
				start := time.Now()
				_, err := b.client.Associate(b.Context(), true, permit)
				wantClass(b.T, err, Unknown)
				if d := time.Since(start); d != DefaultAttemptTimeout {
					b.Errorf("given up after %s, want %s", d, DefaultAttemptTimeout)
				}
				start = time.Now()
				if _, err := b.client.Associate(b.Context(), true, permit); err != nil || time.Since(start) != 0 {
					b.Errorf("the next call: %v after %s, want success at once", err, time.Since(start))
				}
			})
		})
	}
}

// Each new spare is dialled by name, so a new address of the endpoint is followed within spareAge, although calls need none.
func TestSpareIsRenewed(t *testing.T) {
	inBubble(t, nil, func(b *bubble) {
		b.read()
		for range 10 {
			b.pass(spareAge)
			if since := b.client.Warm().ConnectedSince; since != time.Now() {
				b.Errorf("spare of %s, want one of now, %s", since, time.Now())
			}
		}
	})
}

// What keeping warm costs with a read a minute: connections, but not one request to EC2.
func TestKeepingWarmCallsNothing(t *testing.T) {
	inBubble(t, nil, func(b *bubble) {
		const minutes = 20
		for range minutes {
			b.read()
			b.pass(time.Minute)
		}
		if n := len(b.fake.Calls(0)); n != minutes {
			b.Errorf("%d requests, want the %d reads", n, minutes)
		}
		if n := b.onPath.Load(); n != 1 {
			b.Errorf("reads waited for %d new connections, want one, the first", n)
		}
		if perMinute := float64(b.ahead.Load()) / minutes; perMinute > 4 {
			b.Errorf("%.1f connections a minute, want at most 4", perMinute)
		}
	})
}

// An endpoint that hangs up on whoever does not speak at once, or is out of reach, is not dialled in a loop.
func TestNoDialLoop(t *testing.T) {
	for name, tc := range map[string]struct {
		serve  func(*http.Server)
		before func(*bubble)
	}{
		"hangs up at once": {impatient(time.Millisecond), func(*bubble) {}},
		"out of reach":     {impatient(time.Second), func(b *bubble) { b.unreachable.Store(true) }},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, tc.serve, func(b *bubble) {
				b.read()
				tc.before(b)
				b.ahead.Store(0)
				b.pass(time.Minute + sparePause/2)
				if n := b.ahead.Load(); n == 0 || n > int32(time.Minute/sparePause) {
					b.Errorf("%d connections in a minute, want at most one each %s", n, sparePause)
				}
				if b.client.Warm().ConnectErr == nil {
					b.Error("nobody is told why there is no spare")
				}
			})
		})
	}
}
