package packets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inNamespace gives the test a network of its own: lo, and a cable from v0 to v1. The address behind v1 exists for ARP only.
func inNamespace(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("this test needs root, and CI must run it as root")
		}
		t.Skip("NOT RUN: this test needs root (network namespaces, packet sockets)")
	}
	runtime.LockOSThread() // for good: the thread ends with the test
	ns, err := netns.New()
	must(t, err)
	t.Cleanup(func() { _ = ns.Close() })
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "v0"}, PeerName: "v1"}))
	for _, name := range []string{"lo", "v0", "v1"} {
		must(t, netlink.LinkSetUp(device(t, name)))
	}
	addr, err := netlink.ParseAddr("10.99.0.1/24")
	must(t, err)
	must(t, netlink.AddrAdd(device(t, "v0"), addr))
	must(t, netlink.NeighAdd(&netlink.Neigh{
		LinkIndex: device(t, "v0").Attrs().Index, IP: net.ParseIP("10.99.0.2"),
		HardwareAddr: device(t, "v1").Attrs().HardwareAddr, State: netlink.NUD_PERMANENT,
	}))
	for end := time.Now().Add(10 * time.Second); device(t, "v0").Attrs().OperState != netlink.OperUp; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the kernel has not noticed the carrier of v0 within 10 s") // what is sent before that is dropped
		}
	}
}

func device(t *testing.T, name string) netlink.Link {
	t.Helper()
	link, err := netlink.LinkByName(name)
	must(t, err)
	return link
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// send lets the kernel make the IP header, so the TTL is its default of 64.
func send(t *testing.T, network, from, to string, payload []byte) {
	t.Helper()
	conn, err := net.ListenPacket(network, from)
	must(t, err)
	defer conn.Close()
	_, err = conn.WriteTo(payload, &net.IPAddr{IP: net.ParseIP(to)})
	must(t, err)
}

// sendUntilHeard is for a cable that was just plugged in: the kernel notices the carrier up to a second later, and drops what is sent
// before.
func sendUntilHeard(t *testing.T, l *Listener) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		send(t, "ip4:112", "10.99.0.1", "10.99.0.2", unhex(t, message))
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		_, err := l.Next(ctx)
		cancel()
		if err == nil {
			return
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	t.Fatal("nothing heard in 10 s of sending")
}

// hear returns the next n packets in short.
func hear(t *testing.T, l *Listener, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var heard []string
	for range n {
		p, err := l.Next(ctx)
		if err != nil {
			t.Fatalf("after %q: %v", heard, err)
		}
		if age := time.Since(p.Time); age < 0 || age > 10*time.Second {
			t.Errorf("stamped %v ago", age)
		}
		heard = append(heard, fmt.Sprintf("%s %s %v %v>%v ttl %d: %x", p.Interface, p.Direction, p.VLANs, p.Src, p.Dst, p.TTL, p.Message))
	}
	return heard
}

// A packet is heard where it leaves, where it comes in, and with its VLAN; on lo once; and nothing but VRRP and AH is.
func TestListenEverywhere(t *testing.T) {
	inNamespace(t)
	l, err := Listen("")
	must(t, err)
	defer l.Close()
	must(t, sayUDP())
	send(t, "ip4:112", "127.0.0.1", "127.0.0.1", unhex(t, message))
	send(t, "ip6:112", "::1", "::1", unhex(t, message))
	send(t, "ip4:112", "10.99.0.1", "10.99.0.2", unhex(t, message))
	payload := strings.ReplaceAll(message, " ", "")
	want := []string{
		"lo in [] 127.0.0.1>127.0.0.1 ttl 64: " + payload,
		"lo in [] ::1>::1 ttl 64: " + payload,
		"v0 out [] 10.99.0.1>10.99.0.2 ttl 64: " + payload,
		"v1 in [] 10.99.0.1>10.99.0.2 ttl 64: " + payload,
	}
	if diff := compare(want, hear(t, l, len(want))); diff != "" {
		t.Error(diff)
	}
}

// Tags are seen in both directions, whether the kernel has taken them off or not.
func TestListenToVLANs(t *testing.T) {
	inNamespace(t)
	l, err := Listen("")
	must(t, err)
	defer l.Close()
	sendFrame(t, macs+"8100 0007 0800"+ipv4+message)
	sendFrame(t, macs+"8100 4007 86dd"+ipv6+message) // of a class whose bits look like IPv4's version
	sendFrame(t, macs+"88a8 0064 8100 0007 0800"+ipv4+message)
	payload := strings.ReplaceAll(message, " ", "")
	want := []string{
		"v0 out [7] 10.99.0.1>10.99.0.2 ttl 255: " + payload,
		"v1 in [7] 10.99.0.1>10.99.0.2 ttl 255: " + payload,
		"v0 out [7] fe80::1>fe80::2 ttl 255: " + payload,
		"v1 in [7] fe80::1>fe80::2 ttl 255: " + payload,
		"v0 out [100] 10.99.0.1>10.99.0.2 ttl 255: " + payload, // the kernel tells of the outer one only
		"v1 in [100 7] 10.99.0.1>10.99.0.2 ttl 255: " + payload,
	}
	if diff := compare(want, hear(t, l, len(want))); diff != "" {
		t.Error(diff)
	}
}

// What keepalived sends under auth_type AH has another protocol number, and the advert behind a header.
func TestListenToAH(t *testing.T) {
	inNamespace(t)
	l, err := Listen("v1")
	must(t, err)
	defer l.Close()
	sendFrame(t, ethernet+ipv4AH+message)
	sendFrame(t, macs+"86dd"+ipv6AH+message)
	payload := strings.ReplaceAll(message, " ", "")
	want := []string{"v1 in [] 10.99.0.1>10.99.0.2 ttl 255: " + payload, "v1 in [] fe80::1>fe80::2 ttl 255: " + payload}
	if diff := compare(want, hear(t, l, len(want))); diff != "" {
		t.Error(diff)
	}
}

// sendFrame puts a frame on v0 as it is.
func sendFrame(t *testing.T, frame string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Sendto(fd, unhex(t, frame), 0, &unix.SockaddrLinklayer{Ifindex: device(t, "v0").Attrs().Index}))
}

