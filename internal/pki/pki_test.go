package pki_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/pki"
	"github.com/hacluster/hacluster/internal/pki/pkitest"
)

func parse(t *testing.T, data []byte) *x509.Certificate {
	t.Helper()
	certs, err := pki.ParseCertificates(data)
	if err != nil {
		t.Fatal(err)
	}
	return certs[0]
}

// TestWhomACertificateIsFor: exactly one name, of exactly two forms. A field that is empty in want means: refused, with that sentence.
func TestWhomACertificateIsFor(t *testing.T) {
	ca := pkitest.NewAuthority(t)
	names := func(names ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.DNSNames = names }
	}
	usages := func(usages ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = usages }
	}
	tests := []struct {
		name    string
		change  func(*x509.Certificate)
		want    pki.Subject
		refused string
	}{
		{name: "a node", change: names("lb-1.edge.hacluster"), want: pki.Subject{Role: pki.Node, Name: "lb-1", Cluster: "edge"}},
		{name: "an operator", change: func(c *x509.Certificate) {
			c.DNSNames, c.ExtKeyUsage = []string{"jo.client.edge.hacluster"}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}, want: pki.Subject{Role: pki.Operator, Name: "jo", Cluster: "edge"}},
		{name: "two names", change: names("lb-1.edge.hacluster", "lb-2.edge.hacluster"), refused: "2 DNS names"},
		{name: "the same name twice", change: names("lb-1.edge.hacluster", "lb-1.edge.hacluster"), refused: "2 DNS names"},
		{name: "only a common name", change: func(c *x509.Certificate) {
			c.DNSNames, c.Subject = nil, pkix.Name{CommonName: "lb-1.edge.hacluster"}
		}, refused: "0 DNS names"},
		{name: "an IP address beside it", change: func(c *x509.Certificate) { c.IPAddresses = []net.IP{{10, 0, 0, 1}} }, refused: "1 other names"},
		{name: "a mail address beside it", change: func(c *x509.Certificate) { c.EmailAddresses = []string{"jo@example.com"} }, refused: "1 other names"},
		{name: "a URI beside it", change: func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "spiffe", Host: "edge"}} }, refused: "1 other names"},
		{name: "a wildcard", change: names("*.edge.hacluster"), refused: "is neither NODE.CLUSTER.hacluster"},
		{name: "upper case", change: names("LB-1.edge.hacluster"), refused: "is neither"},
		{name: "a dot at the end", change: names("lb-1.edge.hacluster."), refused: "is neither"},
		{name: "no cluster", change: names("lb-1.hacluster"), refused: "is neither"},
		{name: "an empty node", change: names(".edge.hacluster"), refused: "is neither"},
		{name: "another domain", change: names("lb-1.edge.example"), refused: "is neither"},
		{name: "five labels", change: names("x.lb-1.client.edge.hacluster"), refused: "is neither"},
		{name: "four labels, not of an operator", change: names("x.lb-1.edge.hacluster"), refused: "is neither"},
		{name: "an operator that may serve", change: names("jo.client.edge.hacluster"), refused: "does not fit its name"},
		{name: "a node that may only call", change: usages(x509.ExtKeyUsageClientAuth), refused: "does not fit its name"},
		{name: "a node that may only serve", change: usages(x509.ExtKeyUsageServerAuth), refused: "does not fit its name"},
		{name: "a node for any purpose", change: usages(x509.ExtKeyUsageAny), refused: "does not fit its name"},
		{name: "an authority", change: func(c *x509.Certificate) { c.IsCA = true }, refused: "certificate authority"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pki.SubjectOf(parse(t, ca.Forge(t, "lb-1", "edge", tt.change).Cert))
			switch {
			case tt.refused == "" && (err != nil || got != tt.want):
				t.Errorf("%+v, %v; want %+v", got, err, tt.want)
			case tt.refused != "" && (err == nil || !strings.Contains(err.Error(), tt.refused)):
				t.Errorf("%+v, %v; want it refused: %s", got, err, tt.refused)
			}
		})
	}
}

