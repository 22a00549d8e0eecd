package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	commandTimeout = 10 * time.Second
	// pollInterval is how often the lab looks whether it is steady again.
	pollInterval = 100 * time.Millisecond
	// cleanTime is for how long clients must have been served without a failure.
	cleanTime = 300 * time.Millisecond

	stateMaster = "Master"
)

// PhaseRunning is the Phase of a voter that knows a leader.
const PhaseRunning = "running"

// Status is what the lab reads of `hacluster status -o json`.
type Status struct {
	Node      string        `json:"node"`
	Version   string        `json:"version"`
	State     string        `json:"state"`
	Leader    string        `json:"leader"`
	Term      uint64        `json:"term"`
	Holder    string        `json:"holder"`
	Addresses []Association `json:"addresses"`
	Healthy   bool          `json:"healthy"`
	Ready     bool          `json:"ready"`
	// Phase says in words what the Raft node does; PhaseRunning: it votes, and knows a leader.
	Phase        string   `json:"phase"`
	AppliedIndex uint64   `json:"applied_index"`
	Level        Level    `json:"level"`
	Nodes        []Member `json:"nodes"`
	// History is kept as printed: it is compared, not read.
	History []json.RawMessage `json:"history"`
}

// Level says which commands the cluster uses, and which the node's build knows.
type Level struct {
	InUse    int      `json:"in_use"`
	Known    int      `json:"known"`
	WaitsFor []string `json:"waits_for"`
}

// Member is one node of the cluster as the cluster agreed on it.
type Member struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Healthy bool   `json:"healthy"`
	Drained bool   `json:"drained"`
}

// Association is what the cluster agreed on about one Elastic IP.
type Association struct {
	AssociationID string `json:"association_id"`
}

// AssociationID is that of the Elastic IP; the lab has one.
func (s Status) AssociationID() string {
	if len(s.Addresses) != 1 {
		return ""
	}
	return s.Addresses[0].AssociationID
}

// Remembers reports whether the newest entry of an earlier status' history, which must have one, is still in this one.
func (s Status) Remembers(earlier Status) bool {
	if len(earlier.History) == 0 {
		return false
	}
	last := earlier.History[len(earlier.History)-1]
	return slices.ContainsFunc(s.History, func(entry json.RawMessage) bool { return bytes.Equal(entry, last) })
}

// command runs the hacluster command line against the agent of a node and returns what it printed.
func (n *Node) command(ctx context.Context, args ...string) ([]byte, error) {
	if n.host == nil {
		return nil, fmt.Errorf("%s on %s: %w", args[0], n.Name, ErrOff)
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	args = append(args, "--socket", n.host.Path(adminSocket))
	cmd := exec.CommandContext(ctx, n.bins.hacluster, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &stdout, &stderr, environment()
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); args[0] == "status" && errors.As(err, &exit) && exit.ExitCode() == 1 {
		err = nil // an answer, which is that something is wrong
	}
	if err != nil {
		return nil, fmt.Errorf("%s on %s: %w: %s", args[0], n.Name, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}

func (n *Node) status(ctx context.Context) (Status, error) {
	out, err := n.command(ctx, "status", "-o", "json")
	if err != nil {
		return Status{}, err
	}
	var status Status
	if err := json.Unmarshal(out, &status); err != nil {
		return Status{}, fmt.Errorf("read status of %s: %w", n.Name, err)
	}
	return status, nil
}

// settled checks that clients are served by a Master whose claim EC2 and the cluster agree on; it returns that node.
func (l *Lab) settled(ctx context.Context) (*Node, Status, error) {
	holder, association := l.cloud.holder()
	if holder == "" {
		return nil, Status{}, errors.New("the Elastic IP is not associated")
	}
	if !l.probes.Clean(cleanTime) {
		return nil, Status{}, errors.New("clients are not served")
	}
	node := l.node(holder)
	if node.host == nil {
		return nil, Status{}, fmt.Errorf("%s holds the Elastic IP and is off", holder)
	}
	status, err := node.status(ctx)
	if err != nil {
		return nil, status, err
	}
	if status.State != stateMaster || status.AssociationID() != association {
		return nil, status, fmt.Errorf("%s holds the Elastic IP by %s; its agent says %s by %s",
			holder, association, status.State, status.AssociationID())
	}
	return node, status, nil
}

// steady checks that the lab is settled and that nothing is left of an earlier fault: the agents of all members are ready and healthy
// and agree on who leads and who is Master.
func (l *Lab) steady(ctx context.Context) (*Node, Status, error) {
	master, agreed, err := l.settled(ctx)
	if err != nil {
		return nil, agreed, err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, n := range l.members() {
		group.Go(func() error {
			if n.host == nil {
				return fmt.Errorf("%s is off", n.Name)
			}
			s, err := n.status(ctx)
			switch {
			case err != nil:
				return err
			case !s.Ready || !s.Healthy:
				return fmt.Errorf("%s is not ready (ready %t, healthy %t)", n.Name, s.Ready, s.Healthy)
			case s.Leader != agreed.Leader || s.Holder != master.Name:
				return fmt.Errorf("%s says leader %s, holder %s; %s says leader %s", n.Name, s.Leader, s.Holder, master.Name, agreed.Leader)
			case s.AssociationID() != agreed.AssociationID():
				return fmt.Errorf("%s says association %s, %s says %s", n.Name, s.AssociationID(), master.Name, agreed.AssociationID())
			case (s.State == stateMaster) != (n == master):
				return fmt.Errorf("%s is %s while %s is Master", n.Name, s.State, master.Name)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, agreed, err
	}
	return master, agreed, nil
}

// await polls check until it succeeds or the time is up, and then returns its last error.
func (l *Lab) await(ctx context.Context, limit time.Duration,
	check func(context.Context) (*Node, Status, error)) (*Node, Status, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	var last error
	for {
		node, status, err := check(ctx)
		if err == nil {
			return node, status, nil
		}
		if ctx.Err() == nil {
			last = err // the time-out of a command that was cut short says nothing
		}
		select {
		case <-ctx.Done():
			return nil, status, errors.Join(ctx.Err(), last)
		case <-ticker.C:
		}
	}
}
