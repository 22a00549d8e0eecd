package simnet

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	alice, bob = "10.0.0.1", "10.0.0.2"
	port       = ":7946"
	// delay is how long every message takes in these tests.
	delay = 10 * time.Millisecond
)

// town is two hosts, bob with a listener, and a stream from alice to bob.
type town struct {
	t          *testing.T
	net        *Network
	alice, bob *Host
	doors      net.Listener
	near, far  *Conn // alice's end and bob's
	begin      time.Time
}

// inTown runs a scenario in a bubble; the clock of the stories begins when the stream is up.
func inTown(t *testing.T, scenario func(*town)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := New(rand.New(rand.NewPCG(1, 2)))
		n.SetQuality(alice, bob, Quality{Least: delay, Most: delay})
		n.SetQuality(bob, alice, Quality{Least: delay, Most: delay})
		w := &town{t: t, net: n, alice: n.Boot(alice), bob: n.Boot(bob)}
		var err error
		if w.doors, err = w.bob.Listen(bob + port); err != nil {
			t.Fatal(err)
		}
		w.near, w.far = w.stream()
		w.begin = time.Now()
		scenario(w)
	})
}

func (w *town) stream() (near, far *Conn) {
	w.t.Helper()
	near, err := w.alice.Dial(w.t.Context(), bob+port)
	if err != nil {
		w.t.Fatal(err)
	}
	accepted, err := w.doors.Accept()
	if err != nil {
		w.t.Fatal(err)
	}
	return near, accepted.(*Conn)
}

func (w *town) write(c net.Conn, text string) {
	w.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		w.t.Fatalf("write %q: %v", text, err)
	}
}

// wantRead demands that the next read brings this text, so long after the begin.
func (w *town) wantRead(c net.Conn, text string, after time.Duration) {
	w.t.Helper()
	b := make([]byte, 64)
	n, err := c.Read(b)
	if got := string(b[:n]); got != text || err != nil {
		w.t.Errorf("read %q, %v, want %q", got, err, text)
	}
	if took := time.Since(w.begin); took != after {
		w.t.Errorf("read %q after %v, want %v", text, took, after)
	}
}

// wantError demands that the next read fails with this error, so long after the begin.
func (w *town) wantError(c net.Conn, want error, after time.Duration) {
	w.t.Helper()
	n, err := c.Read(make([]byte, 64))
	if n != 0 || !errors.Is(err, want) {
		w.t.Errorf("read %d bytes, %v, want %v", n, err, want)
	}
	if took := time.Since(w.begin); took != after {
		w.t.Errorf("read failed after %v, want %v", took, after)
	}
}

func TestMessagesTakeTheirTimeAndKeepTheirOrder(t *testing.T) {
	inTown(t, func(w *town) {
		w.write(w.near, "one")
		w.net.SetQuality(alice, bob, Quality{})
		w.write(w.near, "two") // quicker, but behind
		w.wantRead(w.far, "one", delay)
		w.wantRead(w.far, "two", delay)
	})
}

func TestClosingTakesNothingBack(t *testing.T) {
	inTown(t, func(w *town) {
		w.near.SetLag(time.Minute)
		w.write(w.near, "last words")
		_ = w.near.Close()
		w.wantRead(w.far, "last words", time.Minute+delay)
		w.wantError(w.far, io.EOF, time.Minute+delay)
		w.wantError(w.near, net.ErrClosed, time.Minute+delay)
	})
}

func TestACutHoldsWhatIsOnItsWay(t *testing.T) {
	inTown(t, func(w *town) {
		w.write(w.near, "hello")
		w.net.Cut(alice, bob)
		w.write(w.far, "the other way") // is open
		w.wantRead(w.near, "the other way", delay)
		time.Sleep(time.Minute)
		w.net.Heal(alice, bob)
		b := make([]byte, 64)
		n, err := w.far.Read(b)
		late := time.Since(w.begin) - time.Minute - delay
		if string(b[:n]) != "hello" || err != nil || late < 0 || late > retransmit {
			t.Errorf("read %q, %v, %v after the cut, want hello within %v", b[:n], err, late, retransmit)
		}
	})
}

func TestDeadlines(t *testing.T) {
	inTown(t, func(w *town) {
		_ = w.far.SetReadDeadline(time.Now().Add(time.Second))
		w.wantError(w.far, os.ErrDeadlineExceeded, time.Second)
		_ = w.far.SetReadDeadline(time.Time{})
		w.write(w.near, "in time")
		w.wantRead(w.far, "in time", time.Second+delay)
		time.AfterFunc(time.Second, func() { _ = w.far.SetReadDeadline(time.Unix(1, 0)) }) // as net/http ends a read
		w.wantError(w.far, os.ErrDeadlineExceeded, 2*time.Second+delay)
		_ = w.far.SetWriteDeadline(time.Now())
		if _, err := w.far.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write after the deadline: %v", err)
		}
	})
}

