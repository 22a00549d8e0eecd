package main_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/pki/pkitest"
)

// hacluster runs a command in a directory.
func hacluster(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	binary, err := buildOnce()
	must(t, err)
	cmd := exec.Command(binary, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestCertificatesFromTheCommandLine: what docs/TLS.md tells an operator to type.
func TestCertificatesFromTheCommandLine(t *testing.T) {
	dir := t.TempDir()
	steps := []struct {
		name string
		args string
		want []string // in the output; a first "!" means that the command fails
	}{
		{"an authority", "tls ca create --cluster edge --out ca", []string{"ca/ca.key", "certificate authority", "OU=edge", "3649 days left"}},
		{"it is not overwritten", "tls ca create --cluster edge --out ca", []string{"!", "ca/ca.key is there already"}},
		{"a node", "tls cert create --node lb-1 --ca ca", []string{"lb-1/node.key", "lb-1/node.crt", "node lb-1 of cluster edge", "lb-1/ca.crt", "729 days left", "fingerprint sha256:"}},
		{"it is not overwritten either", "tls cert create --node lb-1 --ca ca", []string{"!", "lb-1/node.key is there already", "--out"}},
		{"for a week, elsewhere", "tls cert create --node lb-1 --ca ca --days 7 --out new", []string{"new/node.crt", "6 days left"}},
		{"an operator", "tls cert create --client jo --ca ca", []string{"jo/client.key", "operator jo of cluster edge"}},
		{"both at once", "tls cert create --client jo --node lb-1 --ca ca", []string{"!", "[client node]"}},
		{"nobody", "tls cert create --ca ca", []string{"!", "node"}},
		{"another cluster", "tls cert create --node lb-2 --ca ca --cluster core", []string{"!", "is for cluster edge, not for core"}},
		{"a name with a dot", "tls cert create --node lb.2 --ca ca", []string{"!", `"lb.2" cannot be part of a DNS name`}},
		{"no authority there", "tls cert create --node lb-2", []string{"!", "ca.crt", "--ca"}},
		{"for ever", "tls cert create --node lb-2 --ca ca --days 40000", []string{"!", "--days 40000"}},
		{"an authority for all", "tls ca create --out any", []string{"any/ca.crt"}},
		{"of which cluster?", "tls cert create --node lb-2 --ca any", []string{"!", "--cluster"}},
		{"of this one", "tls cert create --node lb-2 --ca any --cluster core", []string{"node lb-2 of cluster core"}},
		{"shown", "tls show lb-1/node.crt", []string{"node lb-1 of cluster edge", "729 days left", "signed by CN=CA of"}},
		{"a key is not shown", "tls show lb-1/node.key", []string{"!", "never shown"}},
		{"not even there", "tls show lb-9/node.crt", []string{"!", "no such file"}},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			out, err := hacluster(t, dir, strings.Fields(step.args)...)
			t.Log(out)
			if fails := step.want[0] == "!"; fails != (err != nil) {
				t.Errorf("%v", err)
			}
			for _, w := range step.want {
				if w != "!" && !strings.Contains(out, w) {
					t.Errorf("it does not say %q", w)
				}
			}
			if strings.Contains(out, "PRIVATE") {
				t.Error("a key is printed")
			}
		})
	}
	for path, want := range map[string]os.FileMode{"ca/ca.key": 0o600, "lb-1/node.key": 0o600, "jo/client.key": 0o600, "ca/ca.crt": 0o644, "lb-1": 0o700 | os.ModeDir} {
		if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
}

// TestAClusterWithCertificates: three agents with what the command line makes. They find a holder, hand over, refuse a stranger, cut off
// a revoked certificate, and take a renewed one; none of them is restarted.
func TestAClusterWithCertificates(t *testing.T) {
	needRoot(t)
	haproxy, err := net.Listen("tcp", "127.0.0.1:0") // as far as the tcp check can tell
	must(t, err)
	t.Cleanup(func() { _ = haproxy.Close() })
	endpoint, _ := emulator(t)
	port := freePort(t)
	work := t.TempDir()
	mustRun(t, work, "tls", "ca", "create", "--cluster", "test", "--out", "ca")
	members, certificates := map[string]*member{}, map[string]string{}
	for i, name := range []string{"node-a", "node-b", "node-c"} {
		mustRun(t, work, "tls", "cert", "create", "--node", name, "--ca", "ca")
		certificates[name] = install(t, filepath.Join(work, name), "", name)
		members[name] = startMember(t, name, i+1, port, endpoint, haproxy.Addr().String(), fmt.Sprintf("tls: {ca: %[1]s/ca.crt, cert: %[1]s/node.crt, key: %[1]s/node.key}", certificates[name]))
	}
	witness := members["node-c"]
	waitFor(t, "an agreed holder and another candidate", func() bool {
		s, err := witness.status()
		return err == nil && s.Held() && s.Leader == s.Holder && candidates(s) == 2
	})
	out, err := witness.hacluster("transfer")
	if err != nil || !strings.Contains(out, "holds the address") {
		t.Errorf("transfer: %v: %s", err, out)
	}
	out, err = witness.hacluster("status")
	if want := "TLS: the certificate of node node-c of cluster test is valid for 729 days"; err != nil || !strings.Contains(out, want) {
		t.Errorf("status: %v: %s", err, out)
	}
	t.Run("a stranger is refused", func(t *testing.T) {
		strangerAt(t, fmt.Sprintf("127.0.0.3:%d", port))
		waitFor(t, "the count", func() bool {
			s, err := witness.status()
			return err == nil && s.Refusals["wrong_ca"] == 1
		})
	})
	t.Run("a revoked certificate is cut off", func(t *testing.T) {
		var shown []struct{ Fingerprint string }
		must(t, json.Unmarshal([]byte(mustRun(t, work, "tls", "show", "-o", "json", "node-c/node.crt")), &shown))
		fingerprint := shown[0].Fingerprint
		if text := mustRun(t, work, "tls", "show", "node-c/node.crt"); !strings.Contains(text, fingerprint) || !regexp.MustCompile(`^sha256:[0-9a-f]{64}$`).MatchString(fingerprint) {
			t.Errorf("fingerprint %q of %s", fingerprint, text)
		}
		for i, name := range []string{"node-a", "node-b"} {
			members[name].edit("tls: {", "tls: {revoked: ['"+fingerprint+"'], ")
			strangerAt(t, fmt.Sprintf("127.0.0.%d:%d", i+1, port)) // so that the file is not read within a minute, but now
			waitFor(t, "a refusal at "+name, func() bool {
				s, err := members[name].status()
				return err == nil && s.Refusals["revoked"] > 0
			})
		}
		waitFor(t, "node-c without a leader", func() bool {
			s, err := witness.status()
			return err == nil && s.Leader == ""
		})
	})
	t.Run("and comes back with a new one", func(t *testing.T) {
		mustRun(t, work, "tls", "cert", "create", "--node", "node-c", "--ca", "ca", "--out", "renewed")
		install(t, filepath.Join(work, "renewed"), certificates["node-c"], "node-c")
		strangerAt(t, fmt.Sprintf("127.0.0.3:%d", port))
		waitFor(t, "node-c with a leader", func() bool {
			s, err := witness.status()
			return err == nil && s.Leader != ""
		})
	})
	for name, m := range members {
		must(t, m.cmd.Process.Signal(syscall.SIGTERM))
		if err := m.cmd.Wait(); err != nil {
			t.Errorf("%s after SIGTERM: %v", name, err)
		}
		if log := m.log.String(); strings.Contains(log, "PRIVATE") || strings.Contains(log, "insecure") {
			t.Errorf("%s logs a key, or warns of plain TCP", name)
		}
	}
}

// install copies the files of a node to where its agent, which may run as nobody, reads them. Without a directory it makes one.
func install(t *testing.T, from, to, name string) string {
	t.Helper()
	if to == "" {
		var err error
		to, err = os.MkdirTemp("", "ht")
		must(t, err)
		t.Cleanup(func() { _ = os.RemoveAll(to) })
		must(t, os.Chmod(to, 0o755))
	}
	for _, file := range []string{"ca.crt", "node.key", "node.crt"} {
		data, err := os.ReadFile(filepath.Join(from, file))
		must(t, err)
		temporary := filepath.Join(to, file+".new")
		must(t, os.WriteFile(temporary, data, 0o600))
		if name == "node-c" {
			must(t, os.Chown(temporary, 65534, 65534))
		}
		must(t, os.Rename(temporary, filepath.Join(to, file)))
	}
	return to
}

// strangerAt is a handshake with a certificate of somebody else's authority.
func strangerAt(t *testing.T, address string) {
	t.Helper()
	certificate := pkitest.NewAuthority(t).Node(t, "node-c", "test").TLS(t)
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"hacluster-raft/1"},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }})
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	if _, err := conn.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "unknown certificate authority") {
		t.Errorf("the stranger at %s: %v", address, err)
	}
}

