package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/adminapi"
)

// clientTimeout bounds a question to the agent.
const clientTimeout = 5 * time.Second

func statusCommand() *cobra.Command {
	var socket string
	var watch bool
	var output *format
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show who holds the Elastic IP, whether a node may be lost now, and what is wrong",
		Long:    "Show who holds the Elastic IP and since when, whether it is safe to lose a node now, and what is wrong, as this node sees it.",
		Example: "  hacluster status\n  hacluster status --watch\n  hacluster status -o json | jq -r .verdict.lose",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client := adminapi.NewClient(socket)
			if watch {
				return watchStatus(cmd.Context(), cmd.OutOrStdout(), client, output)
			}
			s, err := askStatus(cmd.Context(), client)
			if err != nil {
				return notTried(err)
			}
			if err := writeStatus(cmd.OutOrStdout(), s, output); err != nil {
				return err
			}
			return exitOf(s)
		},
	}
	cmd.Flags().StringVar(&socket, "socket", defaultSocket, "the agent's admin socket")
	output = addFormat(cmd, "table")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show it anew every second, in the same place")
	exits(cmd, "all is well", "something needs attention", "the agent does not answer, or the command line is wrong")
	return cmd
}

func askStatus(ctx context.Context, client *adminapi.Client) (adminapi.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	return client.Status(ctx)
}

// exitOf makes the grade an exit status.
func exitOf(s adminapi.Status) error {
	if s.Verdict != nil && s.Verdict.Grade == adminapi.Good {
		return nil
	}
	return &exitError{status: statusNotDone}
}

func writeStatus(w io.Writer, s adminapi.Status, output *format) error {
	return output.write(w, s, func(w io.Writer) error { return printStatus(w, s) })
}

func printStatus(w io.Writer, s adminapi.Status) error {
	printVerdict(w, s)
	fmt.Fprintf(w, "%s on %s: %s", s.Cluster, s.Node, s.State)
	if s.Health != "" {
		fmt.Fprintf(w, " (%s)", s.Health)
	}
	fmt.Fprintln(w)
	for _, a := range s.Addresses {
		fmt.Fprintln(w, holderLine(a))
	}
	leader := s.Leader
	if leader == "" {
		leader = "none known"
	}
	fmt.Fprintf(w, "leader %s, term %d; raft: %s\n", leader, s.Term, s.Phase)
	fmt.Fprintln(w, levelLine(s))
	printTLS(w, s)
	printRefusals(w, s.Refusals)
	if h := s.Hints; h.Asked > 0 {
		fmt.Fprintf(w, "adverts of a leader were missing %d times: %d refuted by others, %d elections\n", h.Asked, h.Refuted, h.Sent)
	}
	fmt.Fprintln(w)
	if err := printNodes(w, s); err != nil {
		return err
	}
	if err := printVRRP(w, s.VRRP); err != nil {
		return err
	}
	return printHistory(w, s.History)
}

// printVerdict answers first what an operator asks first. An agent of an older version has no verdict.
func printVerdict(w io.Writer, s adminapi.Status) {
	v := s.Verdict
	if v == nil {
		return
	}
	fmt.Fprintf(w, "%s.\nSafe to lose a node now? %s.\n", v.Holds, v.Lose)
	for _, f := range v.Wrong {
		fmt.Fprintf(w, "%s %s\n", yesNo(f.Grade == adminapi.Good, "-", "!"), f.Text)
	}
	fmt.Fprintln(w)
}

// printTLS tells how long the certificate lasts.
func printTLS(w io.Writer, s adminapi.Status) {
	if c := s.Certificate; c != nil {
		fmt.Fprintf(w, "TLS: the certificate of %s is valid for %d days\n", c.Name, c.DaysLeft)
	}
}

// printRefusals tells of who was refused at this node's port.
func printRefusals(w io.Writer, refusals map[string]uint64) {
	if len(refusals) == 0 {
		return
	}
	var reasons []string
	for _, why := range slices.Sorted(maps.Keys(refusals)) {
		reasons = append(reasons, fmt.Sprintf("%s %d", why, refusals[why]))
	}
	fmt.Fprintf(w, "connections refused since the start: %s\n", strings.Join(reasons, ", "))
}