// TestIssued: what hacluster tls makes is what SubjectOf reads, is valid since an hour ago, and ends with its authority at the latest.
func TestIssued(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	ca, err := pki.NewAuthority("edge", now)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Certificate())
	for _, s := range []pki.Subject{{Role: pki.Node, Name: "lb-1", Cluster: "edge"}, {Role: pki.Operator, Name: "jo", Cluster: "edge"}} {
		for life, until := range map[time.Duration]time.Time{
			24 * time.Hour:             now.Add(24 * time.Hour),
			200 * 365 * 24 * time.Hour: parse(t, ca.Certificate()).NotAfter,
		} {
			certPEM, keyPEM, err := ca.Issue(s, now, life)
			if err != nil {
				t.Fatal(err)
			}
			cert := parse(t, certPEM)
			if got, err := pki.SubjectOf(cert); err != nil || got != s {
				t.Errorf("it is for %v, %v; want %v", got, err, s)
			}
			if !cert.NotBefore.Equal(now.Add(-time.Hour)) || !cert.NotAfter.Equal(until) {
				t.Errorf("valid from %v to %v, want from an hour ago to %v", cert.NotBefore, cert.NotAfter, until)
			}
			if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
				t.Error(err)
			}
			if !pki.HoldsKey(keyPEM) || pki.HoldsKey(certPEM) || bytes.Contains(certPEM, []byte("PRIVATE")) {
				t.Error("key and certificate are mixed up")
			}
		}
	}
}

// TestAnAuthorityOfOneCluster is worth nothing for another, even where somebody trusts it.
func TestAnAuthorityOfOneCluster(t *testing.T) {
	ca, err := pki.NewAuthority("edge", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if ca.Cluster() != "edge" {
		t.Errorf("it is for %q", ca.Cluster())
	}
	if _, _, err := ca.Issue(pki.Subject{Role: pki.Node, Name: "lb-1", Cluster: "other"}, time.Now(), time.Hour); err == nil {
		t.Error("it made a certificate for another cluster")
	}
	if constraint := parse(t, ca.Certificate()); !constraint.PermittedDNSDomainsCritical || constraint.PermittedDNSDomains[0] != "edge.hacluster" {
		t.Errorf("it is limited to %v", constraint.PermittedDNSDomains)
	}
	if open := pkitest.NewAuthority(t); open.Cluster() != "" {
		t.Errorf("an authority for all is for %q", open.Cluster())
	}
}

func TestWhatIsNotIssued(t *testing.T) {
	ca := pkitest.NewAuthority(t)
	ended := time.Now().AddDate(20, 0, 0)
	for name, test := range map[string]struct {
		subject pki.Subject
		now     time.Time
		want    string
	}{
		"a name with a dot":        {pki.Subject{Role: pki.Node, Name: "lb.1", Cluster: "edge"}, time.Now(), `node name "lb.1"`},
		"a wildcard":               {pki.Subject{Role: pki.Node, Name: "*", Cluster: "edge"}, time.Now(), `node name "*"`},
		"no name":                  {pki.Subject{Role: pki.Operator, Cluster: "edge"}, time.Now(), `operator name ""`},
		"a cluster with a dash":    {pki.Subject{Role: pki.Node, Name: "lb-1", Cluster: "edge-"}, time.Now(), `cluster name "edge-"`},
		"an authority that is old": {pki.Subject{Role: pki.Node, Name: "lb-1", Cluster: "edge"}, ended, "has expired"},
	} {
		if _, _, err := ca.Issue(test.subject, test.now, time.Hour); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
	if _, err := pki.NewAuthority("Edge One", time.Now()); err == nil {
		t.Error("an authority of a cluster that can be in no DNS name")
	}
}

func TestParseAuthority(t *testing.T) {
	a, b := pkitest.NewAuthority(t), pkitest.NewAuthority(t)
	aKey, err := a.Key()
	if err != nil {
		t.Fatal(err)
	}
	bKey, err := b.Key()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := pki.ParseAuthority(a.Certificate(), aKey); err != nil || !bytes.Equal(again.Certificate(), a.Certificate()) {
		t.Errorf("read again: %v", err)
	}
	node := a.Node(t, "lb-1", "edge")
	for name, test := range map[string]struct {
		cert, key []byte
		want      string
	}{
		"the key of another authority": {a.Certificate(), bKey, "not that of the certificate"},
		"a node":                       {node.Cert, node.Key, "not that of a certificate authority"},
		"no certificate":               {aKey, aKey, "no certificate"},
		"no key":                       {a.Certificate(), a.Certificate(), "no private key"},
		"garbage":                      {[]byte("x"), []byte("x"), "no certificate"},
		"a damaged key":                {a.Certificate(), []byte("-----BEGIN PRIVATE KEY-----\neA==\n-----END PRIVATE KEY-----\n"), "parse private key"},
	} {
		if _, err := pki.ParseAuthority(test.cert, test.key); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}
