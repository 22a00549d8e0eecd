package packets

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// ErrNoCapture is wrapped by NewReader's errors for what is not a capture file at all.
var ErrNoCapture = errors.New("not a pcap or pcapng file")

// First bytes of the files that NewReader tells apart.
const (
	magicPcapng = 0x0a0d0d0a
	magicGzip   = 0x1f8b
)

// Reader takes the VRRP packets out of a pcap or pcapng file, which may be compressed by gzip. It holds one frame at a time.
type Reader struct {
	source gopacket.ZeroCopyPacketDataSource
	plain  *pcapgo.Reader   // nil for pcapng
	ng     *pcapgo.NgReader // nil for pcap
	stats  Stats
}

// Stats say what a Reader met so far.
type Stats struct {
	Format      string    // "pcap" or "pcapng"
	Frames      int       // all frames, of VRRP or not
	CutShort    int       // frames of which the snap length left too little to tell what they are
	Untimed     int       // frames without a time, or with one that no clock shows
	Unreadable  int       // frames of link types that are not read
	LinkType    string    // the first of those
	First, Last time.Time // earliest and latest frame
}

// NewReader reads the head of a capture.
func NewReader(r io.Reader) (*Reader, error) {
	in := bufio.NewReader(r)
	head, err := in.Peek(4)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("read capture: %w", err)
	case len(head) == 0:
		return nil, fmt.Errorf("read capture: %w: it is empty", ErrNoCapture)
	case err != nil:
		return nil, fmt.Errorf("read capture: %w: it has %d bytes", ErrNoCapture, len(head))
	}
	if binary.BigEndian.Uint16(head) == magicGzip {
		unpacked, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("read capture: unpack: %w", err)
		}
		in = bufio.NewReader(unpacked)
		if head, err = in.Peek(4); err != nil {
			return nil, fmt.Errorf("read capture: unpack: %w", err)
		}
	}
	return newReader(in, binary.BigEndian.Uint32(head))
}

func newReader(in io.Reader, magic uint32) (*Reader, error) {
	reader := &Reader{stats: Stats{Format: "pcap"}}
	var err error
	if magic == magicPcapng {
		reader.stats.Format = "pcapng"
		reader.ng, err = pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
		reader.source = reader.ng
	} else {
		reader.plain, err = pcapgo.NewReader(in)
		reader.source = reader.plain
	}
	if err != nil {
		return nil, fmt.Errorf("read capture: %w: it begins with %08x: %w", ErrNoCapture, magic, err)
	}
	return reader, nil
}

// Stats returns what was met so far.
func (r *Reader) Stats() Stats { return r.stats }

// Next returns the next VRRP packet, which is the caller's to keep. At the end of the file it returns io.EOF; where the file is
// cut off or damaged, an error that says behind how many frames, and nothing more can be read.
func (r *Reader) Next() (Packet, error) {
	for {
		data, info, err := r.source.ZeroCopyReadPacketData()
		switch {
		case errors.Is(err, io.EOF) && info.CaptureLength == 0:
			return Packet{}, io.EOF
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return Packet{}, fmt.Errorf("read capture: it breaks off behind %d frames: it was still being written, or the disk was full: %w",
				r.stats.Frames, io.ErrUnexpectedEOF)
		case err != nil:
			return Packet{}, fmt.Errorf("read capture: it is damaged behind %d frames: %w", r.stats.Frames, err)
		}
		r.stats.Frames++
		if p, ok := r.packet(data, info); ok {
			return p, nil
		}
	}
}

// packet judges one frame, and counts what it cannot judge.
func (r *Reader) packet(data []byte, info gopacket.CaptureInfo) (Packet, bool) {
	if !plausible(info.Timestamp) {
		r.stats.Untimed++
		return Packet{}, false
	}
	r.stats.First, r.stats.Last = widen(r.stats.First, r.stats.Last, info.Timestamp)
	link := r.linkType(info)
	if !readable(link) {
		if r.stats.Unreadable++; r.stats.Unreadable == 1 {
			r.stats.LinkType = fmt.Sprintf("%d (%v)", int(link), link)
		}
		return Packet{}, false
	}
	p := Packet{Time: info.Timestamp.UTC()}
	switch p.frame(link, data, info.Length) {
	case carriesVRRP:
		if p.Interface == "" {
			p.Interface = r.interfaceName(info.InterfaceIndex)
		}
		return p, true
	case cutShort:
		r.stats.CutShort++
	}
	return Packet{}, false
}

// plausible keeps out what stands for no time (a simple packet block of pcapng has none), and what JSON cannot write.
func plausible(t time.Time) bool { return t.Year() >= 1970 && t.Year() < 2200 }

func widen(first, last, t time.Time) (time.Time, time.Time) {
	t = t.UTC()
	if first.IsZero() || t.Before(first) {
		first = t
	}
	if t.After(last) {
		last = t
	}
	return first, last
}

func (r *Reader) linkType(info gopacket.CaptureInfo) layers.LinkType {
	if r.ng == nil {
		return r.plain.LinkType()
	}
	return info.AncillaryData[0].(layers.LinkType) // by WantMixedLinkType
}

func (r *Reader) interfaceName(index int) string {
	if r.ng == nil {
		return ""
	}
	if i, err := r.ng.Interface(index); err == nil && i.Name != "" {
		return i.Name
	}
	return fmt.Sprintf("#%d", index)
}
