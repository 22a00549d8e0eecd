package health

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
)

// slowProber takes the given times in turn, or until its deadline, and notes when it was called.
type slowProber struct {
	begin   time.Time
	takes   []time.Duration
	calls   []string
	unasked bool // the request does not get through
}

func (p *slowProber) probe(ctx context.Context, asked func()) (string, error) {
	if !p.unasked {
		asked()
	}
	p.calls = append(p.calls, time.Since(p.begin).String())
	if len(p.takes) == 0 {
		<-ctx.Done() // the end of the table: stay until the test ends
		return "", ctx.Err()
	}
	answer := time.NewTimer(p.takes[0])
	defer answer.Stop()
	p.takes = p.takes[1:]
	select {
	case <-answer.C:
		return "answered", nil
	case <-ctx.Done():
		return "", fmt.Errorf("read: %w", ctx.Err())
	}
}

// TestSchedule: a probe starts one interval after the start of the one before, or at once if that is past, so that a
// timeout beyond the interval delays nothing more than it must.
func TestSchedule(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name      string
		takes     []time.Duration
		wantCalls string
	}{
		{"quick answers keep the beat", []time.Duration{10 * ms, 150 * ms, 0}, "0s 200ms 400ms 600ms"},
		{"an answer later than the interval", []time.Duration{250 * ms, 10 * ms}, "0s 250ms 450ms"},
		{"time-outs follow each other at once", []time.Duration{time.Hour, time.Hour, 10 * ms}, "0s 300ms 600ms 800ms"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second-1)
				defer cancel()
				p := &slowProber{begin: time.Now(), takes: tt.takes}
				cfg := Probe{Interval: 200 * ms, Timeout: 300 * ms, Rise: 1, Fall: 9}
				if err := newProbeCheck(checkHTTP, cfg, p, newBoard(zap.NewNop())).run(ctx); err != nil {
					t.Fatal(err)
				}
				got := strings.Join(p.calls[:len(tt.takes)+1], " ")
				if diff := cmp.Diff(tt.wantCalls, got); diff != "" {
					t.Errorf("calls (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestHangIsNoticedInTime holds the sums of docs/TIMING.md: an interval until the first probe that meets the hang, and
// as many time-outs as fall says. The short ones of profile fast need to see that HAProxy does nothing.
func TestHangIsNoticedInTime(t *testing.T) {
	const ms = time.Millisecond
	did := func(w work) func() func() work { return func() func() work { return func() work { return w } } }
	tests := []struct {
		name       string
		probe      Probe
		work       work
		unasked    bool // the request does not get through
		want       time.Duration
		wantReason string
	}{
		{name: "default", probe: quickProbe(), work: idle, want: 800 * ms, wantReason: "http check timed out after 300ms (2 of 2)"},
		{name: "default, without a look at the processes", probe: quickProbe(), work: unseen, want: 800 * ms, wantReason: "http check timed out after 300ms (2 of 2)"},
		{name: "default, in a loop without end", probe: quickProbe(), work: working, want: 2200 * ms, wantReason: "http check timed out after 1s (2 of 2)"},
		{name: "fast", probe: fastProbe(), work: idle, want: 200 * ms, wantReason: "http check timed out after 50ms (3 of 3)"},
		{name: "fast, without a look at the processes", probe: fastProbe(), work: unseen, want: 950 * ms, wantReason: "http check timed out after 300ms (3 of 3)"},
		{name: "fast, but the request does not get through", probe: fastProbe(), work: idle, unasked: true, want: 950 * ms, wantReason: "http check timed out after 300ms (3 of 3)"},
		{name: "fast, in a loop without end", probe: fastProbe(), work: working, want: 3050 * ms, wantReason: "http check timed out after 1s (3 of 3)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				b := newBoard(zap.NewNop())
				p := &slowProber{begin: time.Now(), takes: make([]time.Duration, tt.probe.Rise), unasked: tt.unasked} // answers at once, then never again
				check := newProbeCheck(checkHTTP, tt.probe, p, b)
				check.observe = did(tt.work)
				done := make(chan error)
				go func() { done <- check.run(ctx) }()
				if s := <-b.updates; !s.Healthy {
					t.Fatalf("first update = %+v, want healthy", s)
				}
				lastAnswer := time.Now()
				s := <-b.updates
				if took := time.Since(lastAnswer); s.Healthy || took != tt.want {
					t.Errorf("after %v: %+v, want unhealthy after %v", took, s, tt.want)
				}
				if s.Reason != tt.wantReason {
					t.Errorf("reason = %q, want %q", s.Reason, tt.wantReason)
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestHangInTheMiddle: a HAProxy that stops while it works on a request has one more time-out, the one in which it was
// seen to work.
func TestHangInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b := newBoard(zap.NewNop())
		check := newProbeCheck(checkStats, fastProbe(), &slowProber{begin: time.Now()}, b)
		stopped := time.Now().Add(time.Millisecond)
		check.observe = func() func() work {
			if time.Now().Before(stopped) {
				return func() work { return working }
			}
			return func() work { return idle }
		}
		for range fastProbe().Rise {
			b.probed(check.index, 0, "answered", nil)
		}
		<-b.updates
		done := make(chan error)
		go func() { done <- check.run(ctx) }()
		s := <-b.updates
		if took, want := time.Since(stopped), 199*time.Millisecond; s.Healthy || took != want {
			t.Errorf("after %v: %+v, want unhealthy after %v", took, s, want)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestBusyHAProxyIsWaitedFor: an answer that comes after several short time-outs, from a HAProxy that worked all the
// while, is an answer. The probe keeps its place in the queue: it is not begun anew.
func TestBusyHAProxyIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ms = time.Millisecond
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		b := newBoard(zap.NewNop())
		p := &slowProber{begin: time.Now(), takes: []time.Duration{0, 0, 0, 0, 760 * ms, 999 * ms, 880 * ms, 160 * ms}}
		check := newProbeCheck(checkHTTP, fastProbe(), p, b)
		check.observe = func() func() work { return func() work { return working } }
		if err := check.run(ctx); err != nil {
			t.Fatal(err)
		}
		if s := b.newest.Load(); !s.Healthy {
			t.Errorf("status = %+v, want healthy", s)
		}
		if got, want := strings.Join(p.calls, " "), "0s 50ms 100ms 150ms 200ms 960ms 1.959s 2.839s 2.999s 3.999s"; got != want {
			t.Errorf("calls at %s, want %s", got, want)
		}
	})
}

// TestAbortedProbeIsNoFailure: when the agent stops, a probe in flight is cut off, and that is not HAProxy's fault.
func TestAbortedProbeIsNoFailure(t *testing.T) {
	b := newBoard(zap.NewNop())
	check := newProbeCheck(checkHTTP, Probe{Timeout: time.Hour, Rise: 1, Fall: 1}, &slowProber{}, b)
	b.probed(check.index, 0, "answered 200", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	check.once(ctx)
	if s := b.newest.Load(); !s.Healthy {
		t.Errorf("status = %+v, want healthy as before", s)
	}
}

// stuckProber does not return at its deadline, but when it is let go.
type stuckProber struct {
	started chan struct{} // one for each start
	release chan struct{}
}

func (p *stuckProber) probe(context.Context, func()) (string, error) {
	p.started <- struct{}{}
	<-p.release
	return "answered late", nil
}

// TestStuckProbeIsAFailure: one that even its deadline does not end must not keep the check healthy.
func TestStuckProbeIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := newBoard(zap.NewNop())
		p := &stuckProber{started: make(chan struct{}, 9), release: make(chan struct{})}
		check := newProbeCheck(checkScript, Probe{Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 2}, p, b)
		b.probed(check.index, 0, "exited with 0", nil)
		<-b.updates
		done := make(chan error)
		begin := time.Now()
		go func() { done <- check.run(ctx) }()
		s := <-b.updates
		if took, want := time.Since(begin), 2*time.Second+overdueGrace; s.Healthy || took != want {
			t.Errorf("after %v: %+v, want unhealthy after two time-outs, %v", took, s, want)
		}
		if want := "script check still runs after its timeout of 1s (2 of 2)"; s.Reason != want {
			t.Errorf("reason = %q, want %q", s.Reason, want)
		}
		if n := len(p.started); n != 1 {
			t.Errorf("%d probes run at once", n)
		}
		close(p.release)
		if s := <-b.updates; !s.Healthy {
			t.Errorf("after its return: %+v, want healthy", s)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestNewRefusesABrokenConfig(t *testing.T) {
	_, err := New(Config{
		Stats:  &StatsConfig{Socket: "run/haproxy.sock"},
		HTTP:   &HTTPConfig{URL: "https://127.0.0.1/"},
		TCP:    &TCPConfig{Address: "127.0.0.1", Probe: Probe{Fall: -1}},
		Script: &ScriptConfig{Command: []string{"check"}},
	}, nil)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{`stats check: socket "run/haproxy.sock"`, `http check: "https://127.0.0.1/"`, "tcp check: parse address", "tcp check: interval", "script check: command"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %s:\n%v", want, err)
		}
	}
	if _, err := New(Config{}, nil); err == nil || err.Error() != "no check is configured" {
		t.Errorf("without any check: %v", err)
	}
}

// TestStatusBeforeAndAfterRun: what nobody looks at is not known to be healthy (I1).
func TestStatusBeforeAndAfterRun(t *testing.T) {
	m, err := New(Config{Script: &ScriptConfig{Command: []string{"/bin/true"}, Probe: Probe{Rise: 1}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s := m.Status(); s.Healthy || s.Reason != "script check has not passed yet" {
		t.Errorf("before Run: %+v", s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	if s := <-m.Updates(); !s.Healthy || !m.Status().Healthy {
		t.Errorf("while running: %+v", s)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if s := m.Status(); s.Healthy || s.Reason != "health checks have stopped" {
		t.Errorf("after Run: %+v", s)
	}
}
