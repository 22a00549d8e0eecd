package eip

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

// Invariant I1, the last step: the permit stands directly before the write, and a refusal means that not one byte of the
// request went out.

// wire is a TCP server that records what arrives and answers by script.
type wire struct {
	net.Listener
	conns    atomic.Int32
	received chan []byte // all that came on a connection, when it ended
	wg       sync.WaitGroup
	open     sync.Map // net.Conn to nothing, closed at the end of the test
}

// newWire serves each connection with answer, which is given the connection and the number of connections so far.
func newWire(t *testing.T, answer func(conn net.Conn, n int32)) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: l, received: make(chan []byte, 16)}
	w.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n := w.conns.Add(1)
			w.open.Store(conn, nil)
			w.wg.Go(func() {
				defer conn.Close()
				answer(conn, n)
				rest, _ := io.ReadAll(conn)
				w.received <- rest
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.open.Range(func(conn, _ any) bool { conn.(net.Conn).Close(); return true })
		w.wg.Wait()
	})
	return w
}

func (w *wire) url() string { return "http://" + w.Addr().String() }

const okAnswer = `<AssociateAddressResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
	<associationId>eipassoc-1</associationId></AssociateAddressResponse>`

// serveOne reads one request and answers it.
func serveOne(conn net.Conn) error {
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return err
	}
	_, err = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s", len(okAnswer), okAnswer)
	return err
}

func TestRefusalSendsNoByte(t *testing.T) {
	w := newWire(t, func(net.Conn, int32) {})
	c := newClient(t, w.url())
	_, err := c.Associate(t.Context(), true, func() error { return errNotLeader })
	wantClass(t, err, NotPermitted)
	if !errors.Is(err, ErrNotPermitted) || !errors.Is(err, errNotLeader) {
		t.Errorf("error hides who refused: %v", err)
	}
	if got := <-w.received; len(got) != 0 {
		t.Errorf("%d bytes went out: %q", len(got), got)
	}
	err = c.Disassociate(t.Context(), "eipassoc-1", func() error { return errNotLeader })
	wantClass(t, err, NotPermitted)
	if got := <-w.received; len(got) != 0 {
		t.Errorf("%d bytes went out: %q", len(got), got)
	}
}

func TestRefusalOnAWarmConnectionSendsNoByte(t *testing.T) {
	fake, c := newPair(t)
	if _, err := c.Observe(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := c.Associate(t.Context(), true, func() error { return errNotLeader })
	wantClass(t, err, NotPermitted)
	if n := len(fake.Calls(0)); n != 1 {
		t.Errorf("%d requests, want only the read", n)
	}
	if _, err := c.Associate(t.Context(), true, permit); err != nil {
		t.Errorf("the next call suffers: %v", err)
	}
}

// The permit must come after everything that takes time: here the server delays the TLS handshake until the test has
// taken leadership away. Asked any earlier, the permit would have been given.
func TestPermitIsAskedAfterTheHandshake(t *testing.T) {
	var leader atomic.Bool
	leader.Store(true)
	fake := newFake(t)
	srv := httptest.NewUnstartedServer(fake.EC2())
	srv.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		leader.Store(false)
		return nil, nil
	}}
	srv.StartTLS()
	defer srv.Close()

	c := newClient(t, srv.URL, trusting(t, srv.Certificate()))
	_, err := c.Associate(t.Context(), true, func() error {
		if !leader.Load() {
			return errNotLeader
		}
		return nil
	})
	wantClass(t, err, NotPermitted)
	if n := len(fake.Calls(0)); n != 0 {
		t.Errorf("%d requests, want none", n)
	}
	if _, err := c.Associate(t.Context(), true, permit); err != nil {
		t.Errorf("over TLS, permitted: %v", err)
	}
}

// trusting makes the certificate known the way an operator would: by AWS_CA_BUNDLE.
func trusting(t *testing.T, cert *x509.Certificate) func(*Config) {
	return func(*Config) {
		file := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_CA_BUNDLE", file)
	}
}

