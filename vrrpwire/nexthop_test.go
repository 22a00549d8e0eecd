package vrrpwire

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/boottime"
)

// askARP makes the node ask for a neighbour 50 times a second and for 20 s, instead of once a second for 3 s.
func (v veth) askARP(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{"retrans_time_ms": "20", "mcast_solicit": "1000"} {
		var err error
		inside(t, v.node, func() {
			err = os.WriteFile(filepath.Join("/proc/sys/net/ipv4/neigh", nodeDevice, name), []byte(value), 0)
		})
		if err != nil {
			t.Fatalf("set sysctl: %v", err)
		}
	}
}

// forget removes what the node knows of the peer, as the kernel does when a link goes down.
func (v veth) forget(t *testing.T) {
	t.Helper()
	handle := newHandle(t, v.node)
	if err := handle.NeighDel(&netlink.Neigh{LinkIndex: linkOf(t, handle, nodeDevice).Attrs().Index, IP: peerAddr.AsSlice()}); err != nil {
		t.Fatalf("remove neighbour %v: %v", peerAddr, err)
	}
}

// knowsPeer says whether a packet of the node to the peer would leave at once.
func (v veth) knowsPeer(t *testing.T) bool {
	t.Helper()
	handle := newHandle(t, v.node)
	entries, err := handle.NeighList(linkOf(t, handle, nodeDevice).Attrs().Index, unix.AF_INET)
	if err != nil {
		t.Fatalf("list neighbours: %v", err)
	}
	for _, entry := range entries {
		if entry.IP.Equal(peerAddr.AsSlice()) {
			return entry.State&sendsAtOnce != 0
		}
	}
	return false
}

func linkOf(t *testing.T, handle *netlink.Handle, device string) netlink.Link {
	t.Helper()
	link, err := handle.LinkByName(device)
	if err != nil {
		t.Fatalf("find %s: %v", device, err)
	}
	return link
}

// fault is a way for the peer not to answer ARP.
type fault struct {
	begin, end func(*netlink.Handle, netlink.Link) error
}

var faults = map[string]fault{
	"link down":      {begin: (*netlink.Handle).LinkSetDown, end: (*netlink.Handle).LinkSetUp},
	"ARP unanswered": {begin: (*netlink.Handle).LinkSetARPOff, end: (*netlink.Handle).LinkSetARPOn},
}

// strike begins the fault, with the endpoint stopped: the kernel may also forget a peer between the endpoint's look
// and its send, which is the documented rest. It returns what ends the fault.
func (f fault) strike(t *testing.T, v veth, e *Endpoint) (heal func()) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	handle := newHandle(t, v.peer)
	link := linkOf(t, handle, peerDevice)
	if err := f.begin(handle, link); err != nil {
		t.Fatalf("begin fault: %v", err)
	}
	v.forget(t)
	return func() {
		t.Helper()
		if err := f.end(handle, link); err != nil {
			t.Fatalf("end fault: %v", err)
		}
	}
}

// I3: the kernel parks a packet to a peer that it must ask ARP for, and sends it when ARP is answered, seconds later
// and though the sender is dead. No advert may meet that fate, nor the priority 0 of a reign that was heard.
func TestNothingLeavesLate(t *testing.T) {
	tests := map[string]struct {
		interval time.Duration
		missed   uint64 // at least so many adverts are due before the node resigns
	}{
		"adverts":    {interval: 100 * ms, missed: 3},
		"priority 0": {interval: 40 * time.Second},
	}
	for name, test := range tests {
		for what, fault := range faults {
			t.Run(name+", "+what, func(t *testing.T) {
				v := newVeth(t)
				v.askARP(t)
				w := v.world(t)
				cfg := w.config(t)
				cfg.Interval = test.interval
				e, _ := w.start(t, cfg, fresh(w.now).permit)
				e.Reign(0)
				wantAdvert(t, w.peer, soon, 100)

				heal := fault.strike(t, v, e)
				eventually(t, "adverts were due", func() bool { return e.Stats().Unresolved >= test.missed }) // one may have left before
				e.Resign("test")
				priorities(t, w.peer, 0) // from before the fault
				heal()
				eventually(t, "ARP is answered", func() bool { return v.knowsPeer(t) })

				wantSilence(t, w.peer, 300*ms)
				if stats := e.Stats(); stats.PriorityZeroSent != 0 || stats.SendErrors != 0 || stats.Unresolved <= test.missed {
					t.Errorf("counted %+v, want priority 0 unresolved, and no other error", stats)
				}
			})
		}
	}
}

