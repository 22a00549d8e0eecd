package eip

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// stage is a client of the emulator as in production: name, resolver, TCP, TLS by AWS_CA_BUNDLE, role credentials from IMDS,
// Run on. It counts what a call waited for and what was done in advance.
type stage struct {
	client     *Client
	requests   func() int
	handshakes atomic.Int32 // begun, on whosever behalf
	metadata   atomic.Int32 // requests to IMDS
	onPath     tally
	ahead      tally
}

type tally struct{ lookups, dials atomic.Int32 }

// by returns where to count work done under ctx. net/http and net keep the values of a request's context.
func (s *stage) by(ctx context.Context) *tally {
	if gateOf(ctx) != nil {
		return &s.onPath
	}
	return &s.ahead
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{}
	fake := newFake(t)
	s.requests = func() int { return len(fake.Calls(0)) }
	srv := httptest.NewUnstartedServer(fake.EC2())
	srv.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		s.handshakes.Add(1)
		return nil, nil
	}}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that were called off
	srv.StartTLS()
	t.Cleanup(srv.Close)
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.metadata.Add(1)
		fake.IMDS().ServeHTTP(w, r)
	}))
	t.Cleanup(metadata.Close)
	dialer := net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		s.by(ctx).lookups.Add(1)
		return loopbackResolver(), nil
	}}}
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s.client = newClient(t, "https://"+endpointName+":"+port, trusting(t, srv.Certificate()), func(cfg *Config) {
		cfg.Credentials, cfg.IMDSEndpoint, cfg.AttemptTimeout = nil, metadata.URL, 20*time.Second
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			s.by(ctx).dials.Add(1)
			return dialer.DialContext(ctx, "tcp4", addr)
		}
	})
	runWarm(t, s.client)
	return s
}

// loopbackResolver is a connection to a DNS server that knows one address of everything.
func loopbackResolver() net.Conn {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		var size [2]byte
		if _, err := io.ReadFull(far, size[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(size[:]))
		var m dnsmessage.Message
		if _, err := io.ReadFull(far, question); err != nil || m.Unpack(question) != nil {
			return
		}
		m.Response = true
		if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
				Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
		}
		m.Additionals = nil
		answer, err := m.AppendPack(make([]byte, 2, 512))
		if err == nil {
			binary.BigEndian.PutUint16(answer, uint16(len(answer)-2))
			_, _ = far.Write(answer)
		}
	}()
	return near
}

// runWarm runs the client until the end of the test.
func runWarm(t *testing.T, c *Client) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

// awaitSpare polls until a spare is ready.
func awaitSpare(t *testing.T, c *Client) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for c.Warm().ConnectedSince.IsZero() {
		if time.Now().After(deadline) {
			t.Fatalf("no spare: %+v", c.Warm())
		}
		time.Sleep(time.Millisecond)
	}
}

