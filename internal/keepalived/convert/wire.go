package convert

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
	"unicode/utf8"
)

const (
	v3Step = 10 * time.Millisecond
	// maxV2 and maxV3 are the longest intervals that the field of a packet holds.
	maxV2 = 255 * time.Second
	maxV3 = 40950 * time.Millisecond
	// maxAuthPass is the length of the field in a VRRPv2 packet; keepalived cuts what is longer.
	maxAuthPass = 8
)

// wire is what the nodes' packets have in common.
type wire struct {
	vrid     value[int]
	version  value[int]
	interval value[time.Duration]
	iface    value[string]
	asV2     value[bool]
	authPass value[string]
	named    []value[netip.Addr]
}

// ranks says who is preferred.
type ranks struct {
	preempt value[bool]
	delay   value[time.Duration]
	why     string
}

// agree returns what all views say, and refuses when they do not. A keepalived rejects what its peer sends then, so both
// are MASTER today, and nobody knows which of them is right.
func agree[T comparable](c *converter, keyword string, of func(*view) value[T]) value[T] {
	first := of(c.views[0])
	for _, v := range c.views[1:] {
		if other := of(v); other.v != first.v {
			c.report.refused(other.at, fmt.Sprintf("%s %v", keyword, show(other.v)), fmt.Sprintf(
				"%s says %v: with this the two reject each other's adverts and are both MASTER. Find out which is right and correct the other", first.at, show(first.v)))
		}
	}
	return first
}

// show prints durations in seconds, as keepalived does.
func show(v any) any {
	if d, ok := v.(time.Duration); ok {
		return d.Seconds()
	}
	return v
}

func (c *converter) compareWire() {
	w := &c.cluster.wire
	w.vrid = agree(c, "virtual_router_id", func(v *view) value[int] { return v.instance.vrid })
	w.version = agree(c, "VRRP version", func(v *view) value[int] { return v.instance.version })
	for _, v := range c.views {
		c.report.converted(v.instance.vrid.at, fmt.Sprintf("virtual_router_id %d", v.instance.vrid.v), fmt.Sprintf("vrrp.virtual_router_id: %d", w.vrid.v))
		if v.instance.version.set {
			c.report.converted(v.instance.version.at, fmt.Sprintf("version %d", v.instance.version.v), fmt.Sprintf("vrrp.version: %d", w.version.v))
		}
	}
	c.compareIntervals()
	c.compareInterfaces()
	c.compareChecksums()
	c.compareAuth()
	c.compareNamed()
	if w.version.v == 2 {
		c.report.changed(w.version.at, "VRRP version 2", "vrrp.version: 2", "kept, so that keepalived on the other node understands the adverts while you migrate. "+
			"VRRPv2 counts whole seconds, too slow for adverts to hint at a dead node: it is found by Raft's own timers, and 'hacluster config check' says how soon. "+
			"With version: 3 and advertisement_interval: 100ms it takes a fraction of that; change both when keepalived is gone")
	}
}

// compareIntervals: VRRPv2 refuses another interval, VRRPv3 takes over that of the Master.
func (c *converter) compareIntervals() {
	w := &c.cluster.wire
	interval := func(v *view) value[time.Duration] { return v.instance.interval }
	if w.version.v == 2 {
		w.interval = agree(c, "advert_int", interval)
	} else {
		w.interval = interval(slices.MaxFunc(c.views, func(a, b *view) int { return cmp.Compare(a.instance.interval.v, b.instance.interval.v) }))
	}
	written := fit(w.interval.v, w.version.v)
	for _, v := range c.views {
		in := v.instance.interval
		what, became := fmt.Sprintf("advert_int %v", in.v.Seconds()), "vrrp.advertisement_interval: "+short(written)
		switch {
		case in.v != w.interval.v && w.version.v == 2: // refused above
		case in.v != w.interval.v:
			c.report.changed(in.at, what, became, "the nodes have different intervals; the longest applies to all")
		case in.v != written:
			c.report.changed(in.at, what, became, fmt.Sprintf("VRRPv%d cannot say this on the wire, and keepalived rounds it, too", w.version.v))
		case in.set:
			c.report.converted(in.at, what, became)
		default:
			c.report.converted(in.at, "no advert_int (1 second)", became)
		}
	}
	w.interval.v = written
}

// fit rounds an interval to what the version's field holds.
func fit(d time.Duration, version int) time.Duration {
	if version == 2 {
		return min(max(d.Round(time.Second), time.Second), maxV2)
	}
	return min(max(d.Round(v3Step), v3Step), maxV3)
}

func (c *converter) compareInterfaces() {
	first := c.views[0].instance.iface
	for _, v := range c.views {
		if in := v.instance.iface; in.v != first.v {
			c.report.changed(in.at, "interface "+in.v, "", fmt.Sprintf("%s says %s; one file serves all nodes, so vrrp.interface is left out, and the routing table "+
				"decides. It can be written in each node's own file", first.at, first.v))
			return
		}
	}
	c.cluster.wire.iface = first
	for _, v := range c.views {
		if in := v.instance.iface; in.set {
			c.report.converted(in.at, "interface "+in.v, "vrrp.interface: "+in.v)
		}
	}
}

