package main_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
	"github.com/hacluster/hacluster/internal/adminapi"
	"github.com/hacluster/hacluster/internal/controller"
)

// site is everything around a cluster that grows and shrinks: an EC2 for five instances, an HAProxy as far as a tcp check can tell, and
// certificates.
type site struct {
	t        *testing.T
	endpoint string
	haproxy  string
	work     string // with the authority in ca
	port     int
	certs    map[string]string
}

// siteNames are the nodes, the n-th of them at 127.0.0.n. node-c and node-f are witnesses; node-c runs as nobody.
var siteNames = []string{"node-a", "node-b", "node-c", "node-d", "node-e", "node-f"}

func isWitness(name string) bool { return name == "node-c" || name == "node-f" }

func newSite(t *testing.T) *site {
	t.Helper()
	haproxy, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = haproxy.Close() })
	config := ec2fake.Config{
		Addresses:  []ec2fake.AddressSpec{{AllocationID: allocation, PublicIP: netip.MustParseAddr("203.0.113.10")}},
		AccessKeys: []ec2fake.AccessKey{{ID: "AKIDEXAMPLE", Secret: "right"}},
	}
	for i := range siteNames {
		config.Instances = append(config.Instances, ec2fake.InstanceSpec{ID: fmt.Sprintf("i-0aaaaaaaaaaaaaaa%d", i+1), ENI: fmt.Sprintf("eni-0aaaaaaaaaaaaaaa%d", i+1),
			PrivateIPs: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, byte(i + 1)})}})
	}
	fake, err := ec2fake.New(config)
	must(t, err)
	server := httptest.NewServer(fake.EC2())
	t.Cleanup(server.Close)
	s := &site{t: t, endpoint: server.URL, haproxy: haproxy.Addr().String(), work: t.TempDir(), port: freePort(t), certs: map[string]string{}}
	mustRun(t, s.work, "tls", "ca", "create", "--cluster", "test", "--out", "ca")
	for _, name := range siteNames {
		mustRun(t, s.work, "tls", "cert", "create", "--node", name, "--ca", "ca")
		s.certs[name] = install(t, filepath.Join(s.work, name), "", name)
	}
	return s
}

func number(name string) int { return slices.Index(siteNames, name) + 1 }

// configure writes the configuration of a node that knows the named ones, itself among them.
func (s *site) configure(name string, knows ...string) *member {
	s.t.Helper()
	dir, err := os.MkdirTemp("", "hm")
	must(s.t, err)
	s.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if name == "node-c" {
		must(s.t, os.Chown(dir, nobody, nobody))
	}
	must(s.t, os.Chmod(dir, 0o755))
	m := &member{node: node{t: s.t, dir: dir, endpoint: s.endpoint, secret: "right", asNobody: name == "node-c"}, name: name}
	var nodes strings.Builder
	for _, other := range knows {
		n := number(other)
		fmt.Fprintf(&nodes, "  - {name: %s, address: \"127.0.0.%d:%d\", priority: %d, witness: %t}\n", other, n, s.port, 110-n, isWitness(other))
	}
	must(s.t, os.WriteFile(m.file(), []byte(fmt.Sprintf(`cluster: {name: test}
node: %s
data_dir: %s
nodes:
%seip: {allocation_id: %s}
aws: {region: eu-central-1, endpoint: "%s", network_interface_id: eni-0aaaaaaaaaaaaaaa%[6]d, private_ip: 127.0.0.%[6]d}
health: {tcp: {address: "%[7]s"}}
admin: {socket: %[8]s}
%[10]s
tls: {ca: %[9]s/ca.crt, cert: %[9]s/node.crt, key: %[9]s/node.key}
`, name, m.data(), nodes.String(), allocation, s.endpoint, number(name), s.haproxy, m.socket(), s.certs[name], patientRaft)), 0o644))
	return m
}

func (m *member) file() string { return filepath.Join(m.dir, "hacluster.yaml") }

// run starts the agent.
func (m *member) run() {
	m.t.Helper()
	binary, err := buildOnce()
	must(m.t, err)
	must(m.t, os.Chmod(filepath.Dir(binary), 0o755))
	m.cmd = m.command("agent", "--config", m.file())
	m.cmd.Stderr = &m.log
	must(m.t, m.cmd.Start())
	m.t.Cleanup(func() {
		_ = m.cmd.Process.Kill() // by now it has ended, unless the test failed
		_ = m.cmd.Wait()
		if m.t.Failed() {
			m.t.Logf("%s:\n%s", m.name, m.log.String())
		}
	})
}

// members are those that the agent of m lists.
func (m *member) members() []controller.Member {
	out, err := m.hacluster("members", "-o", "json")
	var list controller.MemberList
	if err != nil || json.Unmarshal([]byte(out), &list) != nil {
		return nil
	}
	return list.Members
}

func (m *member) standings() map[string]string {
	standings := map[string]string{}
	for _, member := range m.members() {
		standings[member.Name] = member.Standing
	}
	return standings
}

