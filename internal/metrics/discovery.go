package metrics

import "github.com/hacluster/hacluster/internal/discovery"

// discoveryFamilies are absent where the configuration names the nodes.
func discoveryFamilies() []family {
	count := func(of func(discovery.Reading) uint64) func(*snapshot, put) {
		return func(s *snapshot, put put) {
			if s.discovery != nil {
				put(float64(of(*s.discovery)))
			}
		}
	}
	return []family{
		{nameInstances, gauge, nil, "Running instances with the tag, by the newest answer of EC2. Absent on a follower, which does not ask (docs/DISCOVERY.md).",
			func(s *snapshot, put put) {
				if d := s.discovery; d != nil && d.Reads > d.Failures && (s.leading() || !s.leaderKnown()) {
					put(float64(d.Instances))
				}
			}},
		{nameReads, counter, nil, "How often this node asked EC2 for them: the leader, and who has no place in a cluster yet.",
			count(func(r discovery.Reading) uint64 { return r.Reads })},
		{nameReadFailures, counter, nil, "Of these, how often EC2 did not answer as it should.", count(func(r discovery.Reading) uint64 { return r.Failures })},
		{nameWaits, gauge, nil, "What this leader would do about a member and does not yet; the log's 'waiting with a member' says why.",
			count(func(r discovery.Reading) uint64 { return r.Waits })},
	}
}
