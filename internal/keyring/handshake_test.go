package keyring

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hacluster/hacluster/internal/pki"
	"github.com/hacluster/hacluster/internal/pki/pkitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	cluster  = "edge"
	protocol = "speech/1"
)

// files are those of a node in a directory of its own.
func files(t *testing.T, pair pkitest.Pair, trusted ...*pkitest.Authority) (pkitest.Dir, Config) {
	t.Helper()
	dir := pkitest.Dir(t.TempDir())
	dir.Trust(t, trusted...)
	dir.Write(t, pair)
	return dir, Config{Cluster: cluster, Node: "lb-1", CA: dir.CA(), Cert: dir.Cert(), Key: dir.Key()}
}

func open(t *testing.T, cfg Config) *Keyring {
	t.Helper()
	k, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// ringOf is a node that trusts the authority and has its certificate.
func ringOf(t *testing.T, ca *pkitest.Authority, name string) *Keyring {
	t.Helper()
	_, cfg := files(t, ca.Node(t, name, cluster), ca)
	cfg.Node = name
	return open(t, cfg)
}

// meet lets a client and a server shake hands over loopback TCP. Each connection is closed in the end, with its other side.
func meet(t *testing.T, server func(net.Conn) error, client func(net.Conn) error) (atServer, atClient error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	done := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			err = server(conn)
			_ = conn.Close()
		}
		done <- err
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	atClient = client(conn)
	return <-done, atClient
}

func (k *Keyring) serve(t *testing.T) func(net.Conn) error {
	return func(conn net.Conn) error {
		_, err := k.Server(t.Context(), conn, protocol)
		return err
	}
}

// raw is a client of no keyring. It reads once, since TLS 1.3 tells a client of its refusal only then.
func raw(config *tls.Config) func(net.Conn) error {
	config.InsecureSkipVerify = true // it is the intruder
	return func(conn net.Conn) error {
		c := tls.Client(conn, config)
		if err := c.Handshake(); err != nil {
			return err
		}
		_, err := c.Read(make([]byte, 1))
		return err
	}
}

func why(err error) string {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Why
	}
	return ""
}

func TestTwoNodesMeet(t *testing.T) {
	ca := pkitest.NewAuthority(t)
	a, b := ringOf(t, ca, "lb-1"), ringOf(t, ca, "lb-2")
	var atServer, atClient tls.ConnectionState
	err, clientErr := meet(t, func(conn net.Conn) error {
		secured, err := b.Server(t.Context(), conn, "other/1", protocol)
		if err == nil {
			atServer = secured.ConnectionState()
			_, err = secured.Write([]byte("x"))
		}
		return err
	}, func(conn net.Conn) error {
		secured, err := a.Client(t.Context(), conn, "lb-2", protocol)
		if err == nil {
			atClient = secured.ConnectionState()
			_, err = secured.Read(make([]byte, 1))
		}
		return err
	})
	if err != nil || clientErr != nil {
		t.Fatalf("server: %v, client: %v", err, clientErr)
	}
	if name, isNode, err := b.Peer(atServer); name != "lb-1" || !isNode || err != nil {
		t.Errorf("the server met %q, a node: %v, %v", name, isNode, err)
	}
	if name, isNode, err := a.Peer(atClient); name != "lb-2" || !isNode || err != nil {
		t.Errorf("the client met %q, a node: %v, %v", name, isNode, err)
	}
	if atServer.Version != tls.VersionTLS13 || atServer.NegotiatedProtocol != protocol || atServer.DidResume {
		t.Errorf("%+v", atServer)
	}
}

