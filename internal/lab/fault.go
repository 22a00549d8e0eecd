package lab

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hacluster/hacluster/internal/lab/host"
)

// Fault is something that happens to the node that holds the Elastic IP.
type Fault struct {
	Name string
	// Title and Story tell people what happens; Story has a verb for the node as its subject.
	Title, Story string
	// Kills: the agent of the node ends without a word in its log.
	Kills bool
	// inject makes it happen and returns when it did.
	inject func(ctx context.Context, l *Lab, victim *Node) (time.Time, error)
	// Hold is how long it lasts before it is undone; zero: until the repetition is over.
	Hold    time.Duration
	release func(l *Lab, victim *Node) error
	// Release tells people what release does.
	Release string
	// observe is the least time to watch after the fault or its release.
	observe time.Duration
}

const (
	freezeTime    = 5 * time.Second
	partitionTime = 4 * time.Second
)

// Faults returns every fault, in the order in which `all` runs them.
func Faults() []Fault {
	const short, long = 1500 * time.Millisecond, 3 * time.Second
	return []Fault{
		{Name: "haproxy-kill", Title: "HAProxy dies", Story: "loses all its HAProxy processes (SIGKILL)",
			inject: signal(haproxy, host.Group, syscall.SIGKILL), observe: short},
		{Name: "haproxy-hang", Title: "HAProxy hangs", Story: "has its HAProxy processes stopped (SIGSTOP)",
			inject: signal(haproxy, host.Group, syscall.SIGSTOP), observe: short},
		{Name: "node-death", Title: "A node dies", Story: "loses its network and all its processes at once",
			Kills: true, inject: unplug, observe: short},
		{Name: "agent-kill", Title: "The agent dies", Story: "loses its agent (SIGKILL); its HAProxy goes on",
			Kills: true, inject: signal(agent, host.Group, syscall.SIGKILL), observe: short},
		{Name: "agent-freeze", Title: "The agent freezes", Story: "has its agent stopped (SIGSTOP)",
			inject: signal(agent, host.Group, syscall.SIGSTOP), Hold: freezeTime, release: wake,
			Release: "has its agent continued (SIGCONT)", observe: long},
		{Name: "partition", Title: "The network splits", Story: "is cut off from the other nodes; clients and EC2 still reach it",
			inject: partition, Hold: partitionTime, release: heal,
			Release: "reaches the other nodes again", observe: long},
		{Name: "handover", Title: "A planned hand-over", Story: "is told to hand over (hacluster transfer)",
			inject: transfer, observe: short},
		{Name: "stop", Title: "The agent is stopped", Story: "has its agent stopped for maintenance (SIGTERM)",
			inject: signal(agent, host.Leader, syscall.SIGTERM), observe: short},
		{Name: "haproxy-reload", Title: "HAProxy reloads", Story: "has its HAProxy reloaded (SIGUSR2)",
			inject: signal(haproxy, host.Leader, syscall.SIGUSR2), observe: long},
	}
}

// FindFaults returns the faults of a comma-separated list of names; "all" is every fault.
func FindFaults(list string) ([]Fault, error) {
	all := Faults()
	if list == "all" {
		return all, nil
	}
	var known []string
	for _, f := range all {
		known = append(known, f.Name)
	}
	var found []Fault
	for name := range strings.SplitSeq(list, ",") {
		i := slices.Index(known, strings.TrimSpace(name))
		if i < 0 {
			return nil, fmt.Errorf("unknown fault %q: choose all, or some of %s", name, strings.Join(known, ","))
		}
		found = append(found, all[i])
	}
	return found, nil
}

func signal(process string, to host.Target, sig syscall.Signal) func(context.Context, *Lab, *Node) (time.Time, error) {
	return func(_ context.Context, _ *Lab, victim *Node) (time.Time, error) {
		return victim.host.Signal(process, to, sig)
	}
}

// unplug takes the link down first: the kernel of a dead machine says goodbye to nobody.
func unplug(_ context.Context, l *Lab, victim *Node) (time.Time, error) {
	at := time.Now()
	if err := l.network.Cut(victim.Name); err != nil {
		return at, err
	}
	return at, victim.powerOff()
}

func partition(_ context.Context, l *Lab, victim *Node) (time.Time, error) {
	err := l.network.Partition(victim.Name, l.peers(victim))
	return time.Now(), err // it holds from the end of the transaction on
}

func transfer(ctx context.Context, _ *Lab, victim *Node) (time.Time, error) {
	at := time.Now()
	_, err := victim.command(ctx, "transfer")
	return at, err
}

func wake(_ *Lab, victim *Node) error {
	_, err := victim.host.Signal(agent, host.Group, syscall.SIGCONT)
	return err
}

func heal(l *Lab, _ *Node) error { return l.network.Heal() }

// repair undoes what a fault left behind: it heals the network, wakes what is stopped, and starts what is dead.
func (l *Lab) repair() error {
	if err := l.network.Heal(); err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	for _, n := range l.members() {
		var err error
		if n.host == nil {
			err = n.powerOn(l.network)
		} else if err = n.continueAll(); err == nil {
			err = n.startMissing()
		}
		if err != nil {
			return fmt.Errorf("repair %s: %w", n.Name, err)
		}
	}
	return nil
}
