package vrrpaudit

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/packets"
	"github.com/hacluster/hacluster/vrrpwire"
)

// Line is one packet by itself, for a live view.
type Line struct {
	Time      time.Time         `json:"time"`
	Interface string            `json:"interface,omitempty"`
	Direction packets.Direction `json:"direction,omitempty"`
	VLANs     []uint16          `json:"vlans,omitempty"`
	Src       netip.Addr        `json:"src"`
	Dst       netip.Addr        `json:"dst"`
	TTL       uint8             `json:"ttl"`
	ID        uint16            `json:"ip_id"`
	Length    int               `json:"length"` // of the VRRP message
	Advert    *Advert           `json:"advert,omitempty"`
	Reason    string            `json:"reason,omitempty"` // keepalived's counter for what is wrong
	Problem   string            `json:"problem,omitempty"`
}

// Advert is what a VRRP message says.
type Advert struct {
	Version   uint8        `json:"version"`
	VRID      uint8        `json:"vrid"`
	Priority  uint8        `json:"priority"`
	Interval  Seconds      `json:"interval_s"`
	Auth      string       `json:"auth"`
	Addresses []netip.Addr `json:"addresses,omitempty"`
	Checksum  string       `json:"checksum"` // what it covers; "none" if it fits nothing
}

// Describe reads one packet. A message behind an authentication header is shown as its header says, which nobody verified.
func Describe(p packets.Packet) Line {
	line := Line{
		Time: p.Time, Interface: p.Interface, Direction: p.Direction, VLANs: p.VLANs, Src: p.Src, Dst: p.Dst, TTL: p.TTL, ID: p.ID,
		Length: len(p.Message) + p.Missing,
	}
	switch {
	case p.Defect != "":
		line.Reason, line.Problem = string(vrrpwire.ReasonLength), p.Defect
		return line
	case p.AH:
		return line.behindAH(p.Message)
	}
	d, err := vrrpwire.Decode(p.Message, p.Src, p.Dst)
	var refusal *vrrpwire.PacketError
	switch {
	case errors.As(err, &refusal):
		line.Reason, line.Problem = string(refusal.Reason), cause(refusal)
		return line
	case err != nil:
		line.Problem = err.Error()
		return line
	}
	line.Advert = &Advert{
		Version: d.Version, VRID: d.VRID, Priority: d.Priority, Interval: Seconds(d.Interval),
		Auth: authName(d), Addresses: d.Addresses, Checksum: string(d.Checksum),
	}
	switch {
	case d.Checksum == vrrpwire.FormNone:
		line.Reason, line.Problem = string(vrrpwire.ReasonChecksum), "the checksum fits no way of computing it"
	case p.TTL != ttlOnLink:
		line.Reason, line.Problem = string(vrrpwire.ReasonTTL), fmt.Sprintf("TTL %d", p.TTL)
	}
	return line
}

func (l Line) behindAH(message []byte) Line {
	v, ok := hear(message)
	if !ok {
		l.Problem = "behind an authentication header (AH), and no VRRP advertisement"
		return l
	}
	l.Advert = &Advert{
		Version: v.version, VRID: message[1], Priority: v.priority, Interval: Seconds(v.interval), Auth: authAH, Checksum: "not verified",
	}
	return l
}

// String writes the packet as tcpdump would, with what is wrong in brackets.
func (l Line) String() string {
	var b strings.Builder
	b.WriteString(l.Time.Format("15:04:05.000000"))
	for _, word := range []string{l.Interface, string(l.Direction)} {
		if word != "" {
			b.WriteString(" " + word)
		}
	}
	for _, vlan := range l.VLANs {
		fmt.Fprintf(&b, " vlan %d", vlan)
	}
	family := "IP"
	if l.Src.Is6() {
		family = "IP6"
	}
	fmt.Fprintf(&b, " %s %v > %v: ", family, l.Src, l.Dst)
	if a := l.Advert; a != nil {
		fmt.Fprintf(&b, "VRRPv%d, Advertisement, vrid %d, prio %d, auth %s, intvl %v, length %d, addrs: %s, checksum %s",
			a.Version, a.VRID, a.Priority, a.Auth, a.Interval, l.Length, joinAddresses(a.Addresses), a.Checksum)
	} else {
		fmt.Fprintf(&b, "VRRP, length %d", l.Length)
	}
	if l.Problem != "" {
		fmt.Fprintf(&b, " [%s]", strings.TrimPrefix(l.Reason+": "+l.Problem, ": "))
	}
	return b.String()
}
