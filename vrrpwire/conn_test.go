package vrrpwire

import (
	"bufio"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// A third party's view of what leaves the node, for both versions: tshark checks the VRRP checksum itself.
func TestOthersUnderstandThePackets(t *testing.T) {
	needPrivileges(t, "tcpdump", "tshark")
	tests := map[string]struct {
		version  uint8
		interval time.Duration
		decoded  string
	}{
		"v2": {version: 2, interval: time.Second, decoded: "VRRPv2, Advertisement, vrid 51, prio 100, authtype none, intvl 1s, length 16"},
		"v3": {version: 3, interval: 100 * ms, decoded: "VRRPv3, Advertisement, vrid 51, prio 100, intvl 10cs, length 8"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v := newVeth(t)
			w := v.world(t)
			captured := v.capture(t, 3)
			cfg := w.config(t)
			cfg.Version, cfg.Interval, cfg.Interface = test.version, test.interval, nodeDevice
			e, _ := w.start(t, cfg, fresh(w.now).permit)
			e.Reign(0)
			wantAdvert(t, w.peer, soon, 100)
			wantAdvert(t, w.peer, soon, 100)
			e.Resign("test")
			file := captured()

			// TTL, DSCP field, don't fragment, fragment offset, IP ID, both checksums, priority
			want := "255\t0xc0\t0\t0\t0x0001\t1\t1\t100\n" +
				"255\t0xc0\t0\t0\t0x0002\t1\t1\t100\n" +
				"255\t0xc0\t0\t0\t0x0003\t1\t1\t0\n"
			got := output(t, "tshark", "-r", file, "-o", "ip.check_checksum:TRUE", "-T", "fields",
				"-e", "ip.ttl", "-e", "ip.dsfield", "-e", "ip.flags.df", "-e", "ip.frag_offset", "-e", "ip.id",
				"-e", "ip.checksum.status", "-e", "vrrp.checksum.status", "-e", "vrrp.prio")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("tshark (-want +got):\n%s", diff)
			}
			dump := output(t, "tcpdump", "-nn", "-vvv", "-r", file)
			if !strings.Contains(dump, test.decoded) || strings.Contains(dump, "bad") {
				t.Errorf("tcpdump says\n%s\nwant %q and nothing bad", dump, test.decoded)
			}
		})
	}
}

// capture has tcpdump catch a number of VRRP packets on the peer's side. The returned function waits for them and
// names the file.
func (v veth) capture(t *testing.T, packets int) (wait func() string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "vrrp.pcap")
	cmd := exec.Command("tcpdump", "-i", peerDevice, "-U", "-Z", "root", "-w", file, "-c", strconv.Itoa(packets), "ip proto 112")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	inside(t, v.peer, func() { err = cmd.Start() })
	if err != nil {
		t.Fatalf("start tcpdump: %v", err)
	}
	lines := bufio.NewScanner(stderr)
	for listening := false; !listening; listening = strings.Contains(lines.Text(), "listening on") {
		if !lines.Scan() {
			t.Fatalf("tcpdump ended without listening: %v", cmd.Wait())
		}
	}
	timeout := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	return func() string {
		t.Helper()
		defer timeout.Stop()
		for lines.Scan() { // until tcpdump has all packets and ends
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("tcpdump did not catch %d packets: %v", packets, err)
		}
		return file
	}
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("run %s: %v", name, err)
	}
	return string(out)
}

// openWith opens a socket on a thread that has only the given capabilities (a set of bits; all are below 32).
func openWith(t *testing.T, capabilities uint32, source netip.Addr, device string) error {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: capabilities are the thread's, and it dies with the goroutine
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		data := [2]unix.CapUserData{{Effective: capabilities, Permitted: capabilities}}
		if err := unix.Capset(&header, &data[0]); err != nil {
			done <- err
			return
		}
		conn, err := openRaw(source, device)
		if err == nil {
			err = conn.Close()
		}
		done <- err
	}()
	return <-done
}

var loopback = netip.MustParseAddr("127.0.0.1")

func TestOpenNamesTheMissingCapability(t *testing.T) {
	err := openWith(t, 0, loopback, "")
	if !errors.Is(err, os.ErrPermission) {
		t.Fatalf("open without capabilities: %v, want a permission error", err)
	}
	for _, want := range []string{"CAP_NET_RAW", "AmbientCapabilities=CAP_NET_RAW", "setcap cap_net_raw+ep"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestOpenNeedsOneCapability(t *testing.T) {
	needPrivileges(t)
	if err := openWith(t, 1<<unix.CAP_NET_RAW, loopback, "lo"); err != nil {
		t.Errorf("open with CAP_NET_RAW alone: %v", err)
	}
}

func TestOpenNamesTheRemedy(t *testing.T) {
	needPrivileges(t)
	tests := map[string]struct {
		source netip.Addr
		device string
		want   string
	}{
		"another machine's address": {source: netip.MustParseAddr("192.0.2.1"), want: "192.0.2.1 is no address of this machine"},
		"no such interface":         {source: loopback, device: "nosuch0", want: `there is no interface "nosuch0"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := openWith(t, 1<<unix.CAP_NET_RAW, test.source, test.device); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("open: %v, want an error that says %q", err, test.want)
			}
		})
	}
}

// Peers that cannot be sent to, here for want of a route, cost the others nothing, and are counted.
func TestUnsendablePeersDoNotSilenceTheOthers(t *testing.T) {
	w := newVeth(t).world(t)
	cfg := w.config(t)
	cfg.Peers = []netip.Addr{netip.MustParseAddr("192.0.2.1"), peerAddr, netip.MustParseAddr("192.0.2.2")}
	e, _ := w.start(t, cfg, fresh(w.now).permit)
	e.Reign(0)
	wantAdvert(t, w.peer, soon, 100)
	wantAdvert(t, w.peer, soon, 100)
	e.Resign("test")
	wantLastWord(t, w.peer)
	stats := e.Stats()
	if stats.Sent < 2 || stats.PriorityZeroSent != 1 || stats.SendErrors != 2*(stats.Sent+stats.PriorityZeroSent) {
		t.Errorf("counted %+v, want two send errors for each advert", stats)
	}
}

// A datagram shorter than its header says is counted by length, and never read beyond its end.
func TestTruncatedDatagrams(t *testing.T) {
	full := unhex(t, "45c0 001c 0001 0000 ff70 0000 0a610002 0a610001 3133 6500 000a 0000")
	for n := range full {
		if p := parseIPv4(full[:n]); p.payload != nil {
			t.Errorf("%d of %d bytes: payload %x, want none", n, len(full), p.payload)
		}
	}
	want := packet{src: peerAddr, dst: nodeAddr, id: 1, ttl: 255, payload: full[20:]}
	if diff := cmp.Diff(want, parseIPv4(full), cmp.AllowUnexported(packet{}), sameAdvert); diff != "" {
		t.Errorf("whole datagram (-want +got):\n%s", diff)
	}
}
