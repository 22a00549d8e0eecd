package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"
)

// serve runs a server with these pages and returns its address.
func serve(t *testing.T, pages map[string]http.Handler) string {
	t.Helper()
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return run(t, l, pages)
}

func run(t *testing.T, l net.Listener, pages map[string]http.Handler) string {
	t.Helper()
	s := NewServer(l, zap.NewNop())
	for path, page := range pages {
		s.Handle(path, page)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
		// After a request that was too long package http waits for the client to hear of it.
		goleak.VerifyNone(t, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
	})
	return l.Addr().String()
}

func request(t *testing.T, method, url string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(body)
}

// TestOnlyReading: a page is read by GET and HEAD, and no other method gets to it.
func TestOnlyReading(t *testing.T) {
	reached := make(chan string, 8)
	page := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.Method })
	address := serve(t, map[string]http.Handler{"/page": page})
	want := map[string]int{http.MethodGet: 200, http.MethodHead: 200, http.MethodPost: 405, http.MethodPut: 405, http.MethodDelete: 405,
		http.MethodPatch: 405, http.MethodOptions: 405}
	for method, code := range want {
		if got, _, _ := request(t, method, "http://"+address+"/page"); got != code {
			t.Errorf("%s is answered %d, want %d", method, got, code)
		}
	}
	close(reached)
	for method := range reached {
		if method != http.MethodGet && method != http.MethodHead {
			t.Errorf("%s reached the page", method)
		}
	}
	if got, _, _ := request(t, http.MethodGet, "http://"+address+"/other"); got != http.StatusNotFound {
		t.Errorf("what is not there is answered %d", got)
	}
}

// TestAnswers: what every answer says of itself, and that no other site's script is invited to read it.
func TestAnswers(t *testing.T) {
	address := serve(t, map[string]http.Handler{
		"/well":   Check(func(context.Context) error { return nil }),
		"/ill":    Check(func(context.Context) error { return errors.New("no leader is known") }),
		"/slow":   Check(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }),
		"/status": JSON(func(context.Context) map[string]int { return map[string]int{"term": 7} }),
	})
	tests := []struct {
		path, contentType, body string
		code                    int
	}{
		{"/well", "text/plain; charset=utf-8", "ok\n", http.StatusOK},
		{"/ill", "text/plain; charset=utf-8", "no leader is known\n", http.StatusServiceUnavailable},
		{"/slow", "text/plain; charset=utf-8", "context deadline exceeded\n", http.StatusServiceUnavailable},
		{"/status", "application/json", `{"term":7}` + "\n", http.StatusOK},
	}
	for _, tt := range tests {
		code, header, body := request(t, http.MethodGet, "http://"+address+tt.path)
		if code != tt.code || body != tt.body || header.Get("Content-Type") != tt.contentType {
			t.Errorf("%s: %d %q %q, want %d %q %q", tt.path, code, header.Get("Content-Type"), body, tt.code, tt.contentType, tt.body)
		}
		if header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", tt.path, header)
		}
		if _, invited := header["Access-Control-Allow-Origin"]; invited {
			t.Errorf("%s: other sites are invited", tt.path)
		}
	}
}

// TestTooMuchIsRefused: nobody may have this agent read more than a request of a scraper's size.
func TestTooMuchIsRefused(t *testing.T) {
	address := serve(t, map[string]http.Handler{"/": Check(func(context.Context) error { return nil })})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The server may answer and hang up before all of it is written.
	_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Much: %s\r\n\r\n", strings.Repeat("x", 2*maxHeader))
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%s", answer.Status)
	}
}

// counter is a listener that knows how many of its connections were open at once.
type counter struct {
	net.Listener
	mu         sync.Mutex
	open, most int
}

func (c *counter) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.add(1)
	}
	return &counted{Conn: conn, closed: sync.OnceFunc(func() { c.add(-1) })}, err
}

func (c *counter) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open += n
	c.most = max(c.most, c.open)
}

type counted struct {
	net.Conn
	closed func()
}

func (c *counted) Close() error {
	c.closed()
	return c.Conn.Close()
}

// TestManyConnections: a crowd that opens connections and says nothing takes a bounded number of them, and who comes after it is served when
// it leaves. Connections are accepted in their order, so the answer says that all of the crowd had its turn.
func TestManyConnections(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	watched := &counter{Listener: l}
	address := run(t, watched, map[string]http.Handler{"/": Check(func(context.Context) error { return nil })})
	var crowd []net.Conn
	for range 4 * connections {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		crowd = append(crowd, conn)
	}
	for _, conn := range crowd {
		_ = conn.Close()
	}
	if code, _, _ := request(t, http.MethodGet, "http://"+address+"/"); code != http.StatusOK {
		t.Errorf("answered %d", code)
	}
	if watched.add(0); watched.most > connections {
		t.Errorf("%d connections were open at once, want at most %d", watched.most, connections)
	}
}

func TestListenSaysWhatToDo(t *testing.T) {
	taken, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for address, want := range map[string]string{
		taken.Addr().String(): `give it another port, or write ""`,
		"192.0.2.1:7460":      "this machine does not have the address",
	} {
		l, err := Listen(t.Context(), address)
		if err == nil {
			_ = l.Close()
			t.Errorf("listens on %s", address)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %q", err, want)
		}
	}
}