// await waits until the agent of m sees these voters and nobody else but removed nodes.
func (m *member) await(voters ...string) {
	m.t.Helper()
	within(m.t, time.Minute, "the voters "+strings.Join(voters, ", "), func() bool {
		n := 0
		for name, standing := range m.standings() {
			switch {
			case standing == controller.StandingVoter && slices.Contains(voters, name):
				n++
			case standing != controller.StandingRemoved:
				return false
			}
		}
		return n == len(voters)
	})
}

// awaitSelf waits until the agent of m says that it takes part.
func (m *member) awaitSelf() {
	m.t.Helper()
	within(m.t, time.Minute, m.name+" running", func() bool {
		s, err := m.status()
		return err == nil && s.Phase == "running"
	})
}

// incarnation of a node as the agent of m lists it.
func (m *member) incarnation(name string) string {
	for _, member := range m.members() {
		if member.Name == name {
			return member.Incarnation
		}
	}
	return ""
}

func within(t *testing.T, limit time.Duration, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within %v", what, limit)
		}
	}
}

// TestTheMembersOfACluster: three nodes under TLS grow to five and shrink to three, by what docs/MEMBERS.md tells an operator to type. The
// nodes that are there in the end include both that came, and not the first leader.
func TestTheMembersOfACluster(t *testing.T) {
	needRoot(t)
	s := newSite(t)
	members := map[string]*member{}
	first := siteNames[:3]
	for _, name := range first {
		members[name] = s.configure(name, first...)
		members[name].run()
	}
	a := members["node-a"]
	waitFor(t, "an agreed holder and another candidate", func() bool {
		st, err := a.status()
		return err == nil && st.Held() && st.Leader == st.Holder && candidates(st) == 2 && st.Level.InUse == st.Level.Known
	})
	a.await(first...)
	join := func(m *member, via string) (string, error) {
		out, err := m.command("join", "--via", via, "--config", m.file()).CombinedOutput()
		return string(out), err
	}

	t.Run("a node that was not let in", func(t *testing.T) {
		d := s.configure("node-d", "node-d", "node-b")
		d.run()
		waitFor(t, "a sentence that names the remedy", func() bool {
			out, _ := d.hacluster("status")
			return strings.Contains(out, `node "node-d" is not admitted`) && strings.Contains(out, "hacluster join")
		})
		members["node-d"] = d
	})
	t.Run("join --via a follower lets it in", func(t *testing.T) {
		if out, err := a.hacluster("transfer", "--to", "node-a"); err != nil && !strings.Contains(out, "leads already") {
			t.Fatalf("%v: %s", err, out)
		}
		out, err := join(members["node-d"], fmt.Sprintf("127.0.0.2:%d", s.port))
		if err != nil || !strings.Contains(out, "node-d is admitted") || !strings.Contains(out, "4 voters survive no more failures than 3") {
			t.Errorf("join: %v: %s", err, out)
		}
		a.await(siteNames[:4]...)
	})
	t.Run("members add, and an even number is no more", func(t *testing.T) {
		out, err := members["node-c"].hacluster("members", "add", "node-e", "--address", fmt.Sprintf("127.0.0.5:%d", s.port), "--priority", "105")
		if err != nil || !strings.Contains(out, "node-e is admitted") || strings.Contains(out, "!") {
			t.Errorf("members add: %v: %s", err, out)
		}
		members["node-e"] = s.configure("node-e", "node-e", "node-d")
		members["node-e"].run()
		a.await(siteNames[:5]...)
	})
	t.Run("the wire follows", func(t *testing.T) {
		// node-a is configured with the first three, and the newcomers' adverts come from elsewhere.
		waitFor(t, "node-d and node-e as peers of node-a", func() bool {
			st, err := a.status()
			if err != nil || st.VRRP == nil {
				return false
			}
			n := 0
			for _, sender := range st.VRRP.Senders {
				if sender.Peer && (sender.Node == "node-d" || sender.Node == "node-e") {
					n++
				}
			}
			return n == 2
		})
		out, err := members["node-e"].hacluster("transfer", "--to", "node-e")
		if err != nil || !strings.HasPrefix(out, "node-e holds the address") {
			t.Fatalf("%v: %s", err, out)
		}
		waitFor(t, "adverts of node-e at node-a", func() bool {
			st, err := a.status()
			return err == nil && slices.ContainsFunc(st.VRRP.Senders, func(v adminapi.Sender) bool { return v.Node == "node-e" && v.Last != nil })
		})
	})
	t.Run("what is refused", func(t *testing.T) {
		for _, tt := range []struct {
			args string
			want string
		}{
			{"remove node-x --yes", `no node is named "node-x"`},
			{"remove node-d", "Type yes"},
			{"members add node-g --address 127.0.0.5:" + fmt.Sprint(s.port), "another node has that address"},
			{"members add node-g --address 127.0.0.7", "ip:port"},
			{"remove node-c --yes", "run the command on another node"},
		} {
			out, err := members["node-c"].hacluster(strings.Fields(tt.args)...)
			if err == nil || !strings.Contains(out, tt.want) {
				t.Errorf("%s: %v: %s; want %q", tt.args, err, out, tt.want)
			}
		}
	})
	t.Run("remove the holder, and then a node that follows", func(t *testing.T) {
		out, err := members["node-e"].hacluster("transfer", "--to", "node-a")
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, name := range []string{"node-a", "node-b"} {
			out, err := members["node-c"].hacluster("remove", name, "--yes")
			if err != nil || !strings.Contains(out, name+" is removed") {
				t.Fatalf("remove %s: %v: %s", name, err, out)
			}
			if err := members[name].cmd.Wait(); err == nil || !strings.Contains(members[name].log.String(), "removed from the cluster") {
				t.Errorf("%s ended with %v", name, err)
			}
		}
		members["node-c"].await("node-c", "node-d", "node-e")
		waitFor(t, "the address at a node that is left", func() bool {
			st, err := members["node-d"].status()
			return err == nil && st.Held() && st.Leader == st.Holder && slices.Contains([]string{"node-d", "node-e"}, st.Holder)
		})
	})
	t.Run("a removed node stays out until it is let in again", func(t *testing.T) {
		b := members["node-b"]
		b.log.Reset()
		b.run()
		waitFor(t, "a sentence", func() bool {
			out, _ := b.hacluster("status")
			return strings.Contains(out, "node-b was removed from the cluster")
		})
		if got := members["node-e"].standings()["node-b"]; got != controller.StandingRemoved {
			t.Errorf("node-b is %q", got)
		}
		// Its own configuration names node-a and node-c; node-c passes it on.
		if out, err := join(b, "node-c"); err != nil {
			t.Errorf("join: %v: %s", err, out)
		}
		members["node-e"].await("node-b", "node-c", "node-d", "node-e")
	})
	t.Run("a witness joins, and never holds", func(t *testing.T) {
		f := s.configure("node-f", "node-f", "node-d")
		if out, err := join(f, "node-d"); err != nil || strings.Contains(out, "!") {
			t.Errorf("join: %v: %s", err, out)
		}
		f.run()
		f.awaitSelf()
		members["node-d"].await("node-b", "node-c", "node-d", "node-e", "node-f")
		if out, err := f.hacluster("transfer", "--to", "node-f"); err == nil || !strings.Contains(out, "witness") {
			t.Errorf("transfer to the witness: %v: %s", err, out)
		}
	})
	t.Run("a dead node is replaced under its name: the same configuration, an empty disk, no command", func(t *testing.T) {
		e := members["node-e"]
		before := members["node-d"].incarnation("node-e")
		must(t, e.cmd.Process.Kill())
		_ = e.cmd.Wait()
		must(t, os.RemoveAll(e.data()))
		e.run()
		e.awaitSelf()
		members["node-d"].await("node-b", "node-c", "node-d", "node-e", "node-f")
		if after := members["node-d"].incarnation("node-e"); before == "" || after == before {
			t.Errorf("incarnation %q, and before %q", after, before)
		}
	})
	out, err := members["node-e"].hacluster("members")
	t.Log(out)
	if err != nil || !strings.Contains(out, "leader") || !strings.Contains(out, "node-a") || !strings.Contains(out, "removed") || !strings.Contains(out, "witness") {
		t.Errorf("members: %v: %s", err, out)
	}
}

