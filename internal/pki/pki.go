// Package pki says what the certificates of a cluster look like, and makes them. It reads and writes no files, and asks no clock.
//
// A certificate says who its owner is by exactly one DNS name: NODE.CLUSTER.hacluster for a node, which may serve and call, or
// NAME.client.CLUSTER.hacluster for an operator, which may only call. The cluster is part of the name, so two clusters may share a
// certificate authority. The names are never looked up, and the common name is for people: nothing is decided by it.
//
// Keys are ECDSA on P-256: every TLS library and every FIPS mode has it, and a signature takes some ten microseconds. Ed25519 would be
// as good, and is refused in some of these places.
package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Role is what a certificate is good for.
type Role string

// The roles.
const (
	// Node serves and calls, and takes part in Raft.
	Node Role = "node"
	// Operator is a person or a tool. It calls, and never takes part in Raft.
	Operator Role = "operator"
)

const (
	domain         = "hacluster"
	operatorDomain = "client"
)

// Subject is whom a certificate is for.
type Subject struct {
	Role    Role
	Name    string
	Cluster string
}

// String says it in words: "node lb-1 of cluster edge-1".
func (s Subject) String() string {
	return fmt.Sprintf("%s %s of cluster %s", s.Role, s.Name, s.Cluster)
}

// DNSName is the name in the certificate.
func (s Subject) DNSName() string {
	if s.Role == Operator {
		return strings.Join([]string{s.Name, operatorDomain, s.Cluster, domain}, ".")
	}
	return strings.Join([]string{s.Name, s.Cluster, domain}, ".")
}

// validate refuses names that are no label of a DNS name (RFC 1123 section 2.1): no software agrees on how to compare those.
func (s Subject) validate() error {
	return errors.Join(validateLabel(string(s.Role), s.Name), validateLabel("cluster", s.Cluster))
}

func validateLabel(what, label string) error {
	if isLabel(label) {
		return nil
	}
	return fmt.Errorf("%s name %q cannot be part of a DNS name: use up to 63 lower-case letters, digits and '-', with a letter or a digit at "+
		"both ends", what, label)
}

func isLabel(text string) bool {
	return regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`).MatchString(text)
}

// SubjectOf reads whom a certificate is for. It says nothing about who signed it and when it is valid.
//
// Anything but one name of one of the two forms is refused, and so are key usages that do not fit the form: a certificate that could be
// read in two ways would be read differently by somebody.
func SubjectOf(cert *x509.Certificate) (Subject, error) {
	if cert.IsCA {
		return Subject{}, errors.New("it is the certificate of a certificate authority, not of a node or an operator")
	}
	if others := len(cert.IPAddresses) + len(cert.EmailAddresses) + len(cert.URIs); len(cert.DNSNames) != 1 || others > 0 {
		return Subject{}, fmt.Errorf("it has %d DNS names and %d other names (the common name does not count): it must have one DNS name and no other",
			len(cert.DNSNames), others)
	}
	subject, ok := parseName(cert.DNSNames[0])
	if !ok {
		return Subject{}, fmt.Errorf("its name %q is neither NODE.CLUSTER.%s nor NAME.%s.CLUSTER.%s", cert.DNSNames[0], domain, operatorDomain, domain)
	}
	return subject, checkUsage(subject.Role, cert.ExtKeyUsage)
}

func parseName(name string) (Subject, bool) {
	labels := strings.Split(name, ".")
	if !slices.ContainsFunc(labels, func(l string) bool { return !isLabel(l) }) && labels[len(labels)-1] == domain {
		switch {
		case len(labels) == 3:
			return Subject{Role: Node, Name: labels[0], Cluster: labels[1]}, true
		case len(labels) == 4 && labels[1] == operatorDomain:
			return Subject{Role: Operator, Name: labels[0], Cluster: labels[2]}, true
		}
	}
	return Subject{}, false
}

// usages of a role. One that is for calling only can never be taken for a node.
func usages(role Role) []x509.ExtKeyUsage {
	if role == Node {
		return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
}

func checkUsage(role Role, has []x509.ExtKeyUsage) error {
	has, want := slices.Sorted(slices.Values(has)), usages(role)
	if !slices.Equal(has, want) {
		return errors.New("its extended key usage does not fit its name: a node's has serverAuth and clientAuth, an operator's clientAuth only")
	}
	return nil
}

// Fingerprint identifies a certificate in configurations and logs: "sha256:" and the SHA-256 of its DER form in hexadecimal.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}
