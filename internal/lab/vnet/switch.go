// Package vnet is the network of the lab: a switch with every host on a port of its own, the router behind it, and the
// internet gateway that maps the Elastic IP to the private address of its holder.
//
// It works in the network namespace of the calling process, which must be the lab's own.
package vnet

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	// Bridge is the interface name of the switch, and of the router's leg in the subnet.
	Bridge = "br0"
	// Uplink is the interface name of the gateway's leg towards the internet.
	Uplink = "uplink"
	// guestInterface is the one network interface that every host has.
	guestInterface = "eth0"
)

// Switch connects the hosts of one subnet. Its namespace also routes between the subnet and the internet.
type Switch struct {
	bridge *netlink.Bridge
}

// NewSwitch makes the switch and gives the router behind it its addresses in the subnet.
func NewSwitch(addresses ...netip.Prefix) (*Switch, error) {
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: Bridge, HardwareAddr: hardwareAddress(addresses[0].Addr())}}
	if err := netlink.LinkAdd(bridge); err != nil {
		return nil, fmt.Errorf("add bridge: %w", err)
	}
	if err := configure(&netlink.Handle{}, bridge, addresses, netip.Addr{}); err != nil {
		return nil, err
	}
	if err := up(&netlink.Handle{}, "lo"); err != nil {
		return nil, err
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		return nil, fmt.Errorf("enable forwarding: %w", err)
	}
	// Where br_netfilter is loaded, bridged frames would pass the gateway's own rules as well.
	err := os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("0"), 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("keep bridged frames from the gateway's rules: %w", err)
	}
	return &Switch{bridge: bridge}, nil
}

// Plug describes one cable: a port of the switch (or the uplink) and the address at its far end.
type Plug struct {
	// Port names the near end, at most 15 characters. The uplink has a name of its own.
	Port string
	// Address is what the host gets; Gateway its default route.
	Address netip.Prefix
	Gateway netip.Addr
}

// Attach plugs the host whose PID 1 is pid into a port of the switch. Hardware addresses follow from IP addresses, as an
// ENI keeps its own: neighbours need not learn anything after a host was replaced.
func (s *Switch) Attach(pid int, plug Plug) error {
	return attach(pid, plug, s.bridge.Index)
}

// AttachUplink plugs the host whose PID 1 is pid into the gateway's internet side, whose own address is plug.Gateway.
// There is no route to the host yet; see NewGateway.
func AttachUplink(pid int, plug Plug) error {
	plug.Port = Uplink
	if err := attach(pid, plug, 0); err != nil {
		return err
	}
	port, err := netlink.LinkByName(plug.Port)
	if err != nil {
		return fmt.Errorf("find %s: %w", plug.Port, err)
	}
	ours := netip.PrefixFrom(plug.Gateway, plug.Gateway.BitLen())
	return configure(&netlink.Handle{}, port, []netip.Prefix{ours}, netip.Addr{})
}

func attach(pid int, plug Plug, bridge int) error {
	// The kernel takes its time to remove the port of a host that died.
	if old, err := netlink.LinkByName(plug.Port); err == nil {
		if err := netlink.LinkDel(old); err != nil && !errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("remove old port %s: %w", plug.Port, err)
		}
	}
	cable := &netlink.Veth{
		LinkAttrs:        netlink.LinkAttrs{Name: plug.Port, MasterIndex: bridge},
		PeerName:         guestInterface,
		PeerHardwareAddr: hardwareAddress(plug.Address.Addr()),
		PeerNamespace:    netlink.NsPid(pid),
	}
	if err := netlink.LinkAdd(cable); err != nil {
		return fmt.Errorf("add port %s: %w", plug.Port, err)
	}
	if err := up(&netlink.Handle{}, plug.Port); err != nil {
		return err
	}
	ns, err := netns.GetFromPid(pid)
	if err != nil {
		return fmt.Errorf("open network of %s: %w", plug.Port, err)
	}
	defer ns.Close()
	guest, err := netlink.NewHandleAt(ns)
	if err != nil {
		return fmt.Errorf("open network of %s: %w", plug.Port, err)
	}
	defer guest.Close()
	if err := up(guest, "lo"); err != nil {
		return err
	}
	eth, err := guest.LinkByName(guestInterface)
	if err != nil {
		return fmt.Errorf("find %s of %s: %w", guestInterface, plug.Port, err)
	}
	return configure(guest, eth, []netip.Prefix{plug.Address}, plug.Gateway)
}

// Cut takes the link of a port down, as if the cable was pulled. The port itself goes away with its host.
func (s *Switch) Cut(port string) error {
	link, err := netlink.LinkByName(port)
	if err != nil {
		return fmt.Errorf("find port %s: %w", port, err)
	}
	if err := netlink.LinkSetDown(link); err != nil {
		return fmt.Errorf("cut %s: %w", port, err)
	}
	return nil
}

// Join takes the link of a port up again.
func (s *Switch) Join(port string) error { return up(&netlink.Handle{}, port) }

// Close removes the switch.
func (s *Switch) Close() error {
	if err := netlink.LinkDel(s.bridge); err != nil {
		return fmt.Errorf("remove the switch: %w", err)
	}
	return nil
}

// Index returns the interface index of the switch itself, whose own frames are not a port's.
func (s *Switch) Index() int { return s.bridge.Index }

func up(h *netlink.Handle, name string) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

func configure(h *netlink.Handle, link netlink.Link, addresses []netip.Prefix, gateway netip.Addr) error {
	name := link.Attrs().Name
	for _, a := range addresses {
		if err := h.AddrAdd(link, &netlink.Addr{IPNet: ipNet(a)}); err != nil {
			return fmt.Errorf("give %s the address %s: %w", name, a, err)
		}
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	if !gateway.IsValid() {
		return nil
	}
	if err := h.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway.AsSlice()}); err != nil {
		return fmt.Errorf("route %s through %s: %w", name, gateway, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// hardwareAddress derives a locally administered address from an IPv4 address.
func hardwareAddress(a netip.Addr) net.HardwareAddr {
	b := a.As4()
	return net.HardwareAddr{0x02, 0, b[0], b[1], b[2], b[3]}
}
