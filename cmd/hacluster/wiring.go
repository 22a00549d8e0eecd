package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/health"
	"github.com/hacluster/hacluster/internal/adminapi"
	"github.com/hacluster/hacluster/internal/config"
	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/internal/hooks"
	"github.com/hacluster/hacluster/vrrpwire"
)

// This file translates the configuration file into what each package wants. No decisions.

func newLogger(cfg config.Config) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(cfg.Log.Level)
	if err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	zc := zap.NewProductionConfig()
	zc.Level = zap.NewAtomicLevelAt(level)
	zc.Sampling = nil // each state change is a line
	zc.DisableStacktrace, zc.DisableCaller = true, true
	zc.Encoding = cfg.Log.Format
	zc.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	zc.EncoderConfig.EncodeDuration = zapcore.StringDurationEncoder
	log, err := zc.Build()
	if err != nil {
		return nil, fmt.Errorf("build logger: %w", err)
	}
	return log.With(zap.String("node", cfg.Node)), nil
}

func identity(cfg config.Config) adminapi.Identity {
	return adminapi.Identity{Cluster: cfg.Cluster.Name, Node: cfg.Node, Version: version,
		AllocationID: fsm.AllocationID(cfg.EIP.AllocationID), Witness: cfg.Self().Witness}
}

func electionConfig(cfg config.Config, rpc http.Handler, log *zap.Logger) election.Config {
	ec := election.Config{
		Cluster: cfg.Cluster.Name, Name: cfg.Node, DataDir: cfg.DataDir,
		Timing: election.Timing{
			Heartbeat: cfg.Raft.HeartbeatTimeout, Election: cfg.Raft.ElectionTimeout, Lease: cfg.Raft.LeaderLeaseTimeout,
			LogWrite: cfg.Raft.LogWriteTimeout, EvidenceMaxAge: cfg.Raft.EvidenceMaxAge,
		},
		Snapshots: election.Snapshots{Threshold: uint64(cfg.Raft.SnapshotThreshold), Trailing: uint64(cfg.Raft.TrailingLogs)},
		RPC:       rpc,
		Logger:    log.Named("raft"),
	}
	if cfg.Discovery != nil {
		ec.Expect = cfg.Discovery.Expect
	}
	for _, n := range cfg.Nodes {
		ec.Peers = append(ec.Peers, election.Peer{Name: n.Name, Address: n.Address.String(), Witness: n.Witness})
	}
	return ec
}

func coreConfig(cfg config.Config) controller.Config {
	self := cfg.Self()
	timing := controller.DefaultTiming()
	timing.EvidenceMaxAge = cfg.Raft.EvidenceMaxAge
	timing.ObserveInterval = cfg.EIP.ObserveInterval
	timing.ConfirmTimeout = cfg.EIP.ConfirmTimeout
	timing.ReleaseWait = cfg.EIP.ReleaseWait
	senders := map[netip.Addr]fsm.NodeName{}
	for _, n := range cfg.Nodes {
		senders[n.VRRPAddress] = fsm.NodeName(n.Name)
	}
	return controller.Config{
		Self: fsm.Attributes{Name: fsm.NodeName(self.Name), Address: self.Address.String(), Priority: uint8(self.Priority),
			Witness: self.Witness, Version: version},
		Address: fsm.AllocationID(cfg.EIP.AllocationID),
		Fencing: fsm.Fencing(cfg.EIP.Fencing), Drift: controller.DriftPolicy(cfg.EIP.Drift),
		Timing: timing,
		Hints:  cfg.Raft.Hints, Senders: senders,
		Preempt: cfg.Placement.Preempt, PreemptDelay: cfg.Placement.PreemptDelay,
		Jitter:    func(limit time.Duration) time.Duration { return rand.N(limit + 1) },
		WallClock: func() int64 { return time.Now().UnixMilli() },
	}
}

// openCandidate finds out where this node wants the address, and tries what it will need before it is needed.
func (a *agent) openCandidate(ctx context.Context, cfg config.Config, core *controller.Config, ports *controller.Ports, log *zap.Logger) error {
	id, err := eip.Identify(ctx, eip.IdentityConfig{IMDSEndpoint: cfg.AWS.IMDSEndpoint, Region: cfg.AWS.Region,
		ENI: eip.ENI(cfg.AWS.NetworkInterfaceID), PrivateIP: cfg.AWS.PrivateIP})
	if err != nil {
		return err
	}
	core.Target = id.Target
	core.Self.ENI, core.Self.PrivateIP = string(id.ENI), id.PrivateIP.String()
	client, err := eip.New(ctx, eip.Config{Region: id.Region, Endpoint: cfg.AWS.Endpoint, IMDSEndpoint: cfg.AWS.IMDSEndpoint,
		AllocationID: eip.AllocationID(cfg.EIP.AllocationID), Target: id.Target, AttemptTimeout: cfg.EIP.AttemptTimeout})
	if err != nil {
		return err
	}
	if err := a.preflight(ctx, client, log); err != nil {
		return err
	}
	monitor, err := health.New(healthConfig(cfg.Health), log.Named("health"))
	if err != nil {
		return err
	}
	a.ec2, ports.EC2 = client, client
	a.health, ports.Health = monitor, monitor
	return nil
}

