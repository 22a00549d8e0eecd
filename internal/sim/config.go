package sim

import (
	"context"
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

func (l *life) electionConfig(rpc *lateHandler) election.Config {
	w := l.node.world
	cfg := election.Config{
		Cluster: "sim", Name: l.node.name, DataDir: l.disk, RPC: rpc, Network: network{l}, Now: l.node.boottime, Logger: l.log,
		Timing: election.Timing{EvidenceMaxAge: controller.DefaultTiming().EvidenceMaxAge},
	}
	for _, n := range w.nodes {
		cfg.Peers = append(cfg.Peers, election.Peer{Name: n.name, Address: n.address()})
	}
	if w.schedule.Hasty {
		cfg.Timing.Heartbeat, cfg.Timing.Election, cfg.Timing.Lease = 60*time.Millisecond, 320*time.Millisecond, 60*time.Millisecond
	}
	if w.schedule.Snapshots {
		cfg.Snapshots = election.Snapshots{Threshold: 8, Trailing: 4, Interval: 2 * time.Second}
	}
	return cfg
}

// network is election.Network over the process's host.
type network struct{ life *life }

// Listen implements election.Network.
func (n network) Listen(address string) (net.Listener, error) { return n.life.host.Listen(address) }

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
	timing.Guard, timing.ObserveInterval = s.Guard, 15*time.Second
	return controller.Config{
		Self: fsm.Attributes{Name: fsm.NodeName(n.name), Address: n.address(), Priority: n.priority, ENI: n.eni(),
			PrivateIP: n.ip.String(), Version: "sim"},
		Address: address, Target: n.target(), Fencing: s.Fencing, Drift: s.Drift, Timing: timing,
		Preempt: s.Preempt, PreemptDelay: 2 * time.Second,
		Jitter:    n.world.dice.upTo,
		WallClock: func() int64 { return time.Now().UnixMilli() },
	}
}

func (n *node) target() eip.Target { return eip.Target{ENI: eip.ENI(n.eni()), PrivateIP: n.ip} }

func (l *life) openEC2(ctx context.Context) (*eip.Client, error) {
	return eip.New(ctx, eip.Config{
		Region: region, Endpoint: "http://ec2.sim", AllocationID: eip.AllocationID(address), Target: l.node.target(),
		Credentials: credentials.NewStaticCredentialsProvider(keyID, keySecret, ""), Dial: l.dialEC2,
	})
}

func (l *life) wireConfig() vrrpwire.Config {
	cfg := vrrpwire.Config{
		VRID: 51, Version: vrrpwire.Version3, Priority: l.node.priority, Interval: wireEvery, Source: l.node.ip,
		NeedEvidence: l.driver.NeedEvidence, Now: l.clock, Logger: l.log,
	}
	for _, n := range l.node.world.nodes {
		if n != l.node {
			cfg.Peers = append(cfg.Peers, n.ip)
		}
	}
	return cfg
}
