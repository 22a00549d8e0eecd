package config

import (
	"net/netip"
	"time"
)

// defaults is what an empty file of the profile means, apart from the keys that have no default. docs/config.example.yaml shows
// those of the default profile, and a test compares them.
func defaults(profile Profile) Config {
	c := quietDefaults()
	if profile == ProfileFast {
		c.Profile = ProfileFast
		c.VRRP.AdvertisementInterval = 10 * time.Millisecond
		c.EIP.ReleaseWait = 10 * time.Millisecond
		c.Raft.HeartbeatTimeout, c.Raft.ElectionTimeout = 500*time.Millisecond, 500*time.Millisecond
		c.Raft.LeaderLeaseTimeout, c.Raft.EvidenceMaxAge = 250*time.Millisecond, 300*time.Millisecond
	}
	return c
}

func quietDefaults() Config {
	return Config{
		Profile: ProfileDefault,
		DataDir: "/var/lib/hacluster",
		EIP: EIP{
			Fencing:         FencingBalanced,
			Drift:           DriftRepair,
			MasterWhen:      MasterWhenAll,
			ObserveInterval: time.Minute,
			AttemptTimeout:  3 * time.Second,
			ConfirmTimeout:  10 * time.Second,
			ReleaseWait:     50 * time.Millisecond,
		},
		VRRP: VRRP{
			VirtualRouterID:       51,
			Version:               3,
			AdvertisementInterval: 100 * time.Millisecond,
			Checksum:              ChecksumPseudoHeader,
		},
		Raft: Raft{
			Hints:              true,
			HeartbeatTimeout:   time.Second,
			ElectionTimeout:    time.Second,
			LeaderLeaseTimeout: 500 * time.Millisecond,
			EvidenceMaxAge:     400 * time.Millisecond,
			SnapshotThreshold:  1024,
			TrailingLogs:       1024,
			LogWriteTimeout:    2 * time.Second,
		},
		Placement: Placement{Damping: Damping{Failures: 3, Within: 10 * time.Minute, Wait: 5 * time.Minute}},

		Hooks: Hooks{Timeout: 30 * time.Second},
		Admin: Admin{Socket: "/run/hacluster/admin.sock"},
		HTTP:  HTTP{Listen: netip.MustParseAddrPort("127.0.0.1:7460")},
		Log:   Log{Format: "json", Level: "info"},
	}
}

// defaulter is a list element or an optional section: its defaults apply once it is written at all.
type defaulter interface{ setDefaults(Profile) }

func (n *Node) setDefaults(Profile) { n.Priority = 100 }

func (p *ProcessCheck) setDefaults(Profile) {
	*p = ProcessCheck{Name: "haproxy", Interval: time.Second}
}

func (s *StatsCheck) setDefaults(profile Profile) { s.Probe = quickProbe(profile) }

func (h *HTTPCheck) setDefaults(profile Profile) {
	h.Status = []StatusRange{{Min: 200, Max: 399}}
	h.Probe = quickProbe(profile)
}

func (t *TCPCheck) setDefaults(Profile) { t.Probe = quickProbe(ProfileDefault) }

func (s *ScriptCheck) setDefaults(Profile) {
	s.Probe = Probe{Interval: time.Second, Timeout: time.Second, Rise: 2, Fall: 2}
}

// quickProbe notices a hung HAProxy within 800 ms, in the fast profile within 200 ms; see [Health.DetectionTime].
func quickProbe(profile Profile) Probe {
	if profile == ProfileFast {
		return Probe{Interval: 50 * time.Millisecond, Timeout: 50 * time.Millisecond, Rise: 4, Fall: 3}
	}
	return Probe{Interval: 200 * time.Millisecond, Timeout: 300 * time.Millisecond, Rise: 2, Fall: 2}
}
