package packets

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// lookEvery is how often a listener looks whether its interface is still there: of one that was down before it was removed, a packet socket
// is told nothing.
const lookEvery = time.Second

// maxLive holds the longest VRRP message, 255 IPv6 addresses and a trailer, behind IPv6 and AH.
const maxLive = 8192

// Listener hears the VRRP packets that pass an interface, in both directions.
type Listener struct {
	socket *os.File
	conn   syscall.RawConn
	device string
	index  int           // of device; 0: all
	ifaces map[int]iface // by interface index
	buf    [maxLive]byte
	oob    [256]byte
}

type iface struct {
	name     string
	loopback bool
}

// arrival is what the kernel tells about a frame beside its bytes.
type arrival struct {
	n, oobn int
	from    *unix.SockaddrLinklayer
}

// Listen hears one interface, or all of them if device is "". It needs CAP_NET_RAW, and no promiscuous mode: a node hears what it
// sends and what is sent to it.
func Listen(device string) (*Listener, error) {
	index := 0
	if device != "" {
		found, err := net.InterfaceByName(device)
		if err != nil {
			return nil, fmt.Errorf("listen on interface %q: %w: 'ip link' lists what there is", device, err)
		}
		index = found.Index
	}
	// The kernel takes the link header off: interfaces without Ethernet are heard too. Protocol 0 hears nothing before it is bound.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("open a packet socket: the process lacks the capability CAP_NET_RAW; run this as root, or with "+
			"setcap cap_net_raw+ep on the binary: %w", err)
	} else if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	socket := os.NewFile(uintptr(fd), "packet socket")
	conn, err := socket.SyscallConn()
	if err == nil {
		err = prepare(fd, index)
	}
	if err != nil {
		_ = socket.Close()
		return nil, err
	}
	return &Listener{socket: socket, conn: conn, device: device, index: index, ifaces: make(map[int]iface)}, nil
}

func prepare(fd, index int) error {
	filter, err := vrrpFilter()
	if err != nil {
		return err
	}
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	if err != nil {
		return fmt.Errorf("attach filter: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return fmt.Errorf("ask for time stamps: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1); err != nil {
		return fmt.Errorf("ask for VLAN tags: %w", err)
	}
	// Only listeners to all protocols hear what this machine sends.
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: index}); err != nil {
		return fmt.Errorf("bind packet socket: %w", err)
	}
	return nil
}

// Where the protocol stands behind the link header.
const (
	ipv4Protocol = 9
	ipv6Next     = 6
)

// vrrpFilter lets protocols 112 and 51 through, over IPv4 and IPv6. Where a VLAN tag was not taken off, the kernel counts from the tag
// for what comes in, and from behind it for what goes out: both are let through, and looked at closely later.
func vrrpFilter() ([]unix.SockFilter, error) {
	ipv4, ipv6 := letThrough(ipv4Protocol), letThrough(ipv6Next)
	tagged := letThrough(ipv4Protocol, ipv6Next, vlanTagLen+ipv4Protocol, vlanTagLen+ipv6Next)
	program := []bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtProto}}
	program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherTypeIPv4, SkipFalse: uint8(len(ipv4))})
	program = append(program, ipv4...)
	program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherTypeIPv6, SkipFalse: uint8(len(ipv6))})
	program = append(program, ipv6...)
	program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherTypeVLAN, SkipTrue: 1})
	program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherTypeQinQ, SkipFalse: uint8(len(tagged))})
	program = append(program, tagged...)
	program = append(program, bpf.RetConstant{Val: 0})
	assembled, err := bpf.Assemble(program)
	if err != nil {
		return nil, fmt.Errorf("assemble filter: %w", err)
	}
	filter := make([]unix.SockFilter, len(assembled))
	for i, instruction := range assembled {
		filter[i] = unix.SockFilter{Code: instruction.Op, Jt: instruction.Jt, Jf: instruction.Jf, K: instruction.K}
	}
	return filter, nil
}

// letThrough ends with a verdict: whether one of the bytes is the number of VRRP or AH.
func letThrough(offsets ...uint32) []bpf.Instruction {
	var block []bpf.Instruction
	for i, offset := range offsets {
		left := uint8(3 * (len(offsets) - i)) // instructions until the block's verdicts
		block = append(block,
			bpf.LoadAbsolute{Off: offset, Size: 1},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolVRRP, SkipTrue: left - 1},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolAH, SkipTrue: left - 2})
	}
	return append(block, bpf.RetConstant{Val: 0}, bpf.RetConstant{Val: maxLive})
}

// Close releases the socket.
func (l *Listener) Close() error { return l.socket.Close() }