// slowPort is a port that takes its time to say whether a packet would leave at once.
type slowPort struct {
	*port
	pause func()
}

func (p slowPort) obstacle(netip.Addr) error {
	p.pause()
	return nil
}

// I3: the kernel may have the node wait for a lock when it is asked for a next hop. The permit that was given before
// is about the past then.
func TestSlowSurveyVoidsTheCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		segment, began := NewSegment(), w.now()
		w.peer = plug(t, segment, peerAddr)
		pause := func() {
			if w.now()-began < 220*ms {
				time.Sleep(checkAge + ms)
			}
		}
		w.open = func(cfg Config, permit Permit) (*Endpoint, error) {
			return open(cfg, permit, func() (datagrams, error) {
				return slowPort{plug(t, segment, nodeAddr).(*port), pause}, nil
			})
		}
		e, _ := w.start(t, w.config(t), fresh(w.now).permit)
		e.Reign(0)
		if got := record(t, w, 350*ms); len(got) == 0 || got[0].At < 220*ms {
			t.Errorf("heard %v, want nothing while the surveys were too slow, and adverts then", got)
		}
	})
}

// A reign goes on when ARP is answered again, and does not wait for the next slot.
func TestAdvertsResumeAfterARP(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			v := newVeth(t)
			v.askARP(t)
			w := v.world(t)
			cfg := w.config(t)
			cfg.Interval = 40 * time.Second
			e, _ := w.start(t, cfg, fresh(w.now).permit)
			heal := fault.strike(t, v, e)
			e.Reign(0)
			eventually(t, "the advert is held back", func() bool { return e.Stats().Unresolved >= 3 })
			heal()
			wantAdvert(t, w.peer, soon, 100)
			wantSilence(t, w.peer, 100*ms)
			if stats := e.Stats(); stats.Sent != 1 || stats.Suppressed != 0 {
				t.Errorf("counted %+v, want the one advert of this slot, late", stats)
			}
		})
	}
}

// Open asks for the peers, so that the first advert finds them.
func TestOpenResolvesThePeers(t *testing.T) {
	v := newVeth(t)
	v.forget(t)
	w := v.world(t)
	w.start(t, w.config(t), fresh(w.now).permit)
	eventually(t, "the peer's link-layer address is known", func() bool { return v.knowsPeer(t) })
}

// Where a firewall holds back the datagram that makes the kernel ask, the operator learns it.
func TestBlockedProvocationIsNamed(t *testing.T) {
	needPrivileges(t, "nft")
	v := newVeth(t)
	v.forget(t)
	const rules = "add table ip egress; add chain ip egress out { type filter hook output priority 0; }; " +
		"add rule ip egress out udp dport 9 drop"
	var err error
	inside(t, v.node, func() { err = exec.Command("nft", rules).Run() })
	if err != nil {
		t.Fatalf("set firewall: %v", err)
	}
	w := v.world(t)
	e, err := w.open(w.config(t), fresh(w.now).permit)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	err = e.conn.obstacle(peerAddr)
	if !errors.Is(err, errUnresolved) || !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "UDP port 9, which a firewall must let out") {
		t.Errorf("%v, want an unresolved next hop, EPERM and the remedy", err)
	}
}

// A peer that does not answer ARP costs the others nothing.
func TestUnresolvedPeerDoesNotSilenceTheOthers(t *testing.T) {
	w := newVeth(t).world(t)
	cfg := w.config(t)
	cfg.Peers = []netip.Addr{netip.MustParseAddr("10.97.0.99"), peerAddr}
	e, _ := w.start(t, cfg, fresh(w.now).permit)
	e.Reign(0)
	wantAdvert(t, w.peer, soon, 100)
	wantAdvert(t, w.peer, soon, 100)
	e.Resign("test")
	wantLastWord(t, w.peer)
	stats := e.Stats()
	if stats.Sent < 2 || stats.Unresolved != stats.Sent+stats.PriorityZeroSent || stats.SendErrors != 0 {
		t.Errorf("counted %+v, want one packet unresolved for each advert", stats)
	}
}

