package vrrpwire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// The IPv4 header as keepalived writes it (and RFC 9568 section 5.1.1 for the TTL).
const (
	sendTTL = 255
	sendTOS = 0xc0 // CS6, network control
)

// maxPacket holds the longest advertisement, 255 addresses in VRRPv2 under the longest IPv4 header, with room to
// spare: what is longer is cut and then rejected by its length.
const maxPacket = 2048

// protocolUDP is the protocol of the one datagram that is no advert (IANA, Protocol Numbers).
const protocolUDP = 17

// What recv says when there is no packet to return.
var (
	errNoPacket = errors.New("no packet is queued")
	errOverrun  = errors.New("packets were lost because the receive queue was full")
)

// packet is one received datagram. The payload is valid until the next recv.
type packet struct {
	src, dst netip.Addr
	id       uint16
	ttl      uint8
	payload  []byte
}

// datagrams is the network as an Endpoint sees it.
type datagrams interface {
	inbox
	outbox
	io.Closer
}

type inbox interface {
	// wait blocks until a packet may be queued, or until ctx ends and then returns its error.
	wait(ctx context.Context) error
	// recv returns the oldest queued packet without blocking; errNoPacket when there is none; errOverrun once when
	// packets were lost since the last call, instead of errNoPacket: a queue is never called empty when it was full.
	recv() (packet, error)
}

// outbox sends a packet now or not at all, since an advert that leaves late is worse than none.
type outbox interface {
	// obstacle returns nil if a packet to dst would leave at once. If it would wait for ARP, the error wraps
	// errUnresolved, and the link-layer address is being asked for. It may have to wait for a lock of the kernel's.
	obstacle(dst netip.Addr) error
	// send hands one payload to the network without blocking. It is for a dst without an obstacle.
	send(dst netip.Addr, id uint16, payload []byte) error
}

// rawConn is a raw IPv4 socket of protocol 112, bound to the source address.
type rawConn struct {
	conn   *ipv4.RawConn
	fd     syscall.RawConn
	src    netip.Addr
	hops   *nextHops
	device *device // nil: not bound to one
	bound  int     // index of the device that the socket is bound to
	buf    [maxPacket]byte
	drops  uint32 // the kernel's count when it was last read
}

func openRaw(source netip.Addr, deviceName string) (datagrams, error) {
	dev, err := openDevice(deviceName)
	if err != nil {
		return nil, err
	}
	hops, err := openNextHops(source, dev.current())
	if err != nil {
		dev.close()
		return nil, err
	}
	raw, err := listenRaw(source, dev.current())
	if err != nil {
		dev.close()
		hops.close()
		return nil, explainOpen(err, source)
	}
	raw.hops, raw.device = hops, dev
	return raw, nil
}

func listenRaw(source netip.Addr, device int) (*rawConn, error) {
	var listen net.ListenConfig
	if device != 0 {
		listen.Control = func(_, _ string, fd syscall.RawConn) error { return bindTo(fd, device) }
	}
	conn, err := listen.ListenPacket(context.Background(), fmt.Sprintf("ip4:%d", Protocol), source.String())
	if err != nil {
		return nil, err
	}
	raw, err := newRawConn(conn.(*net.IPConn), source, device)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return raw, nil
}

func newRawConn(conn *net.IPConn, source netip.Addr, device int) (*rawConn, error) {
	raw, err := ipv4.NewRawConn(conn)
	if err != nil {
		return nil, fmt.Errorf("set IP_HDRINCL on the VRRP socket: %w", err)
	}
	fd, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("reach the descriptor of the VRRP socket: %w", err)
	}
	return &rawConn{conn: raw, fd: fd, src: source, bound: device}, nil
}

// bindTo binds to a device by its index. It takes Linux 5.1.
func bindTo(fd syscall.RawConn, device int) error {
	var bindErr error
	err := fd.Control(func(fd uintptr) {
		bindErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, device)
	})
	return errors.Join(err, os.NewSyscallError("setsockopt SO_BINDTOIFINDEX", bindErr))
}

// follow binds to the device that has taken the place of the one that the socket is bound to.
func (c *rawConn) follow() error {
	device := c.device.current()
	if device == c.bound {
		return nil
	}
	if err := bindTo(c.fd, device); err != nil {
		return fmt.Errorf("bind the VRRP socket to the new interface %s: %w", c.device.name, err)
	}
	c.bound = device
	c.hops.bind(device)
	return nil
}

// explainOpen names the remedy for what an operator can get wrong.
func explainOpen(err error, source netip.Addr) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("open a raw socket for VRRP: the process lacks the capability CAP_NET_RAW; give it with "+
			"AmbientCapabilities=CAP_NET_RAW in the systemd unit, or with setcap cap_net_raw+ep on the binary: %w", err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("open a raw socket for VRRP: %v is no address of this machine; "+
			"set the node's VRRP address to one that is: %w", source, err)
	default:
		return fmt.Errorf("open a raw socket for VRRP on %v: %w", source, err)
	}
}

