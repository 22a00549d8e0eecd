package lab

import (
	"fmt"
	"net/netip"

	"github.com/hacluster/hacluster/internal/lab/vnet"
)

// The account, the addresses and the names of the lab. 203.0.113.0/24 and 198.51.100.0/24 are reserved for documentation
// (RFC 5737).
const (
	routerAddress = "10.20.0.1/24"
	ec2Address    = "10.20.0.2/24"       // as an interface endpoint of the VPC has
	imdsAddress   = "169.254.169.254/32" // the real one: hosts reach it by their default route
	raftPort      = 7400

	clientName    = "client"
	clientAddress = "198.51.100.10/24"
	uplinkAddress = "198.51.100.1"

	webServers = 5
	// fewestNodes and mostNodes bound the cluster; fewestNodes is the default.
	fewestNodes = 3
	mostNodes   = 5
)

// What the account has.
const (
	Region = "eu-central-1"
	// ElasticIP is the public address that moves between the nodes, AllocationID what EC2 calls it.
	ElasticIP    = "203.0.113.10"
	AllocationID = "eipalloc-0a1b2c3d4e5f60718"
	// OtherAllocationID is another Elastic IP of the account, which the cluster has nothing to do with.
	OtherAllocationID = "eipalloc-0fedcba9876543210"
	otherElasticIP    = "203.0.113.20"
)

// Endpoint returns the URL of the EC2 API, over TLS or not. See Lab.CABundle.
func Endpoint(tls bool) string {
	scheme := "http"
	if tls {
		scheme = "https"
	}
	return scheme + "://" + netip.MustParsePrefix(ec2Address).Addr().String()
}

// site describes one node of the cluster: where it is in the network and what EC2 knows about it.
type site struct {
	Name     string
	Address  netip.Prefix
	Instance string
	ENI      string
	Zone     string
	Priority int
}

// nodeSites returns the first count sites for nodes.
func nodeSites(count int) []site {
	var sites []site
	for i, priority := range []int{150, 100, 50, 40, 30}[:count] {
		letter := string(rune('a' + i))
		sites = append(sites, site{
			Name:     "node-" + letter,
			Address:  netip.MustParsePrefix(fmt.Sprintf("10.20.0.%d/24", 11+i)),
			Instance: fmt.Sprintf("i-0aa0000000000000%d", 1+i),
			ENI:      fmt.Sprintf("eni-0bb0000000000000%d", 1+i),
			Zone:     Region + letter,
			Priority: priority,
		})
	}
	return sites
}

func webSites() []site {
	var sites []site
	for i := range webServers {
		sites = append(sites, site{
			Name:    fmt.Sprintf("web-%d", 1+i),
			Address: netip.MustParsePrefix(fmt.Sprintf("10.20.0.%d/24", 21+i)),
		})
	}
	return sites
}

// plug returns the cable of a host in the subnet.
func (s site) plug() vnet.Plug {
	return vnet.Plug{Port: s.Name, Address: s.Address, Gateway: netip.MustParsePrefix(routerAddress).Addr()}
}

// NodeNames returns the names of the nodes of a lab of the default size, in order.
func NodeNames() []string {
	var names []string
	for _, s := range nodeSites(fewestNodes) {
		names = append(names, s.Name)
	}
	return names
}

// secondAddress is a secondary private address of a node's network interface, which its operating system does not have.
func secondAddress(first netip.Addr) netip.Addr {
	four := first.As4()
	four[3] += 100
	return netip.AddrFrom4(four)
}

// NodeAddress returns the address of a node, or the zero Addr if there is none of that name.
func NodeAddress(name string) netip.Addr {
	for _, s := range nodeSites(mostNodes) {
		if s.Name == name {
			return s.Address.Addr()
		}
	}
	return netip.Addr{}
}
