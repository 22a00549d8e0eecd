package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/pki"
)

// Names of the files in the directory of an authority and of a certificate.
const (
	authorityFile    = "ca.crt"
	authorityKeyFile = "ca.key"
)

// mostDays is a century: more would be no decision any more.
const mostDays = 36500

func tlsCommand() *cobra.Command {
	parent := &cobra.Command{Use: "tls", Short: "Make and show the certificates of the nodes (docs/TLS.md)",
		Example: "  hacluster tls ca create --cluster edge-1 --out edge-1-ca\n  hacluster tls cert create --node lb-1 --ca edge-1-ca\n" +
			"  hacluster tls show lb-1/node.crt"}
	authority := &cobra.Command{Use: "ca", Short: "Work with a certificate authority", Example: "  hacluster tls ca create --cluster edge-1 --out edge-1-ca"}
	authority.AddCommand(tlsCACreateCommand())
	certificate := &cobra.Command{Use: "cert", Short: "Work with the certificates of nodes and operators",
		Example: "  hacluster tls cert create --node lb-1 --ca edge-1-ca"}
	certificate.AddCommand(tlsCertCreateCommand())
	parent.AddCommand(authority, certificate, tlsShowCommand())
	return parent
}

func tlsCACreateCommand() *cobra.Command {
	var out, cluster string
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a certificate authority, valid for ten years",
		Long: "Make a certificate authority: ca.crt, which every node needs, and ca.key, which no node needs.\n" +
			"Whoever has ca.key can make nodes: keep it away from the cluster, and make a backup of it.",
		Example: "  hacluster tls ca create --cluster edge-1 --out edge-1-ca",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			authority, err := pki.NewAuthority(cluster, time.Now())
			if err != nil {
				return err
			}
			key, err := authority.Key()
			if err != nil {
				return err
			}
			return writeNew(cmd.OutOrStdout(), out, newFile{authorityKeyFile, key, 0o600}, newFile{authorityFile, authority.Certificate(), 0o644})
		},
	}
	cmd.Flags().StringVar(&out, "out", ".", "directory to write to")
	cmd.Flags().StringVar(&cluster, "cluster", "", "limit the authority to this cluster; it is trusted for no other then")
	return cmd
}

// certFlags say for whom a certificate is to be.
type certFlags struct {
	node, client, cluster, ca, out string
	days                           int
}

func tlsCertCreateCommand() *cobra.Command {
	var f certFlags
	cmd := &cobra.Command{
		Use:   "create (--node NAME | --client NAME)",
		Short: "Make a key and a certificate for a node, or for an operator",
		Long: "Make a key and a certificate: node.key, node.crt and a copy of ca.crt, to be put into /etc/hacluster/tls of that node.\n" +
			"With --client they are client.key and client.crt, for a person or a tool: good for asking, never for taking part in Raft.",
		Example: "  hacluster tls cert create --node lb-1 --ca edge-1-ca\n  scp lb-1/* root@lb-1:/etc/hacluster/tls/",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.create(cmd.OutOrStdout(), time.Now())
		},
	}
	cmd.Flags().StringVar(&f.node, "node", "", "name of the node, as in nodes of the configuration")
	cmd.Flags().StringVar(&f.client, "client", "", "name of the operator")
	cmd.Flags().StringVar(&f.cluster, "cluster", "", "name of the cluster; default: that of the authority")
	cmd.Flags().StringVar(&f.ca, "ca", ".", "directory with ca.crt and ca.key")
	cmd.Flags().StringVar(&f.out, "out", "", "directory to write to; default: the name")
	cmd.Flags().IntVar(&f.days, "days", 730, "days that it is valid for, but not longer than the authority")
	cmd.MarkFlagsMutuallyExclusive("node", "client")
	cmd.MarkFlagsOneRequired("node", "client")
	return cmd
}

func (f certFlags) create(w io.Writer, now time.Time) error {
	if f.days < 1 || f.days > mostDays {
		return fmt.Errorf("--days %d: write a number from 1 to %d", f.days, mostDays)
	}
	cert, err := os.ReadFile(filepath.Join(f.ca, authorityFile))
	if err != nil {
		return fmt.Errorf("read the certificate authority, name its directory with --ca: %w", err)
	}
	key, err := os.ReadFile(filepath.Join(f.ca, authorityKeyFile))
	if err != nil {
		return fmt.Errorf("read the key of the certificate authority, name its directory with --ca: %w", err)
	}
	authority, err := pki.ParseAuthority(cert, key)
	if err != nil {
		return fmt.Errorf("read the certificate authority in %s: %w", f.ca, err)
	}
	subject, base := f.subject(authority)
	if subject.Cluster == "" {
		return errors.New("this authority may serve several clusters: say with --cluster which one is meant")
	}
	issued, private, err := authority.Issue(subject, now, time.Duration(f.days)*24*time.Hour)
	if err != nil {
		return err
	}
	out := f.out
	if out == "" {
		out = subject.Name
	}
	return writeNew(w, out, newFile{base + ".key", private, 0o600}, newFile{base + ".crt", issued, 0o644},
		newFile{authorityFile, authority.Certificate(), 0o644})
}

