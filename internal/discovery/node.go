package discovery

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/hacluster/hacluster/eip"
)

// Node is an instance as a node of the cluster.
type Node struct {
	// Name is the instance id.
	Name string `json:"name"`
	// Address is where it listens for the other nodes.
	Address netip.AddrPort `json:"address"`
	// VRRP is the source and destination of its adverts.
	VRRP netip.Addr `json:"vrrp"`
}

// Layout says which of an instance's addresses are the node's.
type Layout struct {
	Port uint16
	// VRRP is the network of the VRRP address. The zero value: the primary private address, as for everything else.
	VRRP netip.Prefix
}

// nodeOf returns false for an instance that lacks an address that it needs.
func (l Layout) nodeOf(i eip.Instance) (Node, bool) {
	if i.ID == "" || len(i.Addresses) == 0 {
		return Node{}, false
	}
	n := Node{Name: i.ID, Address: netip.AddrPortFrom(i.Addresses[0], l.Port), VRRP: i.Addresses[0]}
	if !l.VRRP.IsValid() {
		return n, true
	}
	at := slices.IndexFunc(i.Addresses, l.VRRP.Contains)
	if at < 0 {
		return Node{}, false
	}
	n.VRRP = i.Addresses[at]
	return n, true
}

// Nodes returns the nodes, oldest instance first, and the ids of instances that can be none.
func (l Layout) Nodes(instances []eip.Instance) (nodes []Node, unfit []string) {
	sorted := slices.SortedFunc(slices.Values(instances), func(a, b eip.Instance) int {
		return cmp.Or(a.Launched.Compare(b.Launched), cmp.Compare(a.ID, b.ID))
	})
	for _, i := range sorted {
		if n, ok := l.nodeOf(i); ok {
			nodes = append(nodes, n)
		} else {
			unfit = append(unfit, i.ID)
		}
	}
	return nodes, unfit
}

// discovered reports whether a member's name is that of an instance: others were configured, and are nobody's business here.
func discovered(name string) bool { return strings.HasPrefix(name, "i-") }

func names(nodes []Node) string {
	list := make([]string, len(nodes))
	for i, n := range nodes {
		list[i] = n.Name
	}
	return strings.Join(list, ", ")
}
