package sim

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/vrrpwire"
)

// This file says what each part of the agent is configured with: production's defaults, unless the schedule scales them.

func (l *life) electionConfig(rpc *lateHandler, replica *controller.Replica) election.Config {
	w := l.node.world
	cfg := election.Config{
		Cluster: "sim", Name: l.node.name, DataDir: l.disk, RPC: rpc, Network: network{l}, Now: l.node.boottime, Logger: l.log,
		Timing: w.schedule.raftTiming(), Level: uint8(l.build), Admits: replica.Admits, Directory: replica,
	}
	for _, n := range w.nodes {
		cfg.Peers = append(cfg.Peers, election.Peer{Name: n.name, Address: n.address()})
	}
	if w.schedule.Snapshots {
		cfg.Snapshots = election.Snapshots{Threshold: 8, Trailing: 4, Interval: 2 * time.Second}
	}
	return cfg
}

func (s Settings) raftTiming() election.Timing {
	t := election.Timing{EvidenceMaxAge: s.evidenceMaxAge()}
	switch s.Pace {
	case Usual:
	case Hasty:
		t.Heartbeat, t.Election, t.Lease = 60*time.Millisecond, 320*time.Millisecond, 60*time.Millisecond
	case Quick:
		t.Heartbeat, t.Election, t.Lease = 250*time.Millisecond, 250*time.Millisecond, 125*time.Millisecond
	case Slow:
		t.Heartbeat, t.Election, t.Lease = 2*time.Second, 2*time.Second, time.Second
	}
	return t
}

func (s Settings) evidenceMaxAge() time.Duration {
	if s.Pace == Quick {
		return 150 * time.Millisecond
	}
	return controller.DefaultTiming().EvidenceMaxAge
}

// network is election.Network over the process's host.
type network struct{ life *life }

// Listen implements election.Network.
func (n network) Listen(address string) (net.Listener, error) {
	listener, err := n.life.host.Listen(address)
	if err != nil {
		return nil, err
	}
	return tapped{listener, n.life}, nil
}

// Dial implements election.Network.
func (n network) Dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := n.life.host.Dial(ctx, address)
	if err != nil {
		return nil, err // not a nil *Conn in an interface
	}
	return conn, nil
}

func (l *life) coreConfig() controller.Config {
	n, s := l.node, l.node.world.schedule
	timing := controller.DefaultTiming()
	timing.Guard, timing.ObserveInterval, timing.EvidenceMaxAge = s.Guard, 15*time.Second, s.evidenceMaxAge()
	var nodes []fsm.Attributes
	for _, other := range n.world.nodes {
		nodes = append(nodes, other.attributes())
	}
	self := n.attributes()
	self.Version, self.Level = fmt.Sprintf("v%d", l.build), l.build
	cfg := controller.Config{
		Self:        self.At(l.build),
		MasterOfAny: s.MasterOfAny, Fencing: s.Fencing, Drift: s.Drift, Timing: timing,
		Hints: s.Hints, Configured: nodes,
		Preempt: s.Preempt, PreemptDelay: 2 * time.Second,
		Damping:   controller.Damping{Failures: 3, Within: 10 * time.Minute, Wait: 20 * time.Second},
		Jitter:    n.world.dice.upTo,
		WallClock: func() int64 { return time.Now().UnixMilli() },
	}
	for _, a := range n.placed() {
		cfg.Addresses = append(cfg.Addresses, controller.Placed{ID: fsm.AllocationID(a.AllocationID), Target: a.Target})
	}
	return cfg
}

// placed says where each address goes on the node.
func (n *node) placed() []eip.Placed {
	var placed []eip.Placed
	for i, id := range n.world.schedule.addresses() {
		placed = append(placed, eip.Placed{AllocationID: eip.AllocationID(id), Target: eip.Target{ENI: eip.ENI(n.eni()), PrivateIP: n.place(i)}})
	}
	return placed
}

// attributes are what the node says of itself, its build apart.
func (n *node) attributes() fsm.Attributes {
	return fsm.Attributes{Name: fsm.NodeName(n.name), Address: n.address(), Priority: n.priority, ENI: n.eni(),
		PrivateIP: n.ip.String(), VRRPAddress: n.ip.String()}
}

func (l *life) openEC2(ctx context.Context) (*eip.Group, error) {
	return eip.NewGroup(ctx, eip.Config{
		Region: region, Endpoint: "http://ec2.sim", Credentials: credentials.NewStaticCredentialsProvider(keyID, keySecret, ""), Dial: l.dialEC2,
	}, l.node.placed())
}

func (l *life) wireConfig() vrrpwire.Config {
	cfg := vrrpwire.Config{
		VRID: 51, Version: vrrpwire.Version3, Priority: l.node.priority, Interval: l.node.world.schedule.Advert, Source: l.node.ip,
		NeedEvidence: l.driver.NeedEvidence, Now: l.clock, Logger: l.log,
	}
	for _, n := range l.node.world.nodes {
		if n != l.node {
			cfg.Peers = append(cfg.Peers, n.ip)
		}
	}
	return cfg
}
