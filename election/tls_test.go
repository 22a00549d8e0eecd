package election

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/keyring"
	"github.com/hacluster/hacluster/internal/pki"
	"github.com/hacluster/hacluster/internal/pki/pkitest"
)

// secured is a cluster whose nodes have certificates of one authority.
type secured struct {
	*cluster
	ca    *pkitest.Authority
	dirs  map[string]pkitest.Dir
	rings map[string]*keyring.Keyring
	// revoked is what all of them refuse.
	revoked atomic.Pointer[[]string]
}

// newSecured prepares nodes whose leader stays, whatever the machine is busy with. Their keyrings look at their files when told to.
func newSecured(t *testing.T, size int, adjust ...func(*Config)) *secured {
	t.Helper()
	s := &secured{ca: pkitest.NewAuthority(t), dirs: make(map[string]pkitest.Dir), rings: make(map[string]*keyring.Keyring)}
	s.revoked.Store(&[]string{})
	adjust = append([]func(*Config){func(cfg *Config) {
		cfg.Timing = Timing{Heartbeat: 2 * time.Second, Election: 2 * time.Second, Lease: 2 * time.Second, Commit: 20 * time.Millisecond, LogWrite: 20 * time.Second}
		cfg.Security = s.ring(t, cfg, s.ca, s.ca)
	}}, adjust...)
	s.cluster = newCluster(t, size, adjust...)
	return s
}

// ring is that of a node whose certificate is from issuer.
func (s *secured) ring(t *testing.T, cfg *Config, issuer *pkitest.Authority, trusted ...*pkitest.Authority) *keyring.Keyring {
	dir := pkitest.Dir(t.TempDir())
	dir.Trust(t, trusted...)
	dir.Write(t, issuer.Node(t, cfg.Name, cfg.Cluster))
	ring, err := keyring.Open(keyring.Config{Cluster: cfg.Cluster, Node: cfg.Name, CA: dir.CA(), Cert: dir.Cert(), Key: dir.Key(), Logger: cfg.Logger,
		Revoked: func() ([]string, error) { return *s.revoked.Load(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- ring.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	s.dirs[cfg.Name], s.rings[cfg.Name] = dir, ring
	return ring
}

// intruder opens a connection to a node and does something wrong. It returns when the node has closed it.
type intruder func(t *testing.T, address string)

// speaks is an intruder with a TLS of its own. config.GetClientCertificate shows its certificate whatever the server asks for.
func speaks(pair *pkitest.Pair, protocol string, change func(*tls.Config)) intruder {
	return func(t *testing.T, address string) {
		config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}}
		if pair != nil {
			certificate := pair.TLS(t)
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }
		}
		if change != nil {
			change(config)
		}
		conn, err := tls.Dial("tcp", address, config)
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "node-a\n")
		expectClosed(t, conn)
	}
}

func says(text string) intruder {
	return func(t *testing.T, address string) {
		conn := dialRaw(t, address)
		_, _ = io.WriteString(conn, text)
		expectClosed(t, conn)
	}
}

func dialRaw(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func expectClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(2 * handshakeDeadline))
	if _, err := io.Copy(io.Discard, conn); isTimeout(err) { // an alert may come before the end
		t.Errorf("the connection is not refused: %v", err)
	}
}