// wait also looks for the device from time to time, and then returns although there may be no packet.
func (c *rawConn) wait(ctx context.Context) error {
	if c.device != nil {
		c.device.look()
		if err := c.conn.SetReadDeadline(time.Now().Add(lookEvery)); err != nil {
			return fmt.Errorf("wait for VRRP packets: %w", err)
		}
	}
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		_ = c.conn.SetReadDeadline(time.Unix(1, 0)) // a deadline in the past ends the read
	})
	var pollErr error
	err := c.fd.Read(func(fd uintptr) bool {
		var ready bool
		ready, pollErr = readable(int(fd))
		return ready || pollErr != nil
	})
	if !stop() {
		<-woken
		return errors.Join(ctx.Err(), c.conn.SetReadDeadline(time.Time{}))
	}
	if err := errors.Join(err, pollErr); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("wait for VRRP packets: %w", err)
	}
	return nil
}

func readable(fd int) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	if errors.Is(err, unix.EINTR) {
		return false, nil
	}
	return n > 0, err
}

func (c *rawConn) recv() (packet, error) {
	if err := c.follow(); err != nil {
		return packet{}, err
	}
	var n int
	var readErr, dropErr error
	var drops uint32
	err := c.fd.Control(func(fd uintptr) {
		n, _, readErr = unix.Recvfrom(int(fd), c.buf[:], unix.MSG_DONTWAIT)
		if errors.Is(readErr, unix.EAGAIN) {
			drops, dropErr = dropCount(int(fd))
		}
	})
	switch {
	case err != nil:
		return packet{}, fmt.Errorf("read VRRP packet: %w", err)
	case errors.Is(readErr, unix.EAGAIN):
		return packet{}, c.emptyQueue(drops, dropErr)
	case readErr != nil:
		return packet{}, fmt.Errorf("read VRRP packet: %w", readErr)
	}
	return parseIPv4(c.buf[:n]), nil
}

func (c *rawConn) emptyQueue(drops uint32, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("read the drop counter of the VRRP socket: %w", err)
	case drops != c.drops:
		c.drops = drops
		return errOverrun
	default:
		return errNoPacket
	}
}

// dropCount asks the kernel how many packets the socket lost because its receive buffer was full. SO_RXQ_OVFL
// would tell that only with the next packet that fits, too late for a drain that must know now.
func dropCount(fd int) (uint32, error) {
	var info [unix.SK_MEMINFO_VARS]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0, os.NewSyscallError("getsockopt SO_MEMINFO", errno)
	}
	return info[unix.SK_MEMINFO_DROPS], nil
}

// parseIPv4 takes the header off. A datagram that is not what its header says keeps no payload, and so is counted
// by its length like every other truncated one.
func parseIPv4(b []byte) packet {
	header, err := ipv4.ParseHeader(b)
	if err != nil {
		return packet{} // the kernel hands up no such packet; it would come from no peer
	}
	src, _ := netip.AddrFromSlice(header.Src.To4())
	dst, _ := netip.AddrFromSlice(header.Dst.To4())
	p := packet{src: src, dst: dst, id: uint16(header.ID), ttl: uint8(header.TTL)}
	if header.TotalLen == len(b) {
		p.payload = b[header.Len:]
	}
	return p
}

func (c *rawConn) obstacle(dst netip.Addr) error {
	asked, err := c.hops.resolved(dst)
	if !errors.Is(err, errUnresolved) || asked {
		return err
	}
	if sendErr := c.provoke(dst); sendErr != nil {
		return fmt.Errorf("%w; %w", err, sendErr)
	}
	return err
}

// provoke has the kernel ask for the link-layer address of the next hop to dst. A process that may not write the
// neighbour table can only send something that needs it: an empty datagram from and to UDP port 9, discard
// (RFC 863). It may leave late, which does no harm. While the kernel asks (about 3 s) none is sent, so there are few.
func (c *rawConn) provoke(dst netip.Addr) error {
	discard := [...]byte{0, 9, 0, 9, 0, 8, 0, 0} // source port, destination port, length, no checksum
	if err := c.write(dst, protocolUDP, 0, discard[:]); err != nil {
		return fmt.Errorf("ask for it with a datagram to UDP port 9, which a firewall must let out: %w", err)
	}
	return nil
}

func (c *rawConn) send(dst netip.Addr, id uint16, payload []byte) error {
	if err := c.write(dst, Protocol, id, payload); err != nil {
		return fmt.Errorf("send VRRP packet to %v: %w", dst, err)
	}
	return nil
}

func (c *rawConn) write(dst netip.Addr, protocol int, id uint16, payload []byte) error {
	header := ipv4.Header{
		Version: ipv4.Version, Len: ipv4.HeaderLen, TOS: sendTOS, TotalLen: ipv4.HeaderLen + len(payload),
		ID: int(id), TTL: sendTTL, Protocol: protocol, Src: c.src.AsSlice(), Dst: dst.AsSlice(),
	}
	b, err := header.Marshal()
	if err != nil {
		return fmt.Errorf("marshal IPv4 header: %w", err)
	}
	b = append(b, payload...)
	var sendErr error
	err = c.fd.Control(func(fd uintptr) {
		sendErr = unix.Sendto(int(fd), b, unix.MSG_DONTWAIT, &unix.SockaddrInet4{Addr: dst.As4()})
	})
	return errors.Join(err, os.NewSyscallError("sendto", sendErr))
}

// Close closes the sockets.
func (c *rawConn) Close() error {
	c.device.close()
	c.hops.close()
	return c.conn.Close()
}