// Nobody answers ARP on loopback, and nobody needs to.
func TestAdvertsOverLoopback(t *testing.T) {
	needPrivileges(t)
	ns := newNamespace(t)
	configure(t, newHandle(t, ns), "lo", nodeAddr, peerAddr)
	v := veth{node: ns, peer: ns}
	w := world{now: boottime.Now, open: v.open(t), peer: v.openRaw(t, peerAddr, "lo")}
	cfg := w.config(t)
	cfg.Interface = "lo"
	e, _ := w.start(t, cfg, fresh(w.now).permit)
	e.Reign(0)
	wantAdvert(t, w.peer, soon, 100)
}

func TestNeighbourStates(t *testing.T) {
	tests := map[string]struct {
		state          int
		atOnce, asking bool
	}{
		"REACHABLE":  {state: netlink.NUD_REACHABLE, atOnce: true},
		"STALE":      {state: netlink.NUD_STALE, atOnce: true},
		"DELAY":      {state: netlink.NUD_DELAY, atOnce: true},
		"PROBE":      {state: netlink.NUD_PROBE, atOnce: true},
		"PERMANENT":  {state: netlink.NUD_PERMANENT, atOnce: true},
		"NOARP":      {state: netlink.NUD_NOARP, atOnce: true},
		"INCOMPLETE": {state: netlink.NUD_INCOMPLETE, asking: true},
		"FAILED":     {state: netlink.NUD_FAILED},
	}
	v := newVeth(t)
	hops := v.openNextHops(t, nodeDevice)
	handle := newHandle(t, v.node)
	link := linkOf(t, handle, nodeDevice).Attrs().Index
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			entry := netlink.Neigh{
				LinkIndex: link, State: test.state, IP: peerAddr.AsSlice(), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1},
			}
			if err := handle.NeighSet(&entry); err != nil {
				t.Fatalf("set neighbour: %v", err)
			}
			asking, err := hops.resolved(peerAddr)
			if test.atOnce && err != nil || !test.atOnce && !errors.Is(err, errUnresolved) || asking != test.asking {
				t.Errorf("asking %t, error %v; want asking %t, sent at once %t", asking, err, test.asking, test.atOnce)
			}
		})
	}
}

