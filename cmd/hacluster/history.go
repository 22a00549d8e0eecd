package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/adminapi"
)

func historyCommand() *cobra.Command {
	var socket string
	var output *format
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Show each claim on an Elastic IP: when, who, why, which calls to EC2, how long",
		Long: "Show each claim that the cluster remembers, oldest first, by the clocks of the nodes that made them. What came before a claim, and what EC2\n" +
			"answered, is known only to the node that took over, until its agent restarts: ask there.",
		Example: "  hacluster history\n  hacluster history -o json | jq '.[-1].steps'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), clientTimeout)
			defer cancel()
			all, err := adminapi.NewClient(socket).History(ctx)
			if err != nil {
				return notTried(err)
			}
			return output.write(cmd.OutOrStdout(), all, func(w io.Writer) error { return printMoves(w, all) })
		},
	}
	cmd.Flags().StringVar(&socket, "socket", defaultSocket, "the agent's admin socket")
	output = addFormat(cmd, "table")
	return cmd
}

func printMoves(w io.Writer, all []adminapi.Move) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "TIME (UTC)\tTERM\tNODE\tFROM\tADDRESS\tMODE\tTOOK\tWHY\tCALLS")
	for _, m := range all {
		from := m.From
		if from == "" {
			from = "-"
		}
		fmt.Fprintf(tw, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.Begin.Format("2006-01-02 15:04:05.000"), m.Term, m.Node, from, m.AllocationID, m.Mode,
			tookWord(m), m.Why, callsWord(m))
	}
	return tw.Flush()
}

func tookWord(m adminapi.Move) string {
	if m.Confirmed == nil {
		return "not confirmed"
	}
	return (time.Duration(m.TookMS) * time.Millisecond).String()
}

// callsWord lists the calls. An adoption makes none; those of another node are not known here.
func callsWord(m adminapi.Move) string {
	if len(m.Calls) == 0 && m.Mode == "adopt" {
		return "none"
	}
	if len(m.Calls) == 0 {
		return "?"
	}
	var calls []string
	for _, c := range m.Calls {
		calls = append(calls, fmt.Sprintf("%s %s after %v ms", c.API, c.Outcome, c.TookMS))
	}
	return strings.Join(calls, ", ")
}

func eventsCommand() *cobra.Command {
	var socket string
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Write what happens as JSON lines, until interrupted",
		Long: "Write what happens from now on as JSON lines: what this node sees (state, silence, leaderless, elected, call), what the cluster agrees on\n" +
			"(agreed), and the verdict of 'hacluster status' when it changes, beginning with the present one.",
		Example: "  hacluster events | jq -c 'select(.kind == \"agreed\")'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return notTried(adminapi.NewClient(socket).Events(cmd.Context(), cmd.OutOrStdout()))
		},
	}
	cmd.Flags().StringVar(&socket, "socket", defaultSocket, "the agent's admin socket")
	exits(cmd, "interrupted", "", "the agent does not answer, or has ended; or the command line is wrong")
	return cmd
}