// TestCrash: how a host goes down decides what its peer hears, and when.
func TestCrash(t *testing.T) {
	tests := map[string]struct {
		how  Ending
		want func(w *town)
	}{
		"the process dies": {Ending{}, func(w *town) {
			w.wantRead(w.near, "sent before", delay)
			w.wantError(w.near, syscall.ECONNRESET, delay)
		}},
		"the process dies, what it sent is lost": {Ending{Lost: true}, func(w *town) {
			w.wantError(w.near, syscall.ECONNRESET, delay)
		}},
		"what it sent is lost, but not to alice": {Ending{Silent: true, Lost: true, Keep: alice}, func(w *town) {
			w.wantRead(w.near, "sent before", delay)
		}},
		"the machine goes, and comes back": {Ending{Silent: true}, func(w *town) {
			w.wantRead(w.near, "sent before", delay)
			_ = w.near.SetReadDeadline(time.Now().Add(time.Hour))
			w.wantError(w.near, os.ErrDeadlineExceeded, time.Hour+delay)
			_ = w.near.SetReadDeadline(time.Time{})
			w.net.Boot(bob)
			w.wantError(w.near, syscall.ECONNRESET, time.Hour+2*delay)
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inTown(t, func(w *town) {
				w.write(w.far, "sent before")
				w.bob.Crash(test.how)
				w.wantError(w.far, net.ErrClosed, 0)
				test.want(w)
			})
		})
	}
}

func TestAFrozenHostSendsAndHearsNothing(t *testing.T) {
	inTown(t, func(w *town) {
		w.bob.Freeze()
		w.write(w.near, "to bob")
		w.write(w.far, "from bob")
		for _, c := range []*Conn{w.near, w.far} {
			_ = c.SetReadDeadline(w.begin.Add(time.Second))
			w.wantError(c, os.ErrDeadlineExceeded, time.Second)
			_ = c.SetReadDeadline(time.Time{})
		}
		w.bob.Thaw()
		for c, want := range map[*Conn]string{w.near: "from bob", w.far: "to bob"} {
			b := make([]byte, 64)
			if n, err := c.Read(b); string(b[:n]) != want || err != nil {
				t.Errorf("after the thaw: %q, %v, want %q", b[:n], err, want)
			}
		}
	})
}

func TestDialling(t *testing.T) {
	tests := map[string]struct {
		before func(w *town)
		want   error // nil: it succeeds
		after  time.Duration
	}{
		"somebody listens":         {func(*town) {}, nil, 2 * delay},
		"nobody listens":           {func(w *town) { _ = w.doors.Close() }, syscall.ECONNREFUSED, 2 * delay},
		"refused by a fault":       {func(w *town) { w.net.Refuse(alice, bob, true) }, syscall.ECONNREFUSED, 2 * delay},
		"the process is dead":      {func(w *town) { w.bob.Crash(Ending{}) }, syscall.ECONNREFUSED, 2 * delay},
		"the machine is gone":      {func(w *town) { w.bob.Crash(Ending{Silent: true}) }, os.ErrDeadlineExceeded, time.Second},
		"the way there is cut":     {func(w *town) { w.net.Cut(alice, bob) }, os.ErrDeadlineExceeded, time.Second},
		"the way back is cut":      {func(w *town) { w.net.Cut(bob, alice) }, os.ErrDeadlineExceeded, time.Second},
		"the machine stands still": {func(w *town) { w.bob.Freeze() }, os.ErrDeadlineExceeded, time.Second},
		"this host is down":        {func(w *town) { w.alice.Crash(Ending{}) }, syscall.ENETDOWN, 0},
		"the cut ends soon enough": {func(w *town) {
			w.net.Cut(alice, bob)
			time.AfterFunc(500*time.Millisecond, func() { w.net.Heal(alice, bob) })
		}, nil, 500*time.Millisecond + 2*delay},
		"the machine boots in time": {func(w *town) {
			w.bob.Crash(Ending{Silent: true})
			time.AfterFunc(500*time.Millisecond, func() { w.net.Boot(bob) })
		}, syscall.ECONNREFUSED, 500*time.Millisecond + 2*delay},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inTown(t, func(w *town) {
				test.before(w)
				ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
				defer cancel()
				_, err := w.alice.Dial(ctx, bob+port)
				if !errors.Is(err, test.want) {
					t.Errorf("dial: %v, want %v", err, test.want)
				}
				if took := time.Since(w.begin); took != test.after {
					t.Errorf("dialled for %v, want %v", took, test.after)
				}
			})
		})
	}
}

func TestResetBreaksBothEnds(t *testing.T) {
	inTown(t, func(w *town) {
		w.write(w.near, "lost")
		w.net.Reset(bob, alice)
		w.wantError(w.near, syscall.ECONNRESET, 0)
		w.wantError(w.far, syscall.ECONNRESET, 0)
		if _, err := w.near.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write to a broken stream: %v", err)
		}
	})
}

func TestATagIsSeenAtTheOtherEnd(t *testing.T) {
	inTown(t, func(w *town) {
		if got := w.far.Tag(); got != nil {
			t.Errorf("tag %v before there is one", got)
		}
		w.near.SetTag("call 9")
		if got := w.far.Tag(); got != "call 9" {
			t.Errorf("tag %v", got)
		}
	})
}

// TestHTTP: net/http, with its background reads and its deadlines in the past, finds a network here.
func TestHTTP(t *testing.T) {
	inTown(t, func(w *town) {
		server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			slices.Reverse(body)
			_, _ = rw.Write(body)
		})}
		served := make(chan error, 1)
		go func() { served <- server.Serve(w.doors) }()
		transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.alice.Dial(ctx, bob+port) }}
		client := http.Client{Transport: transport, Timeout: time.Second}
		for range 3 {
			answer, err := client.Post("http://bob", "text/plain", strings.NewReader("desserts"))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if string(body) != "stressed" || err != nil {
				t.Errorf("answer %q, %v", body, err)
			}
		}
		w.net.Cut(bob, alice)
		if _, err := client.Post("http://bob", "text/plain", strings.NewReader("x")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a way back: %v", err)
		}
		w.net.Heal(bob, alice)
		transport.CloseIdleConnections()
		if err := errors.Join(server.Shutdown(w.t.Context()), <-served); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}