// Next waits for the next VRRP packet. It returns the error of ctx when ctx ends. An interface that goes down is waited for; one
// that is removed is an error.
func (l *Listener) Next(ctx context.Context) (Packet, error) {
	defer l.interruptAtEndOf(ctx)()
	for {
		if err := l.limitWait(); err != nil {
			return Packet{}, err
		}
		if ctx.Err() != nil { // its interruption may have come before that limit
			return Packet{}, ctx.Err()
		}
		a, err := l.receive()
		if ctx.Err() != nil {
			return Packet{}, ctx.Err()
		}
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENETDOWN), errors.Is(err, os.ErrDeadlineExceeded):
			if err := l.gone(); err != nil {
				return Packet{}, err
			}
		case err != nil:
			return Packet{}, fmt.Errorf("read packets: %w", err)
		default:
			if p, ok := l.packet(a); ok {
				return p, nil
			}
		}
	}
}

// interruptAtEndOf lets a read end with ctx. What it returns undoes that, so that the next read waits again.
func (l *Listener) interruptAtEndOf(ctx context.Context) (undo func()) {
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = l.socket.SetReadDeadline(time.Now())
	})
	return func() {
		if stop() {
			return
		}
		<-interrupted
		_ = l.socket.SetReadDeadline(time.Time{})
	}
}

// limitWait lets a read end when it is time to look at the interface.
func (l *Listener) limitWait() error {
	if l.index == 0 {
		return nil
	}
	if err := l.socket.SetReadDeadline(time.Now().Add(lookEvery)); err != nil {
		return fmt.Errorf("wait for packets: %w", err)
	}
	return nil
}

// gone says whether the interface is not only down. Another one of its name is not heard.
func (l *Listener) gone() error {
	if l.index == 0 {
		return nil
	}
	if _, err := net.InterfaceByIndex(l.index); err != nil {
		return fmt.Errorf("read packets: interface %q was removed: %w", l.device, err)
	}
	return nil
}

func (l *Listener) receive() (arrival, error) {
	var a arrival
	var readErr error
	err := l.conn.Read(func(fd uintptr) bool {
		var from unix.Sockaddr
		a.n, a.oobn, _, from, readErr = unix.Recvmsg(int(fd), l.buf[:], l.oob[:], unix.MSG_TRUNC)
		a.from, _ = from.(*unix.SockaddrLinklayer)
		return !errors.Is(readErr, unix.EAGAIN)
	})
	return a, errors.Join(err, readErr)
}

func (l *Listener) packet(a arrival) (Packet, bool) {
	if a.from == nil {
		return Packet{}, false
	}
	where := l.iface(a.from.Ifindex)
	if where.loopback && a.from.Pkttype == unix.PACKET_OUTGOING {
		return Packet{}, false // it comes in as well
	}
	p := Packet{Interface: where.name, Direction: direction(uint16(a.from.Pkttype))}
	p.Time, p.VLANs = controls(l.oob[:a.oobn])
	frame := l.buf[:min(a.n, len(l.buf))]
	if len(frame) == 0 {
		return Packet{}, false
	}
	// Of a frame with several tags, or with one that is going out, versions of Linux disagree about how many are taken off before this,
	// and about which protocol is told. What was told is tried first.
	for _, etherType := range []uint16{networkOrder(a.from.Protocol), ipType(frame[0]), etherTypeVLAN} {
		read := p
		if read.network(etherType, frame, a.n) == carriesVRRP {
			return read, true
		}
	}
	return Packet{}, false
}

func (l *Listener) iface(index int) iface {
	if known, ok := l.ifaces[index]; ok {
		return known
	}
	found, err := net.InterfaceByIndex(index)
	if err != nil {
		return iface{name: fmt.Sprintf("#%d", index)}
	}
	l.ifaces[index] = iface{name: found.Name, loopback: found.Flags&net.FlagLoopback != 0}
	return l.ifaces[index]
}

// controls returns when the kernel saw a frame, and the VLAN tag that it took off.
func controls(oob []byte) (time.Time, []uint16) {
	at, vlans := time.Now().UTC(), []uint16(nil)
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return at, vlans
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16:
			at = time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:]))).UTC()
		case m.Header.Level == unix.SOL_PACKET && m.Header.Type == unix.PACKET_AUXDATA && len(m.Data) >= 20: // struct tpacket_auxdata
			if binary.NativeEndian.Uint32(m.Data)&unix.TP_STATUS_VLAN_VALID != 0 {
				vlans = []uint16{binary.NativeEndian.Uint16(m.Data[16:]) & 0x0fff}
			}
		}
	}
	return at, vlans
}

// networkOrder turns a 16-bit number around on a little-endian machine, and back.
func networkOrder(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}
