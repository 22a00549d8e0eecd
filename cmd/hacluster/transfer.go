package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/adminapi"
)

const (
	transferTimeout = 15 * time.Second
	transferPoll    = 20 * time.Millisecond
)

func transferCommand() *cobra.Command {
	var socket, to string
	var output *format
	cmd := &cobra.Command{
		Use:     "transfer [--to NODE]",
		Short:   "Move the Elastic IP, and with it the leadership, to another node without a gap for clients",
		Example: "  hacluster transfer\n  hacluster transfer --to node-b",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), transferTimeout)
			defer cancel()
			client := adminapi.NewClient(socket)
			start := time.Now()
			target, err := client.Transfer(ctx, to)
			if err != nil {
				return fmt.Errorf("transfer: %w", err)
			}
			if err := awaitHolder(ctx, client, target); err != nil {
				return err
			}
			m := moved{Holder: target, TookMS: time.Since(start).Milliseconds()}
			return output.write(cmd.OutOrStdout(), m, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s holds the address; it took %v\n", m.Holder, time.Duration(m.TookMS)*time.Millisecond)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&socket, "socket", defaultSocket, "the agent's admin socket")
	output = addFormat(cmd, "text")
	cmd.Flags().StringVar(&to, "to", "", "node to move to (default: the best healthy candidate)")
	return cmd
}

// moved is what 'hacluster transfer' says in JSON.
type moved struct {
	Holder string `json:"holder"`
	TookMS int64  `json:"took_ms"`
}

// awaitHolder waits until the cluster agrees that target holds.
func awaitHolder(ctx context.Context, client *adminapi.Client, target string) error {
	poll := time.NewTicker(transferPoll)
	defer poll.Stop()
	for {
		s, err := client.Status(ctx)
		if err == nil && s.Holder == target && s.Held() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("transfer to %s was begun but is not confirmed after %v: see 'hacluster status'", target, transferTimeout)
		case <-poll.C:
		}
	}
}
