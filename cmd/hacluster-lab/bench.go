package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/bench"
	"github.com/hacluster/hacluster/internal/lab/sandbox"
)

// benchPage is what --write-docs writes.
const benchPage = "BENCHMARKS.md"

// benchFile is where a run's results are, complete after every repetition.
const benchFile = "bench.json"

// benchFlags are the flags of the bench command.
type benchFlags struct {
	bench.Options
	hacluster string
	out       string
	render    string
	plain     bool
	writeDocs bool
	overwrite bool
	resume    bool
}

func benchCommand() *cobra.Command {
	var flags benchFlags
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Compare hacluster with keepalived: the same lab, the same faults",
		Long: `Compare hacluster with keepalived: the same lab, the same faults, in turns.

It needs keepalived and awscli (apt-get install keepalived awscli), and builds two small programs for keepalived from the
source in the working directory. Results go to bench.json and BENCHMARKS.md in --out; --write-docs writes docs/BENCHMARKS.md
too, unless that was made from more repetitions.

Rows: haproxy-kill, haproxy-hang, node-death, agent-kill, partition, handover, stop, agent-freeze, haproxy-reload, idle.`,
		Example: `  hacluster-lab bench --write-docs
  hacluster-lab bench --reps 1 --faults haproxy-kill,node-death
  hacluster-lab bench --faults idle --systems hacluster-fast,keepalived-tuned --idle 30s
  hacluster-lab bench --render build/bench/bench.json --write-docs`,
		Args: cobra.NoArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if flags.render != "" {
			results, err := bench.ReadResults(flags.render)
			if err != nil {
				return err
			}
			return publish(cmd, flags, results)
		}
		return inside(func(cmd *cobra.Command) error { return runBench(cmd, flags) })(cmd, args)
	}
	f := cmd.Flags()
	f.StringVar(&flags.hacluster, "hacluster", besideMe("hacluster"), "the program under test")
	f.StringVar(&flags.out, "out", filepath.Join("build", "bench"), "directory for the results and the page")
	f.StringSliceVar(&flags.Faults, "faults", nil, "only these rows")
	f.StringSliceVar(&flags.Systems, "systems", nil, "only these systems")
	f.DurationSliceVar(&flags.Latencies, "latency", []time.Duration{0, 300 * time.Millisecond}, "of each EC2 call; all but the first for some rows only")
	f.IntVar(&flags.Repetitions, "reps", 10, "repetitions of each row by each system; haproxy-reload has twice as many, idle one")
	f.Uint64Var(&flags.Seed, "seed", 1, "decides the order")
	f.DurationVar(&flags.Idle, "idle", 5*time.Minute, "how long the idle row lasts for each system")
	f.StringVar(&flags.Turns, "turns", "", "hold the lock of this file (flock) during each repetition: for others on this machine to take turns")
	f.BoolVar(&flags.resume, "resume", false, "go on with the bench.json in --out, for what it lacks; with the same flags otherwise")
	f.BoolVar(&flags.plain, "plain", false, "speak to EC2 without TLS")
	f.StringVar(&flags.render, "render", "", "run nothing: make the page from this bench.json again")
	f.BoolVar(&flags.writeDocs, "write-docs", false, "write docs/BENCHMARKS.md and its pictures")
	f.BoolVar(&flags.overwrite, "overwrite", false, "with --write-docs: also if the page there was made from more repetitions")
	return cmd
}

// runBench runs the lab in memory: a disk that other programs keep busy is no part of the comparison.
func runBench(cmd *cobra.Command, flags benchFlags) error {
	flags.TLS = !flags.plain
	dir := sandbox.Scratch()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mount memory for the lab: %w", err)
	}
	var err error
	if flags.Tools, err = bench.BuildTools(cmd.Context(), dir); err != nil {
		return err
	}
	opts := lab.Options{Dir: filepath.Join(dir, "lab")}
	if opts.Hacluster, err = filepath.Abs(flags.hacluster); err != nil {
		return err
	}
	results, err := startResults(cmd.Context(), opts.Hacluster, flags)
	if err != nil {
		return err
	}
	flags.Done = results.Repetitions
	plan, err := bench.New(flags.Options)
	if err != nil {
		return err
	}
	file := filepath.Join(flags.out, benchFile)
	progress := &bench.Progress{Out: cmd.ErrOrStderr(), Total: plan.Steps(), Started: time.Now()}
	err = lab.Run(cmd.Context(), opts, func(ctx context.Context, l *lab.Lab) error {
		return plan.Run(ctx, l, func(r bench.Repetition) error {
			progress.Done(r)
			results.Repetitions = append(results.Repetitions, r)
			return results.WriteFile(file)
		})
	})
	// What was measured before an error is worth keeping, but not as the last word.
	flags.writeDocs = flags.writeDocs && err == nil
	return errors.Join(err, publish(cmd, flags, results))
}

// startResults returns those of a new run, or of one to resume.
func startResults(ctx context.Context, hacluster string, flags benchFlags) (*bench.Results, error) {
	fresh := bench.NewResults(ctx, hacluster, flags.Options)
	if !flags.resume {
		return fresh, nil
	}
	return bench.ResumeResults(filepath.Join(flags.out, benchFile), fresh)
}

// publish writes the page to --out and, if asked to, to docs/.
func publish(cmd *cobra.Command, flags benchFlags, results *bench.Results) error {
	pages := []string{filepath.Join(flags.out, benchPage)}
	force := []bool{true}
	if flags.writeDocs {
		pages, force = append(pages, filepath.Join("docs", benchPage)), append(force, flags.overwrite)
	}
	for i, page := range pages {
		err := results.WritePage(page, force[i])
		if errors.Is(err, bench.ErrFuller) {
			return fmt.Errorf("%w: see %s, or write it with --overwrite", err, pages[0])
		} else if err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), "wrote", page)
	}
	return nil
}
