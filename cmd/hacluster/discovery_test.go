package main_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

// TestNodesThatAreFoundFoundACluster: three instances with a tag and one configuration file, which names none of them. The third comes late.
func TestNodesThatAreFoundFoundACluster(t *testing.T) {
	needRoot(t)
	t.Parallel()
	haproxy, err := net.Listen("tcp", "127.0.0.1:0") // as far as the tcp check can tell
	must(t, err)
	t.Cleanup(func() { _ = haproxy.Close() })
	fake, err := ec2fake.New(ec2fake.Config{
		Addresses:  []ec2fake.AddressSpec{{AllocationID: allocation, PublicIP: netip.MustParseAddr("203.0.113.10")}},
		Instances:  []ec2fake.InstanceSpec{found(1, "edge-1"), found(2, "edge-1"), found(9, "edge-2")},
		AccessKeys: []ec2fake.AccessKey{{ID: "AKIDEXAMPLE", Secret: "right"}},
	})
	must(t, err)
	ec2 := httptest.NewServer(fake.EC2())
	t.Cleanup(ec2.Close)
	port := freePort(t)
	start := func(number int) *member { return startFound(t, fake, number, port, ec2.URL, haproxy.Addr().String()) }

	early := []*member{start(1), start(2)}
	for _, m := range early {
		waitFor(t, "a node that waits for a third", func() bool {
			s, err := m.status()
			return err == nil && s.Node == m.name && s.Phase == "waiting for 3 nodes, while 2 are found: i-00000001, i-00000002"
		})
	}
	must(t, fake.Launch(found(3, "edge-1")))
	members := append(early, start(3))
	holder := ""
	waitLong(t, "a holder and two other candidates", func() bool {
		s, err := members[2].status()
		holder = s.Holder
		return err == nil && s.Held() && s.Leader == holder && candidates(s) == 3
	})

	t.Run("systemd has not noticed that the early ones began again", func(t *testing.T) {
		for _, m := range early {
			m.systemd.expectAlive(t)
		}
	})
	t.Run("a node that knows its place starts without EC2", func(t *testing.T) {
		must(t, fake.SetFaults([]ec2fake.Fault{{Kind: ec2fake.Deny}}))
		m := members[0]
		if m.name == holder {
			m = members[1]
		}
		must(t, m.cmd.Process.Signal(syscall.SIGTERM))
		_ = m.cmd.Wait()
		waitFor(t, "word to systemd", func() bool { return m.systemd.count("STOPPING=1") > 0 }) // its reader may be behind
		if n := m.systemd.count("STOPPING=1"); n != 1 {
			t.Errorf("systemd heard %d times that the agent ends", n)
		}
		m.restart()
		waitFor(t, m.name+" in the cluster", func() bool {
			s, err := m.status()
			return err == nil && s.Phase == "running" && s.Leader == holder
		})
	})
}

// TestAReloadDoesNotEndAnAgentThatLooksForItsPlace: it is what 'systemctl reload' and whoever renews certificates send.
func TestAReloadDoesNotEndAnAgentThatLooksForItsPlace(t *testing.T) {
	t.Parallel()
	fake, err := ec2fake.New(ec2fake.Config{
		Instances:  []ec2fake.InstanceSpec{found(1, "without the tag")},
		AccessKeys: []ec2fake.AccessKey{{ID: "AKIDEXAMPLE", Secret: "right"}},
	})
	must(t, err)
	var looks atomic.Int32
	ec2 := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		looks.Add(1)
		fake.EC2().ServeHTTP(w, r)
	}))
	t.Cleanup(ec2.Close)
	m := startFound(t, fake, 1, freePort(t), ec2.URL, "127.0.0.1:9")
	waitFor(t, "a look for its place", func() bool { return looks.Load() > 0 })
	must(t, m.cmd.Process.Signal(syscall.SIGHUP))
	before := looks.Load()
	waitFor(t, "another", func() bool { return looks.Load() > before+1 })
}

// found is an instance on loopback.
func found(number int, cluster string) ec2fake.InstanceSpec {
	return ec2fake.InstanceSpec{ID: fmt.Sprintf("i-%08d", number), ENI: fmt.Sprintf("eni-%08d", number),
		PrivateIPs: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, byte(number)})}, Tags: map[string]string{"hacluster": cluster}}
}

// startFound starts an agent that learns who it is from the instance metadata.
func startFound(t *testing.T, fake *ec2fake.Server, number, port int, endpoint, haproxy string) *member {
	t.Helper()
	spec := found(number, "")
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = net.JoinHostPort(spec.PrivateIPs[0].String(), "1") // IMDS tells instances by that
		fake.IMDS().ServeHTTP(w, r)
	}))
	t.Cleanup(metadata.Close)
	dir, err := os.MkdirTemp("", "hd") // short: unix sockets allow about 100 bytes
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := &member{node: node{t: t, dir: dir, endpoint: endpoint, secret: "right", env: []string{"AWS_EC2_METADATA_DISABLED=false"}}, name: spec.ID}
	must(t, os.WriteFile(filepath.Join(dir, "hacluster.yaml"), []byte(fmt.Sprintf(`cluster: {name: test}
data_dir: %s
insecure: true
discovery: {tag: hacluster=edge-1, port: %d, interval: 1s}
vrrp: {virtual_router_id: 52}
eip: {allocation_id: %s}
aws: {region: eu-central-1, endpoint: "%s", imds_endpoint: "%s"}
health: {tcp: {address: "%s"}}
admin: {socket: %s}
`, m.data(), port, allocation, endpoint, metadata.URL, haproxy, m.socket())), 0o600))
	m.systemd = m.listen()
	m.restart()
	t.Cleanup(func() {
		_ = m.cmd.Process.Kill() // by now it has ended, unless the test failed
		_ = m.cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", m.name, m.log.String())
		}
	})
	return m
}

// TestACheckOfAConfigurationWithDiscovery needs neither EC2 nor a hostname.
func TestACheckOfAConfigurationWithDiscovery(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hacluster.yaml")
	must(t, os.WriteFile(file, []byte("cluster: {name: test}\ninsecure: true\ndiscovery: {tag: hacluster=edge-1}\neip: {allocation_id: "+allocation+
		"}\nhealth: {stats: {socket: /s}}\n"), 0o600))
	out, err := hacluster(t, t.TempDir(), "config", "check", file)
	if err != nil || !strings.Contains(out, "ok: cluster test, 3 nodes and more, found by the tag hacluster=edge-1, profile default") {
		t.Errorf("%v: %s", err, out)
	}
	out, err = hacluster(t, t.TempDir(), "recover", "--config", file, "--data-dir", t.TempDir())
	if err == nil || !strings.Contains(out, "does not say which nodes were found: there is nothing to recover from on this node") {
		t.Errorf("%v: %s", err, out)
	}
}
