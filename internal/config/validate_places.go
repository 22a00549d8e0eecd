package config

import (
	"fmt"
	"net/netip"
	"slices"
)

// maxElasticIPs bounds the Elastic IPs of one cluster: each is claimed with a call of its own, and EC2 counts calls (docs/SCALE.md).
const maxElasticIPs = 20

func (e EIP) validateIDs(d *document) {
	const pattern, want = `eipalloc-[0-9a-f]{8,17}`, "the allocation id of the Elastic IP, for example eipalloc-0123456789abcdef0"
	switch n := len(e.AllocationIDs); {
	case n == 0:
		d.checkMatch("eip.allocation_id", e.AllocationID, pattern, want)
	case e.AllocationID != "":
		d.report("eip.allocation_ids", "is set beside eip.allocation_id", "write all of them here and remove allocation_id")
	case n > maxElasticIPs:
		d.report("eip.allocation_ids", fmt.Sprintf("%d are too many", n), fmt.Sprintf("write at most %d; a second cluster on the same nodes can have others", maxElasticIPs))
	}
	for i, id := range e.AllocationIDs {
		path := fmt.Sprintf("eip.allocation_ids[%d]", i)
		d.checkMatch(path, id, pattern, want)
		if slices.Index(e.AllocationIDs, id) < i {
			d.report(path, id+" is there twice", "remove one of the two")
		}
	}
}

// validatePlaces: each Elastic IP needs a private address of its own on each node that may hold it. The only one has a default.
func (c *Config) validatePlaces(d *document) {
	ids, seen := c.EIP.IDs(), map[netip.Addr]string{}
	if c.Discovery != nil && len(ids) > 1 {
		d.report("eip.allocation_ids", fmt.Sprintf("has %d Elastic IPs, each of which needs a private address of its own on each node, and discovery knows of none", len(ids)),
			"name one Elastic IP, or write nodes with private_ips in place of discovery")
	}
	for i, n := range c.Nodes {
		path := nodePath(i) + ".private_ips"
		switch have := len(n.PrivateIPs); {
		case n.Witness && have > 0:
			d.report(path, "is set on a witness, which never holds an Elastic IP", "remove it")
		case n.Witness, have == 0 && len(ids) < 2:
		case have != len(ids):
			d.report(path, fmt.Sprintf("%d private addresses for %d Elastic IPs", have, len(ids)),
				"write one for each of eip.allocation_ids, in their order; the interface must have them all")
		}
		for k, a := range n.PrivateIPs {
			place := fmt.Sprintf("%s[%d]", path, k)
			if !a.Is4() || a.IsUnspecified() || a.IsMulticast() {
				d.report(place, fmt.Sprintf("%v is not the IPv4 address of one machine", a), "write a private IPv4 address of the node's network interface")
			} else if other, taken := seen[a]; taken {
				d.report(place, fmt.Sprintf("%v is already one of %s", a, other), "give each Elastic IP its own on each node")
			}
			seen[a] = n.Name
		}
	}
	if c.AWS.PrivateIP.IsValid() && (len(ids) > 1 || len(c.Self().PrivateIPs) > 0) {
		d.report("aws.private_ip", "says the same as private_ips of the node", "remove it")
	}
}
