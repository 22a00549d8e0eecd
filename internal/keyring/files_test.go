package keyring

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/hacluster/hacluster/internal/pki"
	"github.com/hacluster/hacluster/internal/pki/pkitest"
)

// TestWhatIsWrongWithTheFilesIsSaid: at the start, with the remedy.
func TestWhatIsWrongWithTheFilesIsSaid(t *testing.T) {
	ca, other := pkitest.NewAuthority(t), pkitest.NewAuthority(t)
	good := ca.Node(t, "lb-1", cluster)
	authorityKey, err := ca.Key()
	if err != nil {
		t.Fatal(err)
	}
	forge := func(change func(*x509.Certificate)) func(*testing.T, pkitest.Dir) {
		return func(t *testing.T, d pkitest.Dir) { d.Write(t, ca.Forge(t, "lb-1", cluster, change)) }
	}
	tests := []struct {
		name    string
		arrange func(*testing.T, pkitest.Dir)
		want    []string
	}{
		{"no key", func(_ *testing.T, d pkitest.Dir) { _ = os.Remove(d.Key()) }, []string{"node.key", "docs/TLS.md"}},
		{"a key that the group may read", func(_ *testing.T, d pkitest.Dir) { _ = os.Chmod(d.Key(), 0o640) }, []string{"node.key", "0640", "chmod 0600"}},
		{"a key that everybody may read", func(_ *testing.T, d pkitest.Dir) { _ = os.Chmod(d.Key(), 0o604) }, []string{"node.key", "0604", "chmod 0600"}},
		{"the key of another certificate", func(t *testing.T, d pkitest.Dir) { pkitest.Replace(t, d.Key(), ca.Node(t, "lb-1", cluster).Key) },
			[]string{"node.crt", "node.key", "belongs together"}},
		{"the certificate of another node", func(t *testing.T, d pkitest.Dir) { d.Write(t, ca.Node(t, "lb-2", cluster)) },
			[]string{"it is for node lb-2 of cluster edge", "this is node lb-1", "tls cert create --node lb-1"}},
		{"the certificate of another cluster", func(t *testing.T, d pkitest.Dir) { d.Write(t, ca.Node(t, "lb-1", "other")) },
			[]string{"node lb-1 of cluster other", "this is cluster edge"}},
		{"that of an operator", func(t *testing.T, d pkitest.Dir) {
			d.Write(t, ca.For(t, pki.Subject{Role: pki.Operator, Name: "lb-1", Cluster: cluster}))
		}, []string{"operator lb-1", "this is node lb-1"}},
		{"another authority", func(t *testing.T, d pkitest.Dir) { d.Trust(t, other) },
			[]string{"node.crt", "no certificate authority", "tls cert create"}},
		{"expired", forge(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
			[]string{"node.crt", "expired on", "tls cert create --node lb-1"}},
		{"not valid yet", forge(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }), []string{"valid from", "set the clocks"}},
		{"no authority", func(t *testing.T, d pkitest.Dir) { pkitest.Replace(t, d.CA(), nil) }, []string{"ca.crt", "no certificate in it"}},
		{"a node in place of the authority", func(t *testing.T, d pkitest.Dir) { pkitest.Replace(t, d.CA(), good.Cert) },
			[]string{"ca.crt", "not that of a certificate authority"}},
		{"the authority's key on a node", func(t *testing.T, d pkitest.Dir) {
			pkitest.Replace(t, d.CA(), append(ca.Certificate(), authorityKey...))
		}, []string{"ca.crt", "private key", "away from the nodes"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, cfg := files(t, good, ca)
			tt.arrange(t, dir)
			_, err := Open(cfg)
			if err == nil {
				t.Fatal("opened")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%v: does not say %q", err, w)
				}
			}
			if strings.Contains(err.Error(), "BEGIN") {
				t.Errorf("a file is quoted: %v", err)
			}
		})
	}
	t.Run("revoked", func(t *testing.T) {
		_, cfg := files(t, good, ca)
		cfg.Revoked = func() ([]string, error) { return []string{good.Fingerprint(t)}, nil }
		if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), "revoked") {
			t.Error(err)
		}
	})
}

