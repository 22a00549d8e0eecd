package main

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hacluster/hacluster/internal/config"
	"github.com/hacluster/hacluster/vrrpwire"
)

// Every key of the section vrrp, each with a value that is not its default, reaches the wire.
func TestWireConfig(t *testing.T) {
	const head = "cluster: {name: edge}\nnode: lb-1\ninsecure: true\neip: {allocation_id: eipalloc-0123abcd}\nhealth: {process: {}}\nnodes:\n" +
		"  - {name: lb-1, address: 10.0.1.11:7400, vrrp_address: 10.9.1.11, priority: 150}\n  - {name: lb-2, address: 10.0.2.11:7400}\n" +
		"  - {name: lb-3, address: 10.0.3.11:7400, witness: true}\n"
	auth, err := vrrpwire.Password("s3cret")
	if err != nil {
		t.Fatal(err)
	}
	self, second, third, extra := netip.MustParseAddr("10.9.1.11"), netip.MustParseAddr("10.0.2.11"), netip.MustParseAddr("10.0.3.11"), netip.MustParseAddr("10.0.9.11")
	tests := map[string]struct {
		vrrp string
		want vrrpwire.Config
	}{
		"version 2": {
			`{virtual_router_id: 7, version: 2, advertisement_interval: 2s, interface: ens5, auth_pass: s3cret, min_ttl: 254, extra_peers: [10.0.9.11]}`,
			vrrpwire.Config{VRID: 7, Version: 2, Priority: 150, Interval: 2 * time.Second, Auth: auth, Source: self, Interface: "ens5", MinTTL: 254,
				Peers: []netip.Addr{second, third, extra}},
		},
		"version 3": {
			`{virtual_router_id: 255, advertisement_interval: 30ms, checksum: as-v2, addresses: [169.254.51.51]}`,
			vrrpwire.Config{VRID: 255, Version: 3, Priority: 150, Interval: 30 * time.Millisecond, Checksum: vrrpwire.ChecksumAsV2, Source: self,
				Peers: []netip.Addr{second, third}, Addresses: []netip.Addr{netip.MustParseAddr("169.254.51.51")}},
		},
		"a witness that gives no hints hears nothing": {
			"{virtual_router_id: 1}\nraft: {hints: false}",
			vrrpwire.Config{VRID: 1, Version: 3, Priority: 150, Interval: 100 * time.Millisecond, Source: self, Peers: []netip.Addr{second}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg, err := config.Parse("hacluster.yaml", []byte(head+"vrrp: "+test.vrrp+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := wireConfig(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
