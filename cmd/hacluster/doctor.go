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

// Exit statuses of doctor, for scripts.
const (
	statusSick       = 1
	statusUnexamined = 2
)

// sightWithin bounds the look for nodes that the configuration does not name, which comes before the examination.
const sightWithin = 4 * time.Second

func doctorCommand() *cobra.Command {
	var file, node, output string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Examine this node, before its agent runs or beside it: everything that a failover will need",
		Long: "Examine this node: EC2, credentials and permissions, certificates, peers, VRRP, HAProxy, disk and clock. Nothing is changed: EC2 gets\n" +
			"reads and DryRuns. Run it as root on each node; docs/DOCTOR.md has a section for each check.",
		Example: "  hacluster doctor\n  hacluster doctor --config ./hacluster.yaml\n" +
			"  hacluster doctor -o json | jq -r '.findings[] | select(.status == \"fail\") | .check'",
		Args: func(cmd *cobra.Command, args []string) error { return unexamined(cobra.NoArgs(cmd, args)) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				output = "json"
			}
			if output != "table" && output != "json" {
				return unexamined(fmt.Errorf("output %q: write -o table or -o json", output))
			}
			report, status := examine(cmd, file, node)
			write := report.WriteText
			if output == "json" {
				write = report.WriteJSON
			}
			if err := write(cmd.OutOrStdout()); err != nil {
				return unexamined(fmt.Errorf("write report: %w", err))
			}
			if status != 0 {
				return &exitError{status: status}
			}
			return nil
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return unexamined(err) })
	cmd.Flags().StringVar(&file, "config", "/etc/hacluster/hacluster.yaml", "configuration file")
	cmd.Flags().StringVar(&node, "node", "", "examine as this node instead of the one that the file or the hostname names")
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	cmd.Flags().BoolVar(&asJSON, "json", false, "the same as -o json")
	exits(cmd, "nothing failed", "something failed", "the node could not be examined: no such file, an invalid configuration, a wrong command line")
	return cmd
}

// unexamined keeps what kept doctor from its work apart from what it found.
func unexamined(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{status: statusUnexamined, err: err}
}

// examine returns the report and the exit status that it calls for.
func examine(cmd *cobra.Command, file, node string) (doctor.Report, int) {
	cfg, err := config.LoadAs(file, node)
	if err != nil {
		return doctor.Unreadable(err), statusUnexamined
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
		return report, statusUnexamined
	case report.Failed():
		return report, statusSick
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
