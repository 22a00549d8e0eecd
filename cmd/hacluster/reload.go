package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/hacluster/hacluster/health"
	"github.com/hacluster/hacluster/internal/adminapi"
	"github.com/hacluster/hacluster/internal/config"
	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/internal/hooks"
	"github.com/hacluster/hacluster/internal/keyring"
)

const reloadTimeout = 10 * time.Second

func reloadCommand() *cobra.Command {
	var socket string
	var output *format
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Let the agent read its configuration file anew; nothing moves because of that",
		Long: "Let the agent read its configuration file anew, as SIGHUP does. A file with a mistake changes nothing. What can change while the agent\n" +
			"runs does; what cannot is named, and waits for a restart.",
		Example: "  hacluster config check /etc/hacluster/hacluster.yaml && hacluster reload",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), reloadTimeout)
			defer cancel()
			r, err := adminapi.NewClient(socket).Reload(ctx)
			if err != nil {
				return fmt.Errorf("reload: nothing was changed: %w", err)
			}
			return output.write(cmd.OutOrStdout(), r, func(w io.Writer) error { return printReloaded(w, r) })
		},
	}
	cmd.Flags().StringVar(&socket, "socket", defaultSocket, "the agent's admin socket")
	output = addFormat(cmd, "text")
	exits(cmd, "the file was read; what waits for a restart is named", "the file has a mistake, and nothing was changed",
		"not tried: the command line is wrong, or the agent does not answer")
	return cmd
}

func printReloaded(w io.Writer, r adminapi.Reloaded) error {
	for _, key := range r.Changed {
		fmt.Fprintf(w, "%s: taken\n", key)
	}
	for _, key := range slices.Sorted(maps.Keys(r.Restart)) {
		fmt.Fprintf(w, "%s: restart the agent: %s\n", key, r.Restart[key])
	}
	if len(r.Changed)+len(r.Restart) == 0 {
		fmt.Fprintln(w, "nothing has changed")
	}
	return nil
}

// reloader takes what a running agent can take of a configuration file that has changed.
type reloader struct {
	// hangUps are the process's, which may run one agent after another (runDiscovered): without a reader they wait, rather than end it.
	hangUps <-chan os.Signal
	load    func() (config.Config, error)
	log     *zap.Logger
	level   zap.AtomicLevel
	driver  *controller.Driver
	health  *health.Exchange // nil on a witness
	hooks   *hooks.Runner
	keys    *keyring.Keyring // nil: plain TCP

	mu      sync.Mutex
	running config.Config
}

// takeHangUps keeps SIGHUP from ending the process, from here on. One that nobody has read yet is enough: the file is read anew as it is then.
func takeHangUps() <-chan os.Signal {
	hangUps := make(chan os.Signal, 1)
	signal.Notify(hangUps, syscall.SIGHUP)
	return hangUps
}

// Run reads the file anew at each SIGHUP.
func (r *reloader) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.hangUps:
			if _, err := r.reload(); err != nil {
				r.log.Error("the configuration file was not taken", zap.Error(err))
			}
		}
	}
}

// reload takes the file, or nothing of it.
func (r *reloader) reload() (adminapi.Reloaded, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := adminapi.Reloaded{Changed: []string{}, Restart: map[string]string{}}
	now, err := r.load()
	if err != nil {
		return out, err
	}
	for _, change := range config.Diff(r.running, now) {
		if change.Restart != "" {
			out.Restart[change.Key] = change.Restart
			continue
		}
		out.Changed = append(out.Changed, change.Key)
	}
	taken := config.Take(r.running, now)
	if err := r.take(taken); err != nil {
		return out, err
	}
	r.running = taken
	r.log.Info("configuration file read anew", zap.Strings("changed", out.Changed), zap.Strings("after_restart", slices.Sorted(maps.Keys(out.Restart))))
	return out, nil
}

// take begins with what can be refused.
func (r *reloader) take(cfg config.Config) error {
	if err := checkScript(cfg); r.health != nil && err != nil {
		return err
	}
	if err := r.hooks.Replace(hooksConfig(cfg)); err != nil {
		return err
	}
	if r.health != nil && !equalHealth(cfg.Health, r.running.Health) {
		if err := r.health.Replace(healthConfig(cfg.Health)); err != nil {
			return err
		}
	}
	if err := r.level.UnmarshalText([]byte(cfg.Log.Level)); err != nil {
		return fmt.Errorf("log.level: %w", err)
	}
	if r.keys != nil {
		r.keys.Recheck()
	}
	ctx, cancel := context.WithTimeout(context.Background(), reloadTimeout)
	defer cancel()
	return r.driver.Tell(ctx, controller.Reconfigured{Settings: settings(cfg)})
}

func equalHealth(a, b config.Health) bool {
	return len(config.Diff(config.Config{Health: a}, config.Config{Health: b})) == 0
}

// settings are those that a running core takes.
func settings(cfg config.Config) controller.Settings {
	return controller.Settings{Drift: controller.DriftPolicy(cfg.EIP.Drift), Preempt: cfg.Placement.Preempt, PreemptDelay: cfg.Placement.PreemptDelay,
		Damping:         controller.Damping(cfg.Placement.Damping),
		ObserveInterval: cfg.EIP.ObserveInterval, ConfirmTimeout: cfg.EIP.ConfirmTimeout, ReleaseWait: cfg.EIP.ReleaseWait}
}
