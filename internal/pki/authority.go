package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// slack is how far the clock of a node may be behind that of the machine where a certificate was made.
	slack = time.Hour
	// authorityLife is how long a certificate authority is valid: ten years.
	authorityLife = 10 * 365 * 24 * time.Hour
)

// Authority is a certificate authority with its private key. Nodes need only its certificate.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// NewAuthority makes a certificate authority that is valid for ten years from now on. With a cluster, its signature is good for names of
// that cluster only, wherever it is trusted (RFC 5280 section 4.2.1.10); with "", for any hacluster.
func NewAuthority(cluster string, now time.Time) (*Authority, error) {
	permitted := domain
	name := pkix.Name{Organization: []string{domain}, CommonName: "CA of " + now.UTC().Format(time.DateTime)}
	if cluster != "" {
		if err := validateLabel("cluster", cluster); err != nil {
			return nil, err
		}
		permitted = cluster + "." + domain
		name.OrganizationalUnit = []string{cluster}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	cert, err := sign(&x509.Certificate{
		Subject: name, NotBefore: now.Add(-slack), NotAfter: now.Add(authorityLife),
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: []string{permitted},
	}, nil, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &Authority{cert: cert, key: key}, nil
}

// ParseAuthority reads what [Authority.Certificate] and [Authority.Key] return.
func ParseAuthority(certPEM, keyPEM []byte) (*Authority, error) {
	certs, err := ParseCertificates(certPEM)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, err
	}
	cert := certs[0]
	if !cert.IsCA {
		return nil, errors.New("the certificate is not that of a certificate authority")
	}
	if public, ok := key.Public().(*ecdsa.PublicKey); !ok || !public.Equal(cert.PublicKey) {
		return nil, errors.New("the private key is not that of the certificate")
	}
	return &Authority{cert: cert, key: key}, nil
}

// Cluster is the cluster that the authority is limited to, "" if it is not.
func (a *Authority) Cluster() string {
	if len(a.cert.PermittedDNSDomains) != 1 {
		return ""
	}
	cluster, limited := strings.CutSuffix(a.cert.PermittedDNSDomains[0], "."+domain)
	if !limited {
		return ""
	}
	return cluster
}

// Certificate is the authority's certificate as PEM.
func (a *Authority) Certificate() []byte { return encodeCertificate(a.cert) }

// Key is the authority's private key as PEM. Whoever has it can make nodes.
func (a *Authority) Key() ([]byte, error) { return encodeKey(a.key) }

// Issue makes a key and a certificate, both as PEM, that are valid for life from now on, but not longer than the authority itself.
func (a *Authority) Issue(s Subject, now time.Time, life time.Duration) (certPEM, keyPEM []byte, err error) {
	if err := s.validate(); err != nil {
		return nil, nil, err
	}
	if only := a.Cluster(); only != "" && only != s.Cluster {
		return nil, nil, fmt.Errorf("this certificate authority is for cluster %s, not for %s: use another, or make one", only, s.Cluster)
	}
	if now.After(a.cert.NotAfter) {
		return nil, nil, fmt.Errorf("this certificate authority has expired on %s: make a new one", a.cert.NotAfter.Format(time.DateOnly))
	}
	until := now.Add(life)
	if a.cert.NotAfter.Before(until) {
		until = a.cert.NotAfter
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate key: %w", err)
	}
	cert, err := sign(&x509.Certificate{
		Subject:   pkix.Name{Organization: []string{domain}, OrganizationalUnit: []string{s.Cluster}, CommonName: s.Name},
		NotBefore: now.Add(-slack), NotAfter: until, DNSNames: []string{s.DNSName()},
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: usages(s.Role),
	}, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	keyPEM, err = encodeKey(key)
	return encodeCertificate(cert), keyPEM, err
}

// sign makes a certificate; one without a parent signs itself. The serial number is drawn at random.
func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the signed certificate: %w", err)
	}
	return cert, nil
}
