package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/config"
)

func configCommand() *cobra.Command {
	parent := &cobra.Command{Use: "config", Short: "Work with configuration files"}
	parent.AddCommand(configCheckCommand())
	return parent
}

func configCheckCommand() *cobra.Command {
	var node string
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
			for _, w := range cfg.Warnings() {
				fmt.Fprintln(cmd.OutOrStdout(), "warning: "+w)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: ok: cluster %s, this is %s of %d nodes, a hung HAProxy is noticed within %v\n",
				args[0], cfg.Cluster.Name, cfg.Node, len(cfg.Nodes), cfg.Health.DetectionTime())
			return nil
		},
	}
	check.Flags().StringVar(&node, "node", "", "check as this node instead of the one that the file or the hostname names")
	return check
}
