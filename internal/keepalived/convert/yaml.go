package convert

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/hacluster/hacluster/internal/keepalived/script"
)

// write returns the file.
func (c *converter) write() []byte {
	p := &page{}
	c.writeHead(p)
	c.writeNodes(p)
	c.writeAddress(p)
	c.writeWire(p)
	c.writePlacement(p)
	c.writeHealth(p)
	c.writeHooks(p)
	return p.b.Bytes()
}

func (c *converter) writeHead(p *page) {
	p.remark("", "Made by 'hacluster config import-keepalived' from")
	for _, v := range c.views {
		p.remark("", "- "+v.label())
	}
	p.remark("", "Behind each value stands where it comes from. Ship the same file to every node, and check it with 'hacluster config check'. "+
		"Keys that are not here have their defaults; docs/config.example.yaml shows all of them.")
	p.blank()
	p.line("cluster:", "")
	p.line("  name: "+scalar(c.cluster.name.v), "vrrp_instance, "+c.cluster.name.at.String())
	p.blank()
}

func (c *converter) writeNodes(p *page) {
	p.remark("", "A node finds itself by its short host name; where that is another, write 'node: NAME' in that node's file.")
	p.line("nodes:", "")
	for _, n := range c.cluster.nodes {
		p.line("  - name: "+scalar(n.name), n.nameFrom)
		p.line(fmt.Sprintf("    address: %v:%d", n.address.v, n.port), addressFrom(n))
		if n.witness {
			p.line("    witness: true", "votes, never holds the address, needs no HAProxy")
			continue
		}
		p.line("    priority: "+strconv.Itoa(n.priority.v), priorityFrom(n))
	}
	if len(c.cluster.nodes) < minNodes {
		p.remark("  ", "OPEN STEP: the third node, without which the others never form a cluster. Two nodes cannot tell a dead peer from a broken network, which is how a pair "+
			"ends with two MASTERs. A small instance in a third zone will do; as a witness it only votes. Fill in and remove the # in front:")
		p.line("  # - name: NAME", "")
		p.line(fmt.Sprintf("  #   address: ADDRESS:%d", Port), "")
		p.line("  #   witness: true", "")
	}
	p.blank()
	p.remark("", "The nodes talk in the clear, as keepalived does: allow their port, and IP protocol 112 for the adverts, only inside the security group. "+
		"Better: make certificates with 'hacluster tls' (docs/TLS.md), and write 'tls: {}' in place of the next line.")
	p.line("insecure: true", "")
	p.blank()
}

func addressFrom(n node) string {
	if !n.address.set {
		return n.from
	}
	return fmt.Sprintf("%s; %d is hacluster's port", n.address.at, n.port)
}

func priorityFrom(n node) string {
	switch {
	case n.priority.set:
		return n.priority.at.String()
	case n.from == "--third":
		return "below the others"
	case n.view == nil:
		return "below the others: this node's keepalived.conf was not given"
	default:
		return "keepalived's default"
	}
}

func (c *converter) writeAddress(p *page) {
	e := c.cluster.eip
	p.line("eip:", "")
	if !e.allocation.set && e.allocation.v == "" {
		p.remark("  ", "OPEN STEP: look up the allocation id and write it here:")
		p.line("  #   "+lookUp(e.publicIP, e.region.v), "")
		p.line("  allocation_id: "+placeholder, "")
	} else {
		from := e.allocation.at.String()
		if !e.allocation.set {
			from = "--allocation-id"
		}
		if e.publicIP != "" {
			from += ", " + e.publicIP
		}
		p.line("  allocation_id: "+e.allocation.v, from)
	}
	p.blank()
	if e.region.set || e.endpoint.set {
		p.line("aws:", "")
		if e.region.set {
			p.line("  region: "+scalar(e.region.v), e.region.at.String())
		}
		if e.endpoint.set {
			p.line("  endpoint: "+quote(e.endpoint.v), e.endpoint.at.String())
		}
		p.blank()
	}
}

