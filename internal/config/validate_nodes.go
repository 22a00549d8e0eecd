package config

import (
	"fmt"
	"strings"
)

const namePattern = `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`

func (c *Config) validateNodes(d *document) {
	switch n := len(c.Nodes); {
	case n < minNodes:
		d.report("nodes", fmt.Sprintf("%d is too few: a majority that survives the loss of one node takes %d", n, minCluster),
			"write all nodes of a new cluster, or this one and at least one of a cluster that it joins")
	case n > maxNodes:
		d.report("nodes", fmt.Sprintf("%d nodes are too many: each write waits for a majority of them", n), fmt.Sprintf("write %d to %d", minCluster, maxNodes))
	}
	for i, n := range c.Nodes {
		n.validate(d, nodePath(i))
	}
	c.validateDistinct(d)
	if len(c.Nodes) > 0 && len(c.candidates()) == 0 {
		d.report("nodes", "every node is a witness, so none can hold the Elastic IP", "remove 'witness: true' from those that run HAProxy")
	}
}

func nodePath(i int) string { return fmt.Sprintf("nodes[%d]", i) }

func (n Node) validate(d *document, path string) {
	d.checkMatch(path+".name", n.Name, namePattern, "lower-case letters, digits and '-', for example lb-1")
	switch addr := n.Address; {
	case !addr.IsValid():
		d.report(path+".address", "is missing", "write ip:port, for example 10.0.1.11:7400")
	case addr.Addr().IsUnspecified() || addr.Addr().IsMulticast():
		d.report(path+".address", fmt.Sprintf("%v is not the address of one machine", addr.Addr()), "write the private address that the other nodes reach it by")
	case addr.Port() == 0:
		d.report(path+".address", "port 0 cannot be reached by the other nodes", "write one from 1 to 65535, the same on every node")
	}
	if vrrp := n.VRRPAddress; !d.blamed[path+".address"] && (!vrrp.Is4() || vrrp.IsUnspecified() || vrrp.IsMulticast()) {
		d.report(path+".vrrp_address", "VRRP needs the IPv4 address of one machine", "write vrrp_address: with the private IPv4 address of this node")
	}
	d.checkInt(path+".priority", n.Priority, 1, 254)
}

// validateDistinct reports each later node that repeats a name or an address of an earlier one.
func (c *Config) validateDistinct(d *document) {
	first := map[string]string{}
	claim := func(kind, value, owner, path string) {
		if other, taken := first[kind+value]; taken {
			d.report(path, fmt.Sprintf("%s is already the %s of node %s", value, kind, other), "give each node its own")
			return
		}
		first[kind+value] = owner
	}
	for i, n := range c.Nodes {
		owner := fmt.Sprintf("%d (%s)", i+1, n.Name)
		if n.Name != "" {
			claim("name", n.Name, owner, nodePath(i)+".name")
		}
		if n.Address.IsValid() {
			claim("address", n.Address.String(), owner, nodePath(i)+".address")
		}
		if n.VRRPAddress.IsValid() && !d.blamed[nodePath(i)+".address"] {
			claim("VRRP address", n.VRRPAddress.String(), owner, nodePath(i)+".vrrp_address")
		}
	}
}

func (c *Config) validateSelf(d *document) {
	if c.Self().Name != "" || len(c.Nodes) == 0 {
		return
	}
	names := make([]string, len(c.Nodes))
	for i, n := range c.Nodes {
		names[i] = n.Name
	}
	known := strings.Join(names, ", ")
	switch {
	case d.lines["node"] > 0:
		d.report("node", fmt.Sprintf("%q is not in nodes", c.Node), "write one of "+known)
	case c.Node == "":
		d.report("node", "is missing, and this host has no name", "write one of "+known)
	default:
		d.report("node", fmt.Sprintf("is missing, and the host's name, %q, is not in nodes", c.Node),
			"write 'node:' with one of "+known+", or rename the host")
	}
}

// candidates returns the nodes that may hold the Elastic IP.
func (c *Config) candidates() []Node {
	var nodes []Node
	for _, n := range c.Nodes {
		if !n.Witness {
			nodes = append(nodes, n)
		}
	}
	return nodes
}
