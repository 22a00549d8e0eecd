package life

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/host"
)

func bootstrap(ctx context.Context, p *play) error {
	first := p.lab.Nodes()[0]
	all, names := p.current()
	if err := p.atDesk(ctx, "hacluster tls ca create --cluster lab --out ca", linesWith("authority", "valid")); err != nil {
		return err
	}
	if err := p.certify(ctx, "ca", "", names...); err != nil {
		return err
	}
	if _, err := p.on(ctx, first, "hacluster config check "+configFile, everything); err != nil {
		return err
	}
	for _, n := range all {
		if err := p.start(n); err != nil {
			return err
		}
	}
	holder, err := p.holder(ctx)
	if err != nil {
		return err
	}
	out, err := p.on(ctx, holder, "hacluster status", everything)
	switch {
	case err != nil:
		return err
	case !strings.Contains(out, "TLS: the certificate of node "+holder.Name):
		return fmt.Errorf("nothing is said of TLS: %s", out)
	}
	return nil
}

func haproxyDies(ctx context.Context, p *play) error {
	victim, err := p.holder(ctx)
	if err != nil {
		return err
	}
	p.happens("all HAProxy processes of %s are killed", victim.Name)
	if _, err := victim.Signal(lab.HAProxy, host.Group, syscall.SIGKILL); err != nil {
		return err
	}
	if err := p.leaves(ctx, victim); err != nil {
		return err
	}
	if _, err := p.on(ctx, victim, "hacluster status", verdict); err != nil {
		return err
	}
	p.typed(victim.Name, "systemctl start haproxy", "", everything)
	if err := victim.Start(lab.HAProxy); err != nil {
		return err
	}
	_, err = p.holder(ctx)
	return err
}

// leaves waits until clients are served and the address is with another node.
func (p *play) leaves(ctx context.Context, former *lab.Node) error {
	return p.until(ctx, func(ctx context.Context) error {
		holder := p.lab.Holder()
		if holder == "" || holder == former.Name || !p.lab.Served() {
			return fmt.Errorf("the address is with %q, clients are served: %t", holder, p.lab.Served())
		}
		status, err := p.lab.Node(holder).Status(ctx)
		if err == nil && (status.Holder != holder || status.State != "Master") {
			err = fmt.Errorf("%s holds the address, and says that it is %s and %q holds", holder, status.State, status.Holder)
		}
		return err
	})
}

func drain(ctx context.Context, p *play) error {
	patched, err := p.holder(ctx)
	if err != nil {
		return err
	}
	if _, err := p.on(ctx, patched, "hacluster drain "+patched.Name, everything); err != nil {
		return err
	}
	p.typed(patched.Name, "systemctl reboot", "", everything)
	if err := p.lab.PowerOff(patched); err != nil {
		return err
	}
	other := p.besides(patched)[0]
	if _, err := p.on(ctx, other, "hacluster status", verdict); err != nil {
		return err
	}
	if err := p.boots(patched, true); err != nil {
		return err
	}
	if _, err := p.holder(ctx); err != nil {
		return err
	}
	if err := drained(ctx, patched); err != nil {
		return err
	}
	_, err = p.on(ctx, other, "hacluster undrain "+patched.Name, everything)
	return err
}

// drained checks that a node knows that it is drained.
func drained(ctx context.Context, n *lab.Node) error {
	status, err := n.Status(ctx)
	if err == nil && !slices.ContainsFunc(status.Nodes, func(m lab.Member) bool { return m.Name == n.Name && m.Drained }) {
		err = fmt.Errorf("%s has forgotten that it was drained: %+v", n.Name, status.Nodes)
	}
	return err
}

func machineDies(ctx context.Context, p *play) error {
	victim, err := p.holder(ctx)
	if err != nil {
		return err
	}
	p.happens("%s loses its network and all its processes at once", victim.Name)
	p.lost = []*lab.Node{victim}
	if err := p.dies(victim); err != nil {
		return err
	}
	if err := p.leaves(ctx, victim); err != nil {
		return err
	}
	_, err = p.on(ctx, p.lab.Node(p.lab.Holder()), "hacluster status", verdict)
	return err
}

func replace(ctx context.Context, p *play) error {
	dead := p.lost[0]
	status, err := p.lab.AwaitSteady(ctx, patience)
	if err != nil {
		return err
	}
	holder := p.lab.Node(status.Holder)
	former, err := p.incarnation(ctx, holder, dead.Name)
	if err != nil {
		return err
	}
	if err := p.wipes(dead); err != nil {
		return err
	}
	p.happens("a new machine, with an empty disk and the network interface of %s", dead.Name)
	if err := p.boots(dead, false); err != nil {
		return err
	}
	if err := p.certify(ctx, "ca", "-new", dead.Name); err != nil {
		return err
	}
	if err := p.start(dead); err != nil {
		return err
	}
	if err := p.voting(ctx, dead); err != nil {
		return err
	}
	if _, err := p.holder(ctx); err != nil {
		return err
	}
	if _, err := p.on(ctx, holder, "hacluster members", everything); err != nil {
		return err
	}
	present, err := p.incarnation(ctx, holder, dead.Name)
	if err == nil && present == former {
		err = fmt.Errorf("I7: %s came back as the incarnation %s that it was before", dead.Name, former)
	}
	return err
}
