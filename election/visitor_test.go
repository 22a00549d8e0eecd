package election

import (
	"errors"
	"net/http"
	"slices"
	"syscall"
	"testing"

	"github.com/hacluster/hacluster/internal/pki/pkitest"
)

// newCaller returns the Visitor of a node, which may run.
func newCaller(t *testing.T, cfg Config) *Visitor {
	t.Helper()
	c := NewVisitor(cfg)
	t.Cleanup(c.Close)
	return c
}

// A caller of the name of a node that runs is answered all the same.
func TestCallerBesideItsNode(t *testing.T) {
	c := newCluster(t, 3, func(cfg *Config) { cfg.RPC = echo() })
	c.start()
	caller := newCaller(t, c.config("node-a"))
	if _, ok := caller.Link("node-b"); ok {
		t.Error("a link before any call")
	}
	for _, name := range []string{"node-b", "node-c"} {
		intro, err := caller.Introduce(t.Context(), name)
		if err != nil || intro.Node != name || intro.Cluster != "test" ||
			!slices.Equal(intro.Peers, []string{"node-a", "node-b", "node-c"}) {
			t.Errorf("%s says %+v, %v", name, intro, err)
		}
		if link, ok := caller.Link(name); !ok || link.Connect <= 0 || link.TLS != nil {
			t.Errorf("link with %s: %+v, %t", name, link, ok)
		}
	}
	if err := caller.Call(t.Context(), "node-b", "/echo", map[string]string{}, nil); err != nil {
		t.Error(err)
	}
}

func TestCallerErrors(t *testing.T) {
	c := newCluster(t, 3)
	c.start("node-a", "node-b")
	stranger := c.config("node-a")
	stranger.Cluster = "elsewhere"
	var answered *CallError
	if _, err := newCaller(t, stranger).Introduce(t.Context(), "node-b"); !errors.As(err, &answered) || answered.Status != http.StatusMisdirectedRequest {
		t.Errorf("of another cluster: %v", err)
	}
	if _, err := newCaller(t, c.config("node-a")).Introduce(t.Context(), "node-c"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("of a node that does not run: %v", err)
	}
	if _, err := newCaller(t, c.config("node-a")).Introduce(t.Context(), "node-z"); !errors.Is(err, ErrUnknownNode) {
		t.Errorf("of a node that is not configured: %v", err)
	}
}

func TestCallerOverTLS(t *testing.T) {
	s := newSecured(t, 3)
	s.start()
	s.leader()
	caller := newCaller(t, s.config("node-a"))
	if _, err := caller.Introduce(t.Context(), "node-b"); err != nil {
		t.Fatal(err)
	}
	link, ok := caller.Link("node-b")
	if !ok || link.TLS == nil || len(link.TLS.PeerCertificates) == 0 || link.TLS.PeerCertificates[0].DNSNames[0] != "node-b.test.hacluster" {
		t.Errorf("link %+v, %t", link, ok)
	}
	// One that trusts the others, and is not trusted by them.
	cfg := s.config("node-a")
	other := pkitest.NewAuthority(t)
	cfg.Security = s.ring(t, &cfg, other, other, s.ca)
	if _, err := newCaller(t, cfg).Introduce(t.Context(), "node-b"); err == nil {
		t.Error("a stranger is answered")
	}
}
