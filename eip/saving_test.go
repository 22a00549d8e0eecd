package eip

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	oneWay     = 50 * time.Millisecond
	savingRuns = 3
)

// farAway makes the way to an endpoint long: bytes take oneWay in each direction, and a connection is there after a round
// trip. It counts the round trips that a call waits for, up to and with its request.
type farAway struct {
	mu        sync.Mutex
	call      int // the number of the present one
	trips     int
	permitted bool // what is written next is the request
	written   bool // it has been
}

func (f *farAway) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.call, f.trips, f.permitted, f.written = f.call+1, 0, false, false
}

func (f *farAway) permit() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.permitted = true
	return nil
}

func (f *farAway) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	near, relay := net.Pipe()
	c := &farConn{Conn: near, world: f, onPath: gateOf(ctx) != nil}
	f.mu.Lock()
	c.opened = f.call
	if c.onPath {
		f.trips++ // SYN, SYN-ACK
	}
	f.mu.Unlock()
	timer := time.NewTimer(2 * oneWay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	go delayLine(conn, relay)
	go delayLine(relay, conn)
	return c, nil
}

// delayLine copies src to dst, each chunk oneWay after it came.
func delayLine(dst, src net.Conn) {
	type chunk struct {
		bytes []byte
		due   time.Time
	}
	chunks := make(chan chunk, 64)
	go func() {
		defer close(chunks)
		for {
			buf := make([]byte, 16<<10)
			n, err := src.Read(buf)
			if n > 0 {
				chunks <- chunk{buf[:n], time.Now().Add(oneWay)}
			}
			if err != nil {
				return
			}
		}
	}()
	for c := range chunks {
		time.Sleep(time.Until(c.due)) // the distance
		_, _ = dst.Write(c.bytes)
	}
	dst.Close()
}

// farConn counts a trip for the first write of a call, and for each that had to wait for something to be read.
type farConn struct {
	net.Conn
	world  *farAway
	onPath bool // opened for a call

	// Guarded by world.mu.
	opened, used int  // during which call, the last one
	spoken       bool // the peer has, since our last write
}

// Read implements net.Conn.
func (c *farConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	c.spoken = c.spoken || n > 0
	return n, err
}

// Write implements net.Conn.
func (c *farConn) Write(p []byte) (int, error) {
	c.note()
	return c.Conn.Write(p)
}

func (c *farConn) note() {
	f := c.world
	f.mu.Lock()
	defer f.mu.Unlock()
	// What is opened in advance during a call is for the next one.
	if (c.onPath || c.opened < f.call) && !f.written {
		if c.spoken || c.used != f.call {
			f.trips++
		}
		f.written = f.permitted
	}
	c.spoken, c.used = false, f.call
}

// TestWarmSaving shows what keeping warm is worth when EC2 is a round trip of 100 ms away: a cold call takes one for TCP, one
// for TLS 1.3 and one for the request, a warm one only the last. The trips are asserted, the times are shown (-v).
func TestWarmSaving(t *testing.T) {
	fake := newFake(t)
	srv := httptest.NewUnstartedServer(fake.EC2())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of the last spare, whose handshake is called off
	srv.StartTLS()
	t.Cleanup(srv.Close)
	call := func(c *Client, f *farAway, want int) time.Duration {
		f.begin()
		start := time.Now()
		if _, err := c.Associate(t.Context(), true, f.permit); err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.trips != want {
			t.Errorf("%d round trips, want %d", f.trips, want)
		}
		return took
	}
	distant := func() (*Client, *farAway) {
		f := &farAway{}
		return newClient(t, srv.URL, trusting(t, srv.Certificate()), func(cfg *Config) {
			cfg.Dial, cfg.AttemptTimeout = f.dial, 20*time.Second
		}), f
	}
	cold, coldWay := distant()
	warm, warmWay := distant()
	if _, err := warm.Observe(t.Context()); err != nil {
		t.Fatal(err)
	}
	runWarm(t, warm)
	var colds, warms []time.Duration
	for range savingRuns {
		awaitSpare(t, warm)
		colds = append(colds, call(cold, coldWay, 3))
		warms = append(warms, call(warm, warmWay, 1))
	}
	t.Logf("AssociateAddress over TLS 1.3, round trip %s, emulator:", 2*oneWay)
	t.Logf("%-6s %-11s %8s %8s %8s", "", "round trips", "min", "median", "max")
	t.Log(savingRow("cold", 3, colds))
	t.Log(savingRow("warm", 1, warms))
}

func savingRow(name string, trips int, took []time.Duration) string {
	slices.Sort(took)
	ms := func(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }
	return fmt.Sprintf("%-6s %-11d %8s %8s %8s", name, trips, ms(took[0]), ms(took[len(took)/2]), ms(took[len(took)-1]))
}
