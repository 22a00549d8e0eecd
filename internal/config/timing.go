package config

import (
	"cmp"
	"slices"
	"time"
)

// Sums are the times that follow from the configuration, EC2's own left out. docs/TIMING.md explains them.
type Sums struct {
	// Hang is the longest time from a hang of HAProxy to the verdict, 0 if no check notices one.
	Hang time.Duration
	// Silence is how long the adverts of a dead node stay away before the best of the others stands for election: Master_Down_Interval.
	// 0 without hints.
	Silence time.Duration
	// Fallback is about what Raft's own timers need to elect a leader when hints do not help: twice the heartbeat time-out.
	Fallback time.Duration
	// Quiet is how long a Master goes on advertising when it is cut off, and how long a new one waits with its first advert.
	Quiet time.Duration
}

// Sums adds up the timings.
func (c Config) Sums() Sums {
	s := Sums{Hang: c.Health.DetectionTime(), Fallback: 2 * c.Raft.HeartbeatTimeout, Quiet: c.Raft.EvidenceMaxAge}
	if c.Raft.Hints {
		s.Silence = c.masterDownInterval()
	}
	return s
}

// masterDownInterval is that of the candidate of the second highest priority, which follows the first (RFC 9568 section 6.1).
func (c Config) masterDownInterval() time.Duration {
	ranked := c.candidates()
	slices.SortStableFunc(ranked, func(a, b Node) int { return cmp.Compare(b.Priority, a.Priority) })
	if len(ranked) < 2 {
		return 0
	}
	interval := c.VRRP.AdvertisementInterval
	return 3*interval + time.Duration(256-ranked[1].Priority)*interval/256
}
