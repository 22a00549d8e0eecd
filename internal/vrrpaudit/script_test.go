package vrrpaudit

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/packets"
	"github.com/hacluster/hacluster/vrrpwire"
)

// began is when every test's capture begins.
var began = time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)

func host(letter string) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, letter[0] - 'A' + 1}) }

// hosts names the nodes by letters again.
func hosts(addresses ...netip.Addr) string {
	var letters []string
	for _, a := range addresses {
		letters = append(letters, string('A'+a.AsSlice()[3]-1))
	}
	return strings.Join(letters, "+")
}

// score reads adverts as a musical score: a line for each node, a character for each 100 ms, '#' for an advert, '0' for one with
// priority 0. The nodes of one column speak in the order of the lines, 1 ms apart. All have the same priority and interval.
func score(lines string) []packets.Packet {
	var all []packets.Packet
	nodes := strings.Fields(lines)
	for column := range len(nodes[0]) {
		for n, line := range nodes {
			p := plain{at: time.Duration(column*100+n) * time.Millisecond, from: string(rune('A' + n)), priority: 100}
			switch line[column] {
			case '0':
				p.priority = 0
				fallthrough
			case '#':
				all = append(all, p.packet())
			}
		}
	}
	return all
}

type plain struct {
	at       time.Duration
	from     string
	priority uint8
}

func (p plain) packet() packets.Packet {
	advert := vrrpwire.Advertisement{Version: 3, VRID: 51, Priority: p.priority, Interval: 100 * time.Millisecond}
	src, dst := host(p.from), host("Z")
	message, err := advert.Append(nil, src, dst, vrrpwire.ChecksumPseudoHeader)
	if err != nil {
		panic(err)
	}
	return packets.Packet{Time: began.Add(p.at), Src: src, Dst: dst, TTL: 255, ID: uint16(p.at / time.Millisecond), Message: message}
}

// script reads a packet from each line: "+300ms A prio 100 ttl 64". What is not said is VRRPv3, VRID 51, priority 100, 100 ms, to Z,
// TTL 255, an identification that counts up. A "#" begins a comment.
func script(t *testing.T, text string) []packets.Packet {
	t.Helper()
	var all []packets.Packet
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if words := strings.Fields(line); len(words) > 0 {
			all = append(all, scripted(t, words, uint16(len(all)+1)))
		}
	}
	return all
}

func scripted(t *testing.T, words []string, id uint16) packets.Packet {
	t.Helper()
	at, err := time.ParseDuration(words[0])
	if err != nil {
		t.Fatal(err)
	}
	p := packets.Packet{Time: began.Add(at), Src: host(words[1]), Dst: host("Z"), TTL: 255, ID: id}
	advert := vrrpwire.Advertisement{Version: 3, VRID: 51, Priority: 100, Interval: 100 * time.Millisecond}
	mode := vrrpwire.ChecksumPseudoHeader
	for i := 2; i+1 < len(words); i += 2 {
		value := words[i+1]
		switch words[i] {
		case "checksum":
			mode = vrrpwire.ChecksumAsV2
		case "damage":
		case "cut", "raw", "tail":
		default:
			setField(t, &p, &advert, words[i], value)
		}
	}
	if p.Message, err = advert.Append(nil, p.Src, p.Dst, mode); err != nil {
		t.Fatal(err)
	}
	for i := 2; i+1 < len(words); i += 2 {
		spoil(t, &p, words[i], words[i+1])
	}
	return p
}

func setField(t *testing.T, p *packets.Packet, advert *vrrpwire.Advertisement, name, value string) {
	t.Helper()
	number := func() int {
		n, err := strconv.Atoi(value)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	switch name {
	case "v":
		if advert.Version = uint8(number()); advert.Version == 2 {
			advert.Interval = time.Second
		}
	case "prio":
		advert.Priority = uint8(number())
	case "vrid":
		advert.VRID = uint8(number())
	case "every":
		advert.Interval, _ = time.ParseDuration(value)
	case "pass":
		advert.Auth, _ = vrrpwire.Password(value)
	case "addr":
		advert.Addresses = append(advert.Addresses, netip.MustParseAddr(value))
	case "to":
		p.Dst = netip.MustParseAddr(value)
	case "peer":
		p.Dst = host(value)
	case "ttl":
		p.TTL = uint8(number())
	case "id":
		p.ID = uint16(number())
	case "on":
		p.Interface = value
	case "vlan":
		p.VLANs = append(p.VLANs, uint16(number()))
	case "ah":
		p.AH = true
	case "defect":
		p.Defect = value
	default:
		t.Fatalf("the script says %q", name)
	}
}

// spoil changes the message when it is complete.
func spoil(t *testing.T, p *packets.Packet, name, value string) {
	t.Helper()
	switch name {
	case "damage": // this byte
		at, err := strconv.Atoi(value)
		if err != nil {
			t.Fatal(err)
		}
		p.Message[at] ^= 0x40
	case "cut": // so many bytes off, by the snap length
		n, err := strconv.Atoi(value)
		if err != nil {
			t.Fatal(err)
		}
		p.Message, p.Missing = p.Message[:len(p.Message)-n], n
	case "raw", "tail": // this instead; this behind it
		b, err := hex.DecodeString(value)
		if err != nil {
			t.Fatal(err)
		}
		if name == "raw" {
			p.Message = nil
		}
		p.Message = append(p.Message, b...)
	}
}

// judged runs an audit over packets as a reader would deliver them.
func judged(opts Options, all []packets.Packet) Report {
	audit := New(opts)
	stats := packets.Stats{Format: "script", Frames: len(all)}
	for _, p := range all {
		if stats.First.IsZero() || p.Time.Before(stats.First) {
			stats.First = p.Time
		}
		if p.Time.After(stats.Last) {
			stats.Last = p.Time
		}
		audit.Add(p)
	}
	return audit.Report("test", stats, nil)
}
