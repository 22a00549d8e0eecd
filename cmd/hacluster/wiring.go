package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
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

func newLogger(cfg config.Config) (*zap.Logger, zap.AtomicLevel, error) {
	level, err := zapcore.ParseLevel(cfg.Log.Level)
	if err != nil {
		return nil, zap.AtomicLevel{}, fmt.Errorf("log.level: %w", err)
	}
	zc := zap.NewProductionConfig()
	zc.Level = zap.NewAtomicLevelAt(level)
	zc.Sampling = nil // each state change is a line
	zc.DisableStacktrace, zc.DisableCaller = true, true
	zc.Encoding = cfg.Log.Format
	zc.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	zc.EncoderConfig.EncodeDuration = zapcore.StringDurationEncoder
	log, err := zc.Build(zap.WrapCore(func(c zapcore.Core) zapcore.Core { return oneLine{c} }))
	if err != nil {
		return nil, zap.AtomicLevel{}, fmt.Errorf("build logger: %w", err)
	}
	return log.With(zap.String("node", cfg.Node)), zc.Level, nil
}

func identity(cfg config.Config) adminapi.Identity {
	return adminapi.Identity{Cluster: cfg.Cluster.Name, Node: cfg.Node, Version: version,
		Witness: cfg.Self().Witness}
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
	ec.JoinOnly = cfg.JoinOnly()
	if cfg.Discovery != nil {
		// One that was found alone waits for others, and is found by them: Expect keeps it from beginning a cluster.
		ec.JoinOnly, ec.Expect = false, cfg.Discovery.Expect
	}
	for _, n := range cfg.Nodes {
		ec.Peers = append(ec.Peers, election.Peer{Name: n.Name, Address: n.Address.String(), Witness: n.Witness})
	}
	return ec
}

func coreConfig(cfg config.Config) controller.Config {
	timing := controller.DefaultTiming()
	timing.EvidenceMaxAge = cfg.Raft.EvidenceMaxAge
	timing.ObserveInterval = cfg.EIP.ObserveInterval
	timing.ConfirmTimeout = cfg.EIP.ConfirmTimeout
	timing.ReleaseWait = cfg.EIP.ReleaseWait
	var nodes []fsm.Attributes
	for _, n := range cfg.Nodes {
		nodes = append(nodes, attributes(n))
	}
	self := attributes(cfg.Self())
	self.Version, self.Level = version, fsm.Newest
	return controller.Config{
		Self:      self,
		Addresses: addresses(cfg), MasterOfAny: cfg.EIP.MasterWhen == config.MasterWhenAny,
		Fencing: fsm.Fencing(cfg.EIP.Fencing), Drift: controller.DriftPolicy(cfg.EIP.Drift),
		Timing: timing,
		Hints:  cfg.Raft.Hints, Configured: nodes,
		Preempt: cfg.Placement.Preempt, PreemptDelay: cfg.Placement.PreemptDelay, Damping: controller.Damping(cfg.Placement.Damping),
		Jitter:    func(limit time.Duration) time.Duration { return rand.N(limit + 1) },
		WallClock: func() int64 { return time.Now().UnixMilli() },
	}
}

// attributes are what the configuration file says of a node.
func attributes(n config.Node) fsm.Attributes {
	a := fsm.Attributes{Name: fsm.NodeName(n.Name), Address: n.Address.String(), Priority: uint8(n.Priority), Witness: n.Witness}
	if n.VRRPAddress.IsValid() {
		a.VRRPAddress = n.VRRPAddress.String()
	}
	return a
}

// addresses are those that the cluster manages; where they go on this node is found out later.
func addresses(cfg config.Config) []controller.Placed {
	var placed []controller.Placed
	for _, id := range allocationIDs(cfg) {
		placed = append(placed, controller.Placed{ID: id})
	}
	return placed
}

func allocationIDs(cfg config.Config) []fsm.AllocationID {
	var ids []fsm.AllocationID
	for _, id := range cfg.EIP.IDs() {
		ids = append(ids, fsm.AllocationID(id))
	}
	return ids
}

// place says where each address goes on this node: to the configured private address, or the only one to the interface's.
func place(cfg config.Config, id eip.Identity, addresses []controller.Placed) ([]eip.Placed, error) {
	var placed []eip.Placed
	for i := range addresses {
		target := id.Target
		if configured := cfg.Self().PrivateIPs; len(configured) > 0 {
			target.PrivateIP = configured[i]
		}
		if id.Addresses != nil && !slices.Contains(id.Addresses, target.PrivateIP) {
			return nil, fmt.Errorf("network interface %s does not have %v, the place of %s: assign it as a secondary private address, or correct private_ips of %s",
				target.ENI, target.PrivateIP, addresses[i].ID, cfg.Node)
		}
		addresses[i].Target = target
		placed = append(placed, eip.Placed{AllocationID: eip.AllocationID(addresses[i].ID), Target: target})
	}
	return placed, nil
}

// firstPrivateIP tells the interface apart, if anything does.
func firstPrivateIP(cfg config.Config) netip.Addr {
	if p := cfg.Self().PrivateIPs; len(p) > 0 {
		return p[0]
	}
	return cfg.AWS.PrivateIP
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
	return hooks.Config{Cluster: cfg.Cluster.Name, Node: cfg.Node, Priority: cfg.Self().Priority, AllocationIDs: strings.Join(cfg.EIP.IDs(), " "),
		NotifyMaster: h.NotifyMaster, NotifyBackup: h.NotifyBackup, NotifyFault: h.NotifyFault, NotifyStop: h.NotifyStop, Notify: h.Notify,
		Timeout: h.Timeout}
}

// wireConfig is what the configuration file says about the wire.
func wireConfig(cfg config.Config) (vrrpwire.Config, error) {
	v := cfg.VRRP
	wc := vrrpwire.Config{
		VRID: uint8(v.VirtualRouterID), Version: uint8(v.Version), Priority: uint8(cfg.Self().Priority), Interval: v.AdvertisementInterval,
		Source: cfg.Self().VRRPAddress, Interface: v.Interface, MinTTL: uint8(v.MinTTL), Addresses: v.Addresses,
	}
	if v.AuthPass != "" {
		auth, err := vrrpwire.Password(v.AuthPass)
		if err != nil {
			return vrrpwire.Config{}, fmt.Errorf("vrrp.auth_pass: %w", err)
		}
		wc.Auth = auth
	}
	if v.Checksum == config.ChecksumAsV2 {
		wc.Checksum = vrrpwire.ChecksumAsV2
	}
	for _, p := range cfg.Peers() {
		if !p.Witness || cfg.Raft.Hints {
			wc.Peers = append(wc.Peers, p.VRRPAddress)
		}
	}
	wc.Peers = extraPeers{extra: v.ExtraPeers}.beside(wc.Peers)
	return wc, nil
}
