package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/internal/adminapi"
	"github.com/hacluster/hacluster/internal/config"
	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/internal/discovery"
	"github.com/hacluster/hacluster/internal/hooks"
	"github.com/hacluster/hacluster/internal/keyring"
	"github.com/hacluster/hacluster/internal/metrics"
)

// startWithin bounds what is looked up and tried before the agent takes part: IMDS and the DryRuns.
const startWithin = 20 * time.Second

func agentCommand() *cobra.Command {
	var file, node string
	cmd := &cobra.Command{
		Use:     "agent [--config FILE]",
		Short:   "Run this node",
		Long:    "Run this node until it is told to end (SIGTERM, SIGINT); SIGHUP is 'hacluster reload'.",
		Example: "  hacluster agent --config /etc/hacluster/hacluster.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			hangUps := takeHangUps()
			load := func() (config.Config, error) { return config.LoadAs(file, node) }
			cfg, err := load()
			if err != nil {
				return &exitError{status: statusMisconfigured, err: err}
			}
			log, level, err := newLogger(cfg)
			if err != nil {
				return err
			}
			s, err := newService(log)
			if err != nil {
				return err
			}
			again := &reloader{hangUps: hangUps, load: load, running: cfg, log: log, level: level}
			return s.run(cmd.Context(), func(ctx context.Context) error {
				if cfg.Discovery != nil {
					return runDiscovered(ctx, cfg, again, s)
				}
				return runAgent(ctx, cfg, again, s)
			})
		},
	}
	cmd.Flags().StringVar(&file, "config", defaultConfig, "configuration file")
	cmd.Flags().StringVar(&node, "node", "", "run as this node instead of the one that the file or the hostname names")
	exits(cmd, "ended by SIGTERM or SIGINT, after it handed over", "ended by an error; the log has the reason, and systemd starts it again",
		"the command line is wrong", fmt.Sprintf("%d  the configuration cannot be used; systemd does not start it again", statusMisconfigured))
	return cmd
}

// runAgent opens everything first, so that what is missing is said before the node takes part, then runs it all. with adds what not every
// agent has.
func runAgent(ctx context.Context, cfg config.Config, again *reloader, s *service, with ...func(*agent)) error {
	log := again.log
	for _, w := range cfg.Warnings() {
		log.Warn(w)
	}
	if err := hideMemory(); err != nil {
		return err
	}
	a, err := openAgent(ctx, cfg, again)
	if err != nil {
		return err
	}
	a.service = s
	for _, add := range with {
		add(a)
	}
	log.Info("agent started", zap.String("version", version), zap.String("state", string(controller.Init)))
	err = a.run(ctx)
	if err == nil || errors.Is(err, context.Canceled) {
		log.Info("agent stopped")
		return nil
	}
	return err
}

// agent is everything that runs on a node.
type agent struct {
	raft      *election.Node
	driver    *controller.Driver
	admin     *adminapi.Server
	ec2       runner // keeps the way to EC2 warm; nil on a witness
	health    runner // nil on a witness
	wire      runner // nil on a witness
	web       runner // nil: there are no pages
	hooks     *hooks.Runner
	keys      *keyring.Keyring // nil: the nodes talk over plain TCP
	again     *reloader
	service   *service
	discovery runner           // nil: the nodes are configured
	meter     *discovery.Meter // what it came to; nil likewise

	metrics *metrics.Metrics
	sources metrics.Sources // what they are read from
}

type runner interface{ Run(context.Context) error }

// run ends in this order: the driver hands over, everything else stops, the last hooks run.
func (a *agent) run(stop context.Context) error {
	notifying, ended := context.WithCancelCause(context.WithoutCancel(stop))
	var g errgroup.Group
	g.Go(func() error { return a.hooks.Run(notifying) })
	err := a.serve(stop)
	if errors.Is(err, discovery.ErrMoved) {
		ended(hooks.ErrReplaced)
	} else {
		a.service.manager.Stopping()
		ended(nil)
	}
	return errors.Join(err, g.Wait())
}

// serve runs all but the hooks until the driver has handed over or a part fails.
func (a *agent) serve(stop context.Context) error {
	base, cancel := context.WithCancel(context.WithoutCancel(stop))
	defer cancel()
	defer a.service.watch(a.driver)()
	g, ctx := errgroup.WithContext(base)
	g.Go(func() error { return named("raft", a.raft.Run(ctx)) })
	g.Go(func() error { return a.admin.Run(ctx) })
	g.Go(func() error { return a.again.Run(ctx) })
	if a.keys != nil {
		g.Go(func() error { return a.keys.Run(ctx) })
	}
	for name, r := range map[string]runner{"ec2": a.ec2, "health": a.health, "vrrp": a.wire, "http": a.web, "discovery": a.discovery} {
		if r != nil {
			g.Go(func() error { return named(name, r.Run(ctx)) })
		}
	}
	g.Go(func() error {
		defer cancel()
		driving, end := context.WithCancel(ctx)
		defer end()
		defer context.AfterFunc(stop, end)()
		return a.driver.Run(driving)
	})
	a.service.manager.Ready()
	return g.Wait()
}

// named says which part ended the agent. The end of the context is not an error.
func named(part string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return fmt.Errorf("%s: %w", part, err)
}
