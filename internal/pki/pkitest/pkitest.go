// Package pkitest makes certificates for tests: right ones, and wrong ones that no tool of ours would make.
package pkitest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/pki"
)

// Life is how long the certificates are valid that say nothing else.
const Life = 90 * 24 * time.Hour

// Authority is a certificate authority that signs anything.
type Authority struct {
	*pki.Authority
	cert *x509.Certificate
	key  crypto.PrivateKey
}

// Pair is a certificate with its private key, both as PEM.
type Pair struct{ Cert, Key []byte }

// NewAuthority makes an authority for all clusters.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	authority, err := pki.NewAuthority("", time.Now())
	must(t, err)
	keyPEM, err := authority.Key()
	must(t, err)
	certs, err := pki.ParseCertificates(authority.Certificate())
	must(t, err)
	block, _ := pem.Decode(keyPEM)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	must(t, err)
	return &Authority{Authority: authority, cert: certs[0], key: key}
}

// Node makes the certificate of a node.
func (a *Authority) Node(t testing.TB, name, cluster string) Pair {
	t.Helper()
	return a.For(t, pki.Subject{Role: pki.Node, Name: name, Cluster: cluster})
}

// For makes a certificate as hacluster tls does.
func (a *Authority) For(t testing.TB, s pki.Subject) Pair {
	t.Helper()
	cert, key, err := a.Issue(s, time.Now(), Life)
	must(t, err)
	return Pair{cert, key}
}

// Forge makes the certificate of a node, changed before it is signed.
func (a *Authority) Forge(t testing.TB, name, cluster string, change func(*x509.Certificate)) Pair {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(Life),
		DNSNames:              []string{pki.Subject{Role: pki.Node, Name: name, Cluster: cluster}.DNSName()},
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	change(template)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	must(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return Pair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
}

// TLS is the pair for crypto/tls.
func (p Pair) TLS(t testing.TB) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(p.Cert, p.Key)
	must(t, err)
	return pair
}

// Fingerprint is that of the certificate.
func (p Pair) Fingerprint(t testing.TB) string {
	t.Helper()
	certs, err := pki.ParseCertificates(p.Cert)
	must(t, err)
	return pki.Fingerprint(certs[0])
}

// Dir is a directory with the files of a node.
type Dir string

// CA, Cert and Key are the paths of its files.
func (d Dir) CA() string   { return filepath.Join(string(d), "ca.crt") }
func (d Dir) Cert() string { return filepath.Join(string(d), "node.crt") }
func (d Dir) Key() string  { return filepath.Join(string(d), "node.key") }

// Write puts the pair into the directory.
func (d Dir) Write(t testing.TB, p Pair) {
	t.Helper()
	Replace(t, d.Key(), p.Key)
	Replace(t, d.Cert(), p.Cert)
}

// Trust makes the authorities those that the directory's owner trusts.
func (d Dir) Trust(t testing.TB, authorities ...*Authority) {
	t.Helper()
	var bundle []byte
	for _, a := range authorities {
		bundle = append(bundle, a.Certificate()...)
	}
	Replace(t, d.CA(), bundle)
}

// Replace writes a file of mode 0600 in one step, as an operator should.
func Replace(t testing.TB, path string, data []byte) {
	t.Helper()
	must(t, os.WriteFile(path+".new", data, 0o600))
	must(t, os.Rename(path+".new", path))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