// edit changes the member's configuration while it runs.
func (m *member) edit(old, replacement string) {
	m.t.Helper()
	file := filepath.Join(m.dir, "hacluster.yaml")
	data, err := os.ReadFile(file)
	must(m.t, err)
	must(m.t, os.WriteFile(file, []byte(strings.Replace(string(data), old, replacement, 1)), 0o644))
}

// TestWrongCertificatesAreNamedAtTheStart: in one sentence, before the node takes part.
func TestWrongCertificatesAreNamedAtTheStart(t *testing.T) {
	ca := pkitest.NewAuthority(t)
	expired := ca.Forge(t, "node-a", "test", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })
	for name, test := range map[string]struct {
		pair pkitest.Pair
		mode os.FileMode
		want []string
	}{
		"expired":               {expired, 0o600, []string{"node.crt", "expired on", "hacluster tls cert create --node node-a"}},
		"of another node":       {ca.Node(t, "node-b", "test"), 0o600, []string{"node.crt", "node node-b of cluster test", "this is node node-a"}},
		"readable by the group": {ca.Node(t, "node-a", "test"), 0o640, []string{"node.key", "chmod 0600"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			dir := pkitest.Dir(n.dir)
			dir.Trust(t, ca)
			dir.Write(t, test.pair)
			must(t, os.Chmod(dir.Key(), test.mode))
			n.replace = []string{"insecure: true", fmt.Sprintf("tls: {ca: %s, cert: %s, key: %s}", dir.CA(), dir.Cert(), dir.Key())}
			last, code := n.end()
			if code == 0 {
				t.Error("exit code 0")
			}
			for _, w := range test.want {
				if !strings.Contains(last, w) {
					t.Errorf("the last line does not name %q: %s", w, last)
				}
			}
		})
	}
}

func mustRun(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := hacluster(t, dir, args...)
	if err != nil {
		t.Fatalf("hacluster %v: %v: %s", args, err, out)
	}
	return out
}