func sayUDP() error {
	conn, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte("no VRRP"))
	return err
}

func TestListenOnOneInterface(t *testing.T) {
	inNamespace(t)
	l, err := Listen("v1")
	must(t, err)
	defer l.Close()
	send(t, "ip4:112", "127.0.0.1", "127.0.0.1", unhex(t, message))
	send(t, "ip4:112", "10.99.0.1", "10.99.0.2", unhex(t, message))
	if heard := hear(t, l, 1)[0]; !strings.HasPrefix(heard, "v1 in [] ") {
		t.Errorf("heard %s", heard)
	}

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// Down is not gone.
func TestListenAndTheInterfaceGoes(t *testing.T) {
	inNamespace(t)
	l, err := Listen("v1")
	must(t, err)
	defer l.Close()
	v1 := device(t, "v1")
	must(t, netlink.LinkSetDown(v1))
	must(t, netlink.LinkSetUp(v1))
	sendUntilHeard(t, l)
	must(t, netlink.LinkDel(v1))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := l.Next(ctx); err == nil || !strings.Contains(err.Error(), `interface "v1" was removed`) {
		t.Errorf("%v", err)
	}
}

// A packet socket is told that its interface went down, and nothing more when that is removed later.
func TestListenAndTheInterfaceGoesLater(t *testing.T) {
	inNamespace(t)
	l, err := Listen("v1")
	must(t, err)
	defer l.Close()
	v1 := device(t, "v1")
	must(t, netlink.LinkSetDown(v1))
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := l.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("down: %v", err)
	}
	must(t, netlink.LinkDel(v1))
	ctx, cancel = context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := l.Next(ctx); err == nil || !strings.Contains(err.Error(), `interface "v1" was removed`) {
		t.Errorf("removed: %v", err)
	}
}

func TestListenNowhere(t *testing.T) {
	if _, err := Listen("nosuch0"); err == nil || !strings.Contains(err.Error(), "'ip link' lists what there is") {
		t.Errorf("%v", err)
	}
}