// The request leaves in one write, so that one permit covers all of it and no pause can come in between; also with a
// role's session token, which is long.
func TestOnePermitOneWrite(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			var writes, seen atomic.Int32
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				seen.Store(writes.Load())
				w.WriteHeader(http.StatusServiceUnavailable)
			}))
			change := func(cfg *Config) {
				cfg.Credentials = credentials.NewStaticCredentialsProvider("ASIATEST", "a secret", strings.Repeat("token", 800))
			}
			var c *Client
			if scheme == "https" {
				srv.StartTLS()
				c = newClient(t, srv.URL, trusting(t, srv.Certificate()), change, countWrites(&writes))
			} else {
				srv.Start()
				c = newClient(t, srv.URL, change, countWrites(&writes))
			}
			defer srv.Close()
			_, err := c.Associate(t.Context(), true, func() error { writes.Store(0); return nil })
			wantClass(t, err, Unknown)
			if n := seen.Load(); n != 1 {
				t.Errorf("the request took %d writes, want one", n)
			}
		})
	}
}

// countWrites counts the writes that pass the client's gates.
func countWrites(n *atomic.Int32) func(*Config) {
	return func(cfg *Config) {
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return countedConn{conn, n}, err
		}
	}
}

type countedConn struct {
	net.Conn
	n *atomic.Int32
}

func (c countedConn) Write(p []byte) (int, error) {
	c.n.Add(1)
	return c.Conn.Write(p)
}

// When a call is given up after its request went out, TLS writes once more: the alert that closes the connection. A permit that
// is withdrawn by then says nothing about the request, which may still land.
func TestPermitWithdrawnAfterTheWriteIsUnknown(t *testing.T) {
	fake := newFake(t)
	inject(t, fake, ec2fake.Fault{Kind: ec2fake.Latency, Delay: millis(1300)})
	srv := httptest.NewTLSServer(fake.EC2())
	defer srv.Close()
	c := newClient(t, srv.URL, trusting(t, srv.Certificate()), func(cfg *Config) { cfg.AttemptTimeout = time.Second })
	var asked atomic.Int32
	_, err := c.Associate(t.Context(), true, func() error {
		if asked.Add(1) > 1 {
			return errNotLeader
		}
		return nil
	})
	wantClass(t, err, Unknown)
	if n := len(fake.Calls(0)); n != 1 {
		t.Errorf("%d requests, want one", n)
	}
}

// A keep-alive connection that the server has closed: net/http would repeat a request on a fresh connection if it could
// rewind the body. A mutating request must never be written twice.
func TestDeadWarmConnection(t *testing.T) {
	t.Run("closed on receipt of the second request", func(t *testing.T) {
		w := newWire(t, func(conn net.Conn, _ int32) {
			if serveOne(conn) == nil {
				_, _ = http.ReadRequest(bufio.NewReader(conn))
				conn.Close()
			}
		})
		c := newClient(t, w.url())
		asked := 0
		count := func() error { asked++; return nil }
		if err := c.Disassociate(t.Context(), "eipassoc-1", count); err != nil {
			t.Fatal(err)
		}
		err := c.Disassociate(t.Context(), "eipassoc-1", count)
		wantClass(t, err, Unknown) // it was written; the server may have acted
		if n := w.conns.Load(); n != 1 || asked != 2 {
			t.Errorf("%d connections, permit asked %d times; want one and twice", n, asked)
		}
	})
	t.Run("closed while idle", func(t *testing.T) {
		w := newWire(t, func(conn net.Conn, n int32) {
			for serveOne(conn) == nil && n > 1 {
			}
			conn.Close()
		})
		c := newClient(t, w.url())
		if err := c.Disassociate(t.Context(), "eipassoc-1", permit); err != nil {
			t.Fatal(err)
		}
		<-w.received // the server's end is closed
		// Whether the client has noticed is a race, and both ends of it are right: a fresh connection, or an error. What
		// must not be is a write that the permit has not seen.
		asked := 0
		err := c.Disassociate(t.Context(), "eipassoc-1", func() error { asked++; return nil })
		if class := Classify(err); class != Done && class != NotSent && class != Unknown {
			t.Errorf("class %q: %v", class, err)
		}
		if asked > 1 || Classify(err) == NotSent && asked != 0 {
			t.Errorf("permit asked %d times for %v", asked, err)
		}
		if err := c.Disassociate(t.Context(), "eipassoc-1", permit); err != nil {
			t.Errorf("the call after that: %v, want a fresh connection", err)
		}
	})
}

