package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/fleet"
)

// fleetFlags are the flags of the fleet command.
type fleetFlags struct {
	sizes []int
	seed  uint64
	share float64
	write bool
	docs  string
}

func fleetCommand() *cobra.Command {
	var flags fleetFlags
	cmd := &cobra.Command{
		Use:   "fleet",
		Short: "Simulate many clusters in one AWS account when an Availability Zone fails",
		Long: `Simulate many clusters in one AWS account when an Availability Zone fails, in virtual time and with EC2's documented
request limits: how long until the Elastic IPs have moved, and how many calls are wasted. Needs no sandbox and starts nothing.`,
		Example: `  hacluster-lab fleet --sizes 10,100,1000
  hacluster-lab fleet --write-docs`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runFleet(cmd, flags) },
	}
	f := cmd.Flags()
	f.IntSliceVar(&flags.sizes, "sizes", []int{10, 30, 100, 300, 1000, 3000, 5000}, "numbers of clusters")
	f.Uint64Var(&flags.seed, "seed", 1, "decides every draw")
	f.Float64Var(&flags.share, "share", 1.0/3, "of the clusters have their holder in the zone that fails")
	f.BoolVar(&flags.write, "write-docs", false, "write SCALE.md and its plots")
	f.StringVar(&flags.docs, "docs", "docs", "directory for --write-docs")
	return cmd
}

func runFleet(cmd *cobra.Command, flags fleetFlags) error {
	if len(flags.sizes) == 0 {
		return errors.New("--sizes: give at least one number of clusters")
	}
	slices.Sort(flags.sizes)
	base := fleet.Default()
	base.Seed, base.Share = flags.seed, flags.share
	study, err := fleet.Conduct(base, flags.sizes, func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), line) })
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	for _, table := range []string{study.TakeoverTable(), study.ReadTable(), study.BackoffTable(), study.RemedyTable()} {
		fmt.Fprintln(out, table)
	}
	if !flags.write {
		return nil
	}
	return study.WriteDocs(flags.docs)
}
