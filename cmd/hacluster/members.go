package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/adminapi"
	"github.com/hacluster/hacluster/internal/controller"
)

const (
	admitTimeout  = 15 * time.Second
	removeTimeout = 30 * time.Second
)

func membersCommand() *cobra.Command {
	var socket string
	var output *format
	cmd := &cobra.Command{
		Use:     "members",
		Short:   "Show the nodes of the cluster, and let new ones in (docs/MEMBERS.md)",
		Example: "  hacluster members\n  hacluster members -o json | jq -r '.members[] | select(.standing != \"voter\") | .name'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), clientTimeout)
			defer cancel()
			list, err := adminapi.NewClient(socket).Members(ctx)
			if err != nil {
				return err
			}
			return output.write(cmd.OutOrStdout(), list, func(w io.Writer) error { return printMembers(w, list) })
		},
	}
	cmd.PersistentFlags().StringVar(&socket, "socket", defaultSocket, "the agent's admin socket")
	output = addFormat(cmd, "table")
	cmd.AddCommand(membersAddCommand(&socket))
	return cmd
}

func printMembers(w io.Writer, list controller.MemberList) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "NAME\tADDRESS\tROLE\tMEMBER\tINCARNATION\tLAST CONTACT\tVERSION")
	voters := 0
	for _, m := range list.Members {
		role := "node"
		switch {
		case m.Name == list.Leader:
			role = "leader"
		case m.Witness:
			role = "witness"
		}
		contact := "-"
		if m.ContactMS >= 0 {
			contact = (time.Duration(m.ContactMS) * time.Millisecond).String() + " ago"
		}
		if m.Standing == controller.StandingVoter {
			voters++
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			m.Name, cmp.Or(m.Address, "-"), role, m.Standing, cmp.Or(m.Incarnation, "-"), contact, cmp.Or(m.Version, "-"))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if list.Leader == "" {
		fmt.Fprintf(w, "! no leader is known; this is the list of %s, and may be old\n", list.From)
	}
	printWarning(w, controller.VoterWarning(voters))
	return nil
}

func printWarning(w io.Writer, warning string) {
	if warning != "" {
		fmt.Fprintf(w, "! %s\n", warning)
	}
}

func membersAddCommand(socket *string) *cobra.Command {
	var node fsm.Attributes
	var output *format
	cmd := &cobra.Command{
		Use:     "add NAME --address HOST:PORT",
		Short:   "Let a node in: from then on it may join",
		Example: "  hacluster members add lb-4 --address 10.0.1.14:7400 --priority 80\n  hacluster members add w-1 --address 10.0.3.9:7400 --witness",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), admitTimeout)
			defer cancel()
			node.Name = fsm.NodeName(args[0])
			if address, err := netip.ParseAddrPort(node.Address); err == nil && node.VRRPAddress == "" {
				node.VRRPAddress = address.Addr().String()
			}
			answer, err := adminapi.NewClient(*socket).Admit(ctx, node)
			if err != nil {
				return fmt.Errorf("add %s: %w", node.Name, err)
			}
			return output.write(cmd.OutOrStdout(), answer, func(w io.Writer) error { return printAdmitted(w, string(node.Name), answer) })
		},
	}
	cmd.Flags().StringVar(&node.Address, "address", "", "ip:port at which it listens, as in nodes of its configuration")
	cmd.Flags().StringVar(&node.VRRPAddress, "vrrp-address", "", "IPv4 address of its adverts (default: that of --address)")
	cmd.Flags().Uint8Var(&node.Priority, "priority", 100, "1 to 254, the highest is preferred")
	cmd.Flags().BoolVar(&node.Witness, "witness", false, "it only votes")
	_ = cmd.MarkFlagRequired("address") // it exists
	output = addFormat(cmd, "text")
	return cmd
}

func printAdmitted(w io.Writer, name string, answer controller.MembershipAnswer) error {
	fmt.Fprintf(w, "%s is admitted, says the leader %s. Start its agent now, if it does not run: 'systemctl start hacluster' there.\n"+
		"It receives the log without a vote, and gets the vote once it has kept up for a few seconds: see 'hacluster members'.\n", name, answer.Leader)
	printWarning(w, answer.Warning)
	return nil
}

func removeCommand() *cobra.Command {
	var socket string
	var output *format
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove NODE",
		Short: "Remove a node from the cluster for good; if it leads, it hands over first",
		Long: "Remove a node from the cluster. Its agent ends, and it does not come back, though it may still be configured, before it is\n" +
			"admitted again. Refused if the voters that are left and answer would be no majority (docs/MEMBERS.md).",
		Example: "  hacluster remove lb-4",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := confirm(cmd, yes, "Remove "+args[0]+" from the cluster? It will not come back by itself."); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), removeTimeout)
			defer cancel()
			answer, err := adminapi.NewClient(socket).Remove(ctx, args[0])
			if err != nil {
				return fmt.Errorf("remove %s: %w", args[0], err)
			}
			return output.write(cmd.OutOrStdout(), answer, func(w io.Writer) error {
				fmt.Fprintf(w, "%s is removed, says the leader %s\n", args[0], answer.Leader)
				printWarning(w, answer.Warning)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&socket, "socket", defaultSocket, "the agent's admin socket")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	output = addFormat(cmd, "text")
	return cmd
}

var errNotConfirmed = errors.New("nothing was done: answer yes, or give --yes")

// confirm asks, unless that was done already.
func confirm(cmd *cobra.Command, yes bool, question string) error {
	if yes {
		return nil
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s Type yes: ", question)
	answer, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if strings.TrimSpace(answer) != "yes" {
		return errNotConfirmed
	}
	return nil
}
