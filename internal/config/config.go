// Package config reads the one YAML file that describes a cluster.
//
// The same file is shipped to every node: what differs between them is found at run time (the hostname, the instance
// metadata). The package is pure data and imports none of the packages that it configures; cmd/hacluster translates.
//
// A file is taken as a whole or refused as a whole. Every problem is reported at once, each with its line and with
// what to write instead; see [Errors].
package config

import (
	"net/netip"
	"strings"
	"time"
)

// Profile chooses the defaults of all timings; every key can still be set on its own.
type Profile string

// The profiles.
const (
	// ProfileDefault is quiet, and right for a WAN.
	ProfileDefault Profile = "default"
	// ProfileFast is for nodes a millisecond apart: adverts every 10 ms, tight probes.
	ProfileFast Profile = "fast"
)

// Fencing says how far a takeover goes to make sure that it displaces nothing newer (docs/SAFETY.md).
type Fencing string

// The fencing modes.
const (
	FencingStrict   Fencing = "strict"
	FencingBalanced Fencing = "balanced"
	FencingFast     Fencing = "fast"
)

// Drift says what to do when somebody else moved the Elastic IP.
type Drift string

// The answers to a foreign move.
const (
	DriftRepair  Drift = "repair"
	DriftRespect Drift = "respect"
)

// MasterWhen says how many of several Elastic IPs make a leader Master.
type MasterWhen string

// A leader is Master when all addresses are its own, or as soon as any is.
const (
	MasterWhenAll MasterWhen = "all"
	MasterWhenAny MasterWhen = "any"
)

// Checksum is the VRRPv3 checksum mode over IPv4 (keepalived: vrrp_checksum_compatibility).
type Checksum string

// The checksum modes: over the RFC 5798 pseudo-header, which is keepalived's default, or as in VRRPv2.
const (
	ChecksumPseudoHeader Checksum = "pseudo-header"
	ChecksumAsV2         Checksum = "as-v2"
)

// Config is a whole, valid configuration file with the defaults filled in.
type Config struct {
	Cluster   Cluster    `yaml:"cluster"`
	Profile   Profile    `yaml:"profile"`
	Node      string     `yaml:"node"`      // name of this node, one of Nodes
	DataDir   string     `yaml:"data_dir"`  // absolute path
	Nodes     []Node     `yaml:"nodes"`     // the first members and how to find the others; this one is among them
	Discovery *Discovery `yaml:"discovery"` // in place of Nodes
	TLS       *TLS       `yaml:"tls"`       // between the nodes; nil: Insecure
	Insecure  bool       `yaml:"insecure"`  // plain TCP between the nodes
	EIP       EIP        `yaml:"eip"`
	AWS       AWS        `yaml:"aws"`
	VRRP      VRRP       `yaml:"vrrp"`
	Raft      Raft       `yaml:"raft"`
	Placement Placement  `yaml:"placement"`
	Health    Health     `yaml:"health"`
	Hooks     Hooks      `yaml:"hooks"`
	Admin     Admin      `yaml:"admin"`
	HTTP      HTTP       `yaml:"http"`
	Log       Log        `yaml:"log"`
}

// Cluster names the group of nodes.
type Cluster struct {
	Name string `yaml:"name"` // [a-z0-9-], at most 63 characters
}

// Node is one member of the cluster.
type Node struct {
	Name        string         `yaml:"name"`
	Address     netip.AddrPort `yaml:"address"`      // Raft and rpc, TCP
	VRRPAddress netip.Addr     `yaml:"vrrp_address"` // source and destination of adverts, IPv4; default: that of Address
	Priority    int            `yaml:"priority"`     // 1 to 254, the highest is preferred
	Witness     bool           `yaml:"witness"`      // votes, never holds the Elastic IP, runs no HAProxy
	PrivateIPs  []netip.Addr   `yaml:"private_ips"`  // IPv4, on one network interface: one for each of EIP.AllocationIDs, in their order
}

// EIP says which Elastic IPs are managed, and how.
type EIP struct {
	AllocationID    string        `yaml:"allocation_id"`
	AllocationIDs   []string      `yaml:"allocation_ids"` // several that move together, instead of AllocationID
	MasterWhen      MasterWhen    `yaml:"master_when"`
	Fencing         Fencing       `yaml:"fencing"`
	Drift           Drift         `yaml:"drift"`
	ObserveInterval time.Duration `yaml:"observe_interval"` // between reads while nothing happens
	AttemptTimeout  time.Duration `yaml:"attempt_timeout"`  // for one HTTP request to EC2
	ConfirmTimeout  time.Duration `yaml:"confirm_timeout"`  // a leader without a confirmed claim for this long hands over
	ReleaseWait     time.Duration `yaml:"release_wait"`     // how long a new leader waits for the word of the former holder
}

