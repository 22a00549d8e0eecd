package eip

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
	"github.com/hacluster/hacluster/internal/sim/simnet"
)

const (
	endpointName = "example.com" // what httptest's certificate is for
	endpointIP   = "10.20.0.200"
)

var errUnreachable = errors.New("no such host")

// bubble is a client and an EC2 endpoint over TLS, in virtual time and on a network in memory.
type bubble struct {
	*testing.T
	fake   *ec2fake.Server
	client *Client
	host   *simnet.Host // of the client

	onPath, ahead atomic.Int32 // connections that a call waited for, and those that were opened in advance
	unreachable   atomic.Bool  // for new connections
	mu            sync.Mutex
	conns         []*hole
}

// inBubble runs test with a client whose Run is on. serve may change the endpoint, change the client.
func inBubble(t *testing.T, serve func(*http.Server), test func(*bubble), change ...func(*Config)) {
	t.Helper()
	certified := httptest.NewTLSServer(nil) // for its certificate
	certified.Close()
	trust := trusting(t, certified.Certificate())
	synctest.Test(t, func(t *testing.T) {
		town := simnet.New(rand.New(rand.NewPCG(1, 2)))
		b := &bubble{T: t, fake: newFake(t), host: town.Boot("10.20.0.11")}
		port, err := town.Boot(endpointIP).Listen(endpointIP + ":443")
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: b.fake.EC2(), ErrorLog: log.New(io.Discard, "", 0)}
		if serve != nil {
			serve(srv)
		}
		go srv.Serve(tls.NewListener(port, &tls.Config{Certificates: certified.TLS.Certificates})) //nolint:errcheck // ends with Close
		defer srv.Close()
		b.client = newClient(t, "https://"+endpointName, append([]func(*Config){trust, func(cfg *Config) { cfg.Dial = b.dial }}, change...)...)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- b.client.Run(ctx) }()
		defer func() {
			stop()
			if err := <-ended; err != nil {
				t.Errorf("run: %v", err)
			}
			b.client.transport.CloseIdleConnections()
		}()
		test(b)
	})
}

// dial is the way to the endpoint. net/http keeps the values of a request's context in the one it dials with.
func (b *bubble) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if gateOf(ctx) != nil {
		b.onPath.Add(1)
	} else {
		b.ahead.Add(1)
	}
	if b.unreachable.Load() {
		return nil, errUnreachable
	}
	conn, err := b.host.Dial(ctx, endpointIP+":443")
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	h := &hole{Conn: conn}
	b.conns = append(b.conns, h)
	return h, nil
}

// read is the steady-state read.
func (b *bubble) read() {
	b.Helper()
	if _, err := b.client.Observe(b.Context()); err != nil {
		b.Fatal(err)
	}
	synctest.Wait()
}

// pass lets time go by.
func (b *bubble) pass(d time.Duration) {
	time.Sleep(d) // virtual
	synctest.Wait()
}

// swallow makes a black hole of every connection there is: what is written is lost, and nothing comes back.
func (b *bubble) swallow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.conns {
		c.dead.Store(true)
	}
}

// hole is a connection that can die without telling anybody.
type hole struct {
	net.Conn
	dead atomic.Bool
}

// Write implements net.Conn.
func (h *hole) Write(p []byte) (int, error) {
	if h.dead.Load() {
		return len(p), nil
	}
	return h.Conn.Write(p)
}
