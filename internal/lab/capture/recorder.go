package capture

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	maxFrame = 2048
	// maxFrames bounds what is remembered: hours of adverts. The oldest frames are dropped first.
	maxFrames = 200_000
)

type frame struct {
	at   time.Time
	data []byte
}

// Recorder captures the VRRP frames that the hosts on a switch send.
type Recorder struct {
	socket *os.File
	bridge int

	mu     sync.Mutex
	frames []frame
	out    *pcapgo.Writer // nil: nothing is saved
}

// Open starts to listen on every port of the switch; bridge is the interface index of the switch itself. Only frames on
// their way in are taken, at the port of their sender: each is seen once, wherever it goes, and even if a partition
// then swallows it.
func Open(bridge int) (*Recorder, error) {
	const flags = unix.SOCK_RAW | unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	fd, err := unix.Socket(unix.AF_PACKET, flags, 0) // protocol 0: receives nothing before it is bound
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	if err := listen(fd); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &Recorder{socket: os.NewFile(uintptr(fd), "capture"), bridge: bridge}, nil
}

func listen(fd int) error {
	filter, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ETH_P_IP, SkipFalse: 3},
		bpf.LoadAbsolute{Off: etherHeaderLen + 9, Size: 1}, // IPv4 protocol
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoVRRP, SkipFalse: 1},
		bpf.RetConstant{Val: maxFrame},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return fmt.Errorf("assemble filter: %w", err)
	}
	program := make([]unix.SockFilter, len(filter))
	for i, ins := range filter {
		program[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	if err != nil {
		return fmt.Errorf("attach filter: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return fmt.Errorf("ask for time stamps: %w", err)
	}
	// Only listeners to all protocols get a frame before the switch takes it.
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL)}); err != nil {
		return fmt.Errorf("bind packet socket: %w", err)
	}
	return nil
}

// Run records until ctx ends.
func (r *Recorder) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = r.socket.SetReadDeadline(time.Now()) })
	defer stop()
	conn, err := r.socket.SyscallConn()
	if err != nil {
		return fmt.Errorf("read packets: %w", err)
	}
	data, control := make([]byte, maxFrame), make([]byte, 128)
	for {
		var n, nc int
		var from unix.Sockaddr
		var readErr error
		err := conn.Read(func(fd uintptr) bool {
			n, nc, _, from, readErr = unix.Recvmsg(int(fd), data, control, 0)
			return !errors.Is(readErr, unix.EAGAIN)
		})
		if ctx.Err() != nil {
			return nil
		}
		// A port that goes down with its host is reported once as ENETDOWN; the others go on.
		if err = errors.Join(err, readErr); errors.Is(err, unix.ENETDOWN) || errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			return fmt.Errorf("read packets: %w", err)
		}
		if link, ok := from.(*unix.SockaddrLinklayer); ok && link.Pkttype != unix.PACKET_OUTGOING && link.Ifindex != r.bridge {
			if err := r.add(frame{at: timestamp(control[:nc]), data: slices.Clone(data[:n])}); err != nil {
				return err
			}
		}
	}
}

// Close releases the socket. Call it after Run has returned.
func (r *Recorder) Close() error { return r.socket.Close() }

// Save writes each frame, as it comes, to w as a file for tcpdump and tshark. Call it before Run.
func (r *Recorder) Save(w io.Writer) (err error) {
	r.out, err = newWriter(w)
	return err
}

func (r *Recorder) add(f frame) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.frames) == maxFrames {
		r.frames = slices.Delete(r.frames, 0, maxFrames/10)
	}
	r.frames = append(r.frames, f)
	if r.out == nil {
		return nil
	}
	return writeFrame(r.out, f)
}

func (r *Recorder) between(from, to time.Time) []frame {
	r.mu.Lock()
	defer r.mu.Unlock()
	var frames []frame
	for _, f := range r.frames {
		if !f.at.Before(from) && !f.at.After(to) {
			frames = append(frames, f)
		}
	}
	return frames
}

// Adverts returns the adverts sent from from to to, in order of time.
func (r *Recorder) Adverts(from, to time.Time) []Advert {
	var adverts []Advert
	for _, f := range r.between(from, to) {
		if a, ok := decode(f.data, f.at); ok {
			adverts = append(adverts, a)
		}
	}
	slices.SortStableFunc(adverts, func(a, b Advert) int { return a.Time.Compare(b.Time) })
	return adverts
}

// WritePCAP writes what was captured from from to to as a file for tcpdump and tshark.
func (r *Recorder) WritePCAP(w io.Writer, from, to time.Time) error {
	out, err := newWriter(w)
	if err != nil {
		return err
	}
	for _, f := range r.between(from, to) {
		if err := writeFrame(out, f); err != nil {
			return err
		}
	}
	return nil
}

func newWriter(w io.Writer) (*pcapgo.Writer, error) {
	out := pcapgo.NewWriterNanos(w)
	if err := out.WriteFileHeader(maxFrame, layers.LinkTypeEthernet); err != nil {
		return nil, fmt.Errorf("write pcap: %w", err)
	}
	return out, nil
}

func writeFrame(out *pcapgo.Writer, f frame) error {
	info := gopacket.CaptureInfo{Timestamp: f.at, CaptureLength: len(f.data), Length: len(f.data)}
	if err := out.WritePacket(info, f.data); err != nil {
		return fmt.Errorf("write pcap: %w", err)
	}
	return nil
}

// ReadPCAP returns the adverts in a file that Save or WritePCAP wrote, in order of time.
func ReadPCAP(r io.Reader) ([]Advert, error) {
	in, err := pcapgo.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("read pcap: %w", err)
	}
	var adverts []Advert
	for {
		data, info, err := in.ReadPacketData()
		if errors.Is(err, io.EOF) {
			slices.SortStableFunc(adverts, func(a, b Advert) int { return a.Time.Compare(b.Time) })
			return adverts, nil
		} else if err != nil {
			return nil, fmt.Errorf("read pcap: %w", err)
		}
		if a, ok := decode(data, info.Timestamp); ok {
			adverts = append(adverts, a)
		}
	}
}

// timestamp returns when the kernel saw the frame, which is earlier than when this process got to run.
func timestamp(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Now()
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == syscall.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			sec, nsec := binary.NativeEndian.Uint64(m.Data), binary.NativeEndian.Uint64(m.Data[8:])
			return time.Unix(int64(sec), int64(nsec))
		}
	}
	return time.Now()
}

func htons(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}
