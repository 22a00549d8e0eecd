package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/show"
)

// demoFaults is what the demo shows, in this order.
const demoFaults = "haproxy-kill,node-death,partition,handover"

func demoCommand() *cobra.Command {
	var flags common
	var out string
	cmd := &cobra.Command{
		Use:     "demo",
		Short:   "Show the main job: a live story, a table of promises, and a page with pictures",
		Example: "  hacluster-lab demo --out build/demo",
		Args:    cobra.NoArgs,
	}
	cmd.RunE = inside(func(cmd *cobra.Command) error { return runDemo(cmd, &flags, out) })
	flags.register(cmd)
	cmd.Flags().StringVar(&out, "out", filepath.Join("build", "demo"), "directory for report.json and report.html")
	return cmd
}

func runDemo(cmd *cobra.Command, flags *common, out string) error {
	started := time.Now()
	stdout := cmd.OutOrStdout()
	opts, err := flags.options((&show.Progress{Out: stdout, Started: started}).Line)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fmt.Errorf("make directory for the report: %w", err)
	}
	report := show.NewReport(cmd.Context(), opts.Hacluster)
	scenes, err := playScenes(cmd, opts, &report)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout)
	html := filepath.Join(out, "report.html")
	err = errors.Join(
		show.WritePromises(stdout, scenes),
		report.WriteFile(filepath.Join(out, "report.json")),
		show.WritePage(html, &report, scenes))
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\nThe same with pictures: %s (%.0f s)\n", html, time.Since(started).Seconds())
	for _, s := range scenes {
		if !s.Kept() {
			return errors.New("a promise was broken")
		}
	}
	return nil
}

// playScenes runs the faults one after the other while the story is told.
func playScenes(cmd *cobra.Command, opts lab.Options, report *show.Report) ([]show.Scene, error) {
	faults, err := lab.FindFaults(demoFaults)
	if err != nil {
		return nil, err
	}
	story := &show.Story{Out: cmd.OutOrStdout()}
	var scenes []show.Scene
	err = lab.Run(cmd.Context(), opts, func(ctx context.Context, l *lab.Lab) error {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return story.Follow(ctx, l) })
		group.Go(func() error {
			defer stop()
			for _, fault := range faults {
				rep, evidence, err := l.Experiment(ctx, fault, story)
				if err != nil {
					return err
				}
				report.Add(rep)
				scenes = append(scenes, show.Scene{Fault: fault, Repetition: rep, Evidence: evidence, Promises: show.Promises(rep)})
				if err := l.SaveEvidence(fault.Name, evidence); err != nil {
					return err
				}
			}
			return nil
		})
		return group.Wait()
	})
	return scenes, err
}
