package keyring

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/pki"
)

// maxFile bounds what is read of one file.
const maxFile = 1 << 20

// material is one consistent reading of all files. It never changes.
type material struct {
	raw         [3][]byte // what the files held, to see a change
	pair        tls.Certificate
	subject     pki.Subject
	fingerprint string // of the node's certificate
	roots       *x509.CertPool
	authorities int
	revoked     map[string]bool
	until       time.Time // the end of the first certificate of the chain to end
	ends        string    // which one that is
}

// load reads all files and judges the result as another node would.
func load(cfg Config, now time.Time) (*material, error) {
	m := &material{}
	for i, path := range []string{cfg.CA, cfg.Cert, cfg.Key} {
		var err error
		if m.raw[i], err = readFile(path, path == cfg.Key); err != nil {
			return nil, err
		}
	}
	if err := m.trust(cfg, m.raw[0]); err != nil {
		return nil, err
	}
	var err error
	if m.pair, err = tls.X509KeyPair(m.raw[1], m.raw[2]); err != nil {
		return nil, fmt.Errorf("read certificate %s and key %s: put a pair there that belongs together: %w", cfg.Cert, cfg.Key, err)
	}
	chain, err := pki.ParseCertificates(m.raw[1])
	if err != nil {
		return nil, fmt.Errorf("read certificate %s: %w", cfg.Cert, err)
	}
	if err := m.checkOwn(cfg, chain, now); err != nil {
		return nil, fmt.Errorf("certificate %s cannot be used: %w", cfg.Cert, err)
	}
	return m, nil
}

// readFile reads one file. A private key that others may read is one that others may have.
func readFile(path string, private bool) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look at %s: 'hacluster tls' makes it, docs/TLS.md says how: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", path, err)
	}
	if mode := info.Mode().Perm(); private && mode&0o077 != 0 {
		return nil, fmt.Errorf("private key %s has mode %04o, so others than its owner may read or write it: run 'chmod 0600 %s' as its owner, "+
			"and make a new pair if somebody may have read it", path, mode, path)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s has %d bytes: is this the right file?", path, info.Size())
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("read %s; 'chown' it to the user that the agent runs as: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return data, nil
}

// trust takes the certificate authorities and the revoked fingerprints.
func (m *material) trust(cfg Config, bundle []byte) error {
	if pki.HoldsKey(bundle) {
		return fmt.Errorf("%s holds a private key: keep that of a certificate authority away from the nodes, and put only its certificate here", cfg.CA)
	}
	authorities, err := pki.ParseCertificates(bundle)
	if err != nil {
		return fmt.Errorf("read certificate authorities %s: %w", cfg.CA, err)
	}
	m.roots, m.authorities = x509.NewCertPool(), len(authorities)
	for _, cert := range authorities {
		if !cert.IsCA {
			return fmt.Errorf("%s holds the certificate %q, which is not that of a certificate authority: remove it", cfg.CA, cert.Subject)
		}
		m.roots.AddCert(cert)
	}
	m.revoked, err = readRevoked(cfg)
	return err
}

func readRevoked(cfg Config) (map[string]bool, error) {
	revoked := make(map[string]bool)
	if cfg.Revoked == nil {
		return revoked, nil
	}
	list, err := cfg.Revoked()
	if err != nil {
		return nil, fmt.Errorf("read the revoked fingerprints: %w", err)
	}
	for _, fingerprint := range list {
		revoked[fingerprint] = true
	}
	return revoked, nil
}

// checkOwn tells early what the other nodes would say of this one.
func (m *material) checkOwn(cfg Config, chain []*x509.Certificate, now time.Time) error {
	subject, verified, err := m.verify(cfg.Cluster, chain, now)
	if err != nil {
		return fmt.Errorf("%w; %s", err, remedy(cfg.Node))
	}
	if want := (pki.Subject{Role: pki.Node, Name: cfg.Node, Cluster: cfg.Cluster}); subject != want {
		return fmt.Errorf("it is for %s, but this is %s: %s", subject, want, remedy(cfg.Node))
	}
	m.subject, m.fingerprint = subject, pki.Fingerprint(chain[0])
	first := slices.MinFunc(verified, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	m.until, m.ends = first.NotAfter, subject.String()
	if first.IsCA {
		m.ends = fmt.Sprintf("certificate authority %s", first.Subject)
	}
	return nil
}

// verify is the whole judgement about a peer's certificate: an authority that is trusted, the dates, the form of the name, the cluster,
// and whether a certificate of the chain was revoked. Of several chains it returns the one that lasts longest. Its errors are a
// *[Refusal].
func (m *material) verify(cluster string, chain []*x509.Certificate, now time.Time) (pki.Subject, []*x509.Certificate, error) {
	if len(chain) == 0 {
		return pki.Subject{}, nil, refusal(NoCertificate, errors.New("it shows no certificate"))
	}
	intermediates := x509.NewCertPool()
	for _, cert := range chain[1:] {
		intermediates.AddCert(cert)
	}
	chains, err := chain[0].Verify(x509.VerifyOptions{
		Roots: m.roots, Intermediates: intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return pki.Subject{}, nil, explain(err)
	}
	chains = slices.DeleteFunc(chains, func(c []*x509.Certificate) bool { return slices.ContainsFunc(c, m.isRevoked) })
	if len(chains) == 0 {
		return pki.Subject{}, nil, refusal(Revoked, fmt.Errorf("certificate %s was revoked", pki.Fingerprint(chain[0])))
	}
	subject, err := pki.SubjectOf(chain[0])
	if err != nil {
		return pki.Subject{}, nil, refusal(WrongName, err)
	}
	if subject.Cluster != cluster {
		return pki.Subject{}, nil, refusal(OtherCluster, fmt.Errorf("it belongs to %s, this is cluster %s: correct the address or the name of "+
			"the cluster in the configuration there", subject, cluster))
	}
	return subject, slices.MaxFunc(chains, func(a, b []*x509.Certificate) int { return firstEnd(a).Compare(firstEnd(b)) }), nil
}

func (m *material) isRevoked(cert *x509.Certificate) bool { return m.revoked[pki.Fingerprint(cert)] }

func firstEnd(chain []*x509.Certificate) time.Time {
	end := chain[0].NotAfter
	for _, cert := range chain[1:] {
		if cert.NotAfter.Before(end) {
			end = cert.NotAfter
		}
	}
	return end
}

// same says whether nothing has changed.
func (m *material) same(other *material) bool {
	return slices.EqualFunc(m.raw[:], other.raw[:], bytes.Equal) && maps.Equal(m.revoked, other.revoked)
}

// oneLine keeps what a stranger wrote into a certificate from breaking the log.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
