package eip

import (
	"context"
	"net"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// TestDialOfConfig: the configured way is taken, whatever the endpoint's name, and the final check stays in front of it.
func TestDialOfConfig(t *testing.T) {
	fake := newFake(t)
	srv := httptest.NewServer(fake.EC2())
	t.Cleanup(srv.Close)
	var dialled atomic.Int64
	c := newClient(t, "http://ec2.invalid", func(cfg *Config) {
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dialled.Add(1); addr != "ec2.invalid:80" {
				t.Errorf("dialled %s", addr)
			}
			return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
		}
	})
	if _, err := c.Associate(t.Context(), false, permit); err != nil || dialled.Load() != 1 {
		t.Errorf("associate: %v after %d dials, want one", err, dialled.Load())
	}
	_, err := c.Associate(t.Context(), false, func() error { return errNotLeader })
	wantClass(t, err, NotPermitted)
	if calls := len(fake.Calls(0)); calls != 1 {
		t.Errorf("EC2 received %d calls, want the one that was permitted", calls)
	}
}