// TestClientRefusesWhoAnswers: a node goes on only with the node that it dialled.
func TestClientRefusesWhoAnswers(t *testing.T) {
	ca, stranger := pkitest.NewAuthority(t), pkitest.NewAuthority(t)
	forge := func(change func(*x509.Certificate)) pkitest.Pair { return ca.Forge(t, "lb-2", cluster, change) }
	revoked := ca.Node(t, "lb-2", cluster)
	tests := []struct {
		name string
		pair pkitest.Pair
		want string // the reason; empty: it is accepted
	}{
		{"the node", ca.Node(t, "lb-2", cluster), ""},
		{"the node, signed by somebody else", stranger.Node(t, "lb-2", cluster), WrongAuthority},
		{"another node", ca.Node(t, "lb-3", cluster), OtherNode},
		{"the node of that name in another cluster", ca.Node(t, "lb-2", "other"), OtherNode},
		{"an operator of that name", ca.For(t, pki.Subject{Role: pki.Operator, Name: "lb-2", Cluster: cluster}), OtherNode},
		{"expired", forge(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) }), Expired},
		{"not valid yet", forge(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }), NotYetValid},
		{"one name too many", forge(func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "lb-3.edge.hacluster") }), WrongName},
		{"an address beside the name", forge(func(c *x509.Certificate) { c.IPAddresses = []net.IP{{127, 0, 0, 1}} }), WrongName},
		{"a wildcard", forge(func(c *x509.Certificate) { c.DNSNames = []string{"*.edge.hacluster"} }), WrongName},
		{"only a common name", forge(func(c *x509.Certificate) { c.Subject.CommonName, c.DNSNames = c.DNSNames[0], nil }), OtherNode},
		{"one that may not serve", forge(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), WrongName},
		{"one that may not call", forge(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), WrongName},
		{"revoked", revoked, Revoked},
	}
	_, cfg := files(t, ca.Node(t, "lb-1", cluster), ca)
	cfg.Revoked = func() ([]string, error) { return []string{revoked.Fingerprint(t)}, nil }
	k := open(t, cfg)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := meet(t, func(conn net.Conn) error {
				return tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{tt.pair.TLS(t)}, NextProtos: []string{protocol},
					ClientAuth: tls.RequestClientCert}).Handshake()
			}, func(conn net.Conn) error {
				_, err := k.Client(t.Context(), conn, "lb-2", protocol)
				return err
			})
			if why(err) != tt.want || (err != nil) != (tt.want != "") {
				t.Errorf("%v (%s), want %q", err, why(err), tt.want)
			}
			t.Log(err)
		})
	}
	t.Run("a server of TLS 1.2", func(t *testing.T) {
		_, err := meet(t, func(conn net.Conn) error {
			return tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{tests[0].pair.TLS(t)}, NextProtos: []string{protocol},
				MaxVersion: tls.VersionTLS12}).Handshake()
		}, func(conn net.Conn) error {
			_, err := k.Client(t.Context(), conn, "lb-2", protocol)
			return err
		})
		if err == nil {
			t.Error("accepted")
		}
	})
	t.Run("a server that knows no such protocol", func(t *testing.T) {
		_, err := meet(t, func(conn net.Conn) error {
			return tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{tests[0].pair.TLS(t)}, ClientAuth: tls.RequestClientCert}).Handshake()
		}, func(conn net.Conn) error {
			_, err := k.Client(t.Context(), conn, "lb-2", protocol)
			return err
		})
		if why(err) != WrongProtocol {
			t.Errorf("%v (%s), want %s", err, why(err), WrongProtocol)
		}
	})
}

// TestServerRefusesWhoCalls. What an accepted peer may then do is decided elsewhere.
func TestServerRefusesWhoCalls(t *testing.T) {
	ca, stranger := pkitest.NewAuthority(t), pkitest.NewAuthority(t)
	k := ringOf(t, ca, "lb-1")
	with := func(p pkitest.Pair) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{p.TLS(t)}, NextProtos: []string{protocol}}
	}
	tests := []struct {
		name   string
		config *tls.Config
		want   string
	}{
		{"no certificate", &tls.Config{NextProtos: []string{protocol}}, NoCertificate},
		{"another authority", &tls.Config{NextProtos: []string{protocol}, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair := stranger.Node(t, "lb-2", cluster).TLS(t)
			return &pair, nil
		}}, WrongAuthority},
		{"another cluster of the same authority", with(ca.Node(t, "lb-2", "other")), OtherCluster},
		{"several names", with(ca.Forge(t, "lb-2", cluster, func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "x.edge.hacluster") })), WrongName},
		{"TLS 1.2", func() *tls.Config {
			c := with(ca.Node(t, "lb-2", cluster))
			c.MaxVersion = tls.VersionTLS12
			return c
		}(), OldTLS},
		{"no protocol", &tls.Config{Certificates: with(ca.Node(t, "lb-2", cluster)).Certificates}, WrongProtocol},
		{"another protocol", &tls.Config{Certificates: with(ca.Node(t, "lb-2", cluster)).Certificates, NextProtos: []string{"h2"}}, WrongProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err, atClient := meet(t, k.serve(t), raw(tt.config))
			if why(err) != tt.want {
				t.Errorf("%v (%s), want %q", err, why(err), tt.want)
			}
			if atClient == nil {
				t.Error("the client was not told")
			}
		})
	}
	t.Run("plain TCP", func(t *testing.T) {
		err, _ := meet(t, k.serve(t), func(conn net.Conn) error {
			_, err := conn.Write([]byte("hacluster-raft/1 lb-1\n"))
			_, _ = conn.Read(make([]byte, 1))
			return err
		})
		if why(err) != NoTLS {
			t.Errorf("%v (%s), want %s", err, why(err), NoTLS)
		}
	})
	t.Run("a client that is in no hurry", func(t *testing.T) {
		err, _ := meet(t, func(conn net.Conn) error {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			_, err := k.Server(ctx, conn, protocol)
			return err
		}, func(conn net.Conn) error {
			_, err := conn.Read(make([]byte, 1))
			return err
		})
		if why(err) != Slow {
			t.Errorf("%v (%s), want %s", err, why(err), Slow)
		}
	})
}
