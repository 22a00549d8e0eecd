package vnet

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// rules are loaded once. The gateway's NAT is stateless, as that of AWS: where an address leads is a matter of routes
// (see Gateway.Move), which change within microseconds, while taking anything out of nftables waits for every CPU. A
// connection whose address moved meets a host that does not know it, and is cut by that.
//
// In the table "cut" every drop stands for a severed path between two ports of the switch: the sender does not notice,
// as on a real network.
const rules = `
table ip igw {
	chain forward {
		type filter hook forward priority filter;
		iifname "` + Uplink + `" oifname "` + Bridge + `" ip daddr set rt ip nexthop
		iifname "` + Bridge + `" oifname "` + Uplink + `" ip saddr set %s
	}
}
table bridge cut {
	chain forward { type filter hook forward priority filter; }
	chain input { type filter hook input priority filter; }
}
`

// outboundTable is the routing table of what may leave through the uplink: the packets of the holder, by a rule for its
// address.
const outboundTable = 100

// Gateway is the internet gateway: 1:1 NAT between one public address and the private address that holds it. It is not
// safe for concurrent use.
type Gateway struct {
	public   *netlink.Route // to be completed with a next hop, or with nowhere
	outbound *netlink.Rule  // of the present holder; nil: nobody holds the address
}

// NewGateway makes a gateway for the address public, which nobody holds yet: packets to it vanish. Packets between the
// subnet and the internet, which is behind the uplink, vanish as well unless the holder of the address sent them.
func NewGateway(public netip.Addr, internet netip.Prefix) (*Gateway, error) {
	if err := nft(fmt.Sprintf(rules, public)); err != nil {
		return nil, err
	}
	uplink, err := netlink.LinkByName(Uplink)
	if err != nil {
		return nil, fmt.Errorf("find the uplink: %w", err)
	}
	for _, route := range []*netlink.Route{
		{Dst: ipNet(everywhere()), Type: unix.RTN_BLACKHOLE},
		{Dst: ipNet(internet), LinkIndex: uplink.Attrs().Index, Scope: netlink.SCOPE_LINK, Table: outboundTable},
	} {
		if err := netlink.RouteAdd(route); err != nil {
			return nil, fmt.Errorf("route %s: %w", route.Dst, err)
		}
	}
	return &Gateway{public: &netlink.Route{Dst: ipNet(netip.PrefixFrom(public, public.BitLen()))}}, nil
}

// Move makes the public address lead to the private address holder, or nowhere if that is the zero Addr, and forgets its
// former holder.
func (g *Gateway) Move(holder netip.Addr) error {
	route := *g.public
	if holder.IsValid() {
		route.Gw = holder.AsSlice()
	} else {
		route.Type = unix.RTN_BLACKHOLE
	}
	if err := netlink.RouteReplace(&route); err != nil {
		return fmt.Errorf("lead %s to %s: %w", route.Dst, holder, err)
	}
	if g.outbound != nil {
		if err := netlink.RuleDel(g.outbound); err != nil {
			return fmt.Errorf("stop translating for the former holder: %w", err)
		}
		g.outbound = nil
	}
	if !holder.IsValid() {
		return nil
	}
	rule := netlink.NewRule()
	rule.Src, rule.IifName, rule.Table = ipNet(netip.PrefixFrom(holder, holder.BitLen())), Bridge, outboundTable
	if err := netlink.RuleAdd(rule); err != nil {
		return fmt.Errorf("translate for %s: %w", holder, err)
	}
	g.outbound = rule
	return nil
}

// Close removes the gateway's routes and rules, so that another one can be made.
func (g *Gateway) Close() error {
	err := g.Move(netip.Addr{})
	for _, destination := range []*net.IPNet{g.public.Dst, ipNet(everywhere())} {
		if e := netlink.RouteDel(&netlink.Route{Dst: destination, Type: unix.RTN_BLACKHOLE}); e != nil {
			err = errors.Join(err, fmt.Errorf("remove route to %s: %w", destination, e))
		}
	}
	return errors.Join(err, nft("delete table ip igw\ndelete table bridge cut\n"))
}

func everywhere() netip.Prefix { return netip.PrefixFrom(netip.IPv4Unspecified(), 0) }

// Path is one direction of what passes between two ports or, if To is empty, from a port to one address of the router.
type Path struct {
	From, To string
	Router   netip.Addr
	// Only narrows it to the packets that this nftables expression matches, such as "ip protocol 112". Empty: IPv4.
	Only string
}

// Sever severs exactly these paths, for IPv4, and heals all others; no packet sees a state in between.
func (s *Switch) Sever(paths []Path) error {
	var script bytes.Buffer
	fmt.Fprintln(&script, "flush chain bridge cut forward\nflush chain bridge cut input")
	for _, p := range paths {
		if p.To == "" {
			fmt.Fprintf(&script, "add rule bridge cut input iifname %q ip daddr %s %s drop\n", p.From, p.Router, p.Only)
			continue
		}
		fmt.Fprintf(&script, "add rule bridge cut forward iifname %q oifname %q ether type ip %s drop\n", p.From, p.To, p.Only)
	}
	return nft(script.String())
}

// Partition severs the paths between port and each of the others, both ways, for IPv4. Everything else still passes, ARP
// too: a VPC answers ARP by itself, whatever is cut.
func (s *Switch) Partition(port string, others []string) error {
	var script bytes.Buffer
	for _, other := range others {
		fmt.Fprintf(&script, "add rule bridge cut forward iifname %q oifname %q ether type ip drop\n", port, other)
		fmt.Fprintf(&script, "add rule bridge cut forward iifname %q oifname %q ether type ip drop\n", other, port)
	}
	return nft(script.String())
}

// Heal undoes every Partition and Sever.
func (s *Switch) Heal() error { return s.Sever(nil) }

func nft(script string) error {
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = bytes.NewBufferString(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("load nftables rules: %w", errors.Join(err, errors.New(string(bytes.TrimSpace(out)))))
	}
	return nil
}
