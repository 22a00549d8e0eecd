package config

import "time"

// defaults is what an empty file means, apart from the keys that have no default. docs/config.example.yaml shows each
// of these values, and a test compares them.
func defaults() Config {
	return Config{
		DataDir: "/var/lib/hacluster",
		EIP: EIP{
			Fencing:         FencingBalanced,
			Drift:           DriftRepair,
			ObserveInterval: time.Minute,
			AttemptTimeout:  3 * time.Second,
			ConfirmTimeout:  10 * time.Second,
		},
		VRRP: VRRP{
			VirtualRouterID:       51,
			Version:               3,
			AdvertisementInterval: 100 * time.Millisecond,
			Checksum:              ChecksumPseudoHeader,
		},
		Raft: Raft{
			HeartbeatTimeout:   500 * time.Millisecond,
			ElectionTimeout:    500 * time.Millisecond,
			LeaderLeaseTimeout: 250 * time.Millisecond,
			EvidenceMaxAge:     300 * time.Millisecond,
			SnapshotThreshold:  1024,
			TrailingLogs:       1024,
			LogWriteTimeout:    2 * time.Second,
		},
		Admin: Admin{Socket: "/run/hacluster/admin.sock"},
		Log:   Log{Format: "json", Level: "info"},
	}
}

// defaulter is a list element or an optional section: its defaults apply once it is written at all.
type defaulter interface{ setDefaults() }

func (n *Node) setDefaults() { n.Priority = 100 }

func (p *ProcessCheck) setDefaults() { *p = ProcessCheck{Name: "haproxy", Interval: time.Second} }

func (s *StatsCheck) setDefaults() { s.Probe = quickProbe() }

func (h *HTTPCheck) setDefaults() {
	h.Status = []StatusRange{{Min: 200, Max: 399}}
	h.Probe = quickProbe()
}

func (t *TCPCheck) setDefaults() { t.Probe = quickProbe() }

func (s *ScriptCheck) setDefaults() {
	s.Probe = Probe{Interval: time.Second, Timeout: time.Second, Rise: 2, Fall: 2}
}

// quickProbe notices a hung HAProxy within 800 ms; see [Health.DetectionTime].
func quickProbe() Probe {
	return Probe{Interval: 200 * time.Millisecond, Timeout: 300 * time.Millisecond, Rise: 2, Fall: 2}
}