// running is a keyring whose Run goes on, with its log.
func running(t *testing.T, cfg Config) (*Keyring, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	cfg.Logger = zap.New(core)
	k := open(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return k, logs
}

// TestARenewedPairIsTaken without a restart; half of it is not, and the old one is used meanwhile.
func TestARenewedPairIsTaken(t *testing.T) {
	ca := pkitest.NewAuthority(t)
	old, renewed := ca.Node(t, "lb-1", cluster), ca.Node(t, "lb-1", cluster)
	dir, cfg := files(t, old, ca)
	k, logs := running(t, cfg)

	pkitest.Replace(t, dir.Key(), renewed.Key)
	k.Recheck()
	await(t, "a complaint about the half", func() bool { return logs.FilterMessageSnippet("cannot be used").Len() == 1 })
	if got := k.current.Load().fingerprint; got != old.Fingerprint(t) {
		t.Errorf("with half a pair it shows %s", got)
	}
	pkitest.Replace(t, dir.Cert(), renewed.Cert)
	k.Recheck()
	<-k.Changed()
	if got := k.current.Load().fingerprint; got != renewed.Fingerprint(t) {
		t.Errorf("it still shows %s", got)
	}
	for _, entry := range logs.All() {
		for _, field := range entry.ContextMap() {
			if text, ok := field.(string); ok && strings.Contains(text, "PRIVATE") {
				t.Errorf("a key is in the log: %s", text)
			}
		}
	}
}

// TestAFailedHandshakeLooksAtTheFiles: what helps may be there already.
func TestAFailedHandshakeLooksAtTheFiles(t *testing.T) {
	ca, next := pkitest.NewAuthority(t), pkitest.NewAuthority(t)
	dir, cfg := files(t, ca.Node(t, "lb-1", cluster), ca)
	k, _ := running(t, cfg)
	dir.Trust(t, ca, pkitest.NewAuthority(t))
	k.Recheck()
	<-k.Changed() // so the next look would be in a minute
	dir.Trust(t, ca, next)
	pair := next.Node(t, "lb-2", cluster).TLS(t)
	client := &tls.Config{NextProtos: []string{protocol}, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }}
	if err, _ := meet(t, k.serve(t), raw(client)); why(err) != WrongAuthority {
		t.Fatalf("%v (%s), want %s", err, why(err), WrongAuthority)
	}
	select {
	case <-k.Changed():
	case <-time.After(10 * time.Second):
		t.Fatal("it has not looked at the files within 10 s")
	}
	if err, _ := meet(t, k.serve(t), raw(client)); err != nil {
		t.Errorf("the second authority is not trusted: %v", err)
	}
}

// TestPeerIsJudgedAnew by the files of now: revoked since, its authority gone, its time over.
func TestPeerIsJudgedAnew(t *testing.T) {
	ca, next := pkitest.NewAuthority(t), pkitest.NewAuthority(t)
	peer := ca.Node(t, "lb-2", cluster)
	certs, err := pki.ParseCertificates(peer.Cert)
	if err != nil {
		t.Fatal(err)
	}
	state := tls.ConnectionState{PeerCertificates: certs}
	var revoked atomic.Pointer[[]string]
	revoked.Store(&[]string{})
	dir, cfg := files(t, next.Node(t, "lb-1", cluster), ca, next)
	cfg.Revoked = func() ([]string, error) { return *revoked.Load(), nil }
	k, _ := running(t, cfg)
	if name, isNode, err := k.Peer(state); name != "lb-2" || !isNode || err != nil {
		t.Fatalf("%q, %v, %v", name, isNode, err)
	}
	revoked.Store(&[]string{peer.Fingerprint(t)})
	k.Recheck()
	<-k.Changed()
	if _, _, err := k.Peer(state); why(err) != Revoked {
		t.Errorf("revoked: %v", err)
	}
	revoked.Store(&[]string{})
	dir.Trust(t, next)
	k.Recheck()
	<-k.Changed()
	if _, _, err := k.Peer(state); why(err) != WrongAuthority {
		t.Errorf("the authority is gone: %v", err)
	}
	short := next.Forge(t, "lb-2", cluster, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(2 * time.Second) })
	if certs, err = pki.ParseCertificates(short.Cert); err != nil {
		t.Fatal(err)
	}
	await(t, "the end of its certificate", func() bool {
		_, _, err := k.Peer(tls.ConnectionState{PeerCertificates: certs})
		return why(err) == Expired
	})
	if _, _, err := k.Peer(tls.ConnectionState{}); why(err) != NoCertificate {
		t.Errorf("no certificate: %v", err)
	}
}

