package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/costs"
	"github.com/hacluster/hacluster/internal/lab/show"
)

// calm is how long a cluster is left alone before its costs are measured.
const calm = 10 * time.Second

// costsFlags are the flags of the costs command.
type costsFlags struct {
	common
	duration time.Duration
	profiles []string
	starts   int
	json     string
	markdown string
}

func costsCommand() *cobra.Command {
	var flags costsFlags
	cmd := &cobra.Command{
		Use:   "costs",
		Short: "Measure what a healthy cluster takes while nothing happens",
		Long: `Measure what a healthy cluster takes while nothing happens, for Master and Backup: CPU, memory, packets, EC2 calls,
Raft log entries, lines logged; and the size of the program and the time that it takes to start.`,
		Example: "  hacluster-lab costs --json build/costs.json --markdown build/costs.md",
		Args:    cobra.NoArgs,
	}
	cmd.RunE = inside(func(cmd *cobra.Command) error { return measureCosts(cmd, &flags) })
	flags.register(cmd)
	f := cmd.Flags()
	f.DurationVar(&flags.duration, "duration", 3*time.Minute, "how long to measure each profile")
	f.StringSliceVar(&flags.profiles, "profile", []string{"default", "fast"}, "profiles of the configuration")
	f.IntVar(&flags.starts, "starts", 5, "how often to measure a start")
	f.StringVar(&flags.json, "json", "", "write the report to this file")
	f.StringVar(&flags.markdown, "markdown", "", "write the table to this file")
	return cmd
}

func measureCosts(cmd *cobra.Command, flags *costsFlags) error {
	if flags.duration <= 0 || flags.starts < 0 {
		return errors.New("--duration and --starts: choose positive ones")
	}
	progress := &show.Progress{Out: cmd.ErrOrStderr(), Started: time.Now()}
	opts, err := flags.options(progress.Line)
	if err != nil {
		return err
	}
	about := show.NewReport(cmd.Context(), opts.Hacluster)
	report := costs.Report{Machine: about.Machine, Versions: about.Versions, Date: about.Date}
	if report.Program, err = costs.ReadProgram(opts.Hacluster); err != nil {
		return err
	}
	err = lab.Run(cmd.Context(), opts, func(ctx context.Context, l *lab.Lab) error {
		for _, profile := range flags.profiles {
			p, err := costs.Measure(ctx, l, profile, costs.Options{
				Dir: opts.Dir, Calm: calm, Duration: flags.duration, Starts: flags.starts, Say: progress.Line,
			})
			if err != nil {
				return err
			}
			report.Profiles = append(report.Profiles, p)
		}
		return nil
	})
	if len(report.Profiles) == 0 {
		return err
	}
	// What was measured before an error is worth keeping.
	return errors.Join(err, writeCosts(cmd, &report, flags))
}

func writeCosts(cmd *cobra.Command, report *costs.Report, flags *costsFlags) error {
	var errs []error
	if flags.json != "" {
		errs = append(errs, report.WriteFile(flags.json))
	}
	if flags.markdown != "" {
		if err := os.WriteFile(flags.markdown, []byte(report.Markdown()), 0o644); err != nil {
			errs = append(errs, fmt.Errorf("write table: %w", err))
		}
	}
	return errors.Join(append(errs, report.WriteTable(cmd.OutOrStdout()))...)
}
