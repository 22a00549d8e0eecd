package install

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/hacluster/hacluster/internal/lab/host"
	"github.com/hacluster/hacluster/internal/lab/probe"
	"github.com/hacluster/hacluster/internal/lab/vnet"
)

const (
	roleClient    = "client"
	clientAddress = "198.51.100.10/24"
	uplinkAddress = "198.51.100.1"
	webServers    = 5
	webPort       = 8080
	mirrorHost    = "mirror.lab"

	// debs names a directory with the packages that are not on the machines; 'make dist-test' fills it.
	debs = "HACLUSTER_DEBS"
)

func webAddress(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", 20+i)) }

// serveWebs starts the servers that HAProxy is to balance. Each answers with its name.
func (s *site) serveWebs() {
	s.t.Helper()
	for i := 1; i <= webServers; i++ {
		s.serve(webAddress(i).String()+"/24", webPort, nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "web-%d\n", i) }))
	}
}

// internet is the far side of the gateway: a client, whose requests through the Elastic IP are recorded.
type internet struct {
	client  *host.Host
	gateway *vnet.Gateway
	probes  *probe.Log
}

// openInternet plugs in the client. Its requests begin at once, and lead nowhere as long as nobody has the address.
func (s *site) openInternet() *internet {
	s.t.Helper()
	client, err := host.Start(host.Spec{Name: roleClient, Role: roleClient, Args: []string{elasticIP + ":80"}, Log: os.Stderr})
	must(s.t, err)
	s.t.Cleanup(func() { must(s.t, client.Kill()) })
	plug := vnet.Plug{Address: netip.MustParsePrefix(clientAddress), Gateway: netip.MustParseAddr(uplinkAddress)}
	must(s.t, vnet.AttachUplink(client.Pid(), plug))
	gateway, err := vnet.NewGateway(netip.MustParseAddr(elasticIP), plug.Address.Masked())
	must(s.t, err)
	s.t.Cleanup(func() { must(s.t, gateway.Close()) })
	net := &internet{client: client, gateway: gateway, probes: &probe.Log{}}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- net.probes.Run(ctx, client.Conn()) }()
	s.t.Cleanup(func() {
		stop()
		must(s.t, <-done)
	})
	return net
}

// get fetches a page from the client's machine with curl, headers included.
func (n *internet) get(t *testing.T, url string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "nsenter", "--target", fmt.Sprint(n.client.Pid()), "--net", "--",
		"curl", "--silent", "--show-error", "--insecure", "--include", "--max-time", "5", url)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// serveNames answers for the DNS of a VPC, whose interface endpoints have private names: all of AWS is at one address here.
func (s *site) serveNames() {
	s.t.Helper()
	at := netip.MustParsePrefix(ec2Address).Addr()
	conn, err := net.ListenPacket("udp", netip.AddrPortFrom(at, 53).String())
	must(s.t, err)
	s.t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return // closed
			}
			if answer, err := resolve(buffer[:n], at); err == nil {
				_, _ = conn.WriteTo(answer, from) // who is not answered asks again
			}
		}
	}()
}

// resolve answers one DNS query. The mirror inside AWS, which Debian's image prefers, is not among the names: the nodes have no way there.
func resolve(query []byte, at netip.Addr) ([]byte, error) {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	name := strings.TrimSuffix(strings.ToLower(q.Name.String()), ".")
	known := strings.HasSuffix(name, serviceDomain) || name == packageHost || name == mirrorHost
	answer := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: header.ID, Response: true, RecursionDesired: header.RecursionDesired, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q},
	}
	switch {
	case !known:
		answer.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		answer.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 60}, Body: &dnsmessage.AResource{A: at.As4()},
		}}
	}
	return answer.Pack()
}

// serveMirror answers for a package mirror that has what is in a directory.
func (s *site) serveMirror(dir string) {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	must(s.t, err)
	if len(files) == 0 {
		s.t.Fatalf("no packages in %s: run 'make dist-test'", dir)
	}
	var index strings.Builder
	for _, file := range files {
		about, err := exec.CommandContext(s.t.Context(), "dpkg-deb", "--field", file).Output()
		must(s.t, err)
		content, err := os.ReadFile(file)
		must(s.t, err)
		fmt.Fprintf(&index, "%sFilename: ./%s\nSize: %d\nSHA256: %x\n\n", about, filepath.Base(file), len(content), sha256.Sum256(content))
	}
	s.serve(ec2Address, 80, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := path.Base(r.URL.Path); name != "Packages" { // apt asks for /./NAME
			http.ServeFile(w, r, filepath.Join(dir, name))
			return
		}
		fmt.Fprint(w, index.String())
	}))
}
