package convert

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hacluster/hacluster/internal/keepalived"
)

const (
	// minNodes is what a majority that survives the loss of one node takes; above maxNodes writes become slow.
	minNodes, maxNodes = 3, 9
	// belowStep is how far below the others a node stands whose priority nobody gave.
	belowStep = 10
	// maxPriority is the highest of a node; keepalived's 255 is that of the owner of an address.
	maxPriority = 254
)

// node is a node of the cluster and where it was found.
type node struct {
	name     string
	nameFrom string
	address  value[netip.Addr]
	from     string // where the address comes from
	priority value[int]
	view     *view // nil for a node without a file
	port     uint16
	witness  bool
}

// findNodes takes the nodes from the files, and those without a file from the lists of peers.
func (c *converter) findNodes() {
	for _, v := range c.views {
		n := node{view: v, priority: v.instance.priority, port: Port}
		if n.address, n.from = c.addressOf(v); !n.address.set {
			c.report.refused(v.start(), v.label(), "the node's own address is not in it: add 'unicast_src_ip ADDRESS' to the vrrp_instance, and "+
				"unicast_peer with the others")
			continue
		}
		if slices.ContainsFunc(c.cluster.nodes, func(o node) bool { return o.address.v == n.address.v }) {
			c.report.refused(n.address.at, v.label(), fmt.Sprintf("%v is the address of another file's node, too: give the file of each node once", n.address.v))
			continue
		}
		c.report.converted(n.address.at, n.from, fmt.Sprintf("nodes: address %v:%d", n.address.v, Port))
		c.cluster.nodes = append(c.cluster.nodes, n)
	}
	c.addPeers()
	c.nameNodes()
	c.comparePeers()
	c.limitPriorities()
	c.addThird()
}

// addressOf returns a node's own address: what it says, or what only it can be among the peers of another file.
func (c *converter) addressOf(v *view) (value[netip.Addr], string) {
	if own := v.instance.source; own.set {
		return own, "unicast_src_ip " + own.v.String()
	}
	known := map[netip.Addr]bool{}
	for _, other := range c.views {
		known[other.instance.source.v] = true
	}
	for _, p := range v.instance.peers {
		known[p.v] = true
	}
	var left []value[netip.Addr]
	for _, other := range c.views {
		for _, p := range other.instance.peers {
			if other != v && !known[p.v] {
				left = append(left, p)
			}
		}
	}
	if len(left) != 1 {
		return value[netip.Addr]{}, ""
	}
	return left[0], fmt.Sprintf("unicast_peer %v (%s has no unicast_src_ip)", left[0].v, v.label())
}

// addPeers adds the peers that have no file.
func (c *converter) addPeers() {
	for _, v := range c.views {
		for _, p := range v.instance.peers {
			if slices.ContainsFunc(c.cluster.nodes, func(n node) bool { return n.address.v == p.v }) {
				continue
			}
			c.report.changed(p.at, "unicast_peer "+p.v.String(), fmt.Sprintf("nodes: address %v:%d", p.v, Port),
				"there is no file of this node, so its priority is not known, and it is put below the others. Give its keepalived.conf, too")
			c.cluster.nodes = append(c.cluster.nodes, node{
				address: p, from: "unicast_peer", port: Port, priority: value[int]{v: c.below(), at: p.at},
			})
		}
	}
	if names := c.request.Names; len(names) > len(c.cluster.nodes) && len(c.report.Refused) == 0 {
		c.report.refused(keepalived.Position{File: "--node-names"}, strings.Join(names, ","), fmt.Sprintf("the files have only %d nodes", len(c.cluster.nodes)))
	}
}

// below returns a priority lower than all, so that a node about which nothing is known does not take the address.
func (c *converter) below() int {
	lowest := maxPriority
	for _, n := range c.cluster.nodes {
		lowest = min(lowest, n.priority.v)
	}
	return max(1, lowest-belowStep)
}

// nameSource returns what a node may be called, and where that comes from.
type nameSource func(i int, n node) (name, from string)

// nameSources are the places to look for a name, the best first: the operator's word, the host of @host lines, the
// router_id, the name of the file or its directory.
func (c *converter) nameSources() []nameSource {
	ofView := func(of func(v *view) (string, string)) nameSource {
		return func(_ int, n node) (string, string) {
			if n.view == nil {
				return "", ""
			}
			return of(n.view)
		}
	}
	return []nameSource{
		func(i int, _ node) (string, string) {
			if i < len(c.request.Names) {
				return c.request.Names[i], "--node-names"
			}
			return "", ""
		},
		ofView(func(v *view) (string, string) { return v.host, "--host" }),
		ofView(func(v *view) (string, string) {
			if strings.HasPrefix(v.routerID.v, "LVS_") {
				return "", "" // LVS_DEVEL is in every copied example
			}
			return v.routerID.v, "router_id, " + v.routerID.at.String()
		}),
		ofView(func(v *view) (string, string) { return fileName(v.file.Name), "the name of " + v.file.Name }),
	}
}

// nameNodes gives each node the first name that no other node has, or a number.
func (c *converter) nameNodes() {
	for i := range c.cluster.nodes {
		n := &c.cluster.nodes[i]
		for _, source := range c.nameSources() {
			name, from := source(i, *n)
			if name = nodeName(name); name != "" && c.unique(name, i, source) {
				n.name, n.nameFrom = name, from
				break
			}
		}
		for number := i + 1; n.name == ""; number++ {
			if name := fmt.Sprintf("node-%d", number); !slices.ContainsFunc(c.cluster.nodes, func(o node) bool { return o.name == name }) {
				n.name, n.nameFrom = name, "the files name it nowhere: --node-names does"
			}
		}
	}
	c.noteRouterIDs()
}

