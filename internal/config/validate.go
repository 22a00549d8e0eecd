package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// minNodes is what a configuration names at least: this node, and one by which it finds a cluster to join.
	minNodes = 2
	// minCluster is what a new cluster begins with.
	minCluster = 3
	maxNodes   = 9

	// minRaftTimeout is the smallest timeout that hashicorp/raft accepts (its config.go, ValidateConfig).
	minRaftTimeout = 5 * time.Millisecond
	// evidenceSlack is what a quorum round may take beyond the heartbeat interval before its evidence is too old.
	evidenceSlack = 50 * time.Millisecond
	// maxPreemptDelay is keepalived's.
	maxPreemptDelay = 1000 * time.Second
	// maxDampingFailures is how many failures each node remembers of each other.
	maxDampingFailures = 16
	// maxUnixPath is the length of sun_path without its final zero byte (unix(7)).
	maxUnixPath = 107
	// maxInterfaceName is IFNAMSIZ without its final zero byte.
	maxInterfaceName = 15
)

// validate reports whatever the types alone do not exclude.
func (c *Config) validate(d *document) {
	c.Cluster.validate(d)
	d.checkOneOf("profile", string(c.Profile), string(ProfileDefault), string(ProfileFast))
	c.validateMembers(d)
	c.validateTLS(d)
	d.checkAbsolute("data_dir", c.DataDir)
	c.EIP.validate(d)
	c.validatePlaces(d)
	c.AWS.validate(d)
	c.VRRP.validate(d)
	c.VRRP.validateAddresses(d)
	c.validateExtraPeers(d)
	c.Raft.validate(d)
	c.Placement.validate(d)
	c.Health.validate(d, c.Self())
	c.Hooks.validate(d)
	d.checkSocket("admin.socket", c.Admin.Socket)
	c.HTTP.validate(d)
	d.checkMatchIfSet("admin.group", c.Admin.Group, `[a-zA-Z_][a-zA-Z0-9_.-]{0,31}|[0-9]{1,10}`, "the name of a group, or its number, for example ops")
	d.checkOneOf("log.format", c.Log.Format, "json", "console")
	d.checkOneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
}

func (c Cluster) validate(d *document) {
	d.checkMatch("cluster.name", c.Name, `[a-z0-9-]{1,63}`, "lower-case letters, digits and '-', for example edge-1")
}

func (e EIP) validate(d *document) {
	e.validateIDs(d)
	d.checkOneOf("eip.master_when", string(e.MasterWhen), string(MasterWhenAll), string(MasterWhenAny))
	d.checkOneOf("eip.fencing", string(e.Fencing), string(FencingBalanced), string(FencingStrict), string(FencingFast))
	d.checkOneOf("eip.drift", string(e.Drift), string(DriftRepair), string(DriftRespect))
	d.checkRange("eip.observe_interval", e.ObserveInterval, 10*time.Second, time.Hour)
	d.checkRange("eip.attempt_timeout", e.AttemptTimeout, 100*time.Millisecond, time.Minute)
	d.checkRange("eip.confirm_timeout", e.ConfirmTimeout, time.Second, 10*time.Minute)
	d.checkRange("eip.release_wait", e.ReleaseWait, time.Millisecond, time.Second)
	if e.ConfirmTimeout <= e.AttemptTimeout {
		d.report("eip.confirm_timeout", fmt.Sprintf("%v leaves no time for one attempt of %v", e.ConfirmTimeout, e.AttemptTimeout),
			fmt.Sprintf("write more than eip.attempt_timeout, for example %v", 3*e.AttemptTimeout))
	}
}

func (a AWS) validate(d *document) {
	d.checkMatchIfSet("aws.region", a.Region, `[a-z0-9-]+`, "a region, for example eu-central-1")
	d.checkMatchIfSet("aws.network_interface_id", a.NetworkInterfaceID, `eni-[0-9a-f]{8,17}`, "for example eni-0123456789abcdef0")
	d.checkURL("aws.endpoint", a.Endpoint, "http", "https")
	d.checkURL("aws.imds_endpoint", a.IMDSEndpoint, "http", "https")
	if a.PrivateIP.IsValid() && !a.PrivateIP.Is4() {
		d.report("aws.private_ip", fmt.Sprintf("%v is not an IPv4 address", a.PrivateIP), "write the private IPv4 address that the Elastic IP is to be mapped to")
	}
}

func (v VRRP) validate(d *document) {
	d.checkInt("vrrp.virtual_router_id", v.VirtualRouterID, 1, 255)
	d.checkInt("vrrp.min_ttl", v.MinTTL, 0, 255)
	d.checkOneOf("vrrp.checksum", string(v.Checksum), string(ChecksumPseudoHeader), string(ChecksumAsV2))
	v.validateInterface(d)
	v.validateAuthPass(d)
	interval := v.AdvertisementInterval
	switch v.Version {
	case 2:
		if interval%time.Second != 0 || interval < time.Second || interval > 255*time.Second {
			d.report("vrrp.advertisement_interval", fmt.Sprintf("%v cannot be expressed in VRRPv2, which counts whole seconds from 1 to 255", interval),
				"write 1s, or use version: 3")
		}
	case 3:
		if interval%(10*time.Millisecond) != 0 || interval < 10*time.Millisecond || interval > 40950*time.Millisecond {
			d.report("vrrp.advertisement_interval", fmt.Sprintf("%v cannot be expressed in VRRPv3, which counts steps of 10ms from 10ms to 40.95s", interval),
				"write 100ms")
		}
	default:
		d.report("vrrp.version", fmt.Sprintf("there is no version %d", v.Version), "write 3, or 2 for keepalived peers that need it")
	}
}

