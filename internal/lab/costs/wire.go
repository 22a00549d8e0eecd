package costs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Class says what a packet is for. ARP and HAProxy's own traffic are in none.
type Class string

// The classes of packets.
const (
	VRRP    Class = "vrrp"    // adverts, IP protocol 112
	Cluster Class = "cluster" // Raft and rpc between the agents, TCP
	AWS     Class = "aws"     // the EC2 API and the instance metadata, TCP
)

func classes() []Class { return []Class{VRRP, Cluster, AWS} }

// Layout of an Ethernet frame with IPv4 in it.
const (
	etherTypeAt = 12
	protocolAt  = 14 + 9
	sourceAt    = 14 + 12
	targetAt    = 14 + 16
	headersLen  = targetAt + 4

	protocolVRRP = 112
	// whole is more than any packet has: a filter that asked for less would hide how long packets are.
	whole = 1 << 16
)

// count is packets and the bytes of their Ethernet frames.
type count struct{ Packets, Bytes int64 }

// flow is what a node sent and received of one class.
type flow struct{ Sent, Received count }

// counter counts the packets between a node and those that matter, at the node's port of the switch.
type counter struct {
	socket *os.File
	cloud  map[netip.Addr]bool // EC2 and instance metadata

	mu    sync.Mutex
	flows map[Class]flow
}

// openCounter listens at a port. Only packets from or to peers and cloud are counted; the kernel drops the others before they
// cost anything.
func openCounter(port string, peers, cloud []netip.Addr) (*counter, error) {
	link, err := net.InterfaceByName(port)
	if err != nil {
		return nil, fmt.Errorf("count packets at %s: %w", port, err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	socket := os.NewFile(uintptr(fd), port)
	if err := listen(fd, link.Index, append(peers, cloud...)); err != nil {
		return nil, errors.Join(fmt.Errorf("count packets at %s: %w", port, err), socket.Close())
	}
	c := &counter{socket: socket, cloud: map[netip.Addr]bool{}, flows: map[Class]flow{}}
	for _, address := range cloud {
		c.cloud[address] = true
	}
	return c, nil
}

func listen(fd, link int, addresses []netip.Addr) error {
	program, err := bpf.Assemble(filter(addresses))
	if err != nil {
		return fmt.Errorf("assemble filter: %w", err)
	}
	raw := make([]unix.SockFilter, len(program))
	for i, ins := range program {
		raw[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(raw)), Filter: &raw[0]})
	if err != nil {
		return fmt.Errorf("attach filter: %w", err)
	}
	all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link}); err != nil {
		return fmt.Errorf("bind packet socket: %w", err)
	}
	return nil
}

// filter accepts IPv4 from or to one of the addresses.
func filter(addresses []netip.Addr) []bpf.Instruction {
	n := len(addresses)
	accept := 2*(n+1) + 3 // index of the instruction that accepts; the one before it refuses
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: etherTypeAt, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ETH_P_IP, SkipFalse: uint8(accept - 3)},
	}
	for _, at := range []uint32{sourceAt, targetAt} {
		program = append(program, bpf.LoadAbsolute{Off: at, Size: 4})
		for _, address := range addresses {
			octets := address.As4()
			program = append(program, bpf.JumpIf{
				Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(octets[:]), SkipTrue: uint8(accept - len(program) - 1),
			})
		}
	}
	return append(program, bpf.RetConstant{Val: 0}, bpf.RetConstant{Val: whole})
}

// run counts until ctx ends.
func (c *counter) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = c.socket.SetReadDeadline(time.Now()) })
	defer stop()
	conn, err := c.socket.SyscallConn()
	if err != nil {
		return fmt.Errorf("count packets: %w", err)
	}
	frame := make([]byte, headersLen)
	for {
		var size int
		var from unix.Sockaddr
		var readErr error
		err := conn.Read(func(fd uintptr) bool {
			// With MSG_TRUNC size is the packet's, however little of it there is room for.
			size, from, readErr = unix.Recvfrom(int(fd), frame, unix.MSG_TRUNC)
			return !errors.Is(readErr, unix.EAGAIN)
		})
		if ctx.Err() != nil {
			return nil
		}
		if err := errors.Join(err, readErr); err != nil {
			return fmt.Errorf("count packets: %w", err)
		}
		if link, ok := from.(*unix.SockaddrLinklayer); ok && size >= headersLen {
			c.add(frame, size, link.Pkttype == unix.PACKET_OUTGOING)
		}
	}
}

// add counts one frame. What goes out at the switch's end of the cable comes in at the node's.
func (c *counter) add(frame []byte, size int, received bool) {
	class := Cluster
	switch {
	case frame[protocolAt] == protocolVRRP:
		class = VRRP
	case c.cloud[netip.AddrFrom4([4]byte(frame[sourceAt:]))], c.cloud[netip.AddrFrom4([4]byte(frame[targetAt:]))]:
		class = AWS
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.flows[class]
	to := &f.Sent
	if received {
		to = &f.Received
	}
	to.Packets++
	to.Bytes += int64(size)
	c.flows[class] = f
}

// read returns the counts so far.
func (c *counter) read() map[Class]flow {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.flows)
}

func (c *counter) close() error { return c.socket.Close() }
