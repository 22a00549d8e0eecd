package config

import (
	"regexp"
	"strings"
	"testing"
)

// TestDiscoveryInPlaceOfNodes: a list or a tag, never both.
func TestDiscoveryInPlaceOfNodes(t *testing.T) {
	nodes := regexp.MustCompile(`(?m)^nodes:\n(  .*\n)+`)
	if !nodes.MatchString(minimal) {
		t.Fatal("the minimal file has no nodes")
	}
	with := func(section string) string { return nodes.ReplaceAllString(minimal, section) }
	tests := []struct {
		name, file string
		want       string // in the error; empty: the file is right
	}{
		{"a tag and nothing else", with("discovery: {tag: hacluster=edge-1}\n"), ""},
		{"the tag that Auto Scaling sets", with("discovery: {tag: 'aws:autoscaling:groupName=edge-1-nodes'}\n"), ""},
		{"neither", with(""), "nodes: 0 is too few"},
		{"both", minimal + "discovery: {tag: hacluster=edge-1}\n", "discovery: stands beside nodes"},
		{"several addresses", strings.Replace(with("discovery: {tag: a=b}\n"), "allocation_id: eipalloc-0123456789abcdef0", "allocation_ids: [eipalloc-0123456a, eipalloc-0123456b]", 1),
			"eip.allocation_ids: has 2 Elastic IPs, each of which needs a private address of its own on each node"},
		{"a name for this node", with("node: lb-1\ndiscovery: {tag: hacluster=edge-1}\n"), "node: is set beside discovery, under which a node's name is its instance id"},
		{"no tag", with("discovery: {}\n"), "discovery.tag: is missing"},
		{"a key without a value", with("discovery: {tag: hacluster}\n"), "discovery.tag: \"hacluster\" is not of the form"},
		{"an even number", with("discovery: {tag: a=b, expect: 4}\n"), "discovery.expect: 4 nodes survive no more failures than 3; write an odd number"},
		{"too few", with("discovery: {tag: a=b, expect: 1}\n"), "discovery.expect: 1 is out of range; write a number from 3 to 9"},
		{"no such port", with("discovery: {tag: a=b, port: 70000}\n"), "discovery.port: 70000 is out of range"},
		{"no network", with("discovery: {tag: a=b, vrrp: 10.0.1.11}\n"), "discovery.vrrp: \"10.0.1.11\" is not a network; write for example 10.0.0.0/16"},
		{"the wrong kind of network", with("discovery: {tag: a=b, vrrp: 'fd00::/64'}\n"), "discovery.vrrp: fd00::/64 is not an IPv4 network"},
		{"impatient", with("discovery: {tag: a=b, stabilisation: 10s}\n"), "discovery.stabilisation: 10s is out of range; write 1m to 24h"},
		{"removed on one read", with("discovery: {tag: a=b, interval: 2m, stabilisation: 3m}\n"), "discovery.stabilisation: 3m is shorter than two reads of EC2, every 2m"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse("c.yaml", []byte(tt.file), "", host)
			if tt.want == "" && err != nil {
				t.Error(err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}
