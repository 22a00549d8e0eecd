package main_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

// patient is a machine with an account of its own, which hacluster doctor examines.
type patient struct {
	*node
	cloud *ec2fake.Server
	text  string // the configuration
}

// newPatient makes one whose instance metadata are those of the instance with that private address.
func newPatient(t *testing.T, cloud *ec2fake.Server, address string, text func(n *node, imds string) string) *patient {
	t.Helper()
	server := httptest.NewServer(cloud.EC2())
	t.Cleanup(server.Close)
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = net.JoinHostPort(address, "1") // IMDS tells instances by that
		cloud.IMDS().ServeHTTP(w, r)
	}))
	t.Cleanup(metadata.Close)
	n := &node{t: t, dir: t.TempDir(), endpoint: server.URL, secret: "right", env: []string{"AWS_EC2_METADATA_DISABLED=false"}}
	return &patient{node: n, cloud: cloud, text: text(n, metadata.URL)}
}

// findings are those of some checks, as "STATUS CHECK ABOUT: TEXT". changes are pairs of what the configuration has and what it is to have.
func (p *patient) findings(checks string, changes ...string) string {
	p.t.Helper()
	file := filepath.Join(p.dir, "hacluster.yaml")
	must(p.t, os.WriteFile(file, []byte(strings.NewReplacer(changes...).Replace(p.text)), 0o600))
	stdout, stderr, _ := p.examine("--config", file, "-o", "json")
	var report struct {
		Findings []struct{ Check, About, Status, Text, Remedy string }
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		p.t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	var found []string
	for _, f := range report.Findings {
		if strings.Contains(" "+checks+" ", " "+f.Check+" ") {
			found = append(found, strings.TrimSpace(f.Status+" "+f.Check+" "+f.About)+": "+f.Text)
		}
		if (f.Status == "fail" || f.Status == "warn") && f.Remedy == "" {
			p.t.Errorf("no remedy: %+v", f)
		}
	}
	return strings.Join(found, "\n")
}

func (p *patient) wants(got string, lines ...string) {
	p.t.Helper()
	if want := strings.Join(lines, "\n"); got != want {
		p.t.Errorf("doctor says\n%s\n\nwant\n%s", got, want)
	}
}

func (p *patient) disturbed(faults ...ec2fake.Fault) { must(p.t, p.cloud.SetFaults(faults)) }

// TestDoctorLooksAtEachAddress: where each is, whether it may be moved, what it would displace, and its private address.
func TestDoctorLooksAtEachAddress(t *testing.T) {
	t.Parallel()
	p := newPatient(t, threeAddresses(t), "127.0.0.1", func(n *node, imds string) string {
		return fmt.Sprintf(`cluster: {name: test}
node: node-a
data_dir: %s
insecure: true
nodes:
  - {name: node-a, address: "127.0.0.1:%d", priority: 102, private_ips: [127.0.0.1, 127.0.1.1, 127.0.2.1]}
  - {name: node-b, address: "127.0.0.2:7400", priority: 101, private_ips: [127.0.0.2, 127.0.1.2, 127.0.2.2]}
  - {name: node-c, address: "127.0.0.3:7400", witness: true}
eip: {allocation_ids: [%s]}
aws: {region: eu-central-1, endpoint: "%s", imds_endpoint: "%s"}
health: {tcp: {address: "127.0.0.1:9"}}
admin: {socket: %s}
`, n.data(), freePort(t), strings.Join(ids(), ", "), n.endpoint, imds, n.socket())
	})
	free := func(i int) string {
		return fmt.Sprintf("pass address %s: 203.0.113.1%d (%s) is allocated and associated with nothing", ids()[i], i, ids()[i])
	}
	associate := func(id, address string) {
		_, err := p.cloud.Associate(id, netip.MustParseAddr(address))
		must(t, err)
	}
	t.Run("all is well", func(t *testing.T) {
		p.t = t
		associate(ids()[1], "127.0.1.2")
		p.wants(p.findings("address other-address iam"), free(0), "pass address "+ids()[1]+": 203.0.113.11 ("+ids()[1]+") is with node-b (127.0.1.2)", free(2),
			"pass other-address: no other Elastic IP is with 127.0.0.1, 127.0.1.1, 127.0.2.1", "pass iam ec2:DescribeAddresses: allowed",
			"pass iam ec2:AssociateAddress: allowed for each of 3 addresses", "pass iam ec2:DisassociateAddress: allowed for each of 3 addresses")
	})
	t.Run("the last does not exist", func(t *testing.T) {
		p.t = t
		got := p.findings("address", ids()[2], "eipalloc-0123456789abcdeff")
		if !strings.Contains(got, "pass address "+ids()[1]) || !strings.Contains(got, "fail address eipalloc-0123456789abcdeff: describe address eipalloc-0123456789abcdeff") {
			t.Error(got)
		}
	})
	t.Run("one may not be associated", func(t *testing.T) {
		p.t = t
		p.disturbed(ec2fake.Fault{Kind: ec2fake.Deny, Action: "AssociateAddress", Count: 1})
		got := p.findings("iam")
		if strings.Count(got, "fail iam ec2:AssociateAddress: associate address "+ids()[0]) != 1 || strings.Contains(got, "pass iam ec2:AssociateAddress") {
			t.Error(got)
		}
	})
	t.Run("EC2 throttles", func(t *testing.T) {
		p.t = t
		p.disturbed(ec2fake.Fault{Kind: ec2fake.Throttle, Action: "DisassociateAddress"})
		before := len(p.cloud.Calls(0))
		got := p.findings("iam")
		asked := 0
		for _, c := range p.cloud.Calls(0)[before:] {
			if c.Action == "DisassociateAddress" {
				asked++
			}
		}
		if !strings.Contains(got, "skip iam ec2:DisassociateAddress: not known") || asked != 1 {
			t.Errorf("%d calls that are throttled:\n%s", asked, got)
		}
	})
	p.disturbed()
	t.Run("a place that the interface does not have", func(t *testing.T) {
		p.t = t
		p.wants(p.findings("interface", "127.0.2.1", "127.0.9.9"),
			"pass interface: eni-0aaaaaaaaaaaaaaa1 has 127.0.0.1, 127.0.1.1; its source/destination check may stay on",
			"warn interface operating system: EC2 leads the Elastic IP to 127.0.1.1, which no interface of this operating system has",
			"fail interface: no network interface of this instance is eni-0aaaaaaaaaaaaaaa1 with 127.0.9.9")
	})
	t.Run("another Elastic IP is with the second place", func(t *testing.T) {
		p.t = t
		associate(ids()[2], "127.0.1.1")
		p.wants(p.findings("other-address", ", "+ids()[2], "", ", 127.0.2.1", "", ", 127.0.2.2", ""),
			"fail other-address: another Elastic IP, 203.0.113.12 ("+ids()[2]+") is with 127.0.1.1: taking over would displace it")
	})
}

// TestDoctorWhereNodesAreFound: which nodes there are is looked up first, and what is wrong with that is a finding.
func TestDoctorWhereNodesAreFound(t *testing.T) {
	t.Parallel()
	cloud, err := ec2fake.New(ec2fake.Config{
		Addresses:  []ec2fake.AddressSpec{{AllocationID: allocation, PublicIP: netip.MustParseAddr("203.0.113.10")}},
		Instances:  []ec2fake.InstanceSpec{found(1, "edge-1"), found(2, "edge-1"), found(9, "edge-2")},
		AccessKeys: []ec2fake.AccessKey{{ID: "AKIDEXAMPLE", Secret: "right"}},
	})
	must(t, err)
	p := newPatient(t, cloud, "127.0.0.1", func(n *node, imds string) string {
		return fmt.Sprintf(`cluster: {name: test}
data_dir: %s
insecure: true
discovery: {tag: hacluster=edge-1, port: %d}
eip: {allocation_id: %s}
aws: {region: eu-central-1, endpoint: "%s", imds_endpoint: "%s"}
health: {tcp: {address: "127.0.0.1:9"}}
admin: {socket: %s}
`, n.data(), freePort(t), allocation, n.endpoint, imds, n.socket())
	})
	const unknown = "not known: what this node is, EC2 does not say (discovery)"
	t.Run("one is missing", func(t *testing.T) {
		p.t = t
		p.wants(p.findings("config discovery vrrp", "insecure: true", "insecure: true\nvrrp: {virtual_router_id: 52}"),
			"pass config: cluster test, this is i-00000001 of 2 nodes, profile default",
			"warn config: insecure: the nodes talk over plain TCP", "warn config: health: no check notices a HAProxy that hangs", "warn discovery: the tag hacluster=edge-1 shows the nodes [i-00000001, i-00000002]: "+
				"a new cluster waits for 3, no more and no fewer; one that has begun may have another number",
			"skip vrrp i-00000002: not known: i-00000002 does not say what it hears (peers)")
	})
	must(t, cloud.Launch(found(3, "edge-1")))
	t.Run("all are there", func(t *testing.T) {
		p.t = t
		got := p.findings("discovery peers")
		if !strings.Contains(got, "pass discovery: the tag hacluster=edge-1 shows the nodes [i-00000001, i-00000002, i-00000003], as many as a new cluster waits for") ||
			!strings.Contains(got, "warn peers i-00000003: the machine answers, and nothing listens at 127.0.0.3") {
			t.Error(got)
		}
	})
	t.Run("this one does not have the tag", func(t *testing.T) {
		p.t = t
		p.wants(p.findings("config port discovery certificate peers vrrp", "edge-1", "edge-2"),
			"pass config: cluster test, whose nodes are found by the tag hacluster=edge-2, profile default",
			"warn config: insecure: the nodes talk over plain TCP", "warn config: health: no check notices a HAProxy that hangs", "skip port: "+unknown,
			"fail discovery: this instance, i-00000001, does not have the tag hacluster=edge-2",
			"warn discovery: the tag hacluster=edge-2 shows the nodes [i-00000009]: a new cluster waits for 3, no more and no fewer; one that has begun may have another number",
			"skip certificate: the nodes talk over plain TCP (insecure: true)", "skip peers: "+unknown, "skip vrrp: "+unknown)
	})
	t.Run("the disk is another instance's", func(t *testing.T) {
		p.t = t
		must(t, os.MkdirAll(p.data(), 0o700))
		must(t, os.WriteFile(filepath.Join(p.data(), "discovered.json"), []byte(`{"self": "i-00000007", "nodes": []}`), 0o600))
		if got := p.findings("discovery"); !strings.Contains(got, "belongs to instance i-00000007, and this is i-00000001: the agent does not start") {
			t.Error(got)
		}
	})
	t.Run("it may not look", func(t *testing.T) {
		p.t = t
		p.disturbed(ec2fake.Fault{Kind: ec2fake.Deny, Action: "DescribeInstances"})
		must(t, os.WriteFile(filepath.Join(p.data(), "discovered.json"), []byte(`{"self": "i-00000001", "nodes": [
			{"name": "i-00000001", "address": "127.0.0.1:7400", "vrrp": "127.0.0.1"}, {"name": "i-00000002", "address": "127.0.0.2:7400", "vrrp": "127.0.0.2"}]}`), 0o600))
		got := p.findings("config discovery")
		if !strings.Contains(got, "fail discovery ec2:DescribeInstances: ") || !strings.Contains(got, "this is i-00000001 of 2 nodes") {
			t.Errorf("it goes by what the agent found last:\n%s", got)
		}
	})
	t.Run("EC2 is away", func(t *testing.T) {
		p.t = t
		if got := p.findings("discovery", p.endpoint, "http://127.0.0.1:1"); !strings.HasPrefix(got, "skip discovery: not known (imds, ec2, credentials)") {
			t.Error(got)
		}
	})
}
