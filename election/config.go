package election

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/hacluster/hacluster/internal/boottime"
)

// StateMachine is what Raft replicates. Its methods are called from one goroutine, in log order.
type StateMachine interface {
	// Apply executes a committed command. Its result is what Node.Apply returns on the node that submitted the command.
	// term and index are those of the log entry.
	Apply(term, index uint64, command []byte) any
	// Snapshot encodes the whole state. The slice must not change afterwards.
	Snapshot() ([]byte, error)
	// Restore replaces the whole state by one that Snapshot encoded.
	Restore(snapshot []byte) error
	// Check returns an error for a command or a snapshot that a newer build has written and this one cannot read, in a sentence that
	// names the remedy. It depends on nothing else: the node ends rather than pass it over, and does not start where its store has one.
	Check(data []byte) error
}

// Peer is one node of the cluster.
type Peer struct {
	// Name identifies the node: letters, digits, '.', '_' and '-'.
	Name string `json:"name"`
	// Address is the host:port at which the node listens and the others reach it.
	Address string `json:"address"`
	// Witness marks a voter without HAProxy. It votes as any other; who may hold the address is the caller's business.
	Witness bool `json:"witness,omitempty"`
}

// Network is how a node is reached and reaches others. Errors and deadlines are those of package net.
type Network interface {
	// Listen begins to take connections at address, a host:port.
	Listen(address string) (net.Listener, error)
	// Dial connects to address, until ctx ends.
	Dial(ctx context.Context, address string) (net.Conn, error)
}

// Config says who this node is and how it behaves. Zero timings, snapshot settings, Network, Now and Logger get their defaults.
type Config struct {
	// Cluster is the name that all nodes share. Nodes of another cluster are refused.
	Cluster string
	// Name is the name of this node; it must be in Peers.
	Name string
	// DataDir holds the Raft store (raft/) and the initialized marker. It belongs to one node.
	DataDir string
	// Peers are the configured nodes, this one included: the first members, and how a later one finds the others.
	Peers []Peer
	// JoinOnly keeps this node from bootstrapping a cluster: it waits for one to join.
	JoinOnly bool
	// Directory is what the cluster has agreed on about its members. Nil: the configured ones are all.
	Directory Directory

	// Level is the newest level of commands and snapshots that this build knows; whoever leads is told it by a node that joins.
	Level uint8
	// Admits returns why a build that knows this level may not join, in a sentence that names the remedy. Nil: every build may.
	Admits func(level uint8) error
	// Expect is set where Peers were found instead of configured: a cluster is bootstrapped by that many only, and peers that have found
	// others are waited for. 0: Peers are configured, and peers that are configured otherwise are an error.
	Expect int

	Timing    Timing
	Snapshots Snapshots

	// RPC serves the calls of other nodes (Node.Call) other than /v1/identity and /v1/join. Nil answers 404. Under TLS only members reach
	// it, but for AdmitPath.
	RPC http.Handler
	// Network carries the connections between nodes. Default: TCP.
	Network Network
	// Security authenticates and encrypts them. Nil: nothing does.
	Security Security
	// Now reads the clock of all stamps: time since boot, suspensions included. Default: CLOCK_BOOTTIME.
	Now func() time.Duration
	// Logger may be nil.
	Logger *zap.Logger
}

// Timing holds the Raft timers and the deadlines beside them. The agent sets all but Commit, from the configuration file, which has
// defaults of its own.
type Timing struct {
	// Heartbeat is how long a follower waits for its leader before it stands for election. Default 500 ms.
	Heartbeat time.Duration
	// Election is how long a candidate waits for its votes. At least Heartbeat. Default 500 ms.
	Election time.Duration
	// Lease is how long a leader goes on without replies from a quorum. At most Heartbeat. Default 250 ms.
	Lease time.Duration
	// Commit is how soon an idle leader tells its followers the commit index, up to twice that at random. Default 200 ms: each of these
	// messages costs, and a follower that is elected catches up with its first entry.
	Commit time.Duration
	// LogWrite is the deadline of one write to the store; the first miss ends Run. Default 1 s.
	LogWrite time.Duration
	// EvidenceMaxAge is the age up to which quorum evidence counts as fresh when the node decides whether a log that
	// does not commit is its own fault. Default 500 ms.
	EvidenceMaxAge time.Duration
}

