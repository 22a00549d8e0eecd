package lab

import (
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

// Program is a process that a node runs beside HAProxy. The one with the name Agent is what faults call the agent,
// whatever program that is.
type Program struct {
	Name string
	Argv []string
	Env  []string // in addition to a service manager's
	// Manual: it does not start with the machine; see Node.Start.
	Manual bool
}

// Setup is one way of running hacluster.
type Setup struct {
	// Name is that of its configuration file and its data directory, so that several can take turns on one node. Empty: the
	// lab's own.
	Name string
	// Profile and Fencing are the configuration's profile and eip.fencing; empty: its default.
	Profile, Fencing string
	// TLS: EC2 is spoken to over TLS.
	TLS bool
	// Members are the names that the configuration has under nodes; empty: all nodes of the lab.
	Members []string
	// Certificates is a directory with ca.crt, node.crt and node.key, by which the nodes know one another; empty: plain TCP.
	Certificates string
	Tuning
}

// Hacluster writes the configuration for a way of running hacluster on this node and returns the program.
func (n *Node) Hacluster(setup Setup) (Program, error) {
	if err := os.MkdirAll(n.dataDir(setup), 0o700); err != nil {
		return Program{}, fmt.Errorf("make data directory on %s: %w", n.Name, err)
	}
	file := agent + ".yaml"
	if setup.Name != "" {
		file = setup.Name + ".yaml"
	}
	if err := n.configure(file, agentConfig, setup); err != nil {
		return Program{}, err
	}
	program := n.HaclusterWith(n.file(file))
	if setup.TLS {
		program.Env = []string{"AWS_CA_BUNDLE=" + n.CABundle()}
	}
	return program, nil
}

// HaclusterWith returns the agent with a configuration file that somebody else wrote.
func (n *Node) HaclusterWith(file string) Program {
	return Program{Name: agent, Argv: []string{n.bins.hacluster, "agent", "--config", file}}
}

// dataDir returns the agent's data directory of one way of running it.
func (n *Node) dataDir(setup Setup) string {
	if setup.Name == "" {
		return n.DataDir()
	}
	return n.DataDir() + "-" + setup.Name
}

// Reboot switches every node off and on, with other programs beside HAProxy: nothing that ran before is left, and nothing
// that it had begun. Disks survive.
func (l *Lab) Reboot(programs func(*Node) ([]Program, error)) error {
	for _, n := range l.nodes {
		var err error
		if n.programs, err = programs(n); err == nil {
			err = n.powerOff()
		}
		if err != nil {
			return fmt.Errorf("reboot %s: %w", n.Name, err)
		}
	}
	if err := l.network.Heal(); err != nil {
		return fmt.Errorf("reboot: %w", err)
	}
	l.bootCall = l.cloud.server.State().Calls
	var group errgroup.Group
	for _, n := range l.nodes {
		group.Go(func() error { return n.powerOn(l.network) })
	}
	return group.Wait()
}

// Quiet reports whether, since Reboot, no mutating call was received or answered within the last d, and none is still
// being worked on.
func (l *Lab) Quiet(d time.Duration) bool {
	since := time.Now().Add(-d).UnixNano()
	return !slices.ContainsFunc(l.cloud.server.Calls(l.bootCall), func(c ec2fake.Call) bool {
		return c.Mutating() && (!c.Done || c.Received > since || c.Answered > since)
	})
}

// File returns the path of a file in the node's directory, which survives the machine.
func (n *Node) File(name string) string { return n.file(name) }

// Place associates the Elastic IP with the node, past everybody and without a call, as the console might.
func (l *Lab) Place(n *Node) error {
	_, err := l.cloud.server.Associate(AllocationID, n.Address.Addr())
	return err
}
