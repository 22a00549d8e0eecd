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
	begin time.Time
	takes []time.Duration
	calls []string
}

func (p *slowProber) probe(ctx context.Context) (string, error) {
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

// TestHangIsNoticedInTime holds the sum of docs/TIMING.md for the defaults: an interval of 200 ms until the first
// probe that meets the hang, and two time-outs of 300 ms.
func TestHangIsNoticedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b := newBoard(zap.NewNop())
		p := &slowProber{begin: time.Now(), takes: []time.Duration{0, 0}} // answers at 0 and 200 ms, then never again
		check := newProbeCheck(checkHTTP, Probe{}.orDefault(quickProbe()), p, b)
		done := make(chan error)
		go func() { done <- check.run(ctx) }()
		if s := <-b.updates; !s.Healthy {
			t.Fatalf("first update = %+v, want healthy", s)
		}
		lastAnswer := time.Now()
		s := <-b.updates
		if took, want := time.Since(lastAnswer), 800*time.Millisecond; s.Healthy || took != want {
			t.Errorf("after %v: %+v, want unhealthy after %v", took, s, want)
		}
		if want := "http check timed out after 300ms (2 of 2)"; s.Reason != want {
			t.Errorf("reason = %q, want %q", s.Reason, want)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
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

func (p *stuckProber) probe(context.Context) (string, error) {
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
