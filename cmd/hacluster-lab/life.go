package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/lab/life"
	"github.com/hacluster/hacluster/internal/lab/sandbox"
	"github.com/hacluster/hacluster/internal/lab/show"
)

// lifePage is what --write-docs writes.
const lifePage = "LIFE.md"

// errNotAsPromised is returned when clients saw more of a step than they may; which one has been told by then.
var errNotAsPromised = errors.New("a step was not as promised: if the machine was busy with something else, try again; docs/LIFE.md was left as it is")

// lifeFlags are the flags of the life command.
type lifeFlags struct {
	older, newer string
	out          string
	writeDocs    bool
}

func lifeCommand() *cobra.Command {
	var flags lifeFlags
	cmd := &cobra.Command{
		Use:   "life",
		Short: "Lead one cluster through its whole life: TLS, failover, drain, new machines, upgrade, new authority, a lost quorum",
		Long: `Lead one cluster through its whole life, with the commands of the documentation and clients all the time, check every step,
and tell the story as a page.`,
		Example: "  hacluster-lab life --write-docs     # make life builds both programs first",
		Args:    cobra.NoArgs,
	}
	cmd.RunE = inside(func(cmd *cobra.Command) error { return runLife(cmd, flags) })
	f := cmd.Flags()
	f.StringVar(&flags.older, "older", besideMe("hacluster-older"), "the program that the cluster begins with; it knows a lower level")
	f.StringVar(&flags.newer, "newer", besideMe("hacluster"), "the program that it is upgraded to")
	f.StringVar(&flags.out, "out", filepath.Join("build", "life"), "directory for life.json and "+lifePage)
	f.BoolVar(&flags.writeDocs, "write-docs", false, "write docs/"+lifePage+", if every step was as promised")
	return cmd
}

// runLife runs the lab in memory: a disk that other programs keep busy is no part of the story.
func runLife(cmd *cobra.Command, flags lifeFlags) error {
	dir := sandbox.Scratch()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mount memory for the lab: %w", err)
	}
	progress := &show.Progress{Out: cmd.OutOrStdout(), Started: time.Now()}
	opts := life.Options{Dir: filepath.Join(dir, "lab"), Say: progress.Line}
	var err error
	if opts.Older, err = filepath.Abs(flags.older); err != nil {
		return err
	}
	if opts.Newer, err = filepath.Abs(flags.newer); err != nil {
		return err
	}
	report := life.Report{About: aboutLife(cmd.Context(), opts)}
	report.Steps, err = life.Run(cmd.Context(), opts)
	if err != nil {
		err = errors.Join(err, saveLogs(opts.Dir, filepath.Join(flags.out, "lab")))
	}
	// What was seen before an error is worth keeping.
	if err := errors.Join(err, report.WriteFiles(flags.out)); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), "wrote", filepath.Join(flags.out, lifePage))
	if !report.Kept() {
		return errNotAsPromised
	}
	if !flags.writeDocs {
		return nil
	}
	page := filepath.Join("docs", lifePage)
	if err := report.WritePage(page); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), "wrote", page)
	return nil
}

func aboutLife(ctx context.Context, opts life.Options) show.Report {
	about := show.NewReport(ctx, opts.Newer)
	about.Versions["hacluster, older"] = show.FirstLine(ctx, opts.Older, "version")
	return about
}

// saveLogs copies the lab's directory out of memory.
func saveLogs(from, to string) error {
	err := os.RemoveAll(to)
	if err == nil {
		err = os.CopyFS(to, os.DirFS(from))
	}
	if err != nil {
		return fmt.Errorf("save logs: %w", err)
	}
	return nil
}