func (c *converter) noteRouterIDs() {
	for _, n := range c.cluster.nodes {
		if n.view == nil || !n.view.routerID.set {
			continue
		}
		at, what := n.view.routerID.at, "router_id "+n.view.routerID.v
		if n.name == nodeName(n.view.routerID.v) {
			c.report.converted(at, what, "nodes: name "+n.name)
			continue
		}
		c.report.dropped(at, what, "nodes are called by their short host names; "+n.name+" comes from: "+n.nameFrom)
	}
}

func (c *converter) nameOf(v *view) string {
	for _, n := range c.cluster.nodes {
		if n.view == v {
			return n.name
		}
	}
	return ""
}

// unique reports whether a source gives the name to node i alone.
func (c *converter) unique(name string, i int, source nameSource) bool {
	for j, other := range c.cluster.nodes {
		same, _ := source(j, other)
		if j != i && (nodeName(same) == name || other.name == name) {
			return false
		}
	}
	return true
}

// nodeName makes a short host name, or nothing.
func nodeName(text string) string {
	short, _, _ := strings.Cut(text, ".")
	name := strings.TrimLeft(lettersOnly(short), "-")
	return strings.TrimRight(name[:min(len(name), 63)], "-")
}

// fileName returns what a file's name says of its node: a of keepalived-a.conf, and of a/keepalived.conf.
func fileName(path string) string {
	base := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	base = regexp.MustCompile(`^keepalived[-_.]?`).ReplaceAllString(base, "")
	if base != "" {
		return base
	}
	dir := filepath.Base(filepath.Dir(path))
	if dir == "." || dir == "/" || dir == "keepalived" {
		return ""
	}
	return dir
}

// comparePeers: a pair whose lists of peers do not name each other does not work today.
func (c *converter) comparePeers() {
	for _, n := range c.cluster.nodes {
		if n.view == nil {
			continue
		}
		if len(n.view.instance.peers) == 0 {
			c.report.changed(n.view.instance.name.at, "no unicast_peer", "nodes",
				"keepalived sent its adverts to a multicast group, which EC2 does not carry; now they go to each node of the file")
		}
		for _, other := range c.cluster.nodes {
			if other.view == nil || other.view == n.view || len(n.view.instance.peers) == 0 {
				continue
			}
			if !slices.ContainsFunc(n.view.instance.peers, func(p value[netip.Addr]) bool { return p.v == other.address.v }) {
				c.report.changed(n.view.instance.name.at, fmt.Sprintf("unicast_peer of %s", n.name), "nodes",
					fmt.Sprintf("%v (%s) is missing there, so keepalived does not reach it; every node of the file does now", other.address.v, other.name))
			}
		}
		for _, p := range n.view.instance.peers {
			if slices.ContainsFunc(c.cluster.nodes, func(o node) bool { return o.view != nil && o.address.v == p.v }) {
				c.report.converted(p.at, "unicast_peer "+p.v.String(), "nodes")
			}
		}
	}
	for _, v := range c.views {
		if !v.checksSrc {
			c.report.changed(v.instance.name.at, "no check_unicast_src", "nodes",
				"any host that reached this keepalived could demote it with a packet; now only the nodes of the file are listened to, and packets decide nothing")
		}
	}
}

func (c *converter) limitPriorities() {
	for i := range c.cluster.nodes {
		n := &c.cluster.nodes[i]
		what := fmt.Sprintf("priority %d", n.priority.v)
		switch {
		case n.priority.v > maxPriority:
			n.priority.v = maxPriority
			c.report.changed(n.priority.at, what, fmt.Sprintf("nodes: priority %d", maxPriority),
				"255 is that of the owner of an address, and nobody owns an Elastic IP")
		case n.priority.set:
			c.report.converted(n.priority.at, what, fmt.Sprintf("nodes: priority %d", n.priority.v))
		}
	}
}

// addThird adds the node that was asked for, or says that it is missing.
func (c *converter) addThird() {
	third := c.request.Third
	switch n := len(c.cluster.nodes); {
	case n == 0: // refused
		return
	case n > maxNodes || n == maxNodes && third != nil:
		c.report.refused(c.views[0].start(), "unicast_peer", fmt.Sprintf("these are more than %d nodes: each write would wait for a majority of them", maxNodes))
		return
	case third == nil:
		if n < minNodes {
			c.report.leaveOpen(fmt.Sprintf("Add a third node: %d cannot form a majority when one fails. A witness will do, a small instance without "+
				"HAProxy that only votes: "+
				"fill in the marked lines below nodes, or give --third NAME=ADDRESS,witness to this command.", n), "")
		}
		return
	}
	for _, n := range c.cluster.nodes {
		if n.name == third.Name || n.address.v == third.Address.Addr() {
			c.report.refused(keepalived.Position{File: "--third"}, third.Name, "this name or address is that of another node")
			return
		}
	}
	c.cluster.nodes = append(c.cluster.nodes, node{
		name: third.Name, nameFrom: "--third", address: value[netip.Addr]{v: third.Address.Addr()}, from: "--third",
		port: third.Address.Port(), priority: value[int]{v: c.below()}, witness: third.Witness,
	})
}
