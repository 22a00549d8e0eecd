package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/config"
	"github.com/hacluster/hacluster/internal/controller"
)

// surveyTimeout bounds how long the other nodes are waited for.
const surveyTimeout = 3 * time.Second

// recoverFlags are what the operator says.
type recoverFlags struct {
	file, node, dataDir, known string
	show                       bool
}

func recoverCommand() *cobra.Command {
	var f recoverFlags
	cmd := &cobra.Command{
		Use:   "recover [--config FILE]",
		Short: "Go on with this node alone, because the quorum is lost for good (read docs/RECOVERY.md first)",
		Long: "Go on with this node alone, because more than half of the voters are lost for good. The agent must be stopped.\n" +
			"It shows what this node knows, asks the others that answer, says what may be lost, makes a backup, and wants to be told\n" +
			"the cluster's name before it changes anything.",
		Example: "  systemctl stop hacluster\n" +
			"  hacluster recover --show     # on each survivor: which one knows most?\n" +
			"  hacluster recover            # on that one only",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.InOrStdin())
		},
	}
	cmd.Flags().StringVar(&f.file, "config", defaultConfig, "configuration file")
	cmd.Flags().StringVar(&f.node, "node", "", "this node's name, if neither the file nor the hostname says it")
	cmd.Flags().StringVar(&f.dataDir, "data-dir", "", "data dir instead of the configured one")
	cmd.Flags().BoolVar(&f.show, "show", false, "show what this node knows and ask the others; change nothing")
	cmd.Flags().StringVar(&f.known, "yes-i-know", "", "the cluster's name, in place of the question")
	exits(cmd, "recovered; with --show, it could be", "refused, or not confirmed; nothing was changed", "the command line is wrong")
	return cmd
}

