package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// maxExtraPeers bounds what each advert costs: a packet for every peer.
const maxExtraPeers = 16

// maxAuthPass is the length of the authentication field (RFC 3768 section 5.3.10).
const maxAuthPass = 8

func (v VRRP) validateInterface(d *document) {
	if addr, err := netip.ParseAddr(v.Interface); err == nil && addr.Is4() {
		return
	}
	if network, err := netip.ParsePrefix(v.Interface); err == nil && network.Addr().Is4() {
		return
	}
	if len(v.Interface) > maxInterfaceName || strings.ContainsAny(v.Interface, ":/ \t") {
		d.report("vrrp.interface", fmt.Sprintf("%q is neither the name of a network interface nor an IPv4 address or network", v.Interface),
			"write a name that 'ip link' shows, for example ens5, its address, or a network that the address lies in, for example 10.0.0.0/16")
	}
}

// validateAuthPass does not show the password: the report may be logged.
func (v VRRP) validateAuthPass(d *document) {
	switch {
	case v.AuthPass == "":
	case v.Version != 2:
		d.report("vrrp.auth_pass", fmt.Sprintf("VRRPv%d has no authentication", v.Version), "remove it, or use version: 2 for keepalived peers that demand it")
	case len(v.AuthPass) > maxAuthPass:
		d.report("vrrp.auth_pass", fmt.Sprintf("is %d bytes long; VRRPv2 carries %d, and keepalived cuts the rest off", len(v.AuthPass), maxAuthPass),
			fmt.Sprintf("write the first %d only, on keepalived peers too", maxAuthPass))
	}
}

// maxAddresses keeps a packet below every MTU.
const maxAddresses = 20

func (v VRRP) validateAddresses(d *document) {
	if n := len(v.Addresses); n > maxAddresses {
		d.report("vrrp.addresses", fmt.Sprintf("has %d addresses", n), fmt.Sprintf("write at most %d", maxAddresses))
	}
	for i, address := range v.Addresses {
		if !address.Is4() {
			d.report(fmt.Sprintf("vrrp.addresses[%d]", i), fmt.Sprintf("%v is not an IPv4 address", address),
				"write what the keepalived peers have under virtual_ipaddress, without the prefix length")
		}
	}
}

// validateExtraPeers: whoever speaks VRRP from the address of a node is that node.
func (c *Config) validateExtraPeers(d *document) {
	if n := len(c.VRRP.ExtraPeers); n > maxExtraPeers {
		d.report("vrrp.extra_peers", fmt.Sprintf("has %d addresses", n), fmt.Sprintf("write at most %d", maxExtraPeers))
	}
	taken := map[netip.Addr]string{}
	for _, n := range c.Nodes {
		taken[n.VRRPAddress] = "the VRRP address of node " + n.Name
	}
	for i, peer := range c.VRRP.ExtraPeers {
		path := fmt.Sprintf("vrrp.extra_peers[%d]", i)
		if !peer.Is4() || peer.IsUnspecified() || peer.IsMulticast() {
			d.report(path, fmt.Sprintf("%v is not the IPv4 address of one machine", peer), "write the address that its adverts come from")
			continue
		}
		if who, twice := taken[peer]; twice {
			d.report(path, fmt.Sprintf("%v is already %s", peer, who), "remove it here")
		}
		taken[peer] = "an extra peer"
	}
}