// TestJoinNeedsItsOwnCertificate: a certificate vouches for one name, and another authority's for none.
func TestJoinNeedsItsOwnCertificate(t *testing.T) {
	needRoot(t)
	s := newSite(t)
	members := map[string]*member{}
	first := siteNames[:3]
	for _, name := range first {
		members[name] = s.configure(name, first...)
		members[name].run()
	}
	waitFor(t, "a leader", func() bool {
		st, err := members["node-b"].status()
		return err == nil && st.Leader != ""
	})
	mustRun(t, s.work, "tls", "ca", "create", "--cluster", "test", "--out", "other")
	mustRun(t, s.work, "tls", "cert", "create", "--node", "node-d", "--ca", "other", "--out", "forged")
	for name, tt := range map[string]struct{ files, want string }{
		"of another node":      {filepath.Join(s.work, "node-e"), "this is node node-d"},
		"of another authority": {filepath.Join(s.work, "forged"), "no certificate authority"},
	} {
		d := s.configure("node-d", "node-d", "node-b")
		install(t, tt.files, s.certs["node-d"], "node-d")
		out, err := d.command("join", "--via", "node-b", "--config", d.file()).CombinedOutput()
		if err == nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: %v: %s; want %q", name, err, out, tt.want)
		}
	}
	d := s.configure("node-d", "node-d", "node-b")
	for via, want := range map[string]string{"127.0.0.9:1": "no other node in the configuration", "node-d": "no other node in the configuration"} {
		if out, err := d.command("join", "--via", via, "--config", d.file()).CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
			t.Errorf("--via %s: %v: %s", via, err, out)
		}
	}
	if got := members["node-b"].standings(); len(got) != 3 {
		t.Errorf("members: %v", got)
	}
}
