// Command hacluster keeps one Elastic IP on the right HAProxy node. See README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Where a package puts what a command needs.
const (
	defaultConfig = "/etc/hacluster/hacluster.yaml"
	defaultSocket = "/run/hacluster/admin.sock"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := execute(ctx, rootCommand())
	stop()
	if err != nil {
		os.Exit(explain(err))
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "hacluster",
		Short: "Keeps an Elastic IP on one healthy HAProxy node, never torn between two",
		Example: "  hacluster agent --config /etc/hacluster/hacluster.yaml\n  hacluster status --watch\n" +
			"  hacluster transfer --to lb-2",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(agentCommand(), statusCommand(), historyCommand(), eventsCommand(), doctorCommand(),
		transferCommand(), drainCommand(), undrainCommand(), reloadCommand(), membersCommand(), joinCommand(), removeCommand(), recoverCommand(),
		configCommand(), tlsCommand(), vrrpCommand(), versionCommand(), docsCommand())
	explainExits(root)
	return root
}