// AWS overrides what the SDK and the instance metadata say. Each empty value means: ask them.
type AWS struct {
	Region             string     `yaml:"region"`
	Endpoint           string     `yaml:"endpoint"`
	IMDSEndpoint       string     `yaml:"imds_endpoint"`
	NetworkInterfaceID string     `yaml:"network_interface_id"` // default: the primary interface
	PrivateIP          netip.Addr `yaml:"private_ip"`           // default: the interface's primary address
}

// VRRP describes the adverts on the wire (RFC 5798 section 5, RFC 3768 section 5).
type VRRP struct {
	VirtualRouterID       int           `yaml:"virtual_router_id"` // VRID, 1 to 255
	Version               int           `yaml:"version"`           // 2 or 3
	AdvertisementInterval time.Duration `yaml:"advertisement_interval"`
	Interface             string        `yaml:"interface"` // by name, address or network; empty: the routing table decides
	Checksum              Checksum      `yaml:"checksum"`
	AuthPass              string        `yaml:"auth_pass"`   // version 2 only, at most 8 bytes; empty: no authentication
	Addresses             []netip.Addr  `yaml:"addresses"`   // IPv4; named in every advert, configured on no machine
	ExtraPeers            []netip.Addr  `yaml:"extra_peers"` // IPv4; spoken to and listened to, although they are no nodes
	MinTTL                int           `yaml:"min_ttl"`     // adverts that arrive with less are refused; 0: none
}

// Raft holds the timings and sizes of the consensus group.
type Raft struct {
	Hints              bool          `yaml:"hints"` // missing adverts start an election, once a quorum misses them
	HeartbeatTimeout   time.Duration `yaml:"heartbeat_timeout"`
	ElectionTimeout    time.Duration `yaml:"election_timeout"`
	LeaderLeaseTimeout time.Duration `yaml:"leader_lease_timeout"`
	EvidenceMaxAge     time.Duration `yaml:"evidence_max_age"`   // oldest quorum evidence that still permits an EC2 call
	SnapshotThreshold  int           `yaml:"snapshot_threshold"` // log entries
	TrailingLogs       int           `yaml:"trailing_logs"`      // log entries
	LogWriteTimeout    time.Duration `yaml:"log_write_timeout"`  // a disk slower than this ends the agent
}

// Placement says who should hold the Elastic IP when several could.
type Placement struct {
	Preempt      bool          `yaml:"preempt"` // a better node takes over from a healthy holder
	PreemptDelay time.Duration `yaml:"preempt_delay"`
	Damping      Damping       `yaml:"damping"`
}

// Damping makes a node wait whose HAProxy keeps failing: until Wait after the last of Failures within Within, every other node is preferred.
type Damping struct {
	Failures int           `yaml:"failures"` // 0: no damping
	Within   time.Duration `yaml:"within"`
	Wait     time.Duration `yaml:"wait"`
}

// Admin is the local control socket.
type Admin struct {
	Socket string `yaml:"socket"`
	Group  string `yaml:"group"` // whose members may use it: a name or a number; empty: the group that the agent runs as
}

// Log says how the agent logs.
type Log struct {
	Format string `yaml:"format"` // json or console
	Level  string `yaml:"level"`  // debug, info, warn or error
}

// IDs returns the allocation ids of the Elastic IPs, however they are written.
func (e EIP) IDs() []string {
	if e.AllocationID != "" {
		return []string{e.AllocationID}
	}
	return e.AllocationIDs
}

// Self returns this node.
func (c Config) Self() Node {
	for _, n := range c.Nodes {
		if n.Name == c.Node {
			return n
		}
	}
	return Node{}
}

// JoinOnly reports whether too few nodes are named to begin a cluster: this one waits for one that it can join.
func (c Config) JoinOnly() bool { return len(c.Nodes) < minCluster }

// Peers returns every node but this one, in the order of the file.
func (c Config) Peers() []Node {
	var peers []Node
	for _, n := range c.Nodes {
		if n.Name != c.Node {
			peers = append(peers, n)
		}
	}
	return peers
}

// shortHostname cuts a host name at its first dot, as hostname -s does.
func shortHostname(name string) string {
	short, _, _ := strings.Cut(name, ".")
	return strings.ToLower(short)
}