func (c *converter) compareChecksums() {
	w := &c.cluster.wire
	if w.version.v != 2 {
		w.asV2 = agree(c, "v3_checksum_as_v2", func(v *view) value[bool] { return v.asV2 })
	}
	for _, v := range c.views {
		switch {
		case !v.asV2.set:
		case w.version.v == 2:
			c.report.dropped(v.asV2.at, "v3_checksum_as_v2", "it means nothing to VRRPv2")
		case v.asV2.v:
			c.report.converted(v.asV2.at, "v3_checksum_as_v2", "vrrp.checksum: as-v2")
		default:
			c.report.converted(v.asV2.at, "v3_checksum_as_v2 off", "vrrp.checksum: pseudo-header, the default")
		}
	}
}

func (c *converter) compareAuth() {
	pass := func(v *view) value[string] {
		p := v.instance.auth.pass
		if v.instance.auth.kind.v != "PASS" && v.instance.auth.kind.set || !p.set {
			return value[string]{at: v.instance.name.at}
		}
		if len(p.v) > maxAuthPass {
			p.v = p.v[:maxAuthPass]
		}
		return p
	}
	first := pass(c.views[0])
	for _, v := range c.views {
		given, in := v.instance.auth.pass, pass(v)
		switch {
		case !utf8.ValidString(in.v):
			c.report.refused(in.at, "auth_pass", "the 8 bytes that keepalived sends of it are no text: choose one of plain letters, on both nodes")
		case in.v != first.v:
			c.report.refused(in.at, "authentication", fmt.Sprintf("it is not that of %s: with this the two reject each other's adverts and are both MASTER. "+
				"Find out which is right and correct the other", first.at))
		case !in.set:
		case c.cluster.wire.version.v == 3:
			c.report.dropped(in.at, "authentication PASS", "VRRPv3 has none, and keepalived ignores it there")
		case len(given.v) > maxAuthPass:
			c.report.changed(in.at, fmt.Sprintf("auth_pass of %d characters", len(given.v)), "vrrp.auth_pass",
				"a packet holds 8, to which keepalived cuts it at its start; they are what is written")
		default:
			c.report.converted(in.at, "auth_pass", "vrrp.auth_pass")
		}
	}
	if first.set && c.cluster.wire.version.v == 2 {
		c.cluster.wire.authPass = first
	}
}

// rank says who holds the address when several can. keepalived preempts unless the preferred node says otherwise.
func (c *converter) rank() {
	top := slices.MaxFunc(c.views, func(a, b *view) int { return cmp.Compare(a.instance.priority.v, b.instance.priority.v) })
	in, r := &top.instance, &c.cluster.ranks
	r.preempt = value[bool]{v: true, at: in.name.at}
	switch {
	case in.nopreempt.v && in.clearsPreempt():
		r.why = "The file's nopreempt has no effect beside " + in.clearedBy() + ", as keepalived says at its start."
		c.report.changed(in.nopreempt.at, "nopreempt", "placement.preempt: true", "it has no effect beside "+in.clearedBy()+
			", as keepalived says at its start: if you wanted it, write preempt: false")
	case in.nopreempt.v:
		r.preempt = said(false, in.nopreempt.at)
		c.report.converted(in.nopreempt.at, "nopreempt", "placement.preempt: false")
	default:
		r.why = "As keepalived by default: a node of higher priority takes the address from a healthy one."
		c.report.converted(in.name.at, "no nopreempt (keepalived preempts)", "placement.preempt: true")
	}
	c.rankDelay(top)
	for _, v := range c.views {
		if n := v.instance.nopreempt; n.v && v != top {
			c.report.dropped(n.at, "nopreempt", "only that of the node with the highest priority has an effect")
		}
	}
	c.compareStates()
}

// clearsPreempt reports whether keepalived ignores nopreempt (its vrrp.c, vrrp_complete_instance).
func (in *instance) clearsPreempt() bool {
	return in.state.v == "MASTER" || in.priority.v > maxPriority
}

func (in *instance) clearedBy() string {
	if in.state.v == "MASTER" {
		return "'state MASTER'"
	}
	return "'priority 255'"
}

func (c *converter) rankDelay(top *view) {
	r := &c.cluster.ranks
	for _, v := range c.views {
		d := v.instance.preemptDelay
		switch what := fmt.Sprintf("preempt_delay %v", d.v.Seconds()); {
		case !d.set:
		case v != top:
			c.report.dropped(d.at, what, "only that of the node with the highest priority has an effect")
		case !r.preempt.v:
			c.report.dropped(d.at, what, "it has no effect beside nopreempt")
		case v.instance.state.v == "MASTER":
			c.report.dropped(d.at, what, "it has no effect beside 'state MASTER', as keepalived says at its start: if you wanted it, write "+
				"preempt_delay below placement:")
		default:
			r.delay = d
			c.report.converted(d.at, what, "placement.preempt_delay: "+short(d.v))
		}
	}
}

// compareStates is about what only matters to keepalived's start, and about ties.
func (c *converter) compareStates() {
	masters := 0
	for _, v := range c.views {
		if v.instance.state.v == "MASTER" {
			masters++
		}
	}
	why := "every node starts as Backup, and Raft decides"
	if masters > 1 {
		why += ". With MASTER in both files each keepalived called itself MASTER at its start"
	}
	first := map[int]*view{}
	for _, v := range c.views {
		if s := v.instance.state; s.set {
			c.report.dropped(s.at, "state "+s.v, why)
		}
		if other, tie := first[v.instance.priority.v]; tie {
			c.report.changed(v.instance.priority.at, fmt.Sprintf("priority %d on both nodes", v.instance.priority.v), "nodes",
				fmt.Sprintf("keepalived lets the higher address win; hacluster prefers neither %s nor %s: give the preferred one a higher "+
					"priority", c.nameOf(other), c.nameOf(v)))
		}
		first[v.instance.priority.v] = v
	}
}
