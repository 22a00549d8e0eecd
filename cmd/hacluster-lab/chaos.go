package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/chaos"
	"github.com/hacluster/hacluster/internal/lab/chaos/judge"
	"github.com/hacluster/hacluster/internal/lab/sandbox"
	"github.com/hacluster/hacluster/internal/lab/show"
)

// errViolated is returned when a run broke a promise; what and where has been told by then.
var errViolated = errors.New("a promise was broken")

// chaosFlags are the flags of the chaos command.
type chaosFlags struct {
	hacluster string
	out       string
	judge     string
	only      []string
	duration  time.Duration
	seed      uint64
	reps      int
	nodes     int
	keep      bool
}

func chaosCommand() *cobra.Command {
	var flags chaosFlags
	cmd := &cobra.Command{
		Use:   "chaos",
		Short: "Break everything, two things at a time, in a seeded order, and judge the evidence",
		Long: `Break everything, two things at a time, in a seeded order, and judge the evidence against docs/INVARIANTS.md.

Kinds of faults: ` + strings.Join(chaos.Kinds(), ", ") + `.

The disks of the nodes and the evidence are kept in memory while the lab runs; a summary goes to --out, and the evidence too
when a promise was broken.`,
		Example: `  hacluster-lab chaos --duration 10m
  hacluster-lab chaos --duration 3m --seed 7 --nodes 5
  hacluster-lab chaos --only all-killed --reps 50
  hacluster-lab chaos --judge build/chaos/evidence-7`,
		Args: cobra.NoArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if flags.judge != "" {
			return conclude(cmd, flags, flags.judge)
		}
		if err := chaos.CheckKinds(flags.only); err != nil {
			return err
		}
		return inside(func(cmd *cobra.Command) error { return runChaos(cmd, flags) })(cmd, args)
	}
	f := cmd.Flags()
	f.StringVar(&flags.hacluster, "hacluster", besideMe("hacluster"), "the program under test")
	f.StringVar(&flags.out, "out", filepath.Join("build", "chaos"), "directory for summary.json, summary.html and evidence")
	f.DurationVar(&flags.duration, "duration", 10*time.Minute, "how long to go on; the last round is finished")
	f.Uint64Var(&flags.seed, "seed", 0, "decides what happens when (default: a random one)")
	f.StringSliceVar(&flags.only, "only", nil, "only these kinds of faults")
	f.IntVar(&flags.reps, "reps", 0, "instead of a duration: so many faults, one at a time, with a steady cluster in between")
	f.IntVar(&flags.nodes, "nodes", 3, "3 to 5")
	f.BoolVar(&flags.keep, "keep", false, "keep the evidence of a good run too")
	f.StringVar(&flags.judge, "judge", "", "run nothing: judge the evidence in this directory again")
	return cmd
}

// runChaos runs the lab in memory: a disk that other programs keep busy is no part of the experiment.
func runChaos(cmd *cobra.Command, flags chaosFlags) error {
	if flags.seed == 0 {
		flags.seed = 1 + rand.Uint64N(1_000_000)
	}
	dir := sandbox.Scratch()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mount memory for the run: %w", err)
	}
	program, err := filepath.Abs(flags.hacluster)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	say := func(line string) { fmt.Fprintln(out, line) }
	say(fmt.Sprintf("seed %d: %s", flags.seed, flags.command()))
	opts := lab.Options{
		Hacluster: program, Dir: dir, Progress: say,
		Nodes: flags.nodes, Disk: chaos.DiskSize, Record: true, Tuning: chaos.Tuning(),
	}
	err = lab.Run(cmd.Context(), opts, func(ctx context.Context, l *lab.Lab) error {
		return chaos.Run(ctx, l, chaos.Options{
			Seed: flags.seed, Duration: flags.duration, Only: flags.only, Reps: flags.reps,
			Dir: dir, Command: flags.command(), Say: say,
		})
	})
	if err != nil {
		return errors.Join(err, flags.save(dir))
	}
	return conclude(cmd, flags, dir)
}

// conclude judges the evidence in dir, tells, and saves what is to be kept.
func conclude(cmd *cobra.Command, flags chaosFlags, dir string) error {
	evidence, err := judge.Load(dir)
	if err != nil {
		return err
	}
	verdict := judge.Judge(evidence)
	if err := os.MkdirAll(flags.out, 0o755); err != nil {
		return fmt.Errorf("make directory for the summary: %w", err)
	}
	page := filepath.Join(flags.out, "summary.html")
	err = errors.Join(
		show.WriteVerdict(cmd.OutOrStdout(), evidence.Run, verdict),
		show.WriteSummary(filepath.Join(flags.out, "summary.json"), evidence.Run, verdict),
		show.WriteChaosPage(page, evidence, verdict))
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "summary: %s\n", page)
	broken := len(verdict.Violations) > 0
	if (broken || flags.keep) && flags.judge == "" {
		if err := flags.save(dir); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "evidence: %s\n", flags.evidenceDir())
	}
	if broken {
		fmt.Fprintf(cmd.OutOrStdout(), "again: %s\n", evidence.Run.Command)
		return errViolated
	}
	return nil
}

// command is how to repeat the run.
func (f chaosFlags) command() string {
	words := []string{"hacluster-lab chaos", fmt.Sprintf("--seed %d", f.seed)}
	if f.reps > 0 {
		words = append(words, fmt.Sprintf("--reps %d", f.reps))
	} else {
		words = append(words, fmt.Sprintf("--duration %v", f.duration))
	}
	if len(f.only) > 0 {
		words = append(words, "--only "+strings.Join(f.only, ","))
	}
	if f.nodes != 3 {
		words = append(words, fmt.Sprintf("--nodes %d", f.nodes))
	}
	return strings.Join(words, " ")
}

func (f chaosFlags) evidenceDir() string {
	return filepath.Join(f.out, fmt.Sprintf("evidence-%d", f.seed))
}

// save copies the evidence out of the memory of the run.
func (f chaosFlags) save(dir string) error {
	if err := os.RemoveAll(f.evidenceDir()); err != nil {
		return fmt.Errorf("save evidence: %w", err)
	}
	if err := os.CopyFS(f.evidenceDir(), os.DirFS(dir)); err != nil {
		return fmt.Errorf("save evidence: %w", err)
	}
	return nil
}
