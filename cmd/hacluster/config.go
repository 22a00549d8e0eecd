package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/config"
)

func configCommand() *cobra.Command {
	parent := &cobra.Command{Use: "config", Short: "Work with configuration files"}
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
	check := &cobra.Command{
		Use:     "check FILE",
		Short:   "Check a configuration file: all errors at once, each with its line and what to write instead",
		Example: "  hacluster config check /etc/hacluster/hacluster.yaml\n  hacluster config check --node node-b hacluster.yaml   # as on node-b",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.LoadAs(args[0], node)
			if err != nil {
				return err
			}
			if programs {
				if err := hooksConfig(cfg).Check(); err != nil {
					return err
				}
			}
			for _, w := range cfg.Warnings() {
				fmt.Fprintln(cmd.OutOrStdout(), "warning: "+w)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: ok: cluster %s, %s, profile %s\n", args[0], cfg.Cluster.Name, membersLine(cfg), cfg.Profile)
			printSums(cmd.OutOrStdout(), cfg.Sums())
			return nil
		},
	}
	check.Flags().StringVar(&node, "node", "", "check as this node instead of the one that the file or the hostname names")
	check.Flags().BoolVar(&programs, "hooks", false, "check the programs below hooks: too, as this machine and this user see them")
	return check
}
