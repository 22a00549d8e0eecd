package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hacluster/hacluster/eip/ec2fake"
	"github.com/hacluster/hacluster/internal/adminapi"
)

// member is one running agent of a cluster on loopback addresses.
type member struct {
	node
	name    string
	cmd     *exec.Cmd
	log     bytes.Buffer
	systemd *systemd // nil: no manager started it
}

// TestTwoNodesAndAWitness: the third vote for a site of two: it votes, never holds, and needs neither HAProxy nor EC2 nor a raw
// socket, so it runs here as nobody.
func TestTwoNodesAndAWitness(t *testing.T) {
	needRoot(t)
	haproxy, err := net.Listen("tcp", "127.0.0.1:0") // as far as the tcp check can tell
	must(t, err)
	t.Cleanup(func() { _ = haproxy.Close() })
	endpoint, calls := emulator(t)
	port := freePort(t)
	var members []*member
	for i, name := range []string{"node-a", "node-b", "node-c"} {
		m := startMember(t, name, i+1, port, endpoint, haproxy.Addr().String(), patientRaft)
		members = append(members, m)
	}
	holder := ""
	waitLong(t, "an agreed holder and another candidate", func() bool {
		s, err := members[2].status()
		holder = s.Holder
		return err == nil && s.Held() && s.Leader == holder && s.State == "Backup" && candidates(s) == 2
	})
	other := map[string]string{"node-a": "node-b", "node-b": "node-a"}[holder]
	if other == "" {
		t.Fatalf("the witness holds: %q", holder)
	}
	t.Run("the witness may not be asked to hold", func(t *testing.T) {
		out, err := members[2].hacluster("transfer", "--to", "node-c")
		if err == nil || !strings.Contains(out, "witness") {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("a transfer asked at the witness", func(t *testing.T) {
		out, err := members[2].hacluster("transfer")
		if err != nil || !strings.HasPrefix(out, other+" holds the address") {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("a drain asked at the witness", func(t *testing.T) {
		out, err := members[2].hacluster("drain", other)
		if err != nil || !strings.HasPrefix(out, other+" is drained and holds nothing") {
			t.Errorf("%v: %s", err, out)
		}
		if out, err := members[2].hacluster("transfer", "--to", other); err == nil || !strings.Contains(out, "drained") {
			t.Errorf("a transfer to a drained node: %v: %s", err, out)
		}
		if out, err := members[2].hacluster("drain", "node-z"); err == nil || !strings.Contains(out, "the nodes are node-a, node-b, node-c") {
			t.Errorf("a drain of nobody: %v: %s", err, out)
		}
		var taken struct {
			Node    string
			Drained bool
		}
		members[2].answer(&taken, "undrain", other)
		if taken.Node != other || taken.Drained {
			t.Errorf("taken back: %+v", taken)
		}
		var to struct{ Holder string }
		members[2].answer(&to, "transfer", "--to", other)
		if to.Holder != other {
			t.Errorf("a transfer to a node that was taken back: %+v", to)
		}
	})
	t.Run("a configuration file is read anew", func(t *testing.T) {
		var before adminapi.Status
		waitFor(t, "node-a to know what the witness was told", func() bool {
			var err error
			before, err = members[0].status()
			return err == nil && before.Held() && before.Holder == other
		})
		members[0].edit("", "placement: {preempt: true, preempt_delay: 1000s}\nlog: {level: debug}\n")
		members[0].edit("priority: 101", "priority: 99")
		out, err := members[0].hacluster("reload")
		if want := "nodes: restart the agent: the nodes agree on it when they start"; err != nil ||
			!strings.Contains(out, "placement.preempt: taken\n") || !strings.Contains(out, "log.level: taken\n") || !strings.Contains(out, want) {
			t.Errorf("%v: %s", err, out)
		}
		members[0].edit("level: debug", "level: loud")
		if out, err := members[0].hacluster("reload"); err == nil || !strings.Contains(out, "nothing was changed") || !strings.Contains(out, `"loud" is not known`) {
			t.Errorf("a file with a mistake: %v: %s", err, out)
		}
		members[0].edit("level: loud", "level: info")
		must(t, members[0].cmd.Process.Signal(syscall.SIGHUP))
		waitFor(t, "the file read at SIGHUP", func() bool {
			var r adminapi.Reloaded
			members[0].answer(&r, "reload")
			return len(r.Changed) == 0 && r.Restart["nodes"] != ""
		})
		after, err := members[0].status()
		must(t, err)
		if after.Term != before.Term || after.Addresses[0].AssociationID != before.Addresses[0].AssociationID {
			t.Errorf("term %d became %d, %s became %s", before.Term, after.Term, before.Addresses[0].AssociationID, after.Addresses[0].AssociationID)
		}
	})
	t.Run("the witness keeps the quorum", func(t *testing.T) {
		for _, m := range members {
			if m.name == other {
				must(t, m.cmd.Process.Kill())
			}
		}
		waitLong(t, "the address back at "+holder, func() bool {
			s, err := members[2].status()
			return err == nil && s.Holder == holder && s.Held() && s.Leader == holder
		})
	})
	if n := calls(); n == 0 {
		t.Error("no call reached EC2")
	}
	for _, m := range members {
		if m.name == other {
			continue
		}
		must(t, m.cmd.Process.Signal(syscall.SIGTERM))
		if err := m.cmd.Wait(); err != nil {
			t.Errorf("%s after SIGTERM: %v\n%s", m.name, err, m.log.String())
		}
	}
}

// candidates counts the nodes that may hold, as far as the cluster agreed.
func candidates(s adminapi.Status) int {
	n := 0
	for _, node := range s.Nodes {
		if node.Healthy && node.EC2 && !node.Witness {
			n++
		}
	}
	return n
}

// emulator serves one EC2 for two instances. calls counts what changed something.
func emulator(t *testing.T) (endpoint string, calls func() int) {
	fake, err := ec2fake.New(ec2fake.Config{
		Addresses: []ec2fake.AddressSpec{{AllocationID: allocation, PublicIP: netip.MustParseAddr("203.0.113.10")}},
		Instances: []ec2fake.InstanceSpec{
			{ID: "i-0aaaaaaaaaaaaaaa1", ENI: "eni-0aaaaaaaaaaaaaaa1", PrivateIPs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}},
			{ID: "i-0aaaaaaaaaaaaaaa2", ENI: "eni-0aaaaaaaaaaaaaaa2", PrivateIPs: []netip.Addr{netip.MustParseAddr("127.0.0.2")}},
		},
		AccessKeys: []ec2fake.AccessKey{{ID: "AKIDEXAMPLE", Secret: "right"}},
	})
	must(t, err)
	server := httptest.NewServer(fake.EC2())
	t.Cleanup(server.Close)
	return server.URL, func() int {
		n := 0
		for _, c := range fake.Calls(0) {
			if c.Mutating() && c.Changed {
				n++
			}
		}
		return n
	}
}

// startMember starts an agent. settings are further lines of its configuration.
func startMember(t *testing.T, name string, number, port int, endpoint, haproxy string, settings ...string) *member {
	t.Helper()
	return runMember(t, name, endpoint, func(m *member) string { return memberFile(m, number, port, haproxy, settings) })
}

// memberFile is the configuration of one of two nodes and a witness.
func memberFile(m *member, number, port int, haproxy string, settings []string) string {
	if !slices.ContainsFunc(settings, func(s string) bool { return strings.HasPrefix(s, "tls:") }) {
		settings = append(settings, "insecure: true")
	}
	if !slices.ContainsFunc(settings, func(s string) bool { return strings.HasPrefix(s, "http:") }) {
		settings = append(settings, `http: {listen: ""}`) // they share a machine
	}
	return fmt.Sprintf(`cluster: {name: test}
node: %s
data_dir: %s
nodes:
  - {name: node-a, address: "127.0.0.1:%d", priority: 102}
  - {name: node-b, address: "127.0.0.2:%d", priority: 101}
  - {name: node-c, address: "127.0.0.3:%d", witness: true}
eip: {allocation_id: %s, observe_interval: 10s}
aws: {region: eu-central-1, endpoint: "%s", network_interface_id: eni-0aaaaaaaaaaaaaaa%d, private_ip: 127.0.0.%d}
health: {tcp: {address: "%s"}}
admin: {socket: %s}
%s
`, m.name, m.data(), port, port, port, allocation, m.endpoint, number, number, haproxy, m.socket(), strings.Join(settings, "\n"))
}

// runMember starts an agent with a configuration.
func runMember(t *testing.T, name, endpoint string, configuration func(*member) string) *member {
	t.Helper()
	dir, err := os.MkdirTemp("", "hm")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if name == "node-c" {
		must(t, os.Chown(dir, nobody, nobody))
	}
	must(t, os.Chmod(dir, 0o755))
	m := &member{node: node{t: t, dir: dir, endpoint: endpoint, secret: "right", asNobody: name == "node-c"}, name: name}
	file := filepath.Join(dir, "hacluster.yaml")
	must(t, os.WriteFile(file, []byte(configuration(m)), 0o644))
	binary, err := buildOnce()
	must(t, err)
	must(t, os.Chmod(filepath.Dir(binary), 0o755))
	m.cmd = m.command("agent", "--config", file)
	m.cmd.Stderr = &m.log
	must(t, m.cmd.Start())
	t.Cleanup(func() {
		_ = m.cmd.Process.Kill() // by now it has ended, unless the test failed
		_ = m.cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", name, m.log.String())
		}
	})
	return m
}

// answer runs a command that must succeed, and reads its JSON.
func (m *member) answer(to any, args ...string) {
	m.t.Helper()
	out, err := m.hacluster(append(args, "-o", "json")...)
	if err == nil {
		err = json.Unmarshal([]byte(out), to)
	}
	if err != nil {
		m.t.Errorf("hacluster %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// hacluster runs a command against the member's agent, as its user.
func (m *member) hacluster(args ...string) (string, error) {
	out, err := m.command(append(args, "--socket", m.socket())...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); args[0] == "status" && errors.As(err, &exit) && exit.ExitCode() == 1 {
		err = nil // an answer, which is that something is wrong
	}
	return string(out), err
}

func (m *member) status() (adminapi.Status, error) {
	var s adminapi.Status
	out, err := m.hacluster("status", "-o", "json")
	if err != nil {
		return s, err
	}
	err = json.Unmarshal([]byte(out), &s)
	return s, err
}