func (c *converter) writeWire(p *page) {
	w := c.cluster.wire
	if w.version.v == 2 {
		p.remark("", "As keepalived has it, so that it understands the adverts while you migrate. When it is gone, write version: 3 and "+
			"advertisement_interval: 100ms: a dead node is then found by the adverts that are missing, in a fraction of the time that Raft's own timers take.")
	} else if w.interval.v > 100*time.Millisecond {
		p.remark("", "As keepalived has it, so that it understands the adverts while you migrate. When it is gone, write advertisement_interval: 100ms: "+
			"a dead node is found the sooner.")
	}
	p.line("vrrp:", "")
	p.line("  virtual_router_id: "+strconv.Itoa(w.vrid.v), w.vrid.at.String())
	p.line("  version: "+strconv.Itoa(w.version.v), orDefault(w.version.set, w.version.at.String()))
	p.line("  advertisement_interval: "+short(w.interval.v), orDefault(w.interval.set, w.interval.at.String()))
	if w.iface.set {
		p.line("  interface: "+scalar(w.iface.v), w.iface.at.String())
	}
	if w.asV2.v {
		p.line("  checksum: as-v2", w.asV2.at.String())
	}
	if w.authPass.set {
		p.line("  auth_pass: "+quote(w.authPass.v), w.authPass.at.String()+"; readable in every packet, no protection")
	}
	if len(w.named) > 0 {
		p.line("  addresses: "+addressList(w.named), w.named[0].at.String()+"; named in adverts, set on no machine")
	}
	p.blank()
}

func orDefault(set bool, source string) string {
	if set {
		return source
	}
	return "keepalived's default"
}

func (c *converter) writePlacement(p *page) {
	r := c.cluster.ranks
	p.line("placement:", "")
	if r.preempt.v {
		p.remark("  ", r.why+" Each return of the preferred node costs a move; without a reason for it, write false.")
	}
	p.line("  preempt: "+strconv.FormatBool(r.preempt.v), r.preempt.at.String())
	if r.delay.set {
		p.line("  preempt_delay: "+short(r.delay.v), r.delay.at.String())
	}
	p.blank()
}

func (c *converter) writeHealth(p *page) {
	h := c.cluster.health
	p.line("health:", "")
	if h.assumed {
		p.remark("  ", "keepalived checked nothing here, but somebody has to: the exit of HAProxy is an event and known at once.")
		p.line("  process: {}", "")
	}
	for _, k := range h.checks {
		p.line("  "+string(k.Kind)+":", k.at.String())
		for _, line := range checkLines(k) {
			p.line("    "+line, "")
		}
		if k.Kind == script.Process {
			continue
		}
		p.line("    interval: "+short(k.interval), "")
		p.line("    timeout: "+short(k.timeout), "")
		p.line("    rise: "+strconv.Itoa(k.rise), "")
		p.line("    fall: "+strconv.Itoa(k.fall), "")
	}
	if !slices.ContainsFunc(h.checks, func(k check) bool { return k.Kind == script.Stats || k.Kind == script.HTTP }) {
		p.remark("  ", "Proposed: nothing above notices a HAProxy that hangs. With 'stats socket /run/haproxy/admin.sock' in its global section, this does:")
		p.line("  # stats:", "")
		p.line("  #   socket: /run/haproxy/admin.sock", "")
	}
}

// checkLines are the keys of a check beside its times and counts.
func checkLines(k check) []string {
	switch k.Kind {
	case script.Process:
		lines := []string{"name: " + scalar(k.Name)}
		if k.PIDFile != "" {
			lines = append(lines, "pidfile: "+scalar(k.PIDFile))
		}
		return append(lines, "interval: "+short(k.interval))
	case script.HTTP:
		lines := []string{"url: " + quote(k.URL)}
		if k.Host != "" {
			lines = append(lines, "host: "+quote(k.Host))
		}
		return append(lines, "status: ["+quote(k.Status)+"]")
	case script.TCP:
		return []string{"address: " + quote(k.Address)}
	case script.Stats:
		return []string{"socket: " + scalar(k.Socket)}
	default:
		return []string{"command: " + list(k.argv)}
	}
}

func (c *converter) writeHooks(p *page) {
	if len(c.cluster.hooks) == 0 {
		return
	}
	p.blank()
	p.remark("", "Run at changes of state, one at a time and never on the way of a failover. notify gets keepalived's arguments behind its own: "+
		"INSTANCE NAME STATE PRIORITY.")
	indent := "  # "
	if slices.ContainsFunc(c.cluster.hooks, func(h hook) bool { return h.off == "" }) {
		p.line("hooks:", "")
	} else {
		indent = "#   "
		p.line("# hooks:", "")
	}
	for _, h := range c.cluster.hooks {
		text := h.keyword + ": " + list(h.argv)
		if h.off == "" {
			p.line("  "+text, h.at.String())
			continue
		}
		p.b.WriteString(wrap("OPEN STEP ("+h.at.String()+"): "+h.off+":", indent, indent))
		p.line(indent+text, "")
	}
}
