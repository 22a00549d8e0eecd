package keyring

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Why a connection is refused: one word each, for counting.
const (
	WrongAuthority = "wrong_ca"         // no trusted certificate authority signed it
	Expired        = "expired"          // its certificate, or that of its authority, has ended
	NotYetValid    = "not_yet_valid"    // it has not begun, most likely because a clock is wrong
	WrongName      = "wrong_name"       // the names or the usages are not those of a node or an operator
	OtherCluster   = "other_cluster"    // of the same certificate authority
	OtherNode      = "other_node"       // a node, but not the one that was dialled
	Revoked        = "revoked"          // by fingerprint
	NoCertificate  = "no_certificate"   // a client without one
	OldTLS         = "old_tls"          // TLS 1.2 or older
	WrongProtocol  = "wrong_protocol"   // no protocol in common (ALPN)
	NoTLS          = "no_tls"           // plain TCP, or noise
	Slow           = "slow"             // the handshake took too long
	Closed         = "closed"           // it hung up during the handshake
	Refused        = "refused_by_peer"  // the peer does not like the certificate of this node
	Failed         = "failed_handshake" // anything else
)

// Refusal says why a connection did not come about, in one word for counting and in a sentence for the operator.
type Refusal struct {
	Why string
	Err error
}

// Error implements error.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// Reason is Why, for those who do not know this package.
func (r *Refusal) Reason() string { return r.Why }

func refusal(why string, err error) *Refusal { return &Refusal{Why: why, Err: err} }

// explain finds out what a failed handshake, or a failed verification, means to an operator.
func explain(err error) *Refusal {
	var known *Refusal
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var plain tls.RecordHeaderError
	var timeout net.Error
	var remote *net.OpError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &authority):
		return refusal(WrongAuthority, errors.New("no certificate authority that this node trusts has signed its certificate: "+
			"make it one with the authority of this cluster, or add its authority to tls.ca on every node"))
	case errors.As(err, &invalid):
		return explainInvalid(invalid)
	case errors.As(err, new(x509.HostnameError)):
		return refusal(OtherNode, fmt.Errorf("somebody else answers at this address: correct the address, or give that machine its own "+
			"certificate: %s", oneLine(err.Error())))
	case errors.As(err, &plain):
		return refusal(NoTLS, errors.New("it does not speak TLS: if it is a node, remove 'insecure: true' from its configuration"))
	case errors.As(err, &remote) && remote.Op == "remote error":
		return refusal(Refused, fmt.Errorf("the other side refused the handshake, and its log says why: %w", err))
	case isAny(err, context.DeadlineExceeded, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return refusal(Slow, fmt.Errorf("the handshake took too long: %w", err))
	case isAny(err, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, context.Canceled, syscall.ECONNRESET, syscall.EPIPE):
		return refusal(Closed, err)
	case strings.Contains(err.Error(), "didn't provide a certificate"):
		return refusal(NoCertificate, errors.New("it shows no certificate"))
	default:
		return refusal(Failed, errors.New(oneLine(err.Error())))
	}
}

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}

func explainInvalid(err x509.CertificateInvalidError) *Refusal {
	cert := err.Cert
	switch {
	case err.Reason == x509.Expired && time.Now().Before(cert.NotBefore):
		return refusal(NotYetValid, fmt.Errorf("certificate %q is valid from %s on, and the clock here says %s: set the clocks (systemctl status chrony)",
			cert.Subject, cert.NotBefore.UTC().Format(time.DateTime), time.Now().UTC().Format(time.DateTime)))
	case err.Reason == x509.Expired:
		return refusal(Expired, fmt.Errorf("certificate %q expired on %s", cert.Subject, cert.NotAfter.UTC().Format(time.DateTime)))
	case err.Reason == x509.IncompatibleUsage, err.Reason == x509.CANotAuthorizedForThisName:
		return refusal(WrongName, errors.New(oneLine(err.Error())))
	default:
		return refusal(WrongAuthority, errors.New(oneLine(err.Error())))
	}
}
