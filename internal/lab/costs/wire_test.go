package costs

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/bpf"
	"golang.org/x/sync/errgroup"

	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
	"github.com/hacluster/hacluster/internal/lab/vnet"
)

var (
	node   = netip.MustParseAddr("10.20.0.11")
	peer   = netip.MustParseAddr("10.20.0.12")
	ec2    = netip.MustParseAddr("10.20.0.2")
	client = netip.MustParseAddr("198.51.100.10")
)

const (
	etherIPv4, etherARP       = 0x0800, 0x0806
	protocolTCP, protocolOSPF = 6, 89
)

// frame makes an Ethernet frame with an IPv4 header in it.
func frame(etherType uint16, protocol byte, source, target netip.Addr, size int) []byte {
	b := make([]byte, size)
	binary.BigEndian.PutUint16(b[etherTypeAt:], etherType)
	b[protocolAt] = protocol
	copy(b[sourceAt:], source.AsSlice())
	copy(b[targetAt:], target.AsSlice())
	return b
}

// The filter takes a packet whole or not at all: the length that is counted is what the filter lets through.
func TestFilter(t *testing.T) {
	vm, err := bpf.NewVM(filter([]netip.Addr{peer, ec2}))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		frame []byte
		taken bool
	}{
		"to a peer":               {frame(etherIPv4, protocolTCP, node, peer, 1500), true},
		"from a peer":             {frame(etherIPv4, protocolTCP, peer, node, 60), true},
		"an advert to a peer":     {frame(etherIPv4, protocolVRRP, node, peer, 60), true},
		"to EC2":                  {frame(etherIPv4, protocolTCP, node, ec2, 900), true},
		"from EC2":                {frame(etherIPv4, protocolTCP, ec2, node, 900), true},
		"from a client":           {frame(etherIPv4, protocolTCP, client, node, 900), false},
		"to a client":             {frame(etherIPv4, protocolTCP, node, client, 900), false},
		"ARP, whatever is in it":  {frame(etherARP, 0, node, peer, 60), false},
		"too short for addresses": {frame(etherIPv4, protocolTCP, node, peer, 60)[:sourceAt], false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := vm.Run(test.frame)
			if err != nil {
				t.Fatal(err)
			}
			if taken := got >= len(test.frame); taken != test.taken || !taken && got != 0 {
				t.Errorf("%d of %d bytes taken, want taken %t", got, len(test.frame), test.taken)
			}
		})
	}
}

func TestCounterTellsClassesApart(t *testing.T) {
	c := &counter{cloud: map[netip.Addr]bool{ec2: true}, flows: map[Class]flow{}}
	c.add(frame(etherIPv4, protocolVRRP, node, peer, 60), 60, false)
	c.add(frame(etherIPv4, protocolVRRP, node, peer, 60), 60, false)
	c.add(frame(etherIPv4, protocolTCP, peer, node, 100), 100, true)
	c.add(frame(etherIPv4, protocolOSPF, peer, node, 100), 100, true) // no agent sends it; it would be seen
	c.add(frame(etherIPv4, protocolTCP, node, ec2, 900), 900, false)
	c.add(frame(etherIPv4, protocolTCP, ec2, node, 1500), 1500, true)
	want := map[Class]flow{
		VRRP:    {Sent: count{2, 120}},
		Cluster: {Received: count{2, 200}},
		AWS:     {Sent: count{1, 900}, Received: count{1, 1500}},
	}
	if diff := cmp.Diff(want, c.read()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Real packets on a real interface: loopback, where each is seen on its way out and on its way in.
func TestCounterOnLoopback(t *testing.T) {
	sandboxtest.Need(t)
	network, err := vnet.NewSwitch(netip.MustParsePrefix("10.20.0.1/24"))
	if err != nil {
		t.Fatal(err)
	}
	defer network.Close()
	fellow, cloud, stranger := netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3"), netip.MustParseAddr("127.0.0.4")
	c, err := openCounter("lo", []netip.Addr{fellow}, []netip.Addr{cloud})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group errgroup.Group
	group.Go(func() error { return c.run(ctx) })
	sendUDP(t, fellow, 100)
	sendUDP(t, stranger, 500)
	sendUDP(t, cloud, 1000)
	const headers = 14 + 20 + 8 // Ethernet, IPv4, UDP
	want := map[Class]flow{
		Cluster: {Sent: count{1, headers + 100}, Received: count{1, headers + 100}},
		AWS:     {Sent: count{1, headers + 1000}, Received: count{1, headers + 1000}},
	}
	eventually(t, func() error {
		if diff := cmp.Diff(want, c.read()); diff != "" {
			return fmt.Errorf("-want +got:\n%s", diff)
		}
		return nil
	})
	cancel()
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if err := c.close(); err != nil {
		t.Error(err)
	}
}

// sendUDP sends one datagram to a socket that takes it: a closed port would answer with an ICMP message.
func sendUDP(t *testing.T, to netip.Addr, size int) {
	t.Helper()
	sink, err := net.ListenUDP("udp4", &net.UDPAddr{IP: to.AsSlice()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sink.Close() })
	conn, err := net.Dial("udp4", sink.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}
