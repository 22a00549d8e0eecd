package vrrpwire

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// TestRelay: it sees each packet when it is sent, and what it does not deliver does not arrive.
func TestRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSegment()
		from, to := plug(t, s, peerAddr), plug(t, s, nodeAddr)
		var late func()
		s.SetRelay(func(src, dst netip.Addr, payload []byte, deliver func()) {
			if src != peerAddr || dst != nodeAddr {
				t.Errorf("a packet from %v to %v, want %v to %v", src, dst, peerAddr, nodeAddr)
			}
			switch string(payload) {
			case "pass":
				deliver()
			case "wait":
				late = deliver
			}
		})
		for _, text := range []string{"wait", "lose", "pass"} {
			sayBytes(t, from, []byte(text))
		}
		time.Sleep(time.Minute)
		late()
		for _, want := range []string{"pass", "wait"} {
			if p, err := to.recv(); err != nil || string(p.payload) != want {
				t.Errorf("received %q, %v, want %q", p.payload, err, want)
			}
		}
		if p, err := to.recv(); err == nil {
			t.Errorf("received %q, which was not delivered", p.payload)
		}
	})
}
