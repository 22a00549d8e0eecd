package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
	"github.com/hacluster/hacluster/internal/lab/capture"
	"github.com/hacluster/hacluster/internal/lab/host"
	"github.com/hacluster/hacluster/internal/lab/vnet"
)

// This file is for those who break things themselves (package chaos), not by a Fault.

// The processes on a node, for Signal, Running and Start.
const (
	HAProxy = haproxy
	Agent   = agent
)

// ErrOff means that the machine is off.
var ErrOff = errors.New("the machine is off")

// Nodes returns the nodes, in order.
func (l *Lab) Nodes() []*Node { return l.nodes }

// Node returns the node of that name; nil: there is none.
func (l *Lab) Node(name string) *Node { return l.node(name) }

// PowerOn switches the machine of a node on, and starts what starts with it.
func (l *Lab) PowerOn(n *Node) error { return n.powerOn(l.network) }

// PowerOff pulls the plug of a node: its link goes down, and then everything on it is killed at once.
func (l *Lab) PowerOff(n *Node) error {
	_, err := unplug(context.Background(), l, n) // which waits for nothing
	return err
}

// Holder returns the name of the node that EC2 leads the Elastic IP to; empty: none.
func (l *Lab) Holder() string {
	node, _ := l.cloud.holder()
	return node
}

// Moves returns the moves of the Elastic IP from from to to.
func (l *Lab) Moves(from, to time.Time) []Move { return l.cloud.movesBetween(from, to) }

// Adverts returns the adverts that were sent from from to to.
func (l *Lab) Adverts(from, to time.Time) []capture.Advert { return l.capture.Adverts(from, to) }

// Served reports whether clients are served and have been for a short while.
func (l *Lab) Served() bool { return l.probes.Clean(cleanTime) }

// AwaitSteady waits until clients are served by a Master that all agents agree on, and all are ready and healthy; it
// returns the Master's status.
func (l *Lab) AwaitSteady(ctx context.Context, limit time.Duration) (Status, error) {
	_, status, err := l.await(ctx, limit, l.steady)
	return status, err
}

// Sever severs exactly these paths between nodes; see EC2Path.
func (l *Lab) Sever(paths []vnet.Path) error { return l.network.Sever(paths) }

// EC2Path is the path from a node to the EC2 API. Its answers take another one.
func EC2Path(node string) vnet.Path {
	return vnet.Path{From: node, Router: netip.MustParsePrefix(ec2Address).Addr()}
}

// IMDSPath is the path from a node to the instance metadata. Its answers take another one.
func IMDSPath(node string) vnet.Path {
	return vnet.Path{From: node, Router: netip.MustParsePrefix(imdsAddress).Addr()}
}

// Unplug takes the link of a node down, as if the cable was pulled; Plug takes it up again.
func (l *Lab) Unplug(node string) error { return l.network.Cut(node) }

// Plug undoes Unplug.
func (l *Lab) Plug(node string) error { return l.network.Join(node) }

// DisturbEC2 replaces the faults of the EC2 API. A Caller is an instance id; see Node.Instance.
func (l *Lab) DisturbEC2(faults []ec2fake.Fault) error { return l.cloud.server.SetFaults(faults) }

// ShiftEC2Clock makes the clock of EC2 and of the instance metadata differ from the machine's by d; 0 undoes it.
func (l *Lab) ShiftEC2Clock(d time.Duration) { l.cloud.clock.Store(int64(d)) }

// StaleCredentials makes the instance metadata hand out credentials that have ended; false undoes it.
func (l *Lab) StaleCredentials(yes bool) { l.cloud.server.StaleCredentials(yes) }

// PlaceOther associates the account's other Elastic IP, which leads nowhere, with the node; FreeOther ends that.
func (l *Lab) PlaceOther(n *Node) error {
	_, err := l.cloud.server.Associate(OtherAllocationID, n.Address.Addr())
	return err
}

// FreeOther undoes PlaceOther.
func (l *Lab) FreeOther() error { return l.cloud.server.Disassociate(OtherAllocationID) }

