package election

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/keyring"
	"github.com/hacluster/hacluster/internal/pki"
	"github.com/hacluster/hacluster/internal/pki/pkitest"
)

// TestARevokedNodeIsCutOff although its connections were open, and it comes back with a new certificate, without a restart of anything.
func TestARevokedNodeIsCutOff(t *testing.T) {
	t.Parallel()
	s := newSecured(t, 3)
	s.start()
	leader, _ := s.leader()
	lost := "node-c"
	if leader.cfg.Name == lost {
		lost = "node-b"
	}
	s.revoked.Store(&[]string{s.fingerprint(lost)})
	for name, ring := range s.rings {
		if name != lost {
			ring.Recheck()
		}
	}
	eventually(t, "connections cut", func() error {
		if leader.Status().Refusals[keyring.Revoked] == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	eventually(t, "nothing open with "+lost, func() error {
		for name, p := range s.nodes {
			if name != lost && slices.Contains(p.mux.openPeers(), lost) {
				return fmt.Errorf("%s has %v", name, p.mux.openPeers())
			}
		}
		return nil
	})
	eventually(t, "a command without "+lost, func() error {
		for name, p := range s.nodes {
			if term := p.Status().Term; name != lost && p.Leading(term) {
				_, _, err := p.Apply(t.Context(), term, []byte("without it"))
				return err
			}
		}
		return errors.New("nobody leads")
	})
	if got := s.nodes[lost].ledger.list(); slices.Contains(got, "without it") {
		t.Errorf("%s has %q", lost, got)
	}
	s.dirs[lost].Write(t, s.ca.Node(t, lost, "test"))
	s.recheck()
	eventually(t, lost+" has caught up", func() error {
		if got := s.nodes[lost].ledger.list(); !slices.Contains(got, "without it") {
			return fmt.Errorf("it has %q", got)
		}
		return nil
	})
}

func (s *secured) fingerprint(name string) string {
	s.t.Helper()
	data, err := os.ReadFile(s.dirs[name].Cert())
	if err != nil {
		s.t.Fatal(err)
	}
	return pkitest.Pair{Cert: data}.Fingerprint(s.t)
}

// openPeers are the names at the other ends.
func (m *mux) openPeers() []string {
	var names []string
	for _, s := range m.sessions() {
		names = append(names, s.peer)
	}
	return names
}

// TestARevocationDuringAHandshakeIsNotMissed: it comes when the peer was found good, and the connection is not yet among those that are cut.
func TestARevocationDuringAHandshakeIsNotMissed(t *testing.T) {
	t.Parallel()
	s := newSecured(t, 2)
	ours, theirs := s.config("node-a"), s.config("node-b")
	for name, handshakes := range map[string][2]func(*mux, *muxConn) error{
		"accepted": {accepts, dials("node-a")},
		"dialled":  {dials("node-b"), accepts},
	} {
		t.Run(name, func(t *testing.T) {
			judge := &revoking{Security: ours.Security}
			cfg := ours
			cfg.Security = judge
			here, there := newMux(cfg), newMux(theirs)
			judge.meanwhile = here.cutUnwelcome
			near, far := net.Pipe()
			conn, peer := here.own(near), there.own(far)
			done := make(chan error, 1)
			go func() { done <- handshakes[1](there, peer) }()
			err := handshakes[0](here, conn)
			var refused interface{ Reason() string }
			if !errors.As(err, &refused) || refused.Reason() != keyring.Revoked {
				t.Errorf("the handshake of a node that was revoked meanwhile: %v", err)
			}
			_, _ = conn.Close(), peer.Close()
			<-done
		})
	}
}

func accepts(m *mux, conn *muxConn) error {
	_, err := m.authenticate(context.Background(), conn)
	return err
}

func dials(name string) func(*mux, *muxConn) error {
	return func(m *mux, conn *muxConn) error { return m.secure(context.Background(), conn, rpcProtocol, name) }
}

// revoking finds every peer good once, and none when it has cut what was open.
type revoking struct {
	Security
	meanwhile func()
	revoked   bool
}

func (r *revoking) Client(ctx context.Context, conn net.Conn, node, protocol string) (*tls.Conn, error) {
	secured, err := r.Security.Client(ctx, conn, node, protocol)
	r.revoke()
	return secured, err
}

func (r *revoking) Peer(state tls.ConnectionState) (string, bool, error) {
	if r.revoked {
		return "", false, refusal{keyring.Revoked, errors.New("its certificate is revoked")}
	}
	name, isNode, err := r.Security.Peer(state)
	r.revoke()
	return name, isNode, err
}

func (r *revoking) revoke() {
	r.revoked = true
	r.meanwhile()
}

// TestAnAuthorityIsReplaced in three steps, and the cluster goes on: trust both, renew all, trust the new one only.
func TestAnAuthorityIsReplaced(t *testing.T) {
	t.Parallel()
	s := newSecured(t, 3)
	s.start()
	leader, _ := s.leader()
	next := pkitest.NewAuthority(t)
	renewed := make(map[string]string)
	step := func(what string, change func(name string, dir pkitest.Dir), done func(name string) bool) {
		for name, dir := range s.dirs {
			change(name, dir)
			s.rings[name].Recheck()
			eventually(t, what+": "+name, func() error {
				if !done(name) {
					return errors.New("not yet")
				}
				return nil
			})
		}
		s.apply(what)
		s.expectEverywhereLast(what)
	}
	trusts := func(name string, ca *pkitest.Authority) bool {
		_, _, err := s.rings[name].Peer(tls.ConnectionState{PeerCertificates: []*x509.Certificate{ca.Node(t, "node-a", "test").TLS(t).Leaf}})
		return err == nil
	}
	step("trust both", func(_ string, dir pkitest.Dir) { dir.Trust(t, s.ca, next) },
		func(name string) bool { return trusts(name, next) && trusts(name, s.ca) })
	step("renew", func(name string, dir pkitest.Dir) {
		pair := next.Node(t, name, "test")
		renewed[name] = pair.Fingerprint(t)
		dir.Write(t, pair)
	}, func(name string) bool { return shownBy(t, s.config(name).address()) == renewed[name] })
	if refused := leader.Status().Refusals[keyring.WrongAuthority]; refused != 0 {
		t.Errorf("%d refused on the way", refused)
	}
	step("trust the new one", func(_ string, dir pkitest.Dir) { dir.Trust(t, next) },
		func(name string) bool { return trusts(name, next) && !trusts(name, s.ca) })
	eventually(t, "connections of the old authority cut", func() error {
		if leader.Status().Refusals[keyring.WrongAuthority] == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	s.stop("node-c")
	s.start("node-c")
	s.nodes["node-c"].expectPhase(t, "running")
}

// shownBy is the fingerprint of the certificate that a node shows to anybody.
func shownBy(t *testing.T, address string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{rpcProtocol}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	return pki.Fingerprint(conn.ConnectionState().PeerCertificates[0])
}

func (c *cluster) expectEverywhereLast(want string) {
	c.t.Helper()
	for name, p := range c.nodes {
		eventually(c.t, "the ledger of "+name, func() error {
			if got := p.ledger.list(); len(got) == 0 || got[len(got)-1] != want {
				return fmt.Errorf("it has %q, want %q last", got, want)
			}
			return nil
		})
	}
}

// closing is a Security under which no more handshakes come about once it is closed.
type closing struct {
	Security
	closed *atomic.Bool
}

func (c closing) Client(ctx context.Context, conn net.Conn, node, protocol string) (*tls.Conn, error) {
	if c.closed.Load() {
		return nil, errors.New("no more handshakes")
	}
	return c.Security.Client(ctx, conn, node, protocol)
}

// TestAFailoverNeedsNoHandshake: followers have never spoken to each other when their leader dies, and still their connections are open.
func TestAFailoverNeedsNoHandshake(t *testing.T) {
	t.Parallel()
	var closed atomic.Bool
	s := newSecured(t, 3, func(cfg *Config) {
		cfg.Timing.Heartbeat, cfg.Timing.Election, cfg.Timing.Lease = 500*time.Millisecond, 500*time.Millisecond, 250*time.Millisecond
		cfg.Security = closing{cfg.Security, &closed}
	})
	s.start()
	leader, term := s.leader()
	var followers []*process
	for _, p := range s.nodes {
		if p != leader {
			followers = append(followers, p)
		}
	}
	eventually(t, "warm connections between the followers", func() error {
		for i, p := range followers {
			if other := followers[1-i]; !p.mux.spares.has(serverAddress(other.cfg.address(), other.self.serverID())) {
				return fmt.Errorf("%s has none with %s", p.cfg.Name, other.cfg.Name)
			}
		}
		return nil
	})
	closed.Store(true)
	s.stop(leader.cfg.Name)
	if _, now := s.leader(); now == term {
		t.Errorf("still term %d", now)
	}
}

// TestASpareOfAPeerThatRestartedIsNotUsed: it would cost a vote. This one is out of Raft's reach, which may take its own at any time.
func TestASpareOfAPeerThatRestartedIsNotUsed(t *testing.T) {
	t.Parallel()
	s := newSecured(t, 3)
	s.start()
	s.leader()
	a, b := s.nodes["node-a"], s.nodes["node-b"]
	target := serverAddress(b.cfg.address(), b.self.serverID())
	conn, err := a.mux.dial(t.Context(), b.cfg.address(), raftProtocol, string(b.self.serverID()))
	if err != nil {
		t.Fatal(err)
	}
	var own spares
	own.put(target, conn.(*muxConn))
	if !own.has(target) {
		t.Error("it is not good while the peer runs")
	}
	s.stop("node-b")
	eventually(t, "it is known to be dead", func() error {
		if own.has(target) {
			return errors.New("it would be handed out")
		}
		return nil
	})
	if own.take(target) != nil {
		t.Error("it is handed out")
	}
}

// TestAKnockIsNoHandshake: the kernel answers it, even if the agent does not run, and it is nothing to be counted.
func TestAKnockIsNoHandshake(t *testing.T) {
	t.Parallel()
	s := newSecured(t, 3)
	s.start("node-a")
	silent, err := net.Listen("tcp", s.config("node-b").address()) // a machine whose agent is stopped
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	a := s.nodes["node-a"]
	for _, peer := range []string{"node-a", "node-b"} {
		if err := a.Knock(t.Context(), peer); err != nil {
			t.Errorf("knock at %s: %v", peer, err)
		}
	}
	if err := a.Knock(t.Context(), "node-c"); err == nil {
		t.Error("somebody is at node-c")
	}
	if err := a.Call(t.Context(), "node-a", identityPath, nil, nil); err != nil { // by now the knock was heard
		t.Error(err)
	}
	if got := a.Status().Refusals; len(got) > 0 {
		t.Errorf("refusals %v", got)
	}
}

// TestMixedPortsSayWhatIsWrong: one node is configured for TLS, the other for plain TCP.
func TestMixedPortsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newSecured(t, 2)
	i := slices.IndexFunc(s.configs, func(cfg Config) bool { return cfg.Name == "node-b" })
	s.configs[i].Security = nil
	s.start()
	s.nodes["node-a"].expectPhase(t, "waiting for node-b", "TLS", "insecure")
	eventually(t, "counted", func() error {
		if n := s.nodes["node-a"].Status().Refusals[keyring.NoTLS]; n == 0 {
			return errors.New("not yet")
		}
		return nil
	})
}

// TestARefusedNodeIsTold why, in words, in its own status.
func TestARefusedNodeIsTold(t *testing.T) {
	t.Parallel()
	s := newSecured(t, 2)
	stranger := pkitest.NewAuthority(t)
	for i := range s.configs {
		if cfg := &s.configs[i]; cfg.Name == "node-a" {
			cfg.Security = s.ring(t, cfg, stranger, s.ca, stranger)
		}
	}
	s.start()
	s.nodes["node-a"].expectPhase(t, "node-b", "it refuses the certificate of this node")
	s.nodes["node-b"].expectPhase(t, "node-a", "no certificate authority that this node trusts", "tls.ca")
}

// TestRefusalsAreLoggedSeldom: for each reason at once, and then once a minute, with the number of those in between.
func TestRefusalsAreLoggedSeldom(t *testing.T) {
	r := newRefusals(nil)
	now := time.Now()
	for i, test := range []struct {
		why    string
		at     time.Duration
		unsaid uint64
		due    bool
	}{
		{"a", 0, 0, true},
		{"a", time.Second, 0, false},
		{"b", time.Second, 0, true},
		{"a", 59 * time.Second, 0, false},
		{"a", time.Minute, 2, true},
		{"a", 2 * time.Minute, 0, true},
	} {
		if unsaid, due := r.count(test.why, now.Add(test.at), time.Minute); unsaid != test.unsaid || due != test.due {
			t.Errorf("step %d: %d unsaid, due %v; want %d, %v", i, unsaid, due, test.unsaid, test.due)
		}
	}
	if r.total() != 6 || r.counts()["b"] != 1 {
		t.Errorf("counts %v", r.counts())
	}
}

// TestTheReasonArrives although the refused side has sent more than was read, so that its connection is reset.
func TestTheReasonArrives(t *testing.T) {
	t.Parallel()
	s := newSecured(t, 2)
	s.start("node-a")
	certificate := pkitest.NewAuthority(t).Node(t, "node-b", "test").TLS(t)
	for range 20 {
		conn, err := tls.Dial("tcp", s.config("node-a").address(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{raftProtocol},
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(make([]byte, 16<<10))
		_, err = conn.Read(make([]byte, 1))
		expectSentence(t, err, "unknown certificate authority")
		_ = conn.Close()
	}
}