// After the steady-state read, the call of a failover is one request on an established connection: no name is looked up,
// nothing dialled, no handshake made, no credentials fetched. The read pays for all of that, so it is there to be counted.
func TestWarmCallOverSockets(t *testing.T) {
	s := newStage(t)
	if _, err := s.client.Observe(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitSpare(t, s.client)
	cold := []int32{s.onPath.lookups.Load(), s.onPath.dials.Load(), s.metadata.Load()}
	// The keeper may ask for the name at the same time, and net asks once for both.
	if cold[0]+s.ahead.lookups.Load() == 0 || cold[1] != 1 || cold[2] == 0 {
		t.Errorf("first call: %d lookups, %d dials, %d requests to IMDS; want some, one, some", cold[0], cold[1], cold[2])
	}
	for _, name := range []string{"after the read", "after the association before", "once more"} {
		awaitSpare(t, s.client)
		s.client.transport.base.CloseIdleConnections() // as if the read were a while ago
		handshakes, requests := s.handshakes.Load(), s.requests()
		if _, err := s.client.Associate(t.Context(), true, permit); err != nil {
			t.Fatal(err)
		}
		warm := []int32{s.onPath.lookups.Load() - cold[0], s.onPath.dials.Load() - cold[1], s.metadata.Load() - cold[2]}
		if warm[0] != 0 || warm[1] != 0 || warm[2] != 0 || s.requests()-requests != 1 {
			t.Errorf("%s: %d lookups, %d dials, %d requests to IMDS, %d requests to EC2; want only one to EC2", name,
				warm[0], warm[1], warm[2], s.requests()-requests)
		}
		awaitSpare(t, s.client)
		if n := s.handshakes.Load() - handshakes; n < 1 || n > 2 {
			t.Errorf("%s: %d handshakes, want those of the next spares", name, n)
		}
	}
	if opened, dials := s.client.Warm().Opened, s.ahead.dials.Load(); uint64(dials) < opened || s.ahead.lookups.Load() == 0 {
		t.Errorf("%d spares by %d dials and %d lookups", opened, dials, s.ahead.lookups.Load())
	}
}

// An endpoint without TLS, as in the lab, gets a spare as well.
func TestSpareWithoutTLS(t *testing.T) {
	fake, c := newPair(t)
	runWarm(t, c)
	for n := range uint64(2) { // an association leaves no connection behind
		if _, err := c.Associate(t.Context(), true, permit); err != nil {
			t.Fatal(err)
		}
		if w := c.Warm(); w.Taken != n {
			t.Errorf("call %d: %+v, want %d spares taken", n, w, n)
		}
		awaitSpare(t, c)
	}
	if n := len(fake.Calls(0)); n != 2 {
		t.Errorf("%d requests, want two", n)
	}
}

// Many callers, calls that are called off, spares that come, go and are dropped: each permit is one request, and no request
// has none (I1).
func TestOnePermitOneRequestWithSpares(t *testing.T) {
	s := newStage(t)
	if _, err := s.client.Observe(t.Context()); err != nil {
		t.Fatal(err)
	}
	var calls, permits, notSent, answered atomic.Int32
	call := func(within time.Duration) {
		s.client.transport.base.CloseIdleConnections() // so that spares are wanted
		calls.Add(1)
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		err := s.client.Disassociate(ctx, placeholderID, func() error { permits.Add(1); return nil })
		switch Classify(err) {
		case Done, Throttled:
			answered.Add(1)
		case NotSent:
			notSent.Add(1)
		case Unknown:
		default:
			t.Errorf("class %q: %v", Classify(err), err)
		}
	}
	var callers sync.WaitGroup
	for range 3 {
		callers.Go(func() {
			for n := range 60 {
				call(time.Duration(n) * 100 * time.Microsecond)
			}
		})
	}
	callers.Wait()
	for range 3 { // undisturbed
		awaitSpare(t, s.client)
		call(time.Minute)
	}
	arrived := int32(s.requests() - 1)
	if arrived > permits.Load() || arrived > calls.Load()-notSent.Load() || arrived < answered.Load() {
		t.Errorf("%d calls, %d permits, %d not sent, %d answered, but %d requests arrived",
			calls.Load(), permits.Load(), notSent.Load(), answered.Load(), arrived)
	}
	if s.client.Warm().Taken < 3 || notSent.Load() == 0 || answered.Load() == 0 {
		t.Errorf("%d spares taken, %d calls not sent, %d answered: the race was not tried", s.client.Warm().Taken, notSent.Load(), answered.Load())
	}
}

// Through a proxy net/http dials as ever: a connection to the proxy is not one to EC2. The gate still stands at the write.
func TestProxyHasNoSpare(t *testing.T) {
	var requests atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusForbidden)
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of the request that was not permitted
	srv.StartTLS()
	t.Cleanup(srv.Close)
	proxy := newWire(t, func(conn net.Conn, _ int32) { tunnel(conn, srv.Listener.Addr().String()) })
	via, err := url.Parse(proxy.url())
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(srv.Certificate())
	// HTTPS_PROXY is read once in the life of a process; so the transport is told directly.
	transport := newTransport(&http.Transport{Proxy: http.ProxyURL(via), TLSClientConfig: &tls.Config{RootCAs: trusted}}, nil)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { transport.spares.run(ctx) })
	t.Cleanup(func() { stop(); running.Wait(); transport.CloseIdleConnections() })

	send := func(permit Permit) error {
		g := &gate{permit: permit, last: true}
		req, err := http.NewRequestWithContext(withGate(t.Context(), g), http.MethodPost, srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		return g.seal(err)
	}
	for range 2 {
		if err := send(permit); err != nil {
			t.Fatal(err)
		}
	}
	if err := send(func() error { return errNotLeader }); !errors.Is(err, ErrNotPermitted) {
		t.Errorf("not permitted: %v", err)
	}
	if n, w := requests.Load(), transport.spares.warmth(); n != 2 || w.Opened != 0 || proxy.conns.Load() != 3 {
		t.Errorf("%d requests, %d spares, %d connections to the proxy; want 2, 0, 3", n, w.Opened, proxy.conns.Load())
	}
}

// tunnel serves one CONNECT to addr.
func tunnel(conn net.Conn, addr string) {
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil || req.Method != http.MethodConnect {
		return
	}
	far, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer far.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
	var back sync.WaitGroup
	back.Go(func() { _, _ = io.Copy(conn, far); conn.Close() })
	_, _ = io.Copy(far, conn)
	far.Close()
	back.Wait()
}
