package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Discovery finds the nodes by a tag of their EC2 instances, in place of a list (docs/DISCOVERY.md). A node's name is its instance id.
type Discovery struct {
	Tag           string        `yaml:"tag"`           // KEY=VALUE
	Expect        int           `yaml:"expect"`        // how many nodes make the cluster, once
	Port          int           `yaml:"port"`          // of Raft and rpc, on the instances' primary private address
	VRRP          netip.Prefix  `yaml:"vrrp"`          // the network of the VRRP addresses; default: the primary private address
	Interval      time.Duration `yaml:"interval"`      // between two reads of EC2
	Stabilisation time.Duration `yaml:"stabilisation"` // how long an instance is gone before its node is removed
}

func (s *Discovery) setDefaults(Profile) {
	*s = Discovery{Expect: 3, Port: 7400, Interval: 30 * time.Second, Stabilisation: 5 * time.Minute}
}

// TagParts splits the tag at its first '='.
func (s Discovery) TagParts() (key, value string) {
	key, value, _ = strings.Cut(s.Tag, "=")
	return key, value
}

// validateMembers checks how the nodes are known: by a list, or by a tag.
func (c *Config) validateMembers(d *document) {
	if c.Discovery == nil {
		c.validateNodes(d)
		c.validateSelf(d)
		return
	}
	if len(c.Nodes) > 0 {
		d.report("discovery", "stands beside nodes, and only one of them can say who is in the cluster", "remove one of them")
		return
	}
	if d.lines["node"] > 0 {
		d.report("node", "is set beside discovery, under which a node's name is its instance id", "remove it")
	}
	c.Discovery.validate(d)
}

func (s Discovery) validate(d *document) {
	// "Tag restrictions" in the EC2 user guide, without what would need quotes somewhere.
	d.checkMatch("discovery.tag", s.Tag, `[A-Za-z0-9+._:/@-]{1,128}=[A-Za-z0-9+._:/@=-]{1,256}`, "KEY=VALUE, for example hacluster=edge-1")
	d.checkInt("discovery.expect", s.Expect, minCluster, maxNodes)
	if s.Expect%2 == 0 {
		d.report("discovery.expect", fmt.Sprintf("%d nodes survive no more failures than %d", s.Expect, s.Expect-1), "write an odd number")
	}
	d.checkInt("discovery.port", s.Port, 1, 65535)
	if s.VRRP.IsValid() && !s.VRRP.Addr().Is4() {
		d.report("discovery.vrrp", fmt.Sprintf("%v is not an IPv4 network", s.VRRP), "write the one in which the nodes have the addresses for VRRP")
	}
	d.checkRange("discovery.interval", s.Interval, time.Second, 10*time.Minute)
	d.checkRange("discovery.stabilisation", s.Stabilisation, time.Minute, 24*time.Hour)
	if s.Stabilisation < 2*s.Interval {
		d.report("discovery.stabilisation", fmt.Sprintf("%s is shorter than two reads of EC2, every %s", short(s.Stabilisation), short(s.Interval)),
			"write at least "+short(2*s.Interval))
	}
}
