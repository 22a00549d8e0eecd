package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/config"
)

func configCommand() *cobra.Command {
	parent := &cobra.Command{Use: "config", Short: "Work with configuration files", Example: "  hacluster config check /etc/hacluster/hacluster.yaml"}
	parent.AddCommand(configCheckCommand(), importKeepalivedCommand())
	return parent
}

func membersLine(cfg config.Config) string {
	if d := cfg.Discovery; d != nil {
		return fmt.Sprintf("%d nodes and more, found by the tag %s", d.Expect, d.Tag)
	}
	return fmt.Sprintf("this is %s of %d nodes", cfg.Node, len(cfg.Nodes))
}

// printSums says what the timings come to (docs/TIMING.md).
func printSums(w io.Writer, s config.Sums) {
	if s.Hang > 0 {
		fmt.Fprintf(w, "  a hung HAProxy is noticed within %v\n", s.Hang)
	}
	if s.Silence > 0 && s.Silence < s.Fallback {
		fmt.Fprintf(w, "  a dead node is suspected after %v, by the adverts that are missing; without them after about %v\n",
			s.Silence.Round(time.Millisecond), s.Fallback)
	} else {
		fmt.Fprintf(w, "  a dead node is replaced after about %v\n", s.Fallback)
	}
	fmt.Fprintf(w, "  a node that is cut off falls silent within %v\n", s.Quiet)
}

func configCheckCommand() *cobra.Command {
	var node string
	var programs bool
	var output *format
	check := &cobra.Command{
		Use:   "check FILE",
		Short: "Check a configuration file: all errors at once, each with its line and what to write instead",
		Example: "  hacluster config check /etc/hacluster/hacluster.yaml\n  hacluster config check --node node-b hacluster.yaml   # as on node-b\n" +
			"  hacluster config check -o json hacluster.yaml | jq -r '.problems[] | \"\\(.line): \\(.what)\"'",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := checkConfig(args[0], node, programs)
			if err != nil {
				return err
			}
			if err := output.write(cmd.OutOrStdout(), c, c.print); err != nil || len(c.Problems) == 0 {
				return err
			}
			return &exitError{status: statusNotDone}
		},
	}
	output = addFormat(check, "text")
	exits(check, "valid, perhaps with warnings", "invalid", "the file cannot be read, or the command line is wrong")
	check.Flags().StringVar(&node, "node", "", "check as this node instead of the one that the file or the hostname names")
	check.Flags().BoolVar(&programs, "hooks", false, "check the programs below hooks: too, as this machine and this user see them")
	return check
}

// checked is what 'hacluster config check' says.
type checked struct {
	File     string        `json:"file"`
	Problems config.Errors `json:"problems"` // none: the file is valid
	Warnings []string      `json:"warnings"`

	cfg config.Config
}

// checkConfig fails if the file cannot be read.
func checkConfig(file, node string, programs bool) (checked, error) {
	c := checked{File: file, Problems: config.Errors{}, Warnings: []string{}}
	cfg, err := config.LoadAs(file, node)
	switch {
	case errors.As(err, &c.Problems):
		return c, nil
	case err != nil:
		return c, notTried(err)
	}
	if programs {
		if err := hooksConfig(cfg).Check(); err != nil {
			c.Problems = config.Errors{{File: file, Line: 1, What: err.Error()}}
		}
	}
	c.cfg, c.Warnings = cfg, append(c.Warnings, cfg.Warnings()...)
	return c, nil
}

// print is for people. For them problems are an error.
func (c checked) print(w io.Writer) error {
	if len(c.Problems) > 0 {
		return c.Problems
	}
	for _, warning := range c.Warnings {
		fmt.Fprintln(w, "warning: "+warning)
	}
	fmt.Fprintf(w, "%s: ok: cluster %s, %s, profile %s\n", c.File, c.cfg.Cluster.Name, membersLine(c.cfg), c.cfg.Profile)
	printSums(w, c.cfg.Sums())
	return nil
}
