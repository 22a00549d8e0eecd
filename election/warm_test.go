package election

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// TestATakenSpareIsReplacedSoon: within two seconds, in one round however many were taken, and not at once: a peer that refuses Raft has one
// taken after the other.
func TestATakenSpareIsReplacedSoon(t *testing.T) {
	t.Parallel()
	const never = time.Hour
	for _, tc := range []struct {
		name    string
		well    bool
		takenAt time.Duration
		want    time.Duration // until the next look
	}{
		{"all is well", true, never, warmInterval},
		{"one is missing already", false, never, warmAgain},
		{"one is taken", true, 5 * time.Second, 5*time.Second + warmAgain},
		{"one is taken just before the next look", true, warmInterval - warmAgain/2, warmInterval},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				own := spares{taken: make(chan struct{}, 1)}
				time.AfterFunc(tc.takenAt, func() { takeTwo(t, &own) })
				began := time.Now()
				if !own.pause(ctx, tc.well) {
					t.Error("it ends")
				}
				if got := time.Since(began); got != tc.want {
					t.Errorf("the next look is after %v, want %v", got, tc.want)
				}
				cancel()
				if own.pause(ctx, true) {
					t.Error("it goes on after its end")
				}
			})
		})
	}
}

// takeTwo takes what nothing waits to hear of.
func takeTwo(t *testing.T, own *spares) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = listener.Close() }()
	for range 2 {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		const target = raft.ServerAddress("127.0.0.2:7400/node-b.1")
		own.put(target, &muxConn{Conn: conn, raw: conn, mux: &mux{}})
		taken := own.take(target)
		if taken == nil {
			t.Error("there is none")
		}
		_ = conn.Close()
	}
}
