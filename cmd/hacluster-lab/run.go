package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/show"
)

// errNotServed is returned when the cluster did not recover in some repetition.
var errNotServed = errors.New("the cluster did not recover in at least one repetition: see PROBLEM above")

func runCommand() *cobra.Command {
	var flags common
	var faults, out string
	var reps int
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Make faults happen, again and again, and measure",
		Example: `  hacluster-lab run --fault node-death --reps 10
  hacluster-lab run --fault haproxy-kill,haproxy-hang --json build/faults.json`,
		Args: cobra.NoArgs,
	}
	cmd.RunE = inside(func(cmd *cobra.Command) error { return runFaults(cmd, &flags, faults, reps, out) })
	flags.register(cmd)
	cmd.Flags().StringVar(&faults, "fault", "all", "all, or a comma-separated list")
	cmd.Flags().IntVar(&reps, "reps", 10, "repetitions of each fault, interleaved")
	cmd.Flags().StringVar(&out, "json", "", "write the report to this file")
	return cmd
}

func runFaults(cmd *cobra.Command, flags *common, list string, reps int, out string) error {
	faults, err := lab.FindFaults(list)
	if err != nil {
		return err
	}
	progress := &show.Progress{Out: cmd.ErrOrStderr(), Started: time.Now(), Total: len(faults) * reps}
	opts, err := flags.options(progress.Line)
	if err != nil {
		return err
	}
	report := show.NewReport(cmd.Context(), opts.Hacluster)
	problem := false
	err = lab.Run(cmd.Context(), opts, func(ctx context.Context, l *lab.Lab) error {
		for i := range len(faults) * reps {
			fault := faults[i%len(faults)]
			rep, evidence, err := l.Experiment(ctx, fault, progress)
			if err != nil {
				return err
			}
			report.Add(rep)
			problem = problem || rep.Problem != ""
			if err := l.SaveEvidence(fmt.Sprintf("%03d-%s", i+1, fault.Name), evidence); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && problem {
		err = errNotServed
	}
	// What was measured before an error is worth keeping.
	if out != "" {
		err = errors.Join(err, report.WriteFile(out))
	}
	return errors.Join(err, report.WriteTable(cmd.OutOrStdout()))
}
