package config

import (
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const example = "../../docs/config.example.yaml"

// cmpAddrs lets cmp compare addresses, whose fields are not exported.
var cmpAddrs = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
}

func readExample(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func parseExample(t *testing.T) Config {
	t.Helper()
	c, err := parse(example, []byte(readExample(t)), "", host)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestExampleShowsTheDefaults: an operator who copies the example gets what an operator gets who leaves the keys out.
func TestExampleShowsTheDefaults(t *testing.T) {
	want := defaults(ProfileDefault)
	want.Cluster.Name = "edge-1"
	want.Node = host
	want.TLS = &TLS{}
	want.TLS.setDefaults(ProfileDefault)
	want.EIP.AllocationID = "eipalloc-0123456789abcdef0"
	want.Nodes = []Node{exampleNode("lb-1", 1, 150), exampleNode("lb-2", 2, 100), exampleNode("lb-3", 3, 50)}
	var process ProcessCheck
	process.setDefaults(ProfileDefault)
	stats := StatsCheck{Socket: "/run/haproxy/admin.sock"}
	stats.setDefaults(ProfileDefault)
	http := HTTPCheck{URL: "http://127.0.0.1:80/healthz"}
	http.setDefaults(ProfileDefault)
	want.Health = Health{Process: &process, Stats: &stats, HTTP: &http}
	if diff := cmp.Diff(want, parseExample(t), cmpAddrs); diff != "" {
		t.Errorf("the example (-defaults +example):\n%s", diff)
	}
}

func exampleNode(name string, subnet byte, priority int) Node {
	addr := netip.AddrFrom4([4]byte{10, 0, subnet, 11})
	return Node{Name: name, Address: netip.AddrPortFrom(addr, 7400), VRRPAddress: addr, Priority: priority}
}

// TestExampleWithEveryKeySet also reads the keys that the example only shows as comments, so that their spelling and
// their values are right, and so that a commented default is the default.
func TestExampleWithEveryKeySet(t *testing.T) {
	text := uncomment(discoveryPart().ReplaceAllString(readExample(t), ""))
	text = strings.Replace(text, "aws: {}", "aws:", 1)
	text = several(text)
	text = strings.NewReplacer("version: 3", "version: 2", "advertisement_interval: 100ms", "advertisement_interval: 1s").Replace(text) // as auth_pass needs
	c, err := parse(example, []byte(text), "", "some-other-host")
	if err != nil {
		t.Fatal(err)
	}
	var tcp TCPCheck
	tcp.setDefaults(ProfileDefault)
	var script ScriptCheck
	script.setDefaults(ProfileDefault)
	if c.Health.TCP == nil || c.Health.TCP.Probe != tcp.Probe {
		t.Errorf("commented tcp check = %+v, want the defaults %+v", c.Health.TCP, tcp.Probe)
	}
	if c.Health.Script == nil || c.Health.Script.Probe != script.Probe {
		t.Errorf("commented script check = %+v, want the defaults %+v", c.Health.Script, script.Probe)
	}
	for _, missing := range unset("", reflect.ValueOf(c)) {
		t.Errorf("the example does not show %s", missing)
	}
}

// several makes the example one of two Elastic IPs: the keys for one of them have to go, and each node needs its places.
func several(text string) string {
	return strings.NewReplacer("  allocation_id: eipalloc-0123456789abcdef0\n", "", "  private_ip: 10.0.1.11 ", "  # private_ip: ",
		"priority: 100\n", "priority: 100\n    private_ips: [10.0.2.21, 10.0.2.22]\n",
		"priority: 50\n", "priority: 50\n    private_ips: [10.0.3.21, 10.0.3.22]\n").Replace(text)
}

// TestExampleOfDiscovery: in place of nodes, with every key set, and with the defaults that it shows.
func TestExampleOfDiscovery(t *testing.T) {
	text := readExample(t)
	shown := uncomment(discoveryPart().FindString(text))
	text = regexp.MustCompile(`(?ms)^nodes:.*?^$`).ReplaceAllString(text, shown)
	c, err := parse(example, []byte(text), "", host)
	if err != nil {
		t.Fatal(err)
	}
	var want Discovery
	want.setDefaults(ProfileDefault)
	want.Tag, want.VRRP = "hacluster=edge-1", netip.MustParsePrefix("10.0.0.0/16")
	if c.Discovery == nil || *c.Discovery != want {
		t.Errorf("discovery %+v, want %+v", c.Discovery, want)
	}
	if warnings := c.Warnings(); len(warnings) > 0 {
		t.Errorf("warnings = %q, want none", warnings)
	}
}

// discoveryPart is the commented section.
func discoveryPart() *regexp.Regexp { return regexp.MustCompile(`(?m)^# discovery:\n(#   .*\n)*`) }

// uncomment sets the keys that the example only shows.
func uncomment(text string) string {
	return regexp.MustCompile(`(?m)^( *)# ( *(?:- )?[a-z_]+:(?: .*)?)$`).ReplaceAllString(text, "$1$2")
}

// unset lists the paths of zero values: those that the example does not mention. A false or 0s that the example does
// write looks the same, so those are named here.
func unset(path string, v reflect.Value) []string {
	switch path {
	case "placement.preempt", "placement.preempt_delay", "nodes.witness", "insecure", "discovery":
		return nil
	case "eip.allocation_id", "aws.private_ip": // for one Elastic IP
		return nil
	}
	switch v.Interface().(type) {
	case Cluster, EIP, AWS, VRRP, Raft, Placement, Damping, Health, Hooks, Admin, HTTP, Log, Config, Node:
		return unsetIn(path, v)
	case []Node:
		return unset(path, v.Index(0))
	}
	switch {
	case v.IsZero():
		return []string{path}
	case v.Kind() == reflect.Pointer:
		return unsetIn(path, v.Elem())
	}
	return nil
}

func unsetIn(path string, v reflect.Value) []string {
	var missing []string
	fields := fieldsOf(v)
	for _, key := range fields.keys {
		missing = append(missing, unset(joinPath(path, key), fields.byKey[key])...)
	}
	return missing
}

// TestExampleNoticesAHang holds the figure that the example states.
func TestExampleNoticesAHang(t *testing.T) {
	if got, want := parseExample(t).Health.DetectionTime(), 800*time.Millisecond; got != want {
		t.Errorf("detection time = %v, the example says %v", got, want)
	}
}

func TestExampleIsNothingToWarnOf(t *testing.T) {
	if warnings := parseExample(t).Warnings(); len(warnings) > 0 {
		t.Errorf("warnings = %q, want none", warnings)
	}
}
