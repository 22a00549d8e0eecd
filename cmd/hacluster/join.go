package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/internal/config"
	"github.com/hacluster/hacluster/internal/controller"
)

func joinCommand() *cobra.Command {
	var file, node, via string
	var output *format
	cmd := &cobra.Command{
		Use:   "join --via ADDRESS [--config FILE]",
		Short: "Ask a cluster to let this node in, before its agent is started for the first time",
		Long: "Ask the node at ADDRESS, which is one of those in the configuration here, to let this node in as the configuration describes it.\n" +
			"It passes that on to the leader. Under TLS the certificate of this node is what entitles it (docs/MEMBERS.md).",
		Example: "  hacluster join --via 10.0.1.11:7400 --config /etc/hacluster/hacluster.yaml && systemctl start hacluster",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			load := func() (config.Config, error) { return config.LoadAs(file, node) }
			cfg, err := load()
			if err != nil {
				return err
			}
			return join(cmd.Context(), cmd.OutOrStdout(), output, cfg, load, via)
		},
	}
	cmd.Flags().StringVar(&file, "config", defaultConfig, "configuration file of this node")
	cmd.Flags().StringVar(&node, "node", "", "join as this node instead of the one that the file or the hostname names")
	cmd.Flags().StringVar(&via, "via", "", "address, or name, of a node of the cluster, as in nodes of the configuration")
	_ = cmd.MarkFlagRequired("via") // it exists
	output = addFormat(cmd, "text")
	return cmd
}

func join(ctx context.Context, out io.Writer, output *format, cfg config.Config, load func() (config.Config, error), via string) error {
	ctx, cancel := context.WithTimeout(ctx, admitTimeout)
	defer cancel()
	member, err := memberAt(cfg, via)
	if err != nil {
		return err
	}
	keys, err := openKeyring(cfg, load, zap.NewNop())
	if err != nil {
		return err
	}
	ec := electionConfig(cfg, nil, zap.NewNop())
	if keys != nil {
		ec.Security = keys
	}
	var answer controller.MembershipAnswer
	err = election.Ask(ctx, ec, member.Name, election.AdmitPath, controller.JoinRequest(attributes(cfg.Self())), &answer)
	if refused := (*election.CallError)(nil); errors.As(err, &refused) {
		return fmt.Errorf("join via %s: %s", member.Name, refused.Message)
	}
	if err != nil {
		return fmt.Errorf("join via %s at %v: %s", member.Name, member.Address, election.Reason(err))
	}
	return output.write(out, answer, func(w io.Writer) error { return printAdmitted(w, cfg.Node, answer) })
}

// memberAt finds the node to ask. It has to be configured: the agent finds the cluster by the configuration, too.
func memberAt(cfg config.Config, via string) (config.Node, error) {
	for _, n := range cfg.Peers() {
		if n.Name == via || n.Address.String() == via {
			return n, nil
		}
	}
	return config.Node{}, fmt.Errorf("--via %s is no other node in the configuration: add that node, with its name and address, to nodes", via)
}
