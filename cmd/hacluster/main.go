// Command hacluster keeps one Elastic IP on the right HAProxy node. See README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/legible"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := rootCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		os.Exit(explain(err))
	}
}

// exitError ends a command with a status of its own. Without an error in it, the command has said everything.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string { return fmt.Sprintf("exit status %d: %v", e.status, e.err) }

func (e *exitError) Unwrap() error { return e.err }

// explain says what went wrong, and returns the exit status.
func explain(err error) int {
	status := 1
	var exit *exitError
	if errors.As(err, &exit) {
		status, err = exit.status, exit.err
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hacluster: "+legible.Text(err.Error()))
	}
	return status
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "hacluster",
		Short:         "Keeps an Elastic IP on one healthy HAProxy node, never torn between two",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(agentCommand(), statusCommand(), historyCommand(), eventsCommand(), doctorCommand(),
		transferCommand(), drainCommand(), undrainCommand(), reloadCommand(), membersCommand(), joinCommand(), removeCommand(), recoverCommand(),
		configCommand(), tlsCommand(), vrrpCommand(), versionCommand(), docsCommand())
	return root
}