// subject is whom the certificate is for, and what its files are called.
func (f certFlags) subject(authority *pki.Authority) (subject pki.Subject, base string) {
	subject = pki.Subject{Role: pki.Node, Name: f.node, Cluster: f.cluster}
	base = "node"
	if f.client != "" {
		subject.Role, subject.Name, base = pki.Operator, f.client, "client"
	}
	if subject.Cluster == "" {
		subject.Cluster = authority.Cluster()
	}
	return subject, base
}

type newFile struct {
	name string
	data []byte
	mode fs.FileMode
}

// writeNew writes files that must not be there yet: all of them, or none.
func writeNew(w io.Writer, dir string, files ...newFile) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create directory: %w", err)
	}
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already, and nothing is overwritten: move it away, or name another directory with --out", path)
		}
	}
	for _, f := range files {
		if err := writeExclusively(filepath.Join(dir, f.name), f.data, f.mode); err != nil {
			return err
		}
	}
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		fmt.Fprintln(w, path)
		if certs, err := pki.ParseCertificates(f.data); err == nil {
			describeCertificate(w, certs[0], time.Now())
		}
	}
	return nil
}

func writeExclusively(path string, data []byte, mode fs.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("create file: %w", err)
	}
	_, err = file.Write(data)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func tlsShowCommand() *cobra.Command {
	var output *format
	cmd := &cobra.Command{
		Use:     "show FILE",
		Short:   "Show whom the certificates in a file are for, until when, and their fingerprints",
		Example: "  hacluster tls show /etc/hacluster/tls/node.crt\n  hacluster tls show -o json /etc/hacluster/tls/node.crt | jq '.[0].days_left'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("read certificate: %w", err)
			}
			certs, err := pki.ParseCertificates(data)
			if err != nil && pki.HoldsKey(data) {
				return fmt.Errorf("%s holds a private key, which is never shown: name the file with the certificate", args[0])
			}
			if err != nil {
				return fmt.Errorf("read %s: %w", args[0], err)
			}
			now := time.Now()
			answer := make([]shownCertificate, len(certs))
			for i, cert := range certs {
				answer[i] = showCertificate(cert, now)
			}
			return output.write(cmd.OutOrStdout(), answer, func(w io.Writer) error {
				for _, cert := range certs {
					describeCertificate(w, cert, now)
				}
				return nil
			})
		},
	}
	output = addFormat(cmd, "text")
	return cmd
}

// shownCertificate is what 'hacluster tls show' says in JSON.
type shownCertificate struct {
	Name        string    `json:"name"` // whom it is for
	Authority   bool      `json:"authority"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	DaysLeft    int       `json:"days_left"`
	SignedBy    string    `json:"signed_by"`
	Fingerprint string    `json:"fingerprint"`
}

func showCertificate(cert *x509.Certificate, now time.Time) shownCertificate {
	return shownCertificate{Name: holderOf(cert), Authority: cert.IsCA, NotBefore: cert.NotBefore.UTC(), NotAfter: cert.NotAfter.UTC(),
		DaysLeft: daysLeft(cert, now), SignedBy: cert.Issuer.String(), Fingerprint: pki.Fingerprint(cert)}
}

// holderOf says whom a certificate is for.
func holderOf(cert *x509.Certificate) string {
	if cert.IsCA {
		return fmt.Sprintf("certificate authority %s", cert.Subject)
	}
	subject, err := pki.SubjectOf(cert)
	if err != nil {
		return fmt.Sprintf("no node and no operator of hacluster (%s): %v", cert.Subject, err)
	}
	return subject.String()
}

func daysLeft(cert *x509.Certificate, now time.Time) int {
	return int(cert.NotAfter.Sub(now) / (24 * time.Hour))
}

func describeCertificate(w io.Writer, cert *x509.Certificate, now time.Time) {
	fmt.Fprintf(w, "  %s\n  valid from %s to %s UTC: %s\n  signed by %s\n  fingerprint %s\n", holderOf(cert),
		cert.NotBefore.UTC().Format(time.DateTime), cert.NotAfter.UTC().Format(time.DateTime), validity(cert, now), cert.Issuer, pki.Fingerprint(cert))
}

func validity(cert *x509.Certificate, now time.Time) string {
	switch {
	case now.Before(cert.NotBefore):
		return "not yet"
	case !cert.NotAfter.After(now):
		return "expired"
	default:
		return fmt.Sprintf("%d days left", daysLeft(cert, now))
	}
}
