package eip

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	dialTimeout      = time.Second
	handshakeTimeout = 2 * time.Second
	idleTimeout      = 4 * time.Second // below the shortest limit seen at AWS; after that the spare is the younger one
	maxIdle          = 4
	maxAnswer        = 1 << 20  // bytes; an answer about one address has about 1 KiB
	maxHeader        = 64 << 10 // bytes of answer headers
	writeBuffer      = 64 << 10 // holds a whole request (about 3 KiB), so that it leaves in one write
)

// oneShot is the RoundTripper under the SDK: it sends each request once, through its gate, or not at all.
type oneShot struct {
	base     *http.Transport
	spares   *spares
	contacts *contacts
}

// Dial opens a connection to addr, a host:port, as net.Dialer does.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// dialTCP notices within 8 s that a silent peer, or the way to it, is gone.
func dialTCP() Dial {
	dialer := &net.Dialer{
		Timeout:         dialTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: time.Second, Count: 3},
	}
	return dialer.DialContext
}

// newTransport builds the RoundTripper of the SDK on top of base, which brings proxy and certificate settings. dial nil is TCP.
func newTransport(base *http.Transport, dial Dial) oneShot {
	t := base.Clone()
	if dial == nil {
		dial = dialTCP()
	}
	t.TLSHandshakeTimeout = handshakeTimeout // in a proxy's tunnel; elsewhere it is opener's
	t.IdleConnTimeout = idleTimeout
	t.MaxIdleConnsPerHost = maxIdle
	t.MaxResponseHeaderBytes = maxHeader
	t.WriteBufferSize = writeBuffer
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	// Full-size records from the start: a request is one record, hence one write and one permit.
	t.TLSClientConfig.DynamicRecordSizingDisabled = true
	// HTTP/1.1 only: on HTTP/2 requests share a connection, and net/http repeats them on its own.
	t.ForceAttemptHTTP2 = false
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)

	s := newSpares(opener(dial, t.TLSClientConfig.Clone()))
	t.DialContext = func(ctx context.Context, _, addr string) (net.Conn, error) {
		return s.connect(ctx, way{addr: addr})
	}
	t.DialTLSContext = func(ctx context.Context, _, addr string) (net.Conn, error) {
		return s.connect(ctx, way{tls: true, addr: addr})
	}
	if proxy := t.Proxy; proxy != nil {
		t.Proxy = func(req *http.Request) (*url.URL, error) {
			via, err := proxy(req)
			s.proxied(via != nil)
			return via, err
		}
	}
	return oneShot{base: t, spares: s, contacts: &contacts{}}
}

// client is the HTTP client of the SDK.
func (o oneShot) client() *http.Client {
	return &http.Client{
		Transport: o,
		// A redirect would be a second request.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// opener opens connections with a place for a gate, and does TLS on top, as net/http would.
func opener(dial Dial, config *tls.Config) func(context.Context, way) (net.Conn, error) {
	config.NextProtos = []string{"http/1.1"}
	return func(ctx context.Context, to way) (net.Conn, error) {
		raw, err := dial(ctx, "tcp", to.addr)
		if err != nil {
			return nil, err
		}
		conn := &gatedConn{Conn: raw}
		if !to.tls {
			return conn, nil
		}
		host, _, err := net.SplitHostPort(to.addr)
		if err != nil {
			raw.Close()
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
		defer cancel()
		named := config.Clone()
		named.ServerName = host
		secure := tls.Client(conn, named)
		if err := secure.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, fmt.Errorf("TLS with %s: %w", host, err)
		}
		return secure, nil
	}
}

// CloseIdleConnections closes all connections that carry no request.
func (o oneShot) CloseIdleConnections() {
	o.base.CloseIdleConnections()
	o.spares.drop()
}

// RoundTrip sends the request once. net/http repeats a request on a fresh connection when a warm one turns out dead, if it
// can rewind the body; the body given here has no GetBody, so it cannot.
func (o oneShot) RoundTrip(req *http.Request) (*http.Response, error) {
	g := gateOf(req.Context())
	if g == nil {
		return nil, errors.New("request outside of a call")
	}
	body, err := readBody(req)
	if err != nil {
		return nil, fmt.Errorf("read request body: %w", err)
	}
	ctx, cancel := context.WithCancel(req.Context())
	sent := time.Now()
	var carrier net.Conn
	out := req.Clone(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			carrier = info.Conn
			if !attach(info.Conn, g) {
				g.lost()
				cancel()
			}
		},
	}))
	// Known to net/http as held in memory, the body is not preceded by a flush of the headers.
	out.Close = g.last
	out.Body, out.GetBody, out.ContentLength = io.NopCloser(bytes.NewReader(body)), nil, int64(len(body))

	resp, err := o.base.RoundTrip(out)
	if err != nil {
		cancel()
		// What killed this connection (a lost route, a moved public address) has often killed the idle ones too.
		o.CloseIdleConnections()
		return nil, err
	}
	o.contacts.note(carrier, sent, resp, o.spares.isProxied())
	resp.Body = &answerBody{ReadCloser: http.MaxBytesReader(nil, resp.Body, maxAnswer), done: cancel}
	if err := checkAnswer(resp); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// checkAnswer refuses a success that is not EC2's: the SDK takes any text that is no XML for an empty answer.
func checkAnswer(resp *http.Response) error {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode/100 == 2 && (err != nil || kind != "text/xml" && kind != "application/xml") {
		return fmt.Errorf("answer of type %q is not EC2's", resp.Header.Get("Content-Type"))
	}
	return nil
}

func readBody(req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, nil
	}
	defer req.Body.Close()
	return io.ReadAll(req.Body)
}

// attach puts the gate before the connection that will carry the request.
func attach(conn net.Conn, g *gate) bool {
	for { // TLS, possibly inside the TLS of a proxy
		t, ok := conn.(*tls.Conn)
		if !ok {
			break
		}
		conn = t.NetConn()
	}
	c, ok := conn.(*gatedConn)
	if ok {
		c.gate.Store(g.carrier())
	}
	return ok
}

// gatedConn asks the gate of the request that it carries before each write. Before its first request (a TLS handshake, a
// proxy's CONNECT) it has none.
type gatedConn struct {
	net.Conn
	gate atomic.Pointer[gate]
}

// Write writes p unless the gate refuses.
func (c *gatedConn) Write(p []byte) (int, error) {
	if g := c.gate.Load(); g != nil {
		if err := g.enter(); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}

// answerBody releases the request's context when the answer has been read.
type answerBody struct {
	io.ReadCloser
	done context.CancelFunc
}

// Close closes the answer.
func (b *answerBody) Close() error {
	err := b.ReadCloser.Close()
	b.done()
	return err
}
