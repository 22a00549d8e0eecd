package vrrpwire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// errUnresolved is why an advert is not sent: the kernel would keep it until ARP is answered.
var errUnresolved = errors.New("its link-layer address is not known yet")

// sendsAtOnce are the states of a neighbour in which the kernel hands a packet to the link without delay. In the
// others (no entry, INCOMPLETE, FAILED) it parks the packet until ARP is answered.
const sendsAtOnce = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY | netlink.NUD_PROBE |
	netlink.NUD_PERMANENT | netlink.NUD_NOARP

// netlinkTimeout bounds the wait for an answer. The kernel has given it by the time the question is sent, unless it
// found no memory.
const netlinkTimeout = 10 * time.Millisecond

// loopbackIndex is the number of lo in every network namespace (LOOPBACK_IFINDEX in the kernel's net/flow.h).
const loopbackIndex = 1

// nextHops knows where packets to a peer go first, and whether they would leave at once. It asks the kernel each time: a remembered
// answer would be about the past, and asking takes 20 µs (BenchmarkSend), 0.4 % of a core with two peers and an advert every 10 ms. No
// capability is needed for that. It is not safe for concurrent use.
//
// Of several routes of equal cost it may name another than the packet takes, if net.ipv4.fib_multipath_hash_policy
// looks at more than the addresses.
type nextHops struct {
	handle     *netlink.Handle
	neighbours map[int]*nl.SocketHandle // for the one question that the handle has no call for
	route      netlink.RouteGetOptions
}

// hop is where a packet goes first: a gateway, or the destination itself.
type hop struct {
	addr       netip.Addr
	link       int
	resolvable bool // false: the packet stays on this machine or goes to a group
}

// openNextHops also makes sure that the kernel answers: a node that is refused would hold back every advert.
// device is the index of the interface that the packets are bound to, 0 for none.
func openNextHops(source netip.Addr, device int) (*nextHops, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, explainNetlink(err)
	}
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE) // to no group: it hears answers only
	if err != nil {
		handle.Close()
		return nil, explainNetlink(err)
	}
	h := &nextHops{
		handle:     handle,
		neighbours: map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: socket}},
		route:      netlink.RouteGetOptions{SrcAddr: source.AsSlice(), OifIndex: device},
	}
	if err := h.prepare(source); err != nil {
		h.close()
		return nil, explainNetlink(err)
	}
	return h, nil
}

// prepare sets the sockets up and asks a question that has an answer on every machine: there is no such neighbour.
func (h *nextHops) prepare(source netip.Addr) error {
	timeout := unix.NsecToTimeval(netlinkTimeout.Nanoseconds())
	socket := h.neighbours[unix.NETLINK_ROUTE].Socket
	err := errors.Join(h.handle.SetSocketTimeout(netlinkTimeout),
		socket.SetSendTimeout(&timeout), socket.SetReceiveTimeout(&timeout))
	if err != nil {
		return fmt.Errorf("set netlink timeout: %w", err)
	}
	return patiently(func() error {
		_, err := h.neighbour(hop{addr: source, link: loopbackIndex})
		return err
	})
}

// patiently asks until there is an answer, at most a hundred times. netlinkTimeout runs while this process does not, and then ends the wait for
// an answer that is there: on a busy machine that would keep an agent from starting.
func patiently(ask func() error) error {
	const most = 100
	err := ask()
	for n := 1; n < most && errors.Is(err, unix.EAGAIN); n++ {
		err = ask()
	}
	return err
}

// bind follows the packets to another interface.
func (h *nextHops) bind(device int) { h.route.OifIndex = device }

// explainNetlink names the remedy for what an operator can get wrong.
func explainNetlink(err error) error {
	const act = "ask the kernel for the next hops of VRRP packets"
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES), errors.Is(err, unix.EAFNOSUPPORT):
		return fmt.Errorf("%s: netlink is forbidden to the process; "+
			"add AF_NETLINK to RestrictAddressFamilies= in the systemd unit, or allow it in the container: %w", act, err)
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%s: this kernel cannot look up one neighbour; use Linux 5.3 or later: %w", act, err)
	default:
		return fmt.Errorf("%s: %w", act, err)
	}
}

// resolved returns nil if a packet to dst would leave at once. It wraps errUnresolved if the packet would wait for
// ARP; asked then says that the kernel is asking already.
func (h *nextHops) resolved(dst netip.Addr) (asked bool, err error) {
	next, err := h.first(dst)
	if err != nil || !next.resolvable {
		return false, err
	}
	state, err := h.neighbour(next)
	if err != nil || state&sendsAtOnce != 0 {
		return false, err
	}
	// Loopback and point-to-point links are without ARP, and have no entry under the address of the next hop.
	link, err := h.handle.LinkByIndex(next.link)
	if err != nil {
		return false, fmt.Errorf("look up interface %d: %w", next.link, err)
	}
	if link.Attrs().RawFlags&(unix.IFF_LOOPBACK|unix.IFF_NOARP) != 0 {
		return false, nil
	}
	return state == netlink.NUD_INCOMPLETE, fmt.Errorf("next hop %v on %s: %w", next.addr, link.Attrs().Name, errUnresolved)
}

// first returns the next hop as the kernel chooses it for a packet of the raw socket.
func (h *nextHops) first(dst netip.Addr) (hop, error) {
	routes, err := h.handle.RouteGetWithOptions(dst.AsSlice(), &h.route)
	if err != nil {
		return hop{}, fmt.Errorf("look up route to %v: %w", dst, err)
	}
	if len(routes) != 1 {
		return hop{}, fmt.Errorf("look up route to %v: %d answers, want 1", dst, len(routes))
	}
	route := routes[0]
	next := hop{addr: dst, link: route.LinkIndex, resolvable: route.Type == unix.RTN_UNICAST}
	via, isVia := route.Via.(*netlink.Via) // an IPv6 gateway
	switch {
	case isVia:
		next.addr = addrOf(via.Addr)
	case route.Gw != nil:
		next.addr = addrOf(route.Gw)
	}
	return next, nil
}

// addrOf returns the zero Addr, which is nobody's neighbour, for what is no address.
func addrOf(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}

// neighbour returns the state (NUD_*) of the next hop's entry, NUD_NONE if there is none. The netlink package can
// only list the whole table, which is long on some machines.
func (h *nextHops) neighbour(next hop) (int, error) {
	family := unix.AF_INET
	if next.addr.Is6() {
		family = unix.AF_INET6
	}
	request := nl.NewNetlinkRequest(unix.RTM_GETNEIGH, 0)
	request.Sockets = h.neighbours
	request.AddData(&netlink.Ndmsg{Family: uint8(family), Index: uint32(next.link)})
	request.AddData(nl.NewRtAttr(netlink.NDA_DST, next.addr.AsSlice()))
	answers, err := request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWNEIGH)
	switch {
	case errors.Is(err, unix.ENOENT):
		return netlink.NUD_NONE, nil
	case err != nil:
		return 0, fmt.Errorf("look up neighbour %v: %w", next.addr, os.NewSyscallError("netlink", err))
	case len(answers) != 1:
		return 0, fmt.Errorf("look up neighbour %v: %d answers, want 1", next.addr, len(answers))
	}
	entry, err := netlink.NeighDeserialize(answers[0])
	if err != nil {
		return 0, fmt.Errorf("parse neighbour %v: %w", next.addr, err)
	}
	return entry.State, nil
}

func (h *nextHops) close() {
	h.handle.Close()
	for _, socket := range h.neighbours {
		socket.Close()
	}
}
