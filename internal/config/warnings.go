package config

import "fmt"

// Warnings returns what is allowed but probably not meant, one sentence each, in a fixed order.
func (c Config) Warnings() []string {
	var warnings []string
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	if c.Insecure {
		warn("insecure: the nodes talk over plain TCP; allow the port only inside the security group")
	}
	if c.HTTP.open() {
		warn("http: whoever reaches %v can read the state of this cluster; allow the port for your monitoring only", c.HTTP.Listen)
	}
	if c.Discovery == nil {
		c.warnOfNodes(warn)
	}
	if c.Placement.PreemptDelay > 0 && !c.Placement.Preempt {
		warn("placement: preempt_delay has no effect without 'preempt: true'")
	}
	if c.VRRP.Version == 2 && c.VRRP.Checksum != ChecksumPseudoHeader {
		warn("vrrp: checksum has no effect in version 2")
	}
	if c.Health.impatient() {
		warn("health: a time-out below %v counts load as a hang unless the processes are watched; add health.process", loadPatience)
	}
	if s := c.Sums(); s.Silence >= s.Fallback {
		warn("raft: hints come too late to help: three adverts and the skew are %v, and Raft's own timers need about %v; "+
			"shorten vrrp.advertisement_interval", s.Silence, s.Fallback)
	}
	if c.Health.DetectionTime() == 0 && !c.Self().Witness {
		warn("health: no check notices a HAProxy that hangs; add health.stats or health.http")
	}
	return warnings
}

func (c Config) warnOfNodes(warn func(string, ...any)) {
	switch n := len(c.Nodes); {
	case c.JoinOnly():
		warn("nodes: %d are too few to begin a cluster: this node never forms one by itself, and moves no address until a running cluster lets it in "+
			"('hacluster join'); for a new cluster name %d nodes, of which one may be a witness without HAProxy (witness: true)", n, minCluster)
	case n%2 == 0:
		warn("nodes: %d nodes survive no more failures than %d; add or remove one", n, n-1)
	}
	candidates := c.candidates()
	if len(candidates) == 1 {
		warn("nodes: only %s can hold the Elastic IP; the others are witnesses", candidates[0].Name)
	}
	first := map[int]string{}
	for _, n := range candidates {
		if other, taken := first[n.Priority]; taken {
			warn("nodes: %s and %s have the same priority %d; give the preferred one a higher priority", other, n.Name, n.Priority)
			continue
		}
		first[n.Priority] = n.Name
	}
}