// Snapshots says when the log is compacted.
type Snapshots struct {
	// Threshold is the number of log entries since the last snapshot that asks for a new one. Default 1024.
	Threshold uint64
	// Trailing is the number of log entries kept behind a snapshot for followers that lag. Default 1024.
	Trailing uint64
	// Interval is how often Threshold is looked at (up to twice that, at random). Default 60 s.
	Interval time.Duration
}

// withDefaults fills what the caller left zero.
func (c Config) withDefaults() Config {
	orDefault(&c.Timing.Heartbeat, 500*time.Millisecond)
	orDefault(&c.Timing.Election, 500*time.Millisecond)
	orDefault(&c.Timing.Lease, 250*time.Millisecond)
	orDefault(&c.Timing.Commit, 200*time.Millisecond)
	orDefault(&c.Timing.LogWrite, time.Second)
	orDefault(&c.Timing.EvidenceMaxAge, 500*time.Millisecond)
	orDefault(&c.Snapshots.Threshold, 1024)
	orDefault(&c.Snapshots.Trailing, 1024)
	orDefault(&c.Snapshots.Interval, time.Minute)
	if c.Network == nil {
		c.Network = tcpNetwork{}
	}
	if c.Now == nil {
		c.Now = boottime.Now
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	return c
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate returns everything that is wrong, joined.
func (c Config) validate() error {
	var errs []error
	if c.Cluster == "" {
		errs = append(errs, errors.New("cluster has no name: set one, the same on every node"))
	}
	if c.DataDir == "" {
		errs = append(errs, errors.New("data dir is empty: name a directory that survives reboots"))
	}
	if _, ok := c.peer(c.Name); !ok {
		errs = append(errs, fmt.Errorf("node %q is not among the peers (%s): add it or correct the name",
			c.Name, strings.Join(c.peerNames(), ", ")))
	}
	return errors.Join(append(errs, c.validatePeers()...)...)
}

func (c Config) validatePeers() []error {
	valid := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
	var errs []error
	seen := make(map[string]string)
	for _, p := range c.Peers {
		if !valid.MatchString(p.Name) {
			errs = append(errs, fmt.Errorf("peer name %q: use up to 63 letters, digits, '.', '_' and '-'", p.Name))
		}
		if _, _, err := net.SplitHostPort(p.Address); err != nil {
			errs = append(errs, fmt.Errorf("address %q of peer %s: write it as host:port", p.Address, p.Name))
		}
		for _, key := range []string{p.Name, p.Address} {
			if other, twice := seen[key]; twice {
				errs = append(errs, fmt.Errorf("%s is given to both %s and %s: each peer needs its own", key, other, p.Name))
			}
			seen[key] = p.Name
		}
	}
	return errs
}

func (c Config) peer(name string) (Peer, bool) {
	i := slices.IndexFunc(c.Peers, func(p Peer) bool { return p.Name == name })
	if i < 0 {
		return Peer{}, false
	}
	return c.Peers[i], true
}

// others are the peers without this node, in configured order.
func (c Config) others() []Peer {
	return slices.DeleteFunc(slices.Clone(c.Peers), func(p Peer) bool { return p.Name == c.Name })
}

// peerNames are the sorted names of all configured nodes.
func (c Config) peerNames() []string {
	names := make([]string, 0, len(c.Peers))
	for _, p := range c.Peers {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return names
}

// address is the configured address of this node.
func (c Config) address() string {
	p, _ := c.peer(c.Name)
	return p.Address
}