func holderLine(a adminapi.Address) string {
	eip := a.AllocationID
	if a.PublicIP != "" {
		eip = a.PublicIP + " (" + a.AllocationID + ")"
	}
	claim := ""
	if a.Claim != "" {
		claim = "; this leader is " + a.Claim
	}
	switch {
	case a.Holder == "":
		return eip + " is held by no node yet" + claim
	case !a.Confirmed:
		return fmt.Sprintf("%s was last held by %s; a new claim is on its way or nobody may claim%s", eip, a.Holder, claim)
	case a.Guarded:
		return fmt.Sprintf("%s is held by %s (%s), under guard: a call of the past may still land%s", eip, a.Holder, a.AssociationID, claim)
	default:
		return fmt.Sprintf("%s is held by %s (%s)%s", eip, a.Holder, a.AssociationID, claim)
	}
}

// levelLine says which level is in use and, while it is not the newest that this node knows, whom it waits for.
func levelLine(s adminapi.Status) string {
	l := s.Level
	line := fmt.Sprintf("version %s, level %d of %d", s.Version, l.InUse, l.Known)
	if l.InUse >= l.Known || len(l.WaitsFor) == 0 {
		return line
	}
	var nodes []string
	for _, name := range l.WaitsFor {
		version := "which has not said its version"
		if i := slices.IndexFunc(s.Nodes, func(n adminapi.Node) bool { return n.Name == name && n.Version != "" }); i >= 0 {
			version = s.Nodes[i].Version
		}
		nodes = append(nodes, fmt.Sprintf("%s (%s)", name, version))
	}
	return line + ": waits for " + strings.Join(nodes, ", ")
}

func printNodes(w io.Writer, s adminapi.Status) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "NODE\tADDRESS\tPRIORITY\tVERSION\tHAPROXY\tEC2\tANSWERS\tROLE")
	for _, n := range s.Nodes {
		fmt.Fprintf(tw, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", n.Name, n.Address, n.Priority, n.Version, haproxyWord(n, s), ec2Word(n, s), answersWord(n, s),
			strings.Join(s.Roles(n), ", "))
	}
	return tw.Flush()
}

func haproxyWord(n adminapi.Node, s adminapi.Status) string {
	switch {
	case n.Witness:
		return "-"
	case s.Silent(n):
		return "?"
	case n.Healthy:
		return "healthy"
	default:
		return "unhealthy: " + n.Reason
	}
}

func ec2Word(n adminapi.Node, s adminapi.Status) string {
	switch {
	case n.Witness:
		return "-"
	case s.Silent(n):
		return "?"
	}
	return yesNo(n.EC2, "reached", "out of reach")
}

// answersWord says whether the node answers the leader, as far as that is known.
func answersWord(n adminapi.Node, s adminapi.Status) string {
	if s.Answering == nil {
		return "?"
	}
	return yesNo(s.Silent(n), "no", "yes")
}

func yesNo(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

// printVRRP shows who was heard; what is odd about it is in the verdict. Of a peer that never said anything there is nothing to show.
func printVRRP(w io.Writer, v *adminapi.VRRP) error {
	if v == nil {
		return nil
	}
	fmt.Fprintf(w, "\nVRRP: %d adverts sent, %d received, %d packets rejected\n", v.Sent, v.Received, total(v.Rejected))
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, s := range v.Senders {
		if s.Adverts > 0 || len(s.Rejected) > 0 {
			fmt.Fprintln(tw, senderLine(s))
		}
	}
	return tw.Flush()
}

func senderLine(s adminapi.Sender) string {
	who, said := cmp.Or(s.Node, "not a node"), "never advertised"
	if l := s.Last; l != nil {
		said = fmt.Sprintf("VRRPv%d priority %d every %v, %v ago", l.Version, l.Priority, time.Duration(l.IntervalMS)*time.Millisecond, adminapi.Age(l.AgeMS))
	}
	line := fmt.Sprintf("  %s\t%s\t%s", s.Address, who, said)
	for _, reason := range slices.Sorted(maps.Keys(s.Rejected)) {
		line += fmt.Sprintf("\t%s %d", reason, s.Rejected[reason])
	}
	return line
}

func total(counts map[string]uint64) (sum uint64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

func printHistory(w io.Writer, history []adminapi.Transition) error {
	if len(history) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "TIME (UTC)\tTERM\tNODE\tEVENT\tWHY")
	for _, t := range history {
		event := t.Event
		if t.Mode != "" {
			event += " (" + t.Mode + ")"
		}
		fmt.Fprintf(tw, "%s\t%d\t%s\t%s\t%s\n", t.Time.Format("01-02 15:04:05.000"), t.Term, t.Node, event, t.Reason)
	}
	return tw.Flush()
}
