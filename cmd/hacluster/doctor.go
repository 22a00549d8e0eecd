package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/hacluster/hacluster/internal/config"
	"github.com/hacluster/hacluster/internal/discovery"
	"github.com/hacluster/hacluster/internal/doctor"
	"github.com/hacluster/hacluster/internal/keyring"
)

// sightWithin bounds the look for nodes that the configuration does not name, which comes before the examination.
const sightWithin = 4 * time.Second

func doctorCommand() *cobra.Command {
	var file, node string
	var asJSON bool
	var output *format
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Examine this node, before its agent runs or beside it: everything that a failover will need",
		Long: "Examine this node: EC2, credentials and permissions, certificates, peers, VRRP, HAProxy, disk and clock. Nothing is changed: EC2 gets\n" +
			"reads and DryRuns. Run it as root on each node; docs/DOCTOR.md has a section for each check.",
		Example: "  hacluster doctor\n  hacluster doctor --config ./hacluster.yaml\n" +
			"  hacluster doctor -o json | jq -r '.findings[] | select(.status == \"fail\") | .check'",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, status := examine(cmd, file, node)
			write := report.WriteText
			if asJSON || output.json() {
				write = report.WriteJSON
			}
			if err := write(cmd.OutOrStdout()); err != nil {
				return notTried(fmt.Errorf("write report: %w", err))
			}
			if status != 0 {
				return &exitError{status: status}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "config", defaultConfig, "configuration file")
	cmd.Flags().StringVar(&node, "node", "", "examine as this node instead of the one that the file or the hostname names")
	output = addFormat(cmd, "table")
	cmd.Flags().BoolVar(&asJSON, "json", false, "the same as -o json")
	exits(cmd, "nothing failed", "something failed", "the node could not be examined: no such file, an invalid configuration, a wrong command line")
	return cmd
}

// examine returns the report and the exit status that it calls for.
func examine(cmd *cobra.Command, file, node string) (doctor.Report, int) {
	cfg, err := config.LoadAs(file, node)
	if err != nil {
		return doctor.Unreadable(err), statusNotTried
	}
	load := func() (config.Config, error) { return config.LoadAs(file, node) }
	var sighting *doctor.Sighting
	if cfg.Discovery != nil {
		s := sight(cmd.Context(), cfg)
		sighting, cfg = &s, placed(cfg, s.Place)
	}
	dc := doctorConfig(cfg, load)
	dc.Sighting = sighting
	report := doctor.Examine(cmd.Context(), dc)
	switch {
	case cmd.Context().Err() != nil: // interrupted
		return report, statusNotTried
	case report.Failed():
		return report, statusNotDone
	}
	return report, 0
}

// sight looks for the nodes that the configuration does not name.
func sight(ctx context.Context, cfg config.Config) doctor.Sighting {
	ctx, cancel := context.WithTimeout(ctx, sightWithin)
	defer cancel()
	scout, err := newScout(ctx, cfg, zap.NewNop())
	if err != nil {
		scout = discovery.Scout{DataDir: cfg.DataDir, Log: zap.NewNop()}
	}
	return doctor.Sight(ctx, scout, err)
}

func doctorConfig(cfg config.Config, load func() (config.Config, error)) doctor.Config {
	dc := doctor.Config{File: cfg, Health: healthConfig(cfg.Health), Election: electionConfig(cfg, nil, zap.NewNop())}
	if cfg.TLS != nil {
		dc.Keyring = func() (*keyring.Keyring, error) { return openKeyring(cfg, load, zap.NewNop()) }
	}
	return dc
}
