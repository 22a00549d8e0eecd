package eip

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// These tests are about an endpoint, or somebody in its place, that means harm. TestAnswersThatAreNone and FuzzAnswer are about one that
// is broken.

// soon makes a client give an answer up soon.
func soon(cfg *Config) { cfg.AttemptTimeout = 500 * time.Millisecond }

// xmlOf answers with the beginning of a success, then with what more writes.
func xmlOf(begin string, more func(w io.Writer, r *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, begin)
		more(w, r)
	}
}

// forever writes until the client has had enough.
func forever(text string, pause time.Duration) func(w io.Writer, r *http.Request) {
	return func(w io.Writer, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, text); err != nil {
				return
			}
			if pause > 0 {
				_ = http.NewResponseController(w.(http.ResponseWriter)).Flush()
				<-time.After(pause)
			}
		}
	}
}

// bomb is a hundred megabytes of white space in an XML document, compressed.
func bomb(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, "<AssociateAddressResponse>")
	spaces := bytes.Repeat([]byte{' '}, 1<<20)
	for range 100 {
		if _, err := z.Write(spaces); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = io.WriteString(z, "<associationId>eipassoc-1</associationId></AssociateAddressResponse>")
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// heapGrowth returns how many bytes were allocated on the heap by do, freed ones included.
func heapGrowth(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestHostileAnswers: whatever EC2's place says, a call ends in time, takes little memory, says little, goes nowhere else, and is never taken
// for done or for certainly not done.
func TestHostileAnswers(t *testing.T) {
	const most = 64 << 20 // bytes allocated; an answer of 1 MiB takes some copies
	compressed := bomb(t)
	whole := func(body string) http.HandlerFunc {
		return xmlOf("<AssociateAddressResponse>"+body, func(io.Writer, *http.Request) {})
	}
	id := func(text string) http.HandlerFunc {
		return whole("<associationId>" + text + "</associationId></AssociateAddressResponse>")
	}
	refusal := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<Response><Errors><Error>"+text+"</Error></Errors></Response>")
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"gigabytes":           xmlOf("<AssociateAddressResponse>", forever(strings.Repeat("<x>y</x>", 8<<10), 0)),
		"a byte now and then": xmlOf("<AssociateAddressResponse>", forever(" ", 50*time.Millisecond)),
		"nothing": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
		"a hundred megabytes, compressed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/xml")
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(compressed)
		},
		"an id of a megabyte":     id("eipassoc-" + strings.Repeat("0", 900<<10)),
		"an id that is a request": id("eipassoc-1&amp;Action=X"),
		"an id that is no UTF-8":  id("eipassoc-\xff\xfe"),
		"an id for a terminal":    id("&#x9b;31m"),
		"entities of entities": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/xml")
			_, _ = io.WriteString(w, `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>`+
				"<AssociateAddressResponse><associationId>&b;</associationId></AssociateAddressResponse>")
		},
		"elements in elements":                whole(strings.Repeat("<x>", 300<<10)),
		"an error of half a megabyte":         refusal(500, "<Code>InternalError</Code><Message>"+strings.Repeat("&#x9b;", 80<<10)+"</Message>"),
		"an unknown error of half a megabyte": refusal(400, "<Code>"+strings.Repeat("x", 500<<10)+"</Code>"),
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(handler)
			defer srv.Close()
			defer srv.CloseClientConnections()
			c := newClient(t, srv.URL, soon)
			var got AssociationID
			var err error
			began := time.Now()
			grown := heapGrowth(func() { got, err = c.Associate(t.Context(), true, permit) })
			wantClass(t, err, Unknown)
			if took := time.Since(began); got != "" || err == nil || took > 20*time.Second {
				t.Errorf("id %.20q, error %v, after %v", got, err, took)
			}
			if err != nil && len(err.Error()) > 2*maxMessage {
				t.Errorf("the error has %d bytes: %.100q", len(err.Error()), err)
			}
			if grown > most {
				t.Errorf("%d MiB were allocated", grown>>20)
			}
		})
	}
}

// TestHostileReads: what is read of an address becomes part of the log of every node, and of later requests.
func TestHostileReads(t *testing.T) {
	const answer = "<DescribeAddressesResponse><addressesSet><item><allocationId>eipalloc-1</allocationId><associationId>%s</associationId>" +
		"<networkInterfaceId>%s</networkInterfaceId><instanceId>%s</instanceId></item></addressesSet></DescribeAddressesResponse>"
	long := strings.Repeat("0", 900<<10)
	for name, ids := range map[string][3]string{
		"a long association": {long, "eni-1", "i-1"},
		"a long interface":   {"eipassoc-1", long, "i-1"},
		"a long instance":    {"eipassoc-1", "eni-1", long},
		"a line":             {"eipassoc-1&#10;x", "eni-1", "i-1"},
		"a blank":            {"eipassoc-1", "eni 1", "i-1"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(xmlOf(fmt.Sprintf(answer, ids[0], ids[1], ids[2]), func(io.Writer, *http.Request) {}))
			defer srv.Close()
			read, err := newClient(t, srv.URL).Observe(t.Context())
			if err == nil || read != (Address{}) || len(err.Error()) > 2*maxMessage {
				t.Errorf("read %.200v, error %.200v", read, err)
			}
			wantText(t, err, "an id that is none of EC2's")
		})
	}
}

