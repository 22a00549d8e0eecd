package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/adminapi"
)

func drainCommand() *cobra.Command {
	var socket string
	var output *format
	cmd := &cobra.Command{
		Use:   "drain NODE",
		Short: "Take a node out of the candidates; what it holds moves away without a gap for clients",
		Long: "Take a node out of the candidates, until 'hacluster undrain'. That is committed, so it survives restarts. A node that holds hands over\n" +
			"first; the command waits for that.",
		Example: "  hacluster drain node-b",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), transferTimeout)
			defer cancel()
			client, node, start := adminapi.NewClient(socket), args[0], time.Now()
			if err := client.Drain(ctx, node, true); err != nil {
				return fmt.Errorf("drain: %w", err)
			}
			if err := awaitEmpty(ctx, client, node); err != nil {
				return err
			}
			d := drained{Node: node, Drained: true, TookMS: time.Since(start).Milliseconds()}
			return output.write(cmd.OutOrStdout(), d, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s is drained and holds nothing; it took %v\n", d.Node, time.Duration(d.TookMS)*time.Millisecond)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&socket, "socket", defaultSocket, "the agent's admin socket")
	output = addFormat(cmd, "text")
	exits(cmd, "drained, and it holds nothing", "not drained; or drained, but it still holds, because no other node can",
		"not tried: the command line is wrong, or the agent does not answer")
	return cmd
}

// drained is what 'hacluster drain' and 'undrain' say in JSON.
type drained struct {
	Node    string `json:"node"`
	Drained bool   `json:"drained"`
	TookMS  int64  `json:"took_ms"`
}

func undrainCommand() *cobra.Command {
	var socket string
	var output *format
	cmd := &cobra.Command{
		Use:     "undrain NODE",
		Short:   "Let a drained node be a candidate again; nothing moves because of that, unless placement.preempt is on",
		Example: "  hacluster undrain node-b",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), transferTimeout)
			defer cancel()
			start := time.Now()
			if err := adminapi.NewClient(socket).Drain(ctx, args[0], false); err != nil {
				return fmt.Errorf("undrain: %w", err)
			}
			d := drained{Node: args[0], TookMS: time.Since(start).Milliseconds()}
			return output.write(cmd.OutOrStdout(), d, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s is a candidate again, once its HAProxy is healthy\n", d.Node)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&socket, "socket", defaultSocket, "the agent's admin socket")
	output = addFormat(cmd, "text")
	return cmd
}

// awaitEmpty waits until a drained node holds nothing and another node holds what it had.
func awaitEmpty(ctx context.Context, client *adminapi.Client, node string) error {
	poll := time.NewTicker(transferPoll)
	defer poll.Stop()
	var seen adminapi.Status
	for {
		s, err := client.Status(ctx)
		if err == nil {
			seen = s
		}
		if err == nil && emptied(s, node) {
			return nil
		}
		select {
		case <-ctx.Done():
			return stillHolding(seen, node)
		case <-poll.C:
		}
	}
}

// emptied reports whether the node is known to be drained and holds nothing.
func emptied(s adminapi.Status, node string) bool {
	is := slices.ContainsFunc(s.Nodes, func(n adminapi.Node) bool { return n.Name == node && n.Drained })
	return is && !slices.ContainsFunc(s.Addresses, func(a adminapi.Address) bool { return a.Holder == node })
}

func stillHolding(s adminapi.Status, node string) error {
	others := slices.ContainsFunc(s.Nodes, func(n adminapi.Node) bool {
		return n.Name != node && n.Healthy && n.EC2 && !n.Drained && !n.Witness
	})
	if others {
		return fmt.Errorf("%s is drained, but still holds after %v: see 'hacluster status'", node, transferTimeout)
	}
	return fmt.Errorf("%s is drained, but no other node can hold, so the address stays there until one can: mend another node, or take the drain back with 'hacluster undrain %s'", node, node)
}
