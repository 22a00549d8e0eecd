package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/chaos/judge"
	"github.com/hacluster/hacluster/internal/lab/host"
)

// reloadWatch is how long after a reload nothing may happen.
const reloadWatch = 2 * time.Second

// transferLimit bounds a transfer that is a fault, or the prelude to one.
const transferLimit = 3 * time.Second

func processKinds() []*kind {
	return []*kind{
		{name: "agent-kill", weight: 3, build: buildAgentKill},
		{name: "agent-stop", weight: 1, build: buildAgentStop},
		{name: "agent-freeze", weight: 3, build: buildAgentFreeze},
		{name: judge.KindAllKilled, weight: 2, build: buildAllKilled},
		{name: "transfer", weight: 1, build: buildTransfer},
		{name: "haproxy-kill", weight: 2, build: buildHAProxyKill},
		{name: "haproxy-hang", weight: 2, build: buildHAProxyHang},
		{name: judge.KindReload, weight: 1, build: buildReload},
	}
}

func agentOf(n *lab.Node) string   { return "agent of " + n.Name }
func haproxyOf(n *lab.Node) string { return "haproxy of " + n.Name }

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func buildAgentKill(r *run, d *dice) *act {
	n, back := r.target(d), time.Duration(d.Int64N(int64(3*time.Second)))
	return &act{
		text: fmt.Sprintf("%s, restarted after %s", n.Name, seconds(back)), node: n.Name, needs: []string{agentOf(n)},
		begin: func(context.Context) error { return r.keepers[n.Name].end(syscall.SIGKILL, back) },
	}
}

func buildAgentStop(r *run, d *dice) *act {
	n := r.target(d)
	return &act{
		text: n.Name + " (SIGTERM), restarted after 1.0 s", node: n.Name, needs: []string{agentOf(n)},
		begin: func(context.Context) error { return r.keepers[n.Name].end(syscall.SIGTERM, restartAfter) },
	}
}

func buildAgentFreeze(r *run, d *dice) *act {
	n, hold := r.target(d), d.between(100*time.Millisecond, 20*time.Second)
	return &act{
		text: fmt.Sprintf("%s for %s", n.Name, seconds(hold)), node: n.Name, needs: []string{agentOf(n)}, hold: hold,
		parts: []judge.Part{{What: judge.PartAgent, Node: n.Name}},
		begin: func(context.Context) error { return signal(n, lab.Agent, syscall.SIGSTOP) },
		mend:  func(context.Context) error { return ifThere(signal(n, lab.Agent, syscall.SIGCONT)) },
	}
}

// signal sends a signal to a process and its children; it is errNoFault if there is none.
func signal(n *lab.Node, process string, sig syscall.Signal) error {
	_, err := n.Signal(process, host.Group, sig)
	if errors.Is(err, host.ErrRefused) {
		return errNoFault
	}
	return err
}

// ifThere forgives that what was to be mended has gone.
func ifThere(err error) error {
	if errors.Is(err, errNoFault) {
		return nil
	}
	return err
}

// buildAllKilled kills every agent at once, if possible at the moment in which a transfer has been confirmed: that must not be
// forgotten.
func buildAllKilled(r *run, d *dice) *act {
	a := &act{text: "every agent at once", hold: 100 * time.Millisecond}
	back := make(map[string]time.Duration)
	var times []string
	for _, n := range r.lab.Nodes() {
		back[n.Name] = time.Duration(d.Int64N(int64(3 * time.Second)))
		a.needs = append(a.needs, agentOf(n))
		times = append(times, seconds(back[n.Name]))
	}
	a.text += ", restarted after " + strings.Join(times, ", ")
	a.begin = func(ctx context.Context) error {
		if err := r.commitSomething(ctx); err != nil {
			return err
		}
		var group errgroup.Group
		for _, n := range r.lab.Nodes() {
			group.Go(func() error { return ifThere(r.keepers[n.Name].end(syscall.SIGKILL, back[n.Name])) })
		}
		return group.Wait()
	}
	return a
}

// commitSomething makes the cluster commit a move, if it can at present, and looks at the leader.
func (r *run) commitSomething(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, transferLimit)
	defer cancel()
	for _, n := range r.lab.Nodes() {
		if n.Name != r.sights.leader() {
			continue
		}
		_ = n.Transfer(ctx, "") // in the middle of other faults it may well fail
		if sighting, err := look(ctx, n); err == nil {
			return r.sights.keep(sighting, r.record)
		}
	}
	return nil
}

func buildTransfer(r *run, d *dice) *act {
	n := pick(d, r.lab.Nodes())
	return &act{text: "asked for at " + n.Name, node: n.Name, begin: func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, transferLimit)
		defer cancel()
		if err := n.Transfer(ctx, ""); err != nil {
			return errNoFault
		}
		return nil
	}}
}

func buildHAProxyKill(r *run, d *dice) *act {
	n, hold := r.target(d), d.between(300*time.Millisecond, 8*time.Second)
	return &act{
		text: fmt.Sprintf("%s, restarted after %s", n.Name, seconds(hold)), node: n.Name, needs: []string{haproxyOf(n)}, hold: hold,
		parts: []judge.Part{{What: judge.PartHAProxy, Node: n.Name}},
		begin: func(context.Context) error { return signal(n, lab.HAProxy, syscall.SIGKILL) },
		mend: func(ctx context.Context) error {
			return errors.Join(awaitDeath(ctx, n, lab.HAProxy), n.Start(lab.HAProxy))
		},
	}
}

func buildHAProxyHang(r *run, d *dice) *act {
	n, hold := r.target(d), d.between(200*time.Millisecond, 8*time.Second)
	return &act{
		text: fmt.Sprintf("%s for %s", n.Name, seconds(hold)), node: n.Name, needs: []string{haproxyOf(n)}, hold: hold,
		parts: []judge.Part{{What: judge.PartHAProxy, Node: n.Name}},
		begin: func(context.Context) error { return signal(n, lab.HAProxy, syscall.SIGSTOP) },
		mend:  func(context.Context) error { return signal(n, lab.HAProxy, syscall.SIGCONT) },
	}
}

func buildReload(r *run, d *dice) *act {
	n := r.target(d)
	return &act{
		text: n.Name, node: n.Name, needs: []string{haproxyOf(n)}, hold: reloadWatch,
		begin: func(context.Context) error {
			_, err := n.Signal(lab.HAProxy, host.Leader, syscall.SIGUSR2)
			return err
		},
	}
}