// TestHostileHeaders: before there is any body.
func TestHostileHeaders(t *testing.T) {
	for name, line := range map[string]string{
		"headers without end":      "X-Y: " + strings.Repeat("z", 1000) + "\r\n",
		"a header without end":     strings.Repeat("z", 1000),
		"promises of more to come": "",
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan struct{})
			go func() {
				defer close(served)
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 64<<10))
				begin, again := "HTTP/1.1 200 OK\r\n", line
				if line == "" {
					begin, again = "", "HTTP/1.1 100 Continue\r\nX-Y: "+strings.Repeat("z", 1000)+"\r\n\r\n"
				}
				_, err = io.WriteString(conn, begin)
				for err == nil {
					_, err = io.WriteString(conn, again)
				}
			}()
			c := newClient(t, "http://"+l.Addr().String(), soon)
			grown := heapGrowth(func() { _, err = c.Associate(t.Context(), true, permit) })
			wantClass(t, err, Unknown)
			if err == nil || grown > 16<<20 {
				t.Errorf("error %v, %d MiB were allocated", err, grown>>20)
			}
			c.transport.CloseIdleConnections()
			l.Close()
			<-served
		})
	}
}

// TestARedirectLeadsNowhere: signed requests go to the endpoint that was configured, and to no other.
func TestARedirectLeadsNowhere(t *testing.T) {
	var visited atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited.Add(1) }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, status) }))
		_, err := newClient(t, srv.URL).Associate(t.Context(), true, permit)
		wantClass(t, err, Unknown)
		_, err = Identify(t.Context(), IdentityConfig{IMDSEndpoint: srv.URL})
		if err == nil {
			t.Errorf("%d of IMDS was followed", status)
		}
		srv.Close()
	}
	if n := visited.Load(); n != 0 {
		t.Errorf("%d requests went elsewhere", n)
	}
}

// TestHostileMetadata: the same for whoever answers in the place of IMDS, asked for the identity and for credentials.
func TestHostileMetadata(t *testing.T) {
	const most = 64 << 20 // bytes allocated
	fake := newFake(t)
	genuine := fake.IMDS()
	instead := func(path string, answer http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, path) {
				w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
				answer(w, r)
				return
			}
			genuine.ServeHTTP(w, r)
		}
	}
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) }
	}
	endless := func(w http.ResponseWriter, r *http.Request) { forever(strings.Repeat("A", 64<<10), 0)(w, r) }
	for name, handler := range map[string]http.HandlerFunc{
		"a token without end":       instead("/api/token", endless),
		"a value without end":       instead("/instance-id", endless),
		"an interface of its own":   instead("/interface-id", text("eni-1&Action=TerminateInstances")),
		"a long interface":          instead("/interface-id", text(strings.Repeat("e", 60<<10))),
		"an interface that is none": instead("/interface-id", text("eni-\xff\xfe")),
		"a region that is a host":   instead("/placement/region", text("x.evil.example/")),
		"a terminal's commands":     instead("/instance-id", text("\x1b[2J")),
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(handler)
			defer srv.Close()
			defer srv.CloseClientConnections()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			var id Identity
			var err error
			grown := heapGrowth(func() { id, err = Identify(ctx, IdentityConfig{IMDSEndpoint: srv.URL}) })
			if err == nil || !reflect.DeepEqual(id, Identity{}) || ctx.Err() != nil || len(err.Error()) > 2*maxMessage {
				t.Errorf("%+v, error %.300v, %v", id, err, ctx.Err())
			}
			if grown > most {
				t.Errorf("%d MiB were allocated", grown>>20)
			}
		})
	}
	for name, path := range map[string]string{"a token without end": "/api/token", "credentials without end": "/iam/security-credentials/"} {
		t.Run(name+", for credentials", func(t *testing.T) {
			srv := httptest.NewServer(instead(path, endless))
			defer srv.Close()
			defer srv.CloseClientConnections()
			ec2 := httptest.NewServer(fake.EC2())
			defer ec2.Close()
			c := newClient(t, ec2.URL, soon, func(cfg *Config) { cfg.Credentials, cfg.IMDSEndpoint = nil, srv.URL })
			var err error
			grown := heapGrowth(func() { _, err = c.Observe(t.Context()) })
			wantClass(t, err, NotSent)
			if grown > most {
				t.Errorf("%d MiB were allocated", grown>>20)
			}
		})
	}
}
