package packets

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gopacket/gopacket/layers"
)

func compare(want, got any) string {
	return cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty())
}

// readAll returns the packets of a capture, and the error that ended it if that was not its end.
func readAll(t *testing.T, content []byte) ([]Packet, Stats, error) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, Stats{}, err
	}
	var all []Packet
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, r.Stats(), nil
		} else if err != nil {
			return all, r.Stats(), err
		}
		all = append(all, p)
	}
}

var (
	secondOne = time.Date(2026, time.November, 22, 12, 0, 1, 0, time.UTC)
	precisely = secondOne.Add(123456789)
	roughly   = secondOne.Add(123456 * time.Microsecond)
)

// The four kinds of pcap: two byte orders, two resolutions.
func TestPcap(t *testing.T) {
	tests := map[string]struct {
		order    binary.AppendByteOrder
		magic    uint32
		fraction uint32
		want     time.Time
	}{
		"little endian, microseconds": {binary.LittleEndian, 0xa1b2c3d4, 123456, roughly},
		"big endian, microseconds":    {binary.BigEndian, 0xa1b2c3d4, 123456, roughly},
		"little endian, nanoseconds":  {binary.LittleEndian, 0xa1b23c4d, 123456789, precisely},
		"big endian, nanoseconds":     {binary.BigEndian, 0xa1b23c4d, 123456789, precisely},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := pcap(test.order, test.magic, layers.LinkTypeEthernet)
			arp, vrrp := unhex(t, macs+"0806 0001"), unhex(t, ethernet+ipv4+message)
			f.record(uint32(secondOne.Unix()), 0, arp, len(arp))
			f.record(uint32(secondOne.Unix()), test.fraction, vrrp, len(vrrp))
			f.record(uint32(secondOne.Unix())+1, 0, arp[:8], len(arp))
			all, stats, err := readAll(t, f.content)
			if err != nil || len(all) != 1 || !all[0].Time.Equal(test.want) {
				t.Fatalf("%+v, %v, want one packet at %v", all, err, test.want)
			}
			want := Stats{Format: "pcap", Frames: 3, CutShort: 1, First: secondOne, Last: secondOne.Add(time.Second)}
			if diff := compare(want, stats); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Interfaces of one pcapng differ in link type, resolution and name.
func TestPcapng(t *testing.T) {
	for name, order := range map[string]binary.AppendByteOrder{"little endian": binary.LittleEndian, "big endian": binary.BigEndian} {
		t.Run(name, func(t *testing.T) {
			f := pcapng(order)
			f.packet(0, precisely, time.Nanosecond, unhex(t, ethernet+ipv4+message))
			f.packet(1, roughly, time.Microsecond, unhex(t, cooked2+ipv4+message))
			all, stats, err := readAll(t, f.content)
			if err != nil || len(all) != 2 || stats.Format != "pcapng" {
				t.Fatalf("%+v, %+v, %v", all, stats, err)
			}
			if p := all[0]; !p.Time.Equal(precisely) || p.Interface != "ens5" {
				t.Errorf("first packet at %v on %q", p.Time, p.Interface)
			}
			if p := all[1]; !p.Time.Equal(roughly) || p.Interface != "#3" || p.Direction != Out {
				t.Errorf("second packet at %v on %q, direction %q", p.Time, p.Interface, p.Direction)
			}
		})
	}
}

// A simple packet block has no time, so nothing can be said of its packet; neither of one in the year 36812.
func TestUntimed(t *testing.T) {
	frame := unhex(t, ethernet+ipv4+message)
	f := pcapng(binary.LittleEndian)
	f.block(3, func() { f.u32(uint32(len(frame))); f.content = append(f.content, frame...) })
	f.packet(1, time.Unix(0, 1<<62), time.Nanosecond, unhex(t, cooked2+ipv4+message))
	all, stats, err := readAll(t, f.content)
	if err != nil || len(all) != 0 || stats.Untimed != 2 || !stats.First.IsZero() {
		t.Errorf("%d packets, %+v, %v", len(all), stats, err)
	}
}

func TestUnreadableLink(t *testing.T) {
	f := pcap(binary.LittleEndian, 0xa1b2c3d4, layers.LinkTypeIEEE802_11)
	f.record(1, 0, unhex(t, ethernet+ipv4+message), 46)
	all, stats, err := readAll(t, f.content)
	if err != nil || len(all) != 0 || stats.Unreadable != 1 || !strings.HasPrefix(stats.LinkType, "105 (") {
		t.Errorf("%d packets, %+v, %v", len(all), stats, err)
	}
}

func TestGzip(t *testing.T) {
	f := pcap(binary.LittleEndian, 0xa1b2c3d4, layers.LinkTypeEthernet)
	f.record(1, 0, unhex(t, ethernet+ipv4+message), 46)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(f.content)
	_ = w.Close()
	if all, _, err := readAll(t, packed.Bytes()); err != nil || len(all) != 1 {
		t.Errorf("%d packets, %v", len(all), err)
	}
	if _, _, err := readAll(t, packed.Bytes()[:packed.Len()-10]); err == nil {
		t.Error("cut off, and nothing is said")
	}
}

// A capture that breaks off shows all packets before, and says so; wherever it breaks off but between two frames.
func TestBrokenOff(t *testing.T) {
	frame := unhex(t, ethernet+ipv4+message)
	plain := pcap(binary.LittleEndian, 0xa1b2c3d4, layers.LinkTypeEthernet)
	ng := pcapng(binary.LittleEndian)
	for name, f := range map[string]*file{"pcap": plain, "pcapng": ng} {
		t.Run(name, func(t *testing.T) {
			ends := []int{len(f.content)} // where n whole frames end
			for range 2 {
				if f == plain {
					f.record(1, 0, frame, len(frame))
				} else {
					f.packet(0, secondOne, time.Nanosecond, frame)
				}
				ends = append(ends, len(f.content))
			}
			for n := ends[0]; n <= len(f.content); n++ {
				all, _, err := readAll(t, f.content[:n])
				whole := 0
				for whole+1 < len(ends) && ends[whole+1] <= n {
					whole++
				}
				if len(all) != whole {
					t.Errorf("cut to %d bytes: %d packets, want %d", n, len(all), whole)
				}
				if clean := n == ends[whole]; clean != (err == nil) || !clean && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("cut to %d bytes, %d packets: %v", n, whole, err)
				}
			}
		})
	}
}

func TestNoCapture(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "too short": "abc", "text": "no capture, but words", "half a head": "\xd4\xc3\xb2\xa1\x02\x00",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewReader(strings.NewReader(content)); !errors.Is(err, ErrNoCapture) {
				t.Errorf("%v, want ErrNoCapture", err)
			}
		})
	}
	// What cannot be read may be a capture all the same.
	if _, err := NewReader(iotest.ErrReader(io.ErrClosedPipe)); !errors.Is(err, io.ErrClosedPipe) || errors.Is(err, ErrNoCapture) {
		t.Errorf("%v, want ErrClosedPipe", err)
	}
	// A record that claims more than any frame has is damage, not memory.
	f := pcap(binary.LittleEndian, 0xa1b2c3d4, layers.LinkTypeEthernet)
	f.u32(1, 0, 1<<31, 1<<31)
	if _, _, err := readAll(t, f.content); err == nil || !strings.Contains(err.Error(), "damaged behind 0 frames") {
		t.Errorf("%v", err)
	}
}