// TestARevocationNeedsNoFilesOfOnesOwn: what is refused must not depend on whether this node's own pair could be used anew: it may be
// revoked itself, as after a theft from several nodes, or half replaced, or readable by others.
func TestARevocationNeedsNoFilesOfOnesOwn(t *testing.T) {
	ca := pkitest.NewAuthority(t)
	own, peer := ca.Node(t, "lb-1", cluster), ca.Node(t, "lb-2", cluster)
	certs, err := pki.ParseCertificates(peer.Cert)
	if err != nil {
		t.Fatal(err)
	}
	state := tls.ConnectionState{PeerCertificates: certs}
	for name, test := range map[string]struct {
		also  []string
		spoil func(*testing.T, pkitest.Dir)
	}{
		"it is revoked too":          {also: []string{own.Fingerprint(t)}},
		"half replaced":              {spoil: func(t *testing.T, d pkitest.Dir) { pkitest.Replace(t, d.Key(), ca.Node(t, "lb-1", cluster).Key) }},
		"a key that others may read": {spoil: func(_ *testing.T, d pkitest.Dir) { _ = os.Chmod(d.Key(), 0o640) }},
	} {
		t.Run(name, func(t *testing.T) {
			dir, cfg := files(t, own, ca)
			var revoked atomic.Pointer[[]string]
			revoked.Store(&[]string{})
			cfg.Revoked = func() ([]string, error) { return *revoked.Load(), nil }
			k := open(t, cfg)
			if test.spoil != nil {
				test.spoil(t, dir)
			}
			revoked.Store(new(append(test.also, peer.Fingerprint(t))))
			if err := k.look(time.Now()); err == nil {
				t.Error("the files can be used")
			}
			if _, _, err := k.Peer(state); why(err) != Revoked {
				t.Errorf("a revoked peer: %v", err)
			}
			select {
			case <-k.Changed():
			default:
				t.Error("nobody is told, so its connections stay open")
			}
			if got := k.current.Load().fingerprint; got != own.Fingerprint(t) {
				t.Errorf("it shows %s", got)
			}
		})
	}
}

// TestExpiryIsWarnedOf 30 days, 7 days and one day before, and each day in between.
func TestExpiryIsWarnedOf(t *testing.T) {
	ca := pkitest.NewAuthority(t)
	_, cfg := files(t, ca.Node(t, "lb-1", cluster), ca)
	core, logs := observer.New(zap.WarnLevel)
	cfg.Logger = zap.New(core)
	k := open(t, cfg)
	end := k.Expiry().NotAfter
	if got := time.Until(end).Round(time.Hour); got != pkitest.Life || k.Expiry().Certificate != "node lb-1 of cluster edge" {
		t.Errorf("%+v, in %v", k.Expiry(), got)
	}
	var got []string
	var last warning
	const day = 24 * time.Hour
	for left := 32 * day; left > -3*day; left -= 6 * time.Hour {
		last = k.warn(last, end.Add(-left))
		for _, entry := range logs.TakeAll() {
			got = append(got, entry.Level.String()+" "+entry.Message)
			if remedy, _ := entry.ContextMap()["remedy"].(string); !strings.Contains(remedy, "hacluster tls cert create --node lb-1") {
				t.Errorf("no remedy: %v", entry.ContextMap())
			}
		}
	}
	text := strings.Join(got, "\n")
	for _, want := range []string{"warn the certificate expires in 30 days\n", "warn the certificate expires in 8 days\nerror the certificate expires in 7 days\n",
		"error the certificate expires in 1 day\nerror the certificate has expired"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if len(got) != 30+3 {
		t.Errorf("%d lines, want one each day from 30 days before to 3 days after:\n%s", len(got), text)
	}
}

// TestTheAuthorityMayEndFirst: then it is what is warned of.
func TestTheAuthorityMayEndFirst(t *testing.T) {
	ca := pkitest.NewAuthority(t)
	dir, cfg := files(t, ca.Forge(t, "lb-1", cluster, func(c *x509.Certificate) { c.NotAfter = time.Now().AddDate(30, 0, 0) }), ca)
	k := open(t, cfg)
	if e := k.Expiry(); !strings.Contains(e.Certificate, "certificate authority") || time.Until(e.NotAfter) > 11*365*24*time.Hour {
		t.Errorf("%+v of %s", e, dir)
	}
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}
