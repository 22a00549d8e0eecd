package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/boottime"
	"github.com/hacluster/hacluster/internal/config"
	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/internal/discovery"
)

const (
	// lookAgain is how often a node without a place in a cluster reads EC2, unless discovery.interval is shorter.
	lookAgain = 10 * time.Second
	// discoveredPriority is that of every node that was found: nobody said which is better.
	discoveredPriority = 100
	// answeredLately is how recent a member's newest word must be for it to be alive.
	answeredLately = 2 * time.Second
)

// runDiscovered runs the agent among the instances that carry the tag. Until it has a place in a cluster it begins again whenever others are
// found: the nodes that begin a cluster together must have found the same ones.
func runDiscovered(ctx context.Context, cfg config.Config, again *reloader, s *service) error {
	log := again.log
	scout, err := newScout(ctx, cfg, log)
	if err != nil {
		return err
	}
	for {
		place, err := scout.Find(ctx)
		if err != nil {
			return err
		}
		found := placed(cfg, place)
		named, level, err := newLogger(found)
		if err != nil {
			return err
		}
		discover := func(a *agent) {
			measured := scout
			measured.Finder = a.meter.Measure(scout.Finder)
			a.discovery = discoverer{agent: a, cfg: found, scout: measured, place: place, log: named}
		}
		next := &reloader{hangUps: again.hangUps, load: again.loadAs(place), running: found, log: named, level: level}
		err = runAgent(ctx, found, next, s, discover)
		if !errors.Is(err, discovery.ErrMoved) {
			return err
		}
		log.Info("beginning again", zap.Error(err))
	}
}

// loadAs reads the configuration file anew, as if it had named the nodes that were found.
func (r *reloader) loadAs(place discovery.Place) func() (config.Config, error) {
	return func() (config.Config, error) {
		cfg, err := r.load()
		if err != nil || cfg.Discovery == nil {
			return cfg, err
		}
		return placed(cfg, place), nil
	}
}

// placed is the configuration as if the file had named the nodes.
func placed(cfg config.Config, place discovery.Place) config.Config {
	cfg.Node, cfg.Nodes = place.Self, nil
	for _, n := range place.Nodes {
		cfg.Nodes = append(cfg.Nodes, config.Node{Name: n.Name, Address: n.Address, VRRPAddress: n.VRRP, Priority: discoveredPriority})
	}
	return cfg
}

func newScout(ctx context.Context, cfg config.Config, log *zap.Logger) (discovery.Scout, error) {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	finder, err := newFinder(ctx, cfg)
	if err != nil {
		return discovery.Scout{}, err
	}
	self := func(ctx context.Context) (string, error) {
		id, err := eip.Identify(ctx, eip.IdentityConfig{IMDSEndpoint: cfg.AWS.IMDSEndpoint, Region: cfg.AWS.Region})
		return id.InstanceID, err
	}
	return discovery.Scout{Self: self, Finder: finder, Layout: layout(cfg), DataDir: cfg.DataDir,
		Interval: min(lookAgain, cfg.Discovery.Interval), Log: log.Named("discovery")}, nil
}

func newFinder(ctx context.Context, cfg config.Config) (*eip.Finder, error) {
	key, value := cfg.Discovery.TagParts()
	return eip.NewFinder(ctx, eip.FinderConfig{Region: cfg.AWS.Region, Endpoint: cfg.AWS.Endpoint, IMDSEndpoint: cfg.AWS.IMDSEndpoint,
		Tag: eip.Tag{Key: key, Value: value}})
}

func layout(cfg config.Config) discovery.Layout {
	return discovery.Layout{Port: uint16(cfg.Discovery.Port), VRRP: cfg.Discovery.VRRP}
}

// discoverer looks for other instances: at first for those to found or join a cluster with, and then, as leader, for new members and lost ones.
type discoverer struct {
	agent *agent
	cfg   config.Config
	scout discovery.Scout
	place discovery.Place
	log   *zap.Logger
}

// Run runs until ctx ends, or others are to be begun with.
func (d discoverer) Run(ctx context.Context) error {
	if err := d.scout.Run(ctx, d.place, func() bool { return settled(d.agent.raft) }); err != nil || ctx.Err() != nil {
		return err
	}
	return discovery.NewKeeper(discovery.KeeperConfig{Self: d.cfg.Node, Layout: layout(d.cfg), Interval: d.cfg.Discovery.Interval,
		Stabilisation: d.cfg.Discovery.Stabilisation, Now: boottime.Now, Meter: d.agent.meter}, d.scout.Finder, roster{d.agent.driver}, d.log.Named("discovery")).Run(ctx)
}

// settled reports whether the node has a place in a cluster, or is being let into one.
func settled(raft *election.Node) bool { return raft.Status().State != election.Starting }

// roster is the committed list of members, for discovery.
type roster struct{ driver *controller.Driver }

// Members implements discovery.Roster.
func (r roster) Members() (members []discovery.Member, leads bool) {
	if !r.driver.View().Leadership.Self {
		return nil, false
	}
	list := r.driver.Members(context.Background()) // a leader asks nobody
	for _, m := range list.Members {
		if m.Standing == controller.StandingRemoved || m.Standing == controller.StandingLeaving {
			continue
		}
		address, err := netip.ParseAddrPort(m.Address)
		if err != nil {
			continue // a member that has not said where it is yet
		}
		answers := m.Name == list.From || m.ContactMS >= 0 && m.ContactMS < answeredLately.Milliseconds()
		members = append(members, discovery.Member{Name: m.Name, Address: address, Voter: m.Standing == controller.StandingVoter, Reachable: answers})
	}
	return members, true
}

// Admit implements discovery.Roster.
func (r roster) Admit(ctx context.Context, node discovery.Node) error {
	_, err := r.driver.RequestAdmit(ctx, fsm.Attributes{Name: fsm.NodeName(node.Name), Address: node.Address.String(),
		VRRPAddress: node.VRRP.String(), Priority: discoveredPriority})
	return err
}

// Remove implements discovery.Roster.
func (r roster) Remove(ctx context.Context, name string) error {
	return r.driver.RemoveLost(ctx, fsm.NodeName(name), "its instance is gone")
}

// recalled is the configuration of a stopped agent: discovered nodes are those that it found last.
func recalled(cfg config.Config) (config.Config, error) {
	if cfg.Discovery == nil {
		return cfg, nil
	}
	place, err := discovery.Scout{DataDir: cfg.DataDir, Log: zap.NewNop()}.Recall()
	switch {
	case err != nil:
		return config.Config{}, err
	case place.Self == "":
		return config.Config{}, fmt.Errorf("the data dir %s does not say which nodes were found: there is nothing to recover from on this node", cfg.DataDir)
	}
	return placed(cfg, place), nil
}