func (f *recoverFlags) run(ctx context.Context, out io.Writer, in io.Reader) (err error) {
	cfg, err := f.load()
	if err != nil {
		return err
	}
	r, err := openRecovery(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	replica := controller.NewReplica()
	if err := r.Replay(replica); err != nil {
		return err
	}
	state := replica.State()
	printLastKnown(out, cfg, r, state)
	survey := ask(ctx, r)
	printSurvey(out, survey)
	if err := r.Object(survey); err != nil || f.show {
		return err
	}
	printConsequences(out, cfg)
	if err := f.confirm(out, in, cfg.Cluster.Name); err != nil {
		return err
	}
	if f.known == "" { // people take their time, and meanwhile others mend the rest
		if err := r.Object(ask(ctx, r)); err != nil {
			return fmt.Errorf("nothing was changed: %w", err)
		}
	}
	backup, err := goOnAlone(r, cfg, state)
	if err != nil {
		return err
	}
	printRecovered(out, cfg, backup)
	return nil
}

func ask(ctx context.Context, r *election.Recovery) []election.Survivor {
	ctx, cancel := context.WithTimeout(ctx, surveyTimeout)
	defer cancel()
	return r.Survey(ctx)
}

// load reads the configuration of the stopped agent.
func (f *recoverFlags) load() (config.Config, error) {
	cfg, err := config.LoadAs(f.file, f.node)
	if err != nil {
		return config.Config{}, err
	}
	if f.dataDir != "" {
		cfg.DataDir = f.dataDir
	}
	return recalled(cfg)
}

// goOnAlone makes state the beginning of a cluster of this node's own, and returns where the store of the old one is kept.
func goOnAlone(r *election.Recovery, cfg config.Config, state fsm.State) (backup string, err error) {
	state.Recover(fsm.NodeName(cfg.Node), allocationIDs(cfg), time.Now().UnixMilli(), "the quorum of "+strings.Join(r.Voters(), ", ")+" was lost")
	snapshot, err := state.Snapshot()
	if err != nil {
		return "", err
	}
	return r.Commit(snapshot)
}

// openRecovery uses the certificates of the node, as its agent does.
func openRecovery(cfg config.Config) (*election.Recovery, error) {
	log := zap.NewNop() // what goes wrong comes back as an error
	keys, err := openKeyring(cfg, func() (config.Config, error) { return cfg, nil }, log)
	if err != nil {
		return nil, err
	}
	ec := electionConfig(cfg, nil, log)
	if keys != nil {
		ec.Security = keys
	}
	return election.OpenRecovery(ec)
}

func printLastKnown(out io.Writer, cfg config.Config, r *election.Recovery, state fsm.State) {
	fmt.Fprintf(out, "This is node %s of cluster %s. What it knows, in %s:\n\n", cfg.Node, cfg.Cluster.Name, cfg.DataDir)
	fmt.Fprintf(out, "  log         ends at %v\n", r.Last())
	fmt.Fprintf(out, "  voters      %s\n", strings.Join(r.Voters(), ", "))
	if g := r.Generation(); g != "" {
		fmt.Fprintf(out, "  recoveries  %s\n", g)
	}
	for _, id := range slices.Sorted(maps.Keys(state.Addresses)) {
		a := state.Addresses[id]
		if a.Holder != "" {
			fmt.Fprintf(out, "  address     %s was held by %s (%s)\n", id, a.Holder, a.Association)
		}
	}
	if n := len(state.History); n > 0 {
		last := state.History[n-1]
		fmt.Fprintf(out, "  last event  %s: %s by %s\n", time.UnixMilli(last.UnixMilli).UTC().Format("2006-01-02 15:04:05 UTC"), last.Event, last.Node)
	}
	fmt.Fprintln(out)
}

func printSurvey(out io.Writer, survey []election.Survivor) {
	fmt.Fprintln(out, "The other nodes, if their agents run:")
	fmt.Fprintln(out)
	for _, s := range survey {
		fmt.Fprintf(out, "  %s (%s)  %s\n", s.Name, s.Address, survivorLine(s))
	}
	fmt.Fprintln(out)
}

func survivorLine(s election.Survivor) string {
	switch {
	case s.Silent != "":
		return "silent: " + s.Silent
	case s.LeftUs:
		return "belongs to the cluster after a recovery"
	case s.Leads:
		return fmt.Sprintf("leads; its log ends at %v", s.Last)
	case s.Voter || s.Member:
		return fmt.Sprintf("answers; its log ends at %v", s.Last)
	default:
		return "answers, but has no memory of this cluster"
	}
}

func printConsequences(out io.Writer, cfg config.Config) {
	fmt.Fprintf(out, `What will happen:

  - %[1]s becomes the only voter of the cluster, with what it knows, and is its own quorum at once. The other nodes join it again, empty.
  - Whatever the lost nodes agreed on behind the end of this log is lost: a move of the address, a drain, a member. What stands in this log
    and was never agreed on counts from now on.
  - Every call to EC2 of the past counts as still under way: the address is read, taken by compare-and-set, and watched for half an hour.
  - The other nodes must not run with what they have on disk. Where they reach %[1]s they refuse to by themselves; where they do not, enough of
    them would go on as the old cluster, and the two would take the address from each other in turns. EC2 tells nobody apart.
  - The store is copied beside itself first. The backup is for reading; a node refuses to run on it.

Go on only if the other voters are lost for good, or stopped and kept from starting: their agents disabled, or their raft directories moved away.

`, cfg.Node)
}

// confirm wants the cluster's name, by flag or typed.
func (f *recoverFlags) confirm(out io.Writer, in io.Reader, cluster string) error {
	answer := f.known
	if answer == "" {
		fmt.Fprintf(out, "Type the name of the cluster to go on: ")
		line, err := bufio.NewReader(in).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the answer: %w", err)
		}
		answer = strings.TrimSpace(line)
		fmt.Fprintln(out)
	}
	if answer != cluster {
		return fmt.Errorf("nothing was changed: the cluster's name is %q, not %q", cluster, answer)
	}
	return nil
}

func printRecovered(out io.Writer, cfg config.Config, backup string) {
	fmt.Fprintf(out, `Done. The old store is in %s.

  1. Start the agent here: it leads within seconds, and 'hacluster status' says who holds the address.
  2. On each other node whose disk survived: move %s away, leave the file "initialized" beside it, and start the agent.
  3. Start the others, new machines included, with the same configuration: they join empty. Wait for 'running' on one before the next.
`, backup, cfg.DataDir+"/raft")
}
