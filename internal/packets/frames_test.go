package packets

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
)

// message is keepalived's VRRPv3 of VRID 51, priority 101, 0.5 s, with one address.
const message = "3133650100 32498d0a630064"

// The headers of 10.99.0.1 > 10.99.0.2 and fe80::1 > fe80::2, for that message.
const (
	ipv4 = "45c0002000010000ff701111 0a630001 0a630002 "
	ipv6 = "60000000000c70ff fe800000000000000000000000000001 fe800000000000000000000000000002 "
	// The same behind an authentication header of 24 bytes, its next header 112.
	ipv4AH = "45c0003800010000ff331111 0a630001 0a630002 " + ah
	ipv6AH = "60000000002433ff fe800000000000000000000000000001 fe800000000000000000000000000002 " + ah
	ah     = "70040000 0a630001 00000001 000102030405060708090a0b "
)

// What stands before them.
const (
	macs     = "020000000002 020000000001 "
	ethernet = macs + "0800 "
	cooked   = "0004 0001 0006 020000000001 0000 0800 "
	cookedIn = "0000 0001 0006 020000000001 0000 "
	cooked2  = "0800 0000 00000003 0001 04 06 020000000001 0000 "
)

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Each way in which VRRP can stand in a frame.
func TestFrame(t *testing.T) {
	tests := map[string]struct {
		link  layers.LinkType
		frame string
		want  Packet // beside addresses, TTL and message, which are always the same
	}{
		"Ethernet":                        {layers.LinkTypeEthernet, ethernet + ipv4 + message, Packet{ID: 1}},
		"Ethernet with padding":           {layers.LinkTypeEthernet, ethernet + ipv4 + message + "000000000000", Packet{ID: 1}},
		"Ethernet, IPv6":                  {layers.LinkTypeEthernet, macs + "86dd" + ipv6 + message, Packet{}},
		"a VLAN":                          {layers.LinkTypeEthernet, macs + "8100 6007 0800" + ipv4 + message, Packet{ID: 1, VLANs: []uint16{7}}},
		"a VLAN in a VLAN":                {layers.LinkTypeEthernet, macs + "88a8 0064 8100 0007 86dd" + ipv6 + message, Packet{VLANs: []uint16{100, 7}}},
		"Linux cooked":                    {layers.LinkTypeLinuxSLL, cooked + ipv4 + message, Packet{ID: 1, Direction: Out}},
		"Linux cooked with a VLAN":        {layers.LinkTypeLinuxSLL, cookedIn + "8100 0007 0800" + ipv4 + message, Packet{ID: 1, Direction: In, VLANs: []uint16{7}}},
		"Linux cooked 2":                  {layers.LinkTypeLinuxSLL2, cooked2 + ipv4 + message, Packet{ID: 1, Direction: Out, Interface: "#3"}},
		"raw IPv4":                        {layers.LinkTypeRaw, ipv4 + message, Packet{ID: 1}},
		"raw IPv6":                        {layers.LinkTypeRaw, ipv6 + message, Packet{}},
		"raw, as OpenBSD writes it":       {linkTypeRawOpenBSD, ipv4 + message, Packet{ID: 1}},
		"IPv4 only":                       {layers.LinkTypeIPv4, ipv4 + message, Packet{ID: 1}},
		"IPv6 only":                       {layers.LinkTypeIPv6, ipv6 + message, Packet{}},
		"null, little endian":             {layers.LinkTypeNull, "02000000" + ipv4 + message, Packet{ID: 1}},
		"null, IPv6 of a Mac, big endian": {layers.LinkTypeNull, "0000001e" + ipv6 + message, Packet{}},
		"loop":                            {layers.LinkTypeLoop, "00000002" + ipv4 + message, Packet{ID: 1}},
		"AH":                              {layers.LinkTypeRaw, ipv4AH + message, Packet{ID: 1, AH: true}},
		"AH over IPv6":                    {layers.LinkTypeRaw, ipv6AH + message, Packet{AH: true}},
		"IPv4 options":                    {layers.LinkTypeRaw, "46c0002400010000ff701111 0a630001 0a630002 94040000" + message, Packet{ID: 1}},
		"a hop-by-hop header":             {layers.LinkTypeRaw, "60000000001400ff" + ipv6[16:] + "7000050200000100" + message, Packet{}},
		"a fragment":                      {layers.LinkTypeRaw, "45c00020000120 00ff701111 0a630001 0a630002" + message, Packet{ID: 1, Defect: "a fragment: VRRP is never fragmented"}},
		"a fragment of IPv6":              {layers.LinkTypeRaw, "6000000000142cff" + ipv6[16:] + "7000000100000001" + message, Packet{Defect: "a fragment: VRRP is never fragmented"}},
		"longer than what came":           {layers.LinkTypeRaw, "45c0002800010000ff701111 0a630001 0a630002" + message, Packet{ID: 1, Defect: "IP says 40 bytes, and 32 came"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			frame := unhex(t, test.frame)
			var p Packet
			if got := p.frame(test.link, frame, len(frame)); got != carriesVRRP {
				t.Fatalf("outcome %d", got)
			}
			src, dst := "10.99.0.1", "10.99.0.2"
			if p.Src.Is6() {
				src, dst = "fe80::1", "fe80::2"
			}
			if p.Src.String() != src || p.Dst.String() != dst || p.TTL != 255 || p.Missing != 0 {
				t.Errorf("%v > %v, TTL %d, %d bytes missing", p.Src, p.Dst, p.TTL, p.Missing)
			}
			if got := hex.EncodeToString(p.Message); got != strings.ReplaceAll(message, " ", "") {
				t.Errorf("message %s", got)
			}
			got := Packet{ID: p.ID, Direction: p.Direction, Interface: p.Interface, VLANs: p.VLANs, AH: p.AH, Defect: p.Defect}
			if diff := compare(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is no VRRP, and what the snap length cut too short to tell. length is that on the wire, if it is more.
func TestOtherFrames(t *testing.T) {
	tests := map[string]struct {
		frame  string
		length int
		want   outcome
	}{
		"ARP":                        {macs + "0806 0001", 0, other},
		"UDP":                        {ethernet + "45c0002000010000ff111111 0a630001 0a630002" + message, 0, other},
		"UDP over IPv6":              {macs + "86dd 60000000000c11ff" + ipv6[16:] + message, 0, other},
		"AH with TCP behind":         {ethernet + "45c0003800010000ff331111 0a630001 0a630002 06" + ah[2:] + message, 0, other},
		"IPv4 that says it is IPv6":  {macs + "86dd" + ipv4 + message + message, 0, other},
		"nothing":                    {"", 0, other},
		"a runt":                     {ethernet + "45c0", 0, other},
		"cut in the Ethernet header": {macs, 46, cutShort},
		"cut in the VLAN tag":        {macs + "8100 00", 50, cutShort},
		"cut in IPv4":                {ethernet + ipv4[:20], 46, cutShort},
		"cut in IPv6":                {macs + "86dd" + ipv6[:21], 66, cutShort},
		"cut in AH":                  {ethernet + ipv4AH[:52], 70, cutShort},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			frame := unhex(t, test.frame)
			if got := new(Packet).frame(layers.LinkTypeEthernet, frame, max(test.length, len(frame))); got != test.want {
				t.Errorf("outcome %d, want %d", got, test.want)
			}
		})
	}
}

// A frame of which the end is missing shows what it has, at whatever byte it is cut, and says how much is not there.
func TestSnapLength(t *testing.T) {
	for _, test := range []struct {
		link  layers.LinkType
		frame string
	}{
		{layers.LinkTypeEthernet, ethernet + ipv4 + message},
		{layers.LinkTypeEthernet, macs + "86dd" + ipv6 + message},
		{layers.LinkTypeRaw, ipv4AH + message},
		{layers.LinkTypeNull, "02000000" + ipv4 + message},
		{layers.LinkTypeLinuxSLL2, cooked2 + ipv4 + message},
	} {
		whole := unhex(t, test.frame)
		const messageLen = 12
		for n := range whole {
			var p Packet
			got := p.frame(test.link, whole[:n], len(whole))
			switch have := n - (len(whole) - messageLen); {
			case have >= 0 && (got != carriesVRRP || len(p.Message) != have || p.Missing != messageLen-have):
				t.Errorf("cut to %d: outcome %d, %d bytes and %d missing", n, got, len(p.Message), p.Missing)
			case have < 0 && got == other:
				t.Errorf("cut to %d: taken for something else", n)
			}
		}
	}
}

// file is a capture written by hand, so that byte order and resolution can be chosen.
type file struct {
	order   binary.AppendByteOrder
	content []byte
}

func pcap(order binary.AppendByteOrder, magic uint32, link layers.LinkType) *file {
	f := &file{order: order}
	f.u32(magic)
	f.u16(2, 4)
	f.u32(0, 0, 65535, uint32(link))
	return f
}

func (f *file) u16(values ...uint16) {
	for _, v := range values {
		f.content = f.order.AppendUint16(f.content, v)
	}
}

func (f *file) u32(values ...uint32) {
	for _, v := range values {
		f.content = f.order.AppendUint32(f.content, v)
	}
}

// record adds a frame to a pcap file. fraction is in its resolution.
func (f *file) record(seconds, fraction uint32, frame []byte, length int) {
	f.u32(seconds, fraction, uint32(len(frame)), uint32(length))
	f.content = append(f.content, frame...)
}

// block adds a block to a pcapng file.
func (f *file) block(kind uint32, body func()) {
	start := len(f.content)
	f.u32(kind, 0)
	body()
	for len(f.content)%4 != 0 {
		f.content = append(f.content, 0)
	}
	length := uint32(len(f.content) - start + 4)
	f.u32(length)
	copy(f.content[start+4:], f.order.AppendUint32(nil, length))
}

func (f *file) option(code uint16, value []byte) {
	f.u16(code, uint16(len(value)))
	f.content = append(f.content, value...)
	for len(f.content)%4 != 0 {
		f.content = append(f.content, 0)
	}
}

// pcapng has an interface "ens5" of Ethernet with nanoseconds, and one without a name of Linux cooked 2 with microseconds.
func pcapng(order binary.AppendByteOrder) *file {
	f := &file{order: order}
	f.block(0x0a0d0d0a, func() { f.u32(0x1a2b3c4d); f.u16(1, 0); f.u32(0xffffffff, 0xffffffff) })
	f.block(1, func() {
		f.u16(uint16(layers.LinkTypeEthernet), 0)
		f.u32(65535)
		f.option(2, []byte("ens5"))
		f.option(9, []byte{9})
		f.option(0, nil)
	})
	f.block(1, func() { f.u16(uint16(layers.LinkTypeLinuxSLL2), 0); f.u32(65535) })
	return f
}

func (f *file) packet(iface uint32, at time.Time, unit time.Duration, frame []byte) {
	ticks := uint64(at.UnixNano() / int64(unit))
	f.block(6, func() {
		f.u32(iface, uint32(ticks>>32), uint32(ticks), uint32(len(frame)), uint32(len(frame)))
		f.content = append(f.content, frame...)
	})
}
