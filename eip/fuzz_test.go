package eip

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// answer is what an endpoint says, which may be anything but EC2.
type answer struct {
	status int
	kind   string // Content-Type
	body   []byte
}

func (a answer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", a.kind)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // some statuses have no body
}

func (a answer) String() string { return fmt.Sprintf("%d %q %q", a.status, a.kind, a.body) }

// FuzzAnswer: whatever is answered, the client claims to know only what was said. Seeds are in testdata/fuzz.
func FuzzAnswer(f *testing.F) {
	var now atomic.Pointer[answer]
	endpoint := serveUnix(f, func(w http.ResponseWriter, r *http.Request) { now.Load().ServeHTTP(w, r) })
	c := newClient(f, "http://ec2.invalid", func(cfg *Config) { cfg.Dial = endpoint })
	f.Fuzz(func(t *testing.T, status uint16, kind string, body []byte) {
		a := answer{status: 200 + int(status)%400, kind: kind, body: body}
		now.Store(&a)
		seen, err := c.Observe(t.Context())
		if err == nil && (seen.AllocationID != testAlloc || !a.success()) {
			t.Errorf("%s was taken for an answer about %s: %+v", a, testAlloc, seen)
		}
		id, err := c.Associate(t.Context(), false, permit)
		a.judge(t, "associate", err)
		if (Classify(err) == Done) != (id != "") {
			t.Errorf("associate: class %q with association id %q: %v", Classify(err), id, err)
		}
		err = c.Disassociate(t.Context(), "eipassoc-1", permit)
		a.judge(t, "disassociate", err)
		if err != nil && Classify(err) == Done {
			t.Errorf("disassociate: done, and an error: %v", err)
		}
	})
}

// success reports whether the answer has the form of a success of EC2.
func (a answer) success() bool {
	return a.status/100 == 2 && strings.Contains(strings.ToLower(a.kind), "xml")
}

// judge checks what is said to be known about a mutating call.
func (a answer) judge(t *testing.T, call string, err error) {
	t.Helper()
	class := Classify(err)
	// EC2 says "not done" by the code of a refusal, and in no other way.
	said := a.status/100 != 2 && codeOf(err) != ""
	if class.CertainlyNotDone() && !said {
		t.Errorf("%s: class %q, which %s does not say: %v", call, class, a, err)
	}
	if class == Done && !a.success() && !bytes.Contains(a.body, []byte(codeNoAssociation)) {
		t.Errorf("%s: done, which %s does not say", call, a)
	}
}

// serveUnix serves a handler on a Unix socket, which has no ports that could run out, and returns the way to it.
func serveUnix(f *testing.F, handler http.HandlerFunc) Dial {
	f.Helper()
	path := filepath.Join(f.TempDir(), "ec2")
	l, err := net.Listen("unix", path)
	if err != nil {
		f.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(handler)
	srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	f.Cleanup(srv.Close)
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
}