// A public address that has just changed leaves warm connections dead behind a NAT; they must not be used again.
func TestAssociateDropsWarmConnections(t *testing.T) {
	w := newWire(t, func(conn net.Conn, _ int32) {
		for serveOne(conn) == nil {
		}
	})
	c := newClient(t, w.url())
	for range 2 {
		if _, err := c.Associate(t.Context(), true, permit); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.conns.Load(); n != 2 {
		t.Errorf("%d connections for two associations, want a fresh one each", n)
	}
	c.transport.CloseIdleConnections()
}

// That goes for those that took no part in the association as well, and for the spare.
func TestAssociateDropsIdleConnections(t *testing.T) {
	var both sync.WaitGroup
	both.Add(2)
	w := newWire(t, func(conn net.Conn, n int32) {
		if n <= 2 { // the first two callers meet, so that there are two connections
			both.Done()
			both.Wait()
		}
		for serveOne(conn) == nil {
		}
	})
	c := newClient(t, w.url())
	var callers sync.WaitGroup
	for range 2 {
		callers.Go(func() {
			if err := c.Disassociate(t.Context(), "eipassoc-1", permit); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if _, err := c.Associate(t.Context(), true, permit); err != nil {
		t.Fatal(err)
	}
	if err := c.Disassociate(t.Context(), "eipassoc-1", permit); err != nil {
		t.Fatal(err)
	}
	if n := w.conns.Load(); n != 3 {
		t.Errorf("%d connections, want a third one after the association", n)
	}
	c.transport.CloseIdleConnections()

	inBubble(t, nil, func(b *bubble) {
		b.read() // its connection carries the association; the spare is untouched
		if _, err := b.client.Associate(b.Context(), true, permit); err != nil {
			b.Fatal(err)
		}
		synctest.Wait()
		if w := b.client.Warm(); w.Opened != 2 || w.Taken != 0 {
			b.Errorf("%+v, want a second spare in place of the first", w)
		}
	})
}

// A call that returned "not sent" must stay unsent, even if net/http is just about to write.
func TestNothingIsWrittenAfterTheCall(t *testing.T) {
	g := &gate{permit: permit}
	if err := g.seal(context.Canceled); !errors.Is(err, ErrNotSent) || !errors.Is(err, context.Canceled) {
		t.Errorf("sealed before any write: %v", err)
	}
	if err := g.enter(); err == nil {
		t.Error("written after the end of the call")
	}

	g = &gate{permit: permit}
	if err := g.enter(); err != nil {
		t.Fatal(err)
	}
	if err := g.seal(context.Canceled); errors.Is(err, ErrNotSent) {
		t.Errorf("sealed after a write: %v", err)
	}
}

func TestNothingIsWrittenTwice(t *testing.T) {
	g := &gate{permit: permit}
	if first := g.carrier(); first != g || first.enter() != nil {
		t.Fatal("the first connection is refused")
	}
	if err := g.carrier().enter(); err == nil {
		t.Error("written to a second connection")
	}
}

func TestRefusalIsFinal(t *testing.T) {
	answers := []error{errNotLeader, nil}
	g := &gate{permit: func() error { err := answers[0]; answers = answers[1:]; return err }}
	for range 2 {
		if err := g.enter(); !errors.Is(err, ErrNotPermitted) {
			t.Errorf("second write of a refused request: %v", err)
		}
	}
	if err := g.seal(context.Canceled); !errors.Is(err, ErrNotPermitted) {
		t.Errorf("a cancelled context hides the refusal: %v", err)
	}
}

// Cancellation races with the write at every moment. Whatever called itself "not sent" must never arrive.
func TestCancelAtAnyMoment(t *testing.T) {
	fake, c := newPair(t)
	mayArrive, notSent := 0, 0
	for n := 0; n < 300 || mayArrive == 0 && n < 2000; n++ { // on a busy machine it takes longer to get out
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n*10)*time.Microsecond)
		_, err := c.Associate(ctx, true, permit)
		cancel()
		if Classify(err) == NotSent {
			notSent++
		} else {
			mayArrive++
		}
	}
	if arrived := len(fake.Calls(0)); arrived > mayArrive {
		t.Errorf("%d requests arrived, but only %d were said to have been sent", arrived, mayArrive)
	}
	if notSent == 0 || mayArrive == 0 {
		t.Errorf("%d not sent, %d sent: the race was not tried", notSent, mayArrive)
	}
}