func healthConfig(h config.Health) health.Config {
	var hc health.Config
	if c := h.Process; c != nil {
		hc.Process = &health.ProcessConfig{Name: c.Name, PIDFile: c.PIDFile, Interval: c.Interval}
	}
	if c := h.Stats; c != nil {
		hc.Stats = &health.StatsConfig{Socket: c.Socket, Probe: health.Probe(c.Probe)}
	}
	if c := h.HTTP; c != nil {
		hc.HTTP = &health.HTTPConfig{URL: c.URL, Host: c.Host, Probe: health.Probe(c.Probe)}
		for _, r := range c.Status {
			hc.HTTP.Status = append(hc.HTTP.Status, health.StatusRange(r))
		}
	}
	if c := h.TCP; c != nil {
		hc.TCP = &health.TCPConfig{Address: c.Address, Probe: health.Probe(c.Probe)}
	}
	if c := h.Script; c != nil {
		hc.Script = &health.ScriptConfig{Command: c.Command, Probe: health.Probe(c.Probe)}
	}
	return hc
}

func hooksConfig(cfg config.Config) hooks.Config {
	h := cfg.Hooks
	return hooks.Config{Cluster: cfg.Cluster.Name, Node: cfg.Node, Priority: cfg.Self().Priority, AllocationID: cfg.EIP.AllocationID,
		NotifyMaster: h.NotifyMaster, NotifyBackup: h.NotifyBackup, NotifyFault: h.NotifyFault, NotifyStop: h.NotifyStop, Notify: h.Notify,
		Timeout: h.Timeout}
}

// preflight keeps a new node from joining with an EC2 that refuses it. A node that is a member already starts all the same:
// its vote must not depend on EC2, and the address stays where it is (invariant I4).
func (a *agent) preflight(ctx context.Context, client *eip.Client, log *zap.Logger) error {
	err := client.Preflight(ctx)
	if err != nil && a.raft.Known() {
		log.Error("EC2 refuses this node; it votes, but cannot take the address", zap.Error(err))
		return nil
	}
	return err
}

// openWireIfNeeded: a witness only listens, for the sake of hints. Its vote does not depend on that.
func (a *agent) openWireIfNeeded(cfg config.Config, log *zap.Logger) error {
	witness := cfg.Self().Witness
	if witness && !cfg.Raft.Hints {
		return nil
	}
	err := a.openWire(cfg, log)
	if witness && err != nil {
		log.Warn("this witness cannot hear adverts, so it is no help in a fast election; it votes all the same", zap.Error(err))
		return nil
	}
	return err
}

func (a *agent) openWire(cfg config.Config, log *zap.Logger) error {
	wc := vrrpwire.Config{
		VRID: uint8(cfg.VRRP.VirtualRouterID), Version: uint8(cfg.VRRP.Version), Priority: uint8(cfg.Self().Priority),
		Interval: cfg.VRRP.AdvertisementInterval, Source: cfg.Self().VRRPAddress, Interface: cfg.VRRP.Interface,
		NeedEvidence: a.driver.NeedEvidence, MayReign: a.driver.MayReign, Logger: log,
	}
	if cfg.VRRP.AuthPass != "" {
		auth, err := vrrpwire.Password(cfg.VRRP.AuthPass)
		if err != nil {
			return fmt.Errorf("vrrp.auth_pass: %w", err)
		}
		wc.Auth = auth
	}
	if cfg.VRRP.Checksum == config.ChecksumAsV2 {
		wc.Checksum = vrrpwire.ChecksumAsV2
	}
	for _, p := range cfg.Peers() {
		if !p.Witness || cfg.Raft.Hints {
			wc.Peers = append(wc.Peers, p.VRRPAddress)
		}
	}
	wc.Peers = append(wc.Peers, cfg.VRRP.ExtraPeers...)
	wc.Addresses = cfg.VRRP.Addresses
	wire, err := vrrpwire.Open(wc, a.driver.WirePermit)
	if err != nil {
		return err
	}
	a.driver.SetWire(wire)
	a.driver.SetMonitor(wire)
	a.wire = wire
	return nil
}

// lateHandler is the rpc handler of a driver that does not exist yet while the port is being opened.
type lateHandler struct{ handler atomic.Pointer[http.Handler] }

func (l *lateHandler) set(h http.Handler) { l.handler.Store(&h) }

// ServeHTTP answers 503 until the handler is set.
func (l *lateHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := l.handler.Load()
	if h == nil {
		http.Error(w, "starting", http.StatusServiceUnavailable)
		return
	}
	(*h).ServeHTTP(w, r)
}

// silentWire is the wire of a witness without hints, which neither advertises nor listens.
type silentWire struct{}

func (silentWire) Reign(time.Duration)          {}
func (silentWire) Resign(string)                {}
func (silentWire) Heard() <-chan vrrpwire.Heard { return nil }
func (silentWire) Drain()                       {}

// noEC2 is the EC2 of a witness, which never calls it.
type noEC2 struct{}

var errWitness = errors.New("a witness never calls EC2")

func (noEC2) Observe(context.Context) (eip.Address, error) { return eip.Address{}, errWitness }
func (noEC2) Associate(context.Context, bool, eip.Permit) (eip.AssociationID, error) {
	return "", errWitness
}
func (noEC2) Disassociate(context.Context, eip.AssociationID, eip.Permit) error { return errWitness }