// TestIntruders: each is refused, counted under its reason, and the cluster of three does not notice: the same leader in the same term.
func TestIntruders(t *testing.T) {
	// Not in parallel: it would take the CPU from tests with timers of 100 ms.
	s := newSecured(t, 3)
	s.start()
	leader, term := s.leader()
	s.apply("before")

	stranger := pkitest.NewAuthority(t)
	node := s.ca.Node(t, "node-b", "test")
	forge := func(change func(*x509.Certificate)) *pkitest.Pair {
		pair := s.ca.Forge(t, "node-b", "test", change)
		return &pair
	}
	pair := func(p pkitest.Pair) *pkitest.Pair { return &p }
	expired := forge(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) })
	future := forge(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })
	commonName := forge(func(c *x509.Certificate) { c.Subject.CommonName, c.DNSNames = "node-b.test.hacluster", nil })
	ip := forge(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, []net.IP{{127, 0, 0, 1}} })
	serverOnly := forge(func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] })
	operator := s.ca.For(t, pki.Subject{Role: pki.Operator, Name: "jo", Cluster: "test"})
	names := func(names ...string) *pkitest.Pair { return forge(func(c *x509.Certificate) { c.DNSNames = names }) }
	stolen := s.ca.Node(t, "node-b", "test")
	s.revoke(&stolen, "node-a")

	tests := map[string]struct {
		intruder intruder
		reason   string
	}{
		"another authority":       {speaks(pair(stranger.Node(t, "node-b", "test")), raftProtocol, nil), keyring.WrongAuthority},
		"expired":                 {speaks(expired, raftProtocol, nil), keyring.Expired},
		"not valid yet":           {speaks(future, raftProtocol, nil), keyring.NotYetValid},
		"several names":           {speaks(names("node-b.test.hacluster", "node-c.test.hacluster"), raftProtocol, nil), keyring.WrongName},
		"a wildcard":              {speaks(names("*.test.hacluster"), raftProtocol, nil), keyring.WrongName},
		"only a common name":      {speaks(commonName, raftProtocol, nil), keyring.WrongName},
		"an address as a name":    {speaks(ip, raftProtocol, nil), keyring.WrongName},
		"a server only":           {speaks(serverOnly, raftProtocol, nil), keyring.WrongName},
		"another cluster":         {speaks(pair(s.ca.Node(t, "node-b", "other")), raftProtocol, nil), keyring.OtherCluster},
		"a node that is none":     {speaks(pair(s.ca.Node(t, "node-x", "test")), raftProtocol, nil), notAMember},
		"an operator in Raft":     {speaks(&operator, raftProtocol, nil), operatorInRaft},
		"revoked":                 {speaks(&stolen, raftProtocol, nil), keyring.Revoked},
		"no certificate":          {speaks(nil, raftProtocol, nil), keyring.NoCertificate},
		"TLS 1.2":                 {speaks(&node, raftProtocol, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), keyring.OldTLS},
		"another protocol":        {speaks(&node, "h2", nil), keyring.WrongProtocol},
		"an incarnation that was": {speaks(&node, raftProtocol, nil), notForUs},
		"plain TCP":               {says("hacluster-raft/1 node-a.1\n"), keyring.NoTLS},
		"noise":                   {says("\x16\x03\x01\x00\x05noise"), keyring.Failed},
		"a slow handshake":        {says("\x16\x03\x01"), keyring.Slow},
		"a slow first line": {func(t *testing.T, address string) {
			conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{raftProtocol},
				Certificates: []tls.Certificate{node.TLS(t)}})
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			expectClosed(t, conn)
		}, unknownReason},
	}
	want := make(map[string]uint64)
	var attempts sync.WaitGroup
	for _, test := range tests {
		want[test.reason]++
		attempts.Go(func() { test.intruder(t, s.config("node-a").address()) })
	}
	attempts.Wait()
	eventually(t, "all counted", func() error {
		got := s.nodes["node-a"].Status().Refusals
		for reason, n := range want {
			if got[reason] < n || got[reason] > n && reason != notForUs { // a peer may have come before Raft ran
				return fmt.Errorf("refusals %v, want %v", got, want)
			}
		}
		return nil
	})
	s.expectSameLeader(leader, term)
}