func (r Raft) validate(d *document) {
	d.checkRange("raft.heartbeat_timeout", r.HeartbeatTimeout, minRaftTimeout, time.Minute)
	d.checkRange("raft.election_timeout", r.ElectionTimeout, minRaftTimeout, time.Minute)
	d.checkRange("raft.leader_lease_timeout", r.LeaderLeaseTimeout, minRaftTimeout, time.Minute)
	d.checkRange("raft.log_write_timeout", r.LogWriteTimeout, 100*time.Millisecond, time.Minute)
	d.checkInt("raft.snapshot_threshold", r.SnapshotThreshold, 1, 1<<30)
	d.checkInt("raft.trailing_logs", r.TrailingLogs, 1, 1<<30)
	if r.LeaderLeaseTimeout > r.HeartbeatTimeout {
		d.report("raft.leader_lease_timeout", fmt.Sprintf("%v is longer than raft.heartbeat_timeout (%v): a cut-off leader would go on while a new one is elected", r.LeaderLeaseTimeout, r.HeartbeatTimeout),
			fmt.Sprintf("write at most %v", r.HeartbeatTimeout))
	}
	if r.ElectionTimeout < r.HeartbeatTimeout {
		d.report("raft.election_timeout", fmt.Sprintf("%v is shorter than raft.heartbeat_timeout (%v)", r.ElectionTimeout, r.HeartbeatTimeout),
			fmt.Sprintf("write at least %v", r.HeartbeatTimeout))
	}
	r.validateEvidence(d)
}

// validateEvidence holds the sum that docs/TIMING.md explains: a leader sends heartbeats every heartbeat/10 to
// heartbeat/5, so its newest evidence is normally up to heartbeat/5 old; younger evidence cannot be demanded.
func (r Raft) validateEvidence(d *document) {
	least := r.HeartbeatTimeout/5 + evidenceSlack
	if r.EvidenceMaxAge < least {
		d.report("raft.evidence_max_age",
			fmt.Sprintf("%v is shorter than raft.heartbeat_timeout/5 + %v = %v + %v = %v: a healthy leader would refuse its own calls", r.EvidenceMaxAge, evidenceSlack, r.HeartbeatTimeout/5, evidenceSlack, least),
			fmt.Sprintf("write at least %v", least))
	}
	if r.EvidenceMaxAge >= r.ElectionTimeout {
		d.report("raft.evidence_max_age",
			fmt.Sprintf("%v is not shorter than raft.election_timeout (%v): a deposed leader could still call EC2", r.EvidenceMaxAge, r.ElectionTimeout),
			fmt.Sprintf("write less than %v, or raise raft.election_timeout", r.ElectionTimeout))
	}
}

func (p Placement) validate(d *document) {
	d.checkRange("placement.preempt_delay", p.PreemptDelay, 0, maxPreemptDelay)
	d.checkInt("placement.damping.failures", p.Damping.Failures, 0, maxDampingFailures)
	d.checkRange("placement.damping.within", p.Damping.Within, time.Second, 24*time.Hour)
	d.checkRange("placement.damping.wait", p.Damping.Wait, 0, 24*time.Hour)
}

// checkMatch reports a text that is missing or is not all matched by pattern.
func (d *document) checkMatch(path, text, pattern, want string) {
	if text == "" {
		d.report(path, "is missing", "write "+want)
		return
	}
	if !regexp.MustCompile(`^(?:` + pattern + `)$`).MatchString(text) {
		d.report(path, fmt.Sprintf("%q is not of the form %s", text, pattern), "write "+want)
	}
}

func (d *document) checkMatchIfSet(path, text, pattern, want string) {
	if text != "" {
		d.checkMatch(path, text, pattern, want)
	}
}

func (d *document) checkOneOf(path, text string, allowed ...string) {
	if !slices.Contains(allowed, text) {
		d.report(path, fmt.Sprintf("%q is not known", text), "write "+alternatives(allowed))
	}
}

func (d *document) checkInt(path string, n, low, high int) {
	if n < low || n > high {
		d.report(path, fmt.Sprintf("%d is out of range", n), fmt.Sprintf("write a number from %d to %d", low, high))
	}
}

func (d *document) checkRange(path string, t, low, high time.Duration) {
	if t < low || t > high {
		d.report(path, fmt.Sprintf("%s is out of range", short(t)), fmt.Sprintf("write %s to %s", short(low), short(high)))
	}
}

// short prints 1h0m0s as 1h.
func short(t time.Duration) string {
	text := t.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// alternatives joins words as in "a, b or c".
func alternatives(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func (d *document) checkAbsolute(path, file string) {
	if !filepath.IsAbs(file) {
		d.report(path, fmt.Sprintf("%q is not an absolute path", file), "write a path that starts with '/'")
	}
}

func (d *document) checkSocket(path, file string) {
	d.checkAbsolute(path, file)
	if len(file) > maxUnixPath {
		d.report(path, fmt.Sprintf("is %d bytes long; the path of a unix socket has at most %d", len(file), maxUnixPath), "write a shorter one, for example under /run")
	}
}

func (d *document) checkURL(path, text string, schemes ...string) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || !slices.Contains(schemes, u.Scheme) {
		d.report(path, fmt.Sprintf("%q is not an %s URL", text, alternatives(schemes)), fmt.Sprintf("write for example %s://127.0.0.1:8080/", schemes[0]))
	}
	if err == nil {
		d.checkPort(path, u.Port())
	}
}

// checkPort judges a number; none, or the name of a service, may be right.
func (d *document) checkPort(path, port string) {
	if n, err := strconv.ParseUint(port, 10, 64); err == nil && (n == 0 || n > 65535) {
		d.report(path, port+" is no port", "write one from 1 to 65535")
	}
}
