package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
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

// openCandidate finds out where this node wants the address, and tries what it will need before it is needed.
func (a *agent) openCandidate(ctx context.Context, cfg config.Config, core *controller.Config, ports *controller.Ports, log *zap.Logger) error {
	id, err := eip.Identify(ctx, eip.IdentityConfig{IMDSEndpoint: cfg.AWS.IMDSEndpoint, Region: cfg.AWS.Region,
		ENI: eip.ENI(cfg.AWS.NetworkInterfaceID), PrivateIP: firstPrivateIP(cfg)})
	if err != nil {
		return err
	}
	placed, err := place(cfg, id, core.Addresses)
	if err != nil {
		return err
	}
	core.Self.ENI, core.Self.PrivateIP = string(id.ENI), id.PrivateIP.String()
	client, err := eip.NewGroup(ctx, eip.Config{Region: id.Region, Endpoint: cfg.AWS.Endpoint, IMDSEndpoint: cfg.AWS.IMDSEndpoint,
		AttemptTimeout: cfg.EIP.AttemptTimeout}, placed)
	if err != nil {
		return err
	}
	if err := a.preflight(ctx, client, log); err != nil {
		return err
	}
	if script := cfg.Health.Script; script != nil {
		if err := hooks.CheckProgram(script.Command[0]); err != nil {
			return fmt.Errorf("health.script: %w", err)
		}
	}
	monitor, err := health.NewExchange(healthConfig(cfg.Health), log.Named("health"))
	if err != nil {
		return err
	}
	a.ec2, a.sources.EC2, ports.EC2 = client, client, a.metrics.MeasureEC2(client)
	a.health, a.sources.Health, a.again.health, ports.Health = monitor, monitor, monitor, monitor
	return nil
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

// preflight keeps a new node from joining with an EC2 that refuses it. A node that is a member already starts all the same:
// its vote must not depend on EC2, and the address stays where it is (invariant I4).
func (a *agent) preflight(ctx context.Context, client *eip.Group, log *zap.Logger) error {
	err := client.Preflight(ctx)
	switch {
	case eip.Classify(err) == eip.Throttled:
		// A node that started again and again until it is not would keep the account's quota used up, for failovers too.
		log.Warn("EC2 throttles this account, so not all that a failover needs was tried; 'hacluster doctor' tries it later", zap.Error(err))
		return nil
	case err != nil && a.raft.Known():
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
	wc, err := wireConfig(cfg)
	if err != nil {
		return err
	}
	wc.NeedEvidence, wc.MayReign, wc.Logger = a.driver.NeedEvidence, a.driver.MayReign, log
	wire, err := vrrpwire.Open(wc, a.driver.WirePermit)
	if err != nil {
		return err
	}
	a.driver.SetWire(wire)
	a.driver.SetMonitor(wire)
	a.driver.SetPeering(extraPeers{wire: wire, extra: cfg.VRRP.ExtraPeers})
	a.wire = wire
	return nil
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

// extraPeers sends adverts to the peers that are no nodes, too.
type extraPeers struct {
	wire  *vrrpwire.Endpoint
	extra []netip.Addr
}

// SetPeers implements controller.Peering.
func (e extraPeers) SetPeers(peers []netip.Addr) error { return e.wire.SetPeers(e.beside(peers)) }

// beside appends those that are no nodes by now.
func (e extraPeers) beside(peers []netip.Addr) []netip.Addr {
	all := slices.Clone(peers)
	for _, p := range e.extra {
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
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

func (noEC2) Observe(context.Context) ([]eip.Address, error) { return nil, errWitness }
func (noEC2) Associate(context.Context, eip.AllocationID, bool, eip.Permit) (eip.AssociationID, error) {
	return "", errWitness
}
func (noEC2) Disassociate(context.Context, eip.AssociationID, eip.Permit) error { return errWitness }