// Exec runs a program on the node, as root, and returns what it printed and its exit status.
func (n *Node) Exec(ctx context.Context, env []string, argv ...string) (stdout, stderr []byte, status int, err error) {
	if n.host == nil {
		return nil, nil, 0, fmt.Errorf("run %s on %s: %w", argv[0], n.Name, ErrOff)
	}
	args := []string{"--target", strconv.Itoa(n.host.Pid()), "--mount", "--net", "--pid", "--uts", "--ipc", "--"}
	cmd := exec.CommandContext(ctx, "nsenter", append(args, argv...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &errs, append(environment(), env...)
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
		err = nil
	}
	if err != nil {
		return nil, nil, 0, fmt.Errorf("run %s on %s: %w", argv[0], n.Name, err)
	}
	return out.Bytes(), errs.Bytes(), cmd.ProcessState.ExitCode(), nil
}

// DataDir returns the agent's data directory. With Options.Disk it is on a file system of its own, and nothing else is.
func (n *Node) DataDir() string { return n.file(diskDir + "/data") }

// LogPath returns the file that the agent logs to.
func (n *Node) LogPath() string { return n.log.path }

// Signal sends a signal to a process of the node and returns when.
func (n *Node) Signal(process string, to host.Target, sig syscall.Signal) (time.Time, error) {
	if n.host == nil {
		return time.Time{}, fmt.Errorf("signal %s of %s: %w", process, n.Name, ErrOff)
	}
	return n.host.Signal(process, to, sig)
}

// Running reports whether a process of the node, or one of its children, is there.
func (n *Node) Running(process string) (bool, error) {
	if n.host == nil {
		return false, nil
	}
	return n.host.Running(process)
}

// Start starts a process of the node, unless it runs or the lab has no program for it.
func (n *Node) Start(process string) error {
	programs := n.everything()
	i := slices.IndexFunc(programs, func(p Program) bool { return p.Name == process })
	if i < 0 {
		return nil
	}
	running, err := n.Running(process)
	if err == nil && !running {
		err = n.host.Run(process, programs[i].Argv, append(environment(), programs[i].Env...), n.file(process+".log"))
	}
	if err != nil {
		return fmt.Errorf("start %s on %s: %w", process, n.Name, err)
	}
	return nil
}

// Install puts another build of hacluster on the node. An agent that runs is the one from before until it is stopped and started.
func (n *Node) Install(program string) {
	n.bins.hacluster = program
	for i, p := range n.programs {
		if p.Name == agent {
			n.programs[i].Argv = append([]string{program}, p.Argv[1:]...)
		}
	}
}

// Command runs the hacluster command line against the agent of the node and returns what it printed.
func (n *Node) Command(ctx context.Context, args ...string) ([]byte, error) {
	return n.command(ctx, args...)
}

// Status asks the agent of the node by the command line.
func (n *Node) Status(ctx context.Context) (Status, error) { return n.status(ctx) }

// Transfer asks the agent of the node, as an operator does, to move the address to another node; empty: to the best one.
// It returns when the cluster has confirmed the move.
func (n *Node) Transfer(ctx context.Context, to string) error {
	args := []string{"transfer"}
	if to != "" {
		args = append(args, "--to", to)
	}
	_, err := n.command(ctx, args...)
	return err
}

// awsCommand is Debian's: whatever else is called aws comes with its own Python.
const awsCommand = "/usr/bin/aws"

// PersonsKey is what a person, or a script of one, signs with.
func PersonsKey() ec2fake.AccessKey {
	return ec2fake.AccessKey{ID: "AKIAIOSFODNN7EXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
}

// MoveByHand associates the Elastic IP with a node, as a person does with the aws command, past the agents.
func (l *Lab) MoveByHand(ctx context.Context, node string) error {
	return l.aws(ctx, "associate-address", "--allocation-id", AllocationID,
		"--network-interface-id", l.node(node).ENI, "--allow-reassociation")
}

// FreeByHand disassociates the Elastic IP, as a person does with the aws command, past the agents.
func (l *Lab) FreeByHand(ctx context.Context) error {
	return l.aws(ctx, "disassociate-address", "--public-ip", ElasticIP)
}

func (l *Lab) aws(ctx context.Context, args ...string) error {
	if _, err := os.Stat(awsCommand); err != nil {
		return fmt.Errorf("%s is not installed: apt-get install awscli", awsCommand)
	}
	endpoint := "http://" + netip.MustParsePrefix(ec2Address).Addr().String()
	cmd := exec.CommandContext(ctx, awsCommand, append([]string{"ec2", "--endpoint-url", endpoint, "--region", Region}, args...)...)
	key := PersonsKey()
	cmd.Env = append(environment(), "AWS_ACCESS_KEY_ID="+key.ID, "AWS_SECRET_ACCESS_KEY="+key.Secret, "AWS_MAX_ATTEMPTS=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("aws ec2 %s: %w: %s", args[0], err, bytes.TrimSpace(out))
	}
	return nil
}
