package convert

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/keepalived"
)

const (
	// maxInterface is IFNAMSIZ without its final zero byte.
	maxInterface = 15
	// maxPreemptDelay is keepalived's.
	maxPreemptDelay = 1000 * time.Second
)

// instance is a vrrp_instance.
type instance struct {
	name, state, iface value[string]
	vrid, priority     value[int]
	version            value[int]
	interval           value[time.Duration]
	nopreempt          value[bool]
	preemptDelay       value[time.Duration]
	source             value[netip.Addr]
	peers              []value[netip.Addr]
	auth               auth
	virtual            []value[string]     // addresses that keepalived sets on the interface
	named              []value[netip.Addr] // those of them that its adverts name
	tracks             []track
	notifies           []notify
}

// auth is the authentication of RFC 2338, which VRRPv3 has not.
type auth struct{ kind, pass value[string] }

// track is one line of a track_script, track_process or track_file block.
type track struct {
	kind   string // the keyword of the block
	name   string
	weight value[string]
	at     keepalived.Position
}

func (c *converter) readInstance(v *view, block *keepalived.Statement) {
	v.instance.name = said(block.Arg(1), block.At)
	for _, s := range block.Block {
		if !c.readRank(v, s) && !c.readWire(v, s) && !c.readTracks(v, s) && !c.readNotify(v, s) {
			c.sortOut(scopeInstance, s)
		}
	}
	c.requireKeys(v, block)
}

// readRank takes in what decides which node is preferred.
func (c *converter) readRank(v *view, s *keepalived.Statement) bool {
	in := &v.instance
	switch s.Keyword() {
	case "state":
		in.state = said(s.Arg(1), s.At)
	case "priority":
		if n, ok := c.number(s, 1, 255); ok {
			in.priority = said(n, s.At)
		}
	case "nopreempt":
		in.nopreempt = said(true, s.At)
	case "preempt":
		in.nopreempt = said(false, s.At)
	case "preempt_delay":
		if d, ok := c.seconds(s); ok && d <= maxPreemptDelay {
			in.preemptDelay = said(d, s.At)
		} else if ok {
			c.report.refused(s.At, s.String(), "keepalived reads at most 1000 seconds here: correct it")
		}
	default:
		return false
	}
	return true
}

// readWire takes in what is seen in packets.
func (c *converter) readWire(v *view, s *keepalived.Statement) bool {
	in := &v.instance
	switch s.Keyword() {
	case "interface":
		in.iface = said(s.Arg(1), s.At)
		if name := s.Arg(1); name == "" || len(name) > maxInterface || strings.ContainsAny(name, ":/ ") {
			c.report.refused(s.At, s.String(), "this cannot be the name of a network interface: correct it")
		}
	case "virtual_router_id":
		if n, ok := c.number(s, 1, 255); ok {
			in.vrid = said(n, s.At)
		}
	case "version":
		if n, ok := c.number(s, 2, 3); ok {
			in.version = said(n, s.At)
		}
	case "advert_int":
		if d, ok := c.seconds(s); ok {
			in.interval = said(d, s.At)
		}
	case "unicast_src_ip", "mcast_src_ip":
		if ip, ok := c.address(s, s.Arg(1)); ok {
			in.source = said(ip, s.At)
		}
	case "unicast_peer":
		c.readPeers(v, s)
	case "authentication", "auth_type", "auth_pass", "auth_hmac":
		c.readAuth(v, s)
	case "v3_checksum_as_v2":
		v.asV2 = said(c.boolean(s), s.At)
	case "check_unicast_src":
		v.checksSrc = true
		c.report.converted(s.At, s.String(), "nodes (always so)")
	case "virtual_ipaddress", "virtual_ipaddress_excluded":
		c.readVirtual(v, s)
	default:
		return false
	}
	return true
}

// address reads an IPv4 address of a node.
func (c *converter) address(s *keepalived.Statement, text string) (netip.Addr, bool) {
	ip, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		c.report.refused(s.At, s.String(), text+" is not an address: correct it")
	case ip.IsUnspecified() || ip.IsMulticast():
		c.report.refused(s.At, s.String(), text+" is not the address of one machine: correct it")
	case !ip.Is4():
		c.report.refused(s.At, s.String(), "an Elastic IP is IPv4, and so are the adverts: give the node's private IPv4 address")
	default:
		return ip, true
	}
	return netip.Addr{}, false
}