// Whose link-layer address counts: that of the gateway, of either family; nobody's on this machine.
func TestNextHops(t *testing.T) {
	tests := map[string]struct {
		dst  string
		want error
	}{
		"a neighbour":                          {dst: "10.97.0.2"},
		"a neighbour without an entry":         {dst: "10.97.0.99", want: errUnresolved},
		"behind a gateway":                     {dst: "198.51.100.1"},
		"behind a gateway without an entry":    {dst: "198.51.100.2", want: errUnresolved},
		"behind an IPv6 gateway":               {dst: "198.51.100.3"},
		"behind an IPv6 gateway without entry": {dst: "198.51.100.4", want: errUnresolved},
		"this machine":                         {dst: "10.97.0.1"},
		"a multicast group":                    {dst: "224.0.0.18"},
		"no route":                             {dst: "192.0.2.1", want: unix.ENETUNREACH},
		"a forbidden route":                    {dst: "198.51.100.5", want: unix.EACCES},
	}
	v := newVeth(t)
	handle := newHandle(t, v.node)
	link := linkOf(t, handle, nodeDevice)
	known, unknown := net.ParseIP("fe80::2"), net.ParseIP("fe80::99")
	entry := netlink.Neigh{
		LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: known, HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1},
	}
	if err := handle.NeighAdd(&entry); err != nil {
		t.Fatalf("enter neighbour: %v", err)
	}
	for dst, route := range map[string]netlink.Route{
		"198.51.100.1/32": {Gw: peerAddr.AsSlice()},
		"198.51.100.2/32": {Gw: net.IPv4(10, 97, 0, 99)},
		"198.51.100.3/32": {Via: &netlink.Via{AddrFamily: unix.AF_INET6, Addr: known}},
		"198.51.100.4/32": {Via: &netlink.Via{AddrFamily: unix.AF_INET6, Addr: unknown}},
		"198.51.100.5/32": {Type: unix.RTN_PROHIBIT},
		"224.0.0.0/4":     {},
	} {
		_, route.Dst, _ = net.ParseCIDR(dst)
		if route.Type != unix.RTN_PROHIBIT {
			route.LinkIndex = link.Attrs().Index
		}
		if err := handle.RouteAdd(&route); err != nil {
			t.Fatalf("add route to %s: %v", dst, err)
		}
	}
	hops := v.openNextHops(t, "")
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := hops.resolved(netip.MustParseAddr(test.dst)); !errors.Is(err, test.want) {
				t.Errorf("%s: %v, want %v", test.dst, err, test.want)
			}
		})
	}
	noRoute := netip.MustParseAddr("192.0.2.1")
	if _, err := v.openNextHops(t, nodeDevice).resolved(noRoute); !errors.Is(err, errUnresolved) {
		t.Errorf("no route, yet bound to an interface: %v, want ARP to be asked on it, as the kernel does", err)
	}
	if err := handle.LinkSetARPOff(link); err != nil {
		t.Fatal(err)
	}
	if _, err := hops.resolved(netip.MustParseAddr("10.97.0.99")); err != nil {
		t.Errorf("on a link without ARP: %v, want a packet to leave at once", err)
	}
}

func (v veth) openNextHops(t *testing.T, device string) (hops *nextHops) {
	t.Helper()
	var err error
	index := 0
	if device != "" {
		index = linkOf(t, newHandle(t, v.node), device).Attrs().Index
	}
	inside(t, v.node, func() { hops, err = openNextHops(nodeAddr, index) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hops.close)
	return hops
}

// A host that forbids netlink must say so when the endpoint is opened, and not fall silent.
func TestOpenNamesForbiddenNetlink(t *testing.T) {
	needPrivileges(t)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the filter is the thread's, and it dies with the goroutine
		if err := forbidNetlink(); err != nil {
			done <- err
			return
		}
		conn, err := openRaw(loopback, "lo")
		if err == nil {
			err = conn.Close()
		}
		done <- err
	}()
	err := <-done
	if !errors.Is(err, unix.EAFNOSUPPORT) || !strings.Contains(err.Error(), "add AF_NETLINK to RestrictAddressFamilies=") {
		t.Errorf("open without netlink: %v, want EAFNOSUPPORT and the remedy", err)
	}
}

// forbidNetlink does to the thread what systemd's RestrictAddressFamilies= does.
func forbidNetlink() error {
	const nr, arg0 = 0, 16 // offsets in struct seccomp_data
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: nr},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SOCKET, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: arg0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.AF_NETLINK, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EAFNOSUPPORT)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}

// TestTheKernelIsAskedAgain: no answer in time is none of the kernel's answers, and those are taken at once.
func TestTheKernelIsAskedAgain(t *testing.T) {
	for name, test := range map[string]struct {
		late  int // questions without an answer in time
		then  error
		asked int
		want  error
	}{
		"answered at once":           {0, nil, 1, nil},
		"answered at the third":      {2, nil, 3, nil},
		"refused":                    {0, unix.EPERM, 1, unix.EPERM},
		"refused at the second":      {1, unix.EPERM, 2, unix.EPERM},
		"it has no memory, for ever": {1 << 20, nil, 100, unix.EAGAIN},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			err := patiently(func() error {
				asked++
				if asked <= test.late {
					return os.NewSyscallError("netlink", unix.EAGAIN)
				}
				return test.then
			})
			if asked != test.asked || !errors.Is(err, test.want) {
				t.Errorf("asked %d times: %v; want %d: %v", asked, err, test.asked, test.want)
			}
		})
	}
}
