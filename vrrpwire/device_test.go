package vrrpwire

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/boottime"
)

// A node goes on, without a restart, when what it speaks through was gone for a while.
func TestTheInterfaceComesBack(t *testing.T) {
	events := map[string]struct{ away, back func(*testing.T, veth) }{
		"down and up": {
			func(t *testing.T, v veth) { v.change(t, (*netlink.Handle).LinkSetDown) },
			func(t *testing.T, v veth) { v.change(t, (*netlink.Handle).LinkSetUp) },
		},
		"address removed and given again": {
			func(t *testing.T, v veth) { v.readdress(t, (*netlink.Handle).AddrDel) },
			func(t *testing.T, v veth) { v.readdress(t, (*netlink.Handle).AddrAdd) },
		},
		"pulled and plugged in again": {
			func(t *testing.T, v veth) { v.change(t, (*netlink.Handle).LinkDel) },
			func(t *testing.T, v veth) { v.plug(t) },
		},
	}
	for name, event := range events {
		for _, device := range []string{"", nodeDevice, "10.97.0.0/16"} {
			t.Run(fmt.Sprintf("%s, interface %q", name, device), func(t *testing.T) {
				t.Parallel()
				v := newVeth(t)
				w := v.world(t)
				quorum := fresh(w.now)
				cfg := w.config(t)
				cfg.Interface, cfg.NeedEvidence = device, quorum.renew
				e, _ := w.start(t, cfg, quorum.permit)
				e.Reign(0)
				wantAdvert(t, w.peer, soon, 100)

				event.away(t, v)
				priorities(t, w.peer, 0)
				wantSilence(t, w.peer, 250*ms)
				event.back(t, v)
				wantAdvert(t, w.peer, soon, 100)
				eventually(t, "the node hears the peer again", func() bool {
					payload, _ := advertOf(90).Append(nil, peerAddr, nodeAddr, ChecksumPseudoHeader)
					_ = w.peer.send(nodeAddr, 1, payload) // the peer's own way back may need a moment
					return e.Stats().Received > 0
				})
			})
		}
	}
}

// change does something to the node's end of the pair.
func (v veth) change(t *testing.T, do func(*netlink.Handle, netlink.Link) error) {
	t.Helper()
	handle := newHandle(t, v.node)
	if err := do(handle, linkOf(t, handle, nodeDevice)); err != nil {
		t.Fatal(err)
	}
}

func (v veth) readdress(t *testing.T, do func(*netlink.Handle, netlink.Link, *netlink.Addr) error) {
	t.Helper()
	address, err := netlink.ParseAddr(nodeAddr.String() + "/24")
	if err != nil {
		t.Fatal(err)
	}
	v.change(t, func(handle *netlink.Handle, link netlink.Link) error { return do(handle, link, address) })
}

func TestFindInterface(t *testing.T) {
	v := newVeth(t)
	handle := newHandle(t, v.node)
	want := linkOf(t, handle, nodeDevice).Attrs().Index
	if err := handle.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "other0"}, PeerName: "other1"}); err != nil {
		t.Fatal(err)
	}
	configure(t, handle, "other0", netip.MustParseAddr("10.98.0.1"))
	tests := map[string]struct {
		name string
		want string // part of the error; empty: it is found
	}{
		"by name":                   {nodeDevice, ""},
		"by address":                {"10.97.0.1", ""},
		"by its network":            {"10.97.0.0/24", ""},
		"by a wider network":        {"10.97.0.0/16", ""},
		"an address in the network": {"10.97.0.99/24", ""},
		"by two networks":           {"10.96.0.0/14", "both have an address in 10.96.0.0/14: name one of them"},
		"no such name":              {"nosuch0", `there is no interface "nosuch0" on this machine, by name or by address`},
		"no such address":           {"10.97.0.2", `there is no interface "10.97.0.2" on this machine, by name or by address`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var d *device
			var err error
			inside(t, v.node, func() { d, err = openDevice(test.name) })
			switch {
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want an error that says %q", err, test.want)
			case test.want == "" && (err != nil || d.current() != want):
				t.Errorf("interface number %d, %v; want %d", d.current(), err, want)
			}
			d.close()
		})
	}
}

// asUser makes this test binary the program that TestCapabilities runs.
const asUser = "VRRPWIRE_AS_USER"

// Everything there is to do on the wire takes CAP_NET_RAW and no other privilege.
func TestCapabilities(t *testing.T) {
	if os.Getenv(asUser) != "" {
		speakAndHear(t)
		return
	}
	v := newVeth(t)
	w := v.world(t)
	var out bytes.Buffer
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestCapabilities$", "-test.v")
	cmd.Env = append(os.Environ(), asUser+"=1")
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: 65534, Gid: 65534},
		AmbientCaps: []uintptr{unix.CAP_NET_RAW},
	}
	var err error
	inside(t, v.node, func() { err = cmd.Start() })
	if err != nil {
		t.Fatalf("start as another user: %v", err)
	}
	_, advert, ok := next(t, w.peer, soon)
	if !ok || advert.Priority != 100 {
		t.Errorf("heard %+v, want an advert with priority 100", advert)
	}
	say(t, w.peer, peerAddr, advertOf(90))
	if err := cmd.Wait(); err != nil {
		t.Errorf("as another user: %v\n%s", err, out.String())
	}
}

// speakAndHear is a node of TestCapabilities: it reigns until it has heard an advert.
func speakAndHear(t *testing.T) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil || !strings.Contains(string(status), "CapEff:\t0000000000002000\n") || os.Geteuid() == 0 {
		t.Fatalf("want a user with CAP_NET_RAW alone, %v:\n%s", err, status)
	}
	w := world{open: Open, now: boottime.Now}
	cfg := w.config(t)
	cfg.Interface = nodeDevice
	e, _ := w.start(t, cfg, fresh(w.now).permit)
	e.Reign(0)
	select {
	case h := <-e.Heard():
		t.Logf("heard %v", h)
	case <-time.After(soon):
		t.Errorf("heard nothing; counted %+v", e.Stats())
	}
}