// revoke waits until a node refuses the certificate: keyrings look at their files in their own time.
func (s *secured) revoke(stolen *pkitest.Pair, by string) {
	s.t.Helper()
	leaf, err := x509.ParseCertificate(stolen.TLS(s.t).Certificate[0])
	if err != nil {
		s.t.Fatal(err)
	}
	s.revoked.Store(&[]string{stolen.Fingerprint(s.t)})
	eventually(s.t, "the certificate is refused", func() error {
		s.recheck()
		if _, _, err := s.rings[by].Peer(tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}); err == nil {
			return errors.New("it is not")
		}
		return nil
	})
}

// recheck makes all keyrings look at their files.
func (s *secured) recheck() {
	for _, ring := range s.rings {
		ring.Recheck()
	}
}

// expectSameLeader checks that leadership has not changed, and that the cluster still works.
func (s *secured) expectSameLeader(leader *process, term uint64) {
	s.t.Helper()
	s.apply("after")
	if now, nowTerm := s.leader(); now != leader || nowTerm != term {
		s.t.Errorf("%s leads in term %d, and %s led in term %d", now.cfg.Name, nowTerm, leader.cfg.Name, term)
	}
}

// TestACrowdKeepsNobodyOut: at each port a thousand connections that say nothing, and more of them all the time, from the very address that
// the nodes come from. A node that is started meanwhile is reached all the same.
func TestACrowdKeepsNobodyOut(t *testing.T) {
	// Not in parallel: it would take the CPU from tests with timers of 100 ms.
	const crowd = 1000
	s := newSecured(t, 3)
	s.start()
	leader, term := s.leader()
	s.apply("before")
	late := "node-a"
	if leader.cfg.Name == late {
		late = "node-b"
	}
	s.stop(late)
	ctx, cancel := context.WithCancel(t.Context())
	var loitering sync.WaitGroup
	for _, cfg := range s.configs {
		loitering.Go(func() { loiter(ctx, cfg.address(), crowd) })
	}
	expectCrowd := func() {
		for name := range s.nodes {
			eventually(t, "a crowd at "+name, func() error {
				if got := s.nodes[name].Status().Refusals[crowdedOut]; got < crowd-maxStrangers {
					return fmt.Errorf("%d were crowded out", got)
				}
				return nil
			})
		}
	}
	expectCrowd()
	s.start(late)
	expectCrowd()
	s.expectEverywhere("before")
	s.nodes[late].expectPhase(t, "running")
	s.expectSameLeader(leader, term)
	cancel()
	loitering.Wait()
	for name, p := range s.nodes {
		t.Logf("%s refused %v", name, p.Status().Refusals)
	}
}

// loiter opens connections, and then one more every now and then, and says nothing. It waits for a node that is not there.
func loiter(ctx context.Context, address string, count int) {
	var open []net.Conn
	defer func() {
		for _, conn := range open {
			_ = conn.Close()
		}
	}()
	for ctx.Err() == nil {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			open = append(open, conn)
		}
		if err == nil && len(open) < count {
			continue
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// TestOperatorsMayOnlyAsk who a node is.
func TestOperatorsMayOnlyAsk(t *testing.T) {
	t.Parallel()
	s := newSecured(t, 3, func(cfg *Config) { cfg.RPC = echo() })
	s.start()
	s.leader()
	certificate := s.ca.For(t, pki.Subject{Role: pki.Operator, Name: "jo", Cluster: "test"}).TLS(t)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.ca.Certificate())
	transport := &http.Transport{DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: "node-a.test.hacluster", Certificates: []tls.Certificate{certificate},
			NextProtos: []string{rpcProtocol}}}
		conn, err := dialer.DialContext(ctx, "tcp", s.config("node-a").address())
		if err == nil {
			_, err = io.WriteString(conn, "node-a\n")
		}
		return conn, err
	}}
	defer transport.CloseIdleConnections()
	for path, want := range map[string]int{identityPath: http.StatusOK, joinPath: http.StatusForbidden, "/echo": http.StatusForbidden} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://node-a"+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set(clusterHeader, "test")
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %d %s, want %d", path, response.StatusCode, text, want)
		}
	}
}
