package keyring

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/pki"
)

// Server answers a TLS 1.3 handshake on conn and offers the protocols by ALPN. It returns once the other side has proved to be a node or
// an operator of this cluster; who it is says Peer. ctx bounds it. On an error, a *[Refusal], conn is the caller's to close.
func (k *Keyring) Server(ctx context.Context, conn net.Conn, protocols ...string) (*tls.Conn, error) {
	m := k.current.Load()
	var hello tls.ClientHelloInfo
	config := k.base(m, protocols)
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, m.roots
	config.SessionTicketsDisabled = true // each connection proves itself
	config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		hello = *h
		return nil, nil // the same one
	}
	secured := tls.Server(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, k.refuse(explainHello(hello, protocols, err))
	}
	return secured, nil
}

// Client begins a TLS 1.3 handshake on conn with the node of this name, and nobody else. Since the server judges this side last, a
// refusal by it shows only in the first Read. ctx bounds it. On an error, a *[Refusal], conn is the caller's to close.
func (k *Keyring) Client(ctx context.Context, conn net.Conn, node, protocol string) (*tls.Conn, error) {
	m := k.current.Load()
	config := k.base(m, []string{protocol})
	// crypto/tls finds this name in the certificate, and our own judgement that it is its only one.
	config.RootCAs, config.ServerName = m.roots, pki.Subject{Role: pki.Node, Name: node, Cluster: k.cfg.Cluster}.DNSName()
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		r := explain(err)
		if r.Why == Closed {
			r.Err = fmt.Errorf("it hung up during the TLS handshake: remove 'insecure: true' if it is in the configuration there: %w", r.Err)
		}
		return nil, k.refuse(r)
	}
	return secured, nil
}

// Peer says who is at the other end of a connection, judged by the files and the time of now: a node, or else an operator. An error, a
// *[Refusal], says that it would be refused today.
func (k *Keyring) Peer(state tls.ConnectionState) (name string, isNode bool, err error) {
	subject, _, err := k.current.Load().verify(k.cfg.Cluster, state.PeerCertificates, time.Now())
	if err != nil {
		return "", false, err
	}
	return subject.Name, subject.Role == pki.Node, nil
}

// base is what both sides have in common. crypto/tls verifies the chain first, so that the other side is told by the right alert; then
// our own judgement follows, which is the whole one.
func (k *Keyring) base(m *material, protocols []string) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		NextProtos:   protocols,
		Certificates: []tls.Certificate{m.pair},
		// Shown whatever authorities the server names: it then says what it dislikes, instead of that there was none.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &m.pair, nil },
		VerifyConnection: func(state tls.ConnectionState) error {
			if !slices.Contains(protocols, state.NegotiatedProtocol) {
				return refusal(WrongProtocol, fmt.Errorf("it asks for the protocol %q (ALPN), not for one of %q", state.NegotiatedProtocol, protocols))
			}
			_, _, err := m.verify(k.cfg.Cluster, state.PeerCertificates, time.Now())
			return err
		},
	}
}

// explainHello knows more than the error, if there was a ClientHello.
func explainHello(hello tls.ClientHelloInfo, protocols []string, err error) *Refusal {
	switch {
	case len(hello.SupportedVersions) > 0 && !slices.Contains(hello.SupportedVersions, tls.VersionTLS13):
		return refusal(OldTLS, errors.New("it does not speak TLS 1.3: is it a hacluster node at all?"))
	case len(hello.SupportedProtos) > 0 && !slices.ContainsFunc(hello.SupportedProtos, func(p string) bool { return slices.Contains(protocols, p) }):
		return refusal(WrongProtocol, fmt.Errorf("it asks for the protocols %q (ALPN), not for one of %q", hello.SupportedProtos, protocols))
	default:
		return explain(err)
	}
}

// refuse also looks at the files, if newer ones could have helped.
func (k *Keyring) refuse(r *Refusal) error {
	switch r.Why {
	case WrongAuthority, Expired, NotYetValid, Revoked, Refused:
		k.Recheck()
	}
	return r
}
