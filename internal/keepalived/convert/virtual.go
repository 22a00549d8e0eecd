package convert

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hacluster/hacluster/internal/keepalived"
)

// maxNamed is how many addresses hacluster's adverts can name.
const maxNamed = 20

// readVirtual is about addresses on an interface. hacluster sets none, but names in its adverts what keepalived names in its own: either
// side may refuse an advert that names others (keepalived up to 2.3.2 does).
func (c *converter) readVirtual(v *view, block *keepalived.Statement) {
	for _, s := range block.Block {
		v.instance.virtual = append(v.instance.virtual, said(s.Keyword(), s.At))
		text, _, _ := strings.Cut(s.Keyword(), "/")
		ip, err := netip.ParseAddr(text)
		what := block.Keyword() + " " + s.String()
		switch {
		case err != nil:
			c.report.refused(s.At, what, text+" is not an address: correct it")
		case !ip.Is4():
			c.report.dropped(s.At, what, "hacluster sets no address on an interface, and its adverts name IPv4 only")
		case block.Keyword() == "virtual_ipaddress_excluded":
			c.report.dropped(s.At, what, "hacluster sets no address on an interface, and no advert names this one")
		case !slices.ContainsFunc(v.instance.named, func(other value[netip.Addr]) bool { return other.v == ip }):
			v.instance.named = append(v.instance.named, said(ip, s.At))
		}
	}
}

// compareNamed takes the addresses of the first file.
func (c *converter) compareNamed() {
	first := c.views[0].instance.named
	if len(first) > maxNamed {
		c.report.dropped(first[0].at, fmt.Sprintf("virtual_ipaddress with %d addresses", len(first)), fmt.Sprintf("hacluster names at most %d in its "+
			"adverts, so it names none, and a keepalived up to 2.3.2 that still has the block rejects them (addr_list_err): do not leave one of the "+
			"pair running beside hacluster", maxNamed))
		return
	}
	c.cluster.wire.named = first
	for _, v := range c.views {
		c.compareNamedOf(v)
	}
}

func (c *converter) compareNamedOf(v *view) {
	first, in := c.cluster.wire.named, v.instance
	became := "vrrp.addresses: " + addressList(first)
	if !sameAddresses(in.named, first) {
		at := in.name.at
		if len(in.named) > 0 {
			at = in.named[0].at
		}
		c.report.changed(at, "virtual_ipaddress "+addressList(in.named), became, "it is not that of "+c.views[0].label()+", whose addresses are "+
			"written. A keepalived up to 2.3.2 rejects adverts that name others (addr_list_err), and with this the two are both MASTER; later ones log it")
		return
	}
	for _, address := range in.named {
		c.report.changed(address.at, "virtual_ipaddress "+address.v.String(), became, "the adverts name it, since a keepalived up to 2.3.2 that "+
			"has this block rejects others (addr_list_err), and it is set on no interface: HAProxy binds the node's private address, which EC2 "+
			"maps the Elastic IP to. Remove it when keepalived is gone")
	}
}

// sameAddresses compares as keepalived does: the order means nothing.
func sameAddresses(a, b []value[netip.Addr]) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(x value[netip.Addr]) bool {
		return !slices.ContainsFunc(b, func(y value[netip.Addr]) bool { return x.v == y.v })
	})
}

// addressList writes addresses as a YAML list.
func addressList(addresses []value[netip.Addr]) string {
	texts := make([]string, len(addresses))
	for i, a := range addresses {
		texts[i] = a.v.String()
	}
	return "[" + strings.Join(texts, ", ") + "]"
}
