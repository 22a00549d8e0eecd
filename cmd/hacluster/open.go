package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/health"
	"github.com/hacluster/hacluster/internal/adminapi"
	"github.com/hacluster/hacluster/internal/boottime"
	"github.com/hacluster/hacluster/internal/config"
	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/internal/hooks"
	"github.com/hacluster/hacluster/internal/metrics"
	"github.com/hacluster/hacluster/vrrpwire"
)

// This file opens the parts of an agent, and tries what they will need before it is needed.

func openAgent(ctx context.Context, cfg config.Config, again *reloader) (*agent, error) {
	log := again.log
	notify, err := hooks.New(hooksConfig(cfg), log.Named("hooks"))
	if err != nil {
		return nil, err
	}
	keys, err := openKeyring(cfg, again.load, log)
	if err != nil {
		return nil, err
	}
	replica := controller.NewReplica()
	lateRPC := &lateHandler{}
	ec := electionConfig(cfg, lateRPC, log)
	ec.Level, ec.Admits, ec.Directory = uint8(fsm.Newest), replica.Admits, replica
	if keys != nil {
		ec.Security = keys
	}
	raft, err := election.Open(ec, replica)
	if err != nil {
		return nil, err
	}
	again.hooks, again.keys = notify, keys
	a := &agent{raft: raft, hooks: notify, keys: keys, again: again,
		metrics: metrics.New(metrics.Identity{Cluster: cfg.Cluster.Name, Node: cfg.Node, Version: version})}
	if err := a.open(ctx, cfg, replica, lateRPC, log); err != nil {
		return nil, errors.Join(err, raft.Close())
	}
	return a, nil
}

func (a *agent) open(ctx context.Context, cfg config.Config, replica *controller.Replica, rpc *lateHandler, log *zap.Logger) error {
	ports := controller.Ports{Raft: a.metrics.MeasureRaft(a.raft), Quorum: a.raft, Ballot: a.raft, Peers: a.raft, Roster: a.raft, Replica: replica,
		Observer: controller.Observers{a.hooks, a.metrics.Observer()}}
	core := coreConfig(cfg)
	if cfg.Self().Witness {
		ports.Wire, ports.EC2 = silentWire{}, noEC2{}
	} else if err := a.openCandidate(ctx, cfg, &core, &ports, log); err != nil {
		return err
	}
	a.driver = controller.NewDriver(core, ports, boottime.Now, log)
	a.again.driver = a.driver
	rpc.set(a.driver.Handler())
	if err := a.openWireIfNeeded(cfg, log); err != nil {
		return err
	}
	socket, err := adminapi.Listen(ctx, cfg.Admin.Socket, cfg.Admin.Group)
	if err != nil {
		return err
	}
	a.admin = adminapi.NewServer(identity(cfg), a.driver, a.raft, socket)
	a.admin.SetReload(a.again.reload)
	a.admin.SetMembership(a.driver)
	if a.keys != nil {
		a.admin.SetCertificate(certificateOf(a.keys))
	}
	a.admin.SetAnswering(a.driver.Answering)
	a.openWeb(ctx, cfg, log)
	return nil
}

// openCandidate finds out where this node wants the address, and tries what it will need before it is needed.
func (a *agent) openCandidate(ctx context.Context, cfg config.Config, core *controller.Config, ports *controller.Ports, log *zap.Logger) error {
	// The limit is that of AWS alone: a member goes on without EC2, and what is opened then needs time of its own.
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
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
	if err := checkScript(cfg); err != nil {
		return err
	}
	monitor, err := health.NewExchange(healthConfig(cfg.Health), log.Named("health"))
	if err != nil {
		return err
	}
	a.ec2, a.sources.EC2, ports.EC2 = client, client, a.metrics.MeasureEC2(client)
	a.health, a.sources.Health, a.again.health, ports.Health = monitor, monitor, monitor, monitor
	return nil
}

// checkScript keeps from being run as the agent what others could change.
func checkScript(cfg config.Config) error {
	if script := cfg.Health.Script; script != nil {
		if err := hooks.CheckProgram(script.Command[0]); err != nil {
			return fmt.Errorf("health.script: %w", err)
		}
	}
	return nil
}

// preflight keeps a new node from joining with an EC2 that refuses it. A node that is a member already starts all the same:
// its vote must not depend on EC2, and the address stays where it is (invariant I4).
func (a *agent) preflight(ctx context.Context, client *eip.Group, log *zap.Logger) error {
	err := client.Preflight(ctx)
	switch {
	case eip.Classify(err) == eip.Throttled:
		// To end here, and be started again until this passes, would use the account's quota up, for failovers too.
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
