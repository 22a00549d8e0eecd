package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDetectionTime(t *testing.T) {
	const ms = time.Millisecond
	quick := Probe{Interval: 200 * ms, Timeout: 300 * ms, Rise: 2, Fall: 2}
	lazy := Probe{Interval: 1000 * ms, Timeout: 100 * ms, Rise: 1, Fall: 3}
	tests := []struct {
		name   string
		health Health
		want   time.Duration
	}{
		{"nothing", Health{}, 0},
		{"process and tcp do not notice a hang", Health{Process: &ProcessCheck{}, TCP: &TCPCheck{Probe: quick}}, 0},
		{"timeout beyond the interval: 200 + 300 + 300", Health{Stats: &StatsCheck{Probe: quick}}, 800 * ms},
		{"interval beyond the timeout: 1000 + 2 x 1000 + 100", Health{HTTP: &HTTPCheck{Probe: lazy}}, 3100 * ms},
		{"the quicker of two", Health{HTTP: &HTTPCheck{Probe: lazy}, Stats: &StatsCheck{Probe: quick}}, 800 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.health.DetectionTime(); got != tt.want {
				t.Errorf("DetectionTime() = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	const stats = "health: {stats: {socket: /s}}\n"
	nodes := func(lines ...string) string { return "nodes:\n  - {" + strings.Join(lines, "}\n  - {") + "}\n" }
	ranked := nodes("name: lb-1, priority: 3, address: 10.0.0.1:1", "name: lb-2, priority: 2, address: 10.0.0.2:1", "name: lb-3, priority: 1, address: 10.0.0.3:1")
	tests := []struct {
		name, file string
		want       []string // their beginnings
	}{
		{"nothing odd", ranked + stats, nil},
		{"equal priorities", nodes("name: lb-1, address: 10.0.0.1:1", "name: lb-2, address: 10.0.0.2:1", "name: lb-3, address: 10.0.0.3:1, witness: true") + stats,
			[]string{"nodes: lb-1 and lb-2 have the same priority 100"}},
		{"an even number", strings.TrimSpace(ranked) + "\n  - {name: lb-4, address: 10.0.0.4:1, priority: 9}\n" + stats,
			[]string{"nodes: 4 nodes survive no more failures than 3"}},
		{"a node that joins", nodes("name: lb-1, address: 10.0.0.1:1", "name: lb-2, address: 10.0.0.2:1, priority: 9") + stats,
			[]string{"nodes: 2 are too few to begin a cluster: this node never forms one by itself, and moves no address until a running cluster lets it in ('hacluster join'); " +
				"for a new cluster name 3 nodes, of which one may be a witness without HAProxy (witness: true)"}},
		{"a single candidate", nodes("name: lb-1, address: 10.0.0.1:1", "name: w1, address: 10.0.0.2:1, witness: true", "name: w2, address: 10.0.0.3:1, witness: true") + stats,
			[]string{"nodes: only lb-1 can hold"}},
		{"a delay without preemption", ranked + stats + "placement: {preempt_delay: 5s}\n", []string{"placement: preempt_delay"}},
		{"a checksum mode in version 2", ranked + stats + "vrrp: {version: 2, advertisement_interval: 1s, checksum: as-v2}\n", []string{"vrrp: checksum", "raft: hints come too late"}},
		{"slow adverts without hints", ranked + stats + "vrrp: {advertisement_interval: 1s}\nraft: {hints: false}\n", nil},
		{"short time-outs without a look at the processes", "profile: fast\n" + ranked + stats, []string{"health: a time-out below 300ms counts load"}},
		{"short time-outs with one", "profile: fast\n" + ranked + "health: {process: {}, stats: {socket: /s}}\n", nil},
		{"hangs go unnoticed", ranked + "health: {process: {}}\n", []string{"health: no check notices"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := "cluster: {name: e}\ninsecure: true\neip: {allocation_id: eipalloc-0123abcd}\n" + tt.file
			c, err := parse("c.yaml", []byte(file), "", host)
			if err != nil {
				t.Fatal(err)
			}
			got := c.Warnings()[1:] // the first is always the one about plain TCP
			if !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
				t.Errorf("warnings = %q, want %q", got, tt.want)
			}
		})
	}
}

// TestPortsThatNoneHas: a check of such a port would fail on every node for ever.
func TestPortsThatNoneHas(t *testing.T) {
	tests := []struct{ health, want string }{
		{"tcp: {address: '127.0.0.1:99999'}", "health.tcp.address: 99999 is no port; write one from 1 to 65535"},
		{"tcp: {address: '127.0.0.1:0'}", "health.tcp.address: 0 is no port; write one from 1 to 65535"},
		{"tcp: {address: '[::1]:65536'}", "health.tcp.address: 65536 is no port; write one from 1 to 65535"},
		{"http: {url: 'http://127.0.0.1:80800/x'}", "health.http.url: 80800 is no port; write one from 1 to 65535"},
		{"tcp: {address: '127.0.0.1:65535'}, http: {url: 'http://127.0.0.1/'}", ""},
		{"tcp: {address: '127.0.0.1:https'}", ""}, // net.Dial looks it up
	}
	for _, tt := range tests {
		t.Run(tt.health, func(t *testing.T) {
			_, err := parse("c.yaml", []byte(strings.Replace(minimal, "process: {}", tt.health, 1)), "lb-1", host)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

// TestWitnessNeedsNoHealthCheck: it has no HAProxy to check.
func TestWitnessNeedsNoHealthCheck(t *testing.T) {
	file := strings.Replace(minimal, "health: {process: {}}", "", 1)
	file = strings.Replace(file, "name: lb-3,", "name: lb-3, witness: true,", 1)
	if _, err := parse("c.yaml", []byte(file), "lb-3", host); err != nil {
		t.Errorf("the witness: %v", err)
	}
	if _, err := parse("c.yaml", []byte(file), "lb-1", host); err == nil || !strings.Contains(err.Error(), "health: no check is configured") {
		t.Errorf("a candidate without a check: %v", err)
	}
}

// TestSeveralElasticIPs: each needs a place of its own on every node that may hold it.
func TestSeveralElasticIPs(t *testing.T) {
	const two = "allocation_ids: [eipalloc-0123456a, eipalloc-0123456b]"
	file := func(eip string, places ...string) string {
		text := strings.Replace(minimal, "allocation_id: eipalloc-0123456789abcdef0", eip, 1)
		for i, p := range places {
			n := string(rune('1' + i))
			text = strings.Replace(text, `"10.0.`+n+`.11:7400"`, `"10.0.`+n+`.11:7400", `+p, 1)
		}
		return text
	}
	tests := []struct {
		name, file string
		want       string // in the error; empty: the file is right
	}{
		{"two", file(two, "private_ips: [10.0.1.1, 10.0.1.2]", "private_ips: [10.0.2.1, 10.0.2.2]", "private_ips: [10.0.3.1, 10.0.3.2]"), ""},
		{"two and a witness", file(two, "private_ips: [10.0.1.1, 10.0.1.2]", "private_ips: [10.0.2.1, 10.0.2.2]", "witness: true"), ""},
		{"one, placed", file("allocation_id: eipalloc-0123456a", "private_ips: [10.0.1.1]"), ""},
		{"without places", file(two), "nodes[0].private_ips: 0 private addresses for 2 Elastic IPs; write one for each"},
		{"a place too few", file(two, "private_ips: [10.0.1.1]"), "nodes[0].private_ips: 1 private addresses for 2"},
		{"a place for a witness", file(two, "witness: true, private_ips: [10.0.1.1, 10.0.1.2]"), "is set on a witness"},
		{"one place for two", file(two, "private_ips: [10.0.1.1, 10.0.1.1]"), "10.0.1.1 is already one of lb-1"},
		{"IPv6", file(two, "private_ips: ['fd00::1', 10.0.1.1]"), "fd00::1 is not the IPv4 address of one machine"},
		{"both spellings", file("allocation_id: eipalloc-0123456a, " + two), "eip.allocation_ids: is set beside eip.allocation_id"},
		{"one twice", file("allocation_ids: [eipalloc-0123456a, eipalloc-0123456a]"), "eipalloc-0123456a is there twice"},
		{"no Elastic IP at all", file("fencing: strict"), "eip.allocation_id: is missing"},
		{"master sometimes", file("allocation_id: eipalloc-0123456a, master_when: most"), "eip.master_when: \"most\" is not known; write all or any"},
		{"a place said twice", file("allocation_id: eipalloc-0123456a", "private_ips: [10.0.1.1]") + "aws: {private_ip: 10.0.1.1}\n", "aws.private_ip: says the same"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse("c.yaml", []byte(tt.file), "lb-1", host)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

func TestNearestKey(t *testing.T) {
	keys := []string{"allocation_id", "fencing", "drift", "url"}
	for word, want := range map[string]string{
		"alocation_id": "allocation_id", "allocationid": "allocation_id", "fencnig": "fencing", "drfit": "", "drif": "drift", "uri": "url", "id": "", "": "",
	} {
		if got := nearest(word, keys); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

// TestInterface: by name, by address, or by a network that fits all nodes.
func TestInterface(t *testing.T) {
	for text, ok := range map[string]bool{
		"ens5": true, "eth0.100": true, "10.0.1.11": true, "10.0.0.0/16": true, "eni-that-is-too-long": false, "eth0/16": false, "fd00::1": false, "10.0.0.0/33": false,
	} {
		file := minimal + "vrrp: {interface: \"" + text + "\"}\n"
		if _, err := parse("c.yaml", []byte(file), "", host); (err == nil) != ok {
			t.Errorf("interface %s: %v, want it accepted: %t", text, err, ok)
		}
	}
}

// TestTLSOrNot: one of the two must be said. What is wrong with the files themselves is seen on the node.
func TestTLSOrNot(t *testing.T) {
	secure := func(lines string) string { return strings.Replace(minimal, "insecure: true\n", lines, 1) }
	const fingerprint = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	tests := []struct {
		name, file string
		want       string // in the error; empty: the file is right
	}{
		{"tls with its defaults", secure("tls: {}\n"), ""},
		{"tls, and insecure switched off", secure("tls: {}\ninsecure: false\n"), ""},
		{"insecure", minimal, ""},
		{"neither", secure(""), "c.yaml:1: tls: is missing"},
		{"insecure switched off", secure("insecure: false\n"), "c.yaml:1: tls: is missing"},
		{"both", secure("tls: {}\ninsecure: true\n"), "c.yaml:8: insecure: is true beside tls"},
		{"a section without a value", secure("tls:\n"), "c.yaml:7: tls: has no value; write {} for its defaults"},
		{"a relative path", secure("tls: {key: node.key}\n"), `tls.key: "node.key" is not an absolute path`},
		{"a revoked certificate", secure("tls: {revoked: ['" + fingerprint + "']}\n"), ""},
		{"as openssl prints it", secure("tls: {revoked: ['01:23:45']}\n"), "tls.revoked[0]: \"01:23:45\" is not of the form sha256:"},
		{"a cluster that can be in no DNS name", strings.Replace(secure("tls: {}\n"), "edge-1", "edge-", 1), "cluster.name: \"edge-\" is not of the form"},
		{"the same without certificates", strings.Replace(minimal, "edge-1", "edge-", 1), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parse("c.yaml", []byte(tt.file), "", host)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want == "" && (c.TLS == nil) != c.Insecure:
				t.Errorf("tls %+v, insecure %v", c.TLS, c.Insecure)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}