func (c *converter) readPeers(v *view, block *keepalived.Statement) {
	for _, s := range block.Block {
		ip, ok := c.address(s, s.Keyword())
		if !ok {
			continue
		}
		v.instance.peers = append(v.instance.peers, said(ip, s.At))
		if limits := strings.Join(s.Words[1:], " "); limits != "" {
			c.report.dropped(s.At, "unicast_peer "+s.String(), "only the nodes of the file are listened to; to refuse what a router has passed on, write 'min_ttl: 255' below vrrp:")
		}
	}
}

func (c *converter) readAuth(v *view, s *keepalived.Statement) {
	switch s.Keyword() {
	case "authentication":
		for _, inner := range s.Block {
			c.readAuth(v, inner)
		}
	case "auth_type":
		v.instance.auth.kind = said(s.Arg(1), s.At)
	case "auth_pass":
		v.instance.auth.pass = said(s.Arg(1), s.At)
	case "auth_hmac":
		c.report.dropped(s.At, "auth_hmac { }", "hacluster does not send keepalived 2.4's trailer; a keepalived that enforces it rejects the adverts. "+
			"Between the nodes packets decide nothing, so nothing is lost there")
	default:
		c.sortOut(scopeInstance, s)
	}
}

// readTracks takes in what puts an instance into FAULT or changes its priority.
func (c *converter) readTracks(v *view, s *keepalived.Statement) bool {
	switch s.Keyword() {
	case "track_script", "track_process", "track_file":
		for _, inner := range s.Block {
			t := track{kind: s.Keyword(), name: inner.Keyword(), at: inner.At}
			if i := slices.Index(inner.Words, "weight"); i > 0 && t.kind != "track_file" {
				t.weight = c.weight(inner, i)
			}
			v.instance.tracks = append(v.instance.tracks, t)
		}
	case "track_interface":
		for _, inner := range s.Block {
			c.report.dropped(inner.At, "track_interface "+inner.String(), "a node whose network is down loses the quorum, and another one takes over")
		}
	default:
		return false
	}
	return true
}

// readGroup takes from a sync group what concerns the chosen instance.
func (c *converter) readGroup(v *view, block *keepalived.Statement) {
	var members []string
	for _, s := range block.Block {
		if s.Keyword() == "group" {
			for _, m := range s.Block {
				members = append(members, m.Words...)
			}
		}
	}
	what := "vrrp_sync_group " + block.Arg(1)
	if !slices.Contains(members, v.instance.name.v) {
		c.report.dropped(block.At, what, v.instance.name.v+" is not in it")
		return
	}
	why := "with one instance there is nothing to keep together"
	if len(members) > 1 {
		why = "the other instances of the group are not converted, and nothing keeps them together with this one any more"
	}
	c.report.dropped(block.At, what, why)
	for _, s := range block.Block {
		if s.Keyword() != "group" && !c.readTracks(v, s) && !c.readNotify(v, s) {
			c.sortOut(scopeGroup, s)
		}
	}
}

// requireKeys reports what keepalived itself cannot do without, and fills in its defaults.
func (c *converter) requireKeys(v *view, block *keepalived.Statement) {
	in := &v.instance
	if !slices.ContainsFunc(block.Block, func(s *keepalived.Statement) bool { return s.Keyword() == "virtual_router_id" }) {
		c.report.refused(block.At, "vrrp_instance "+in.name.v, "it has no virtual_router_id")
	}
	if in.auth.kind.v == "AH" {
		c.report.dropped(in.auth.kind.at, "auth_type AH", "hacluster does not speak IPsec AH; a keepalived that expects it rejects the adverts. "+
			"Between the nodes packets decide nothing, so nothing is lost there")
	}
	if !in.priority.set {
		in.priority = value[int]{v: 100, at: block.At}
	}
	if !in.interval.set {
		in.interval = value[time.Duration]{v: time.Second, at: block.At}
	}
	if !in.version.set {
		in.version = v.version
	}
	if !in.version.set {
		in.version = value[int]{v: 2, at: block.At}
	}
}
