package life

import (
	"context"
	"fmt"
	"slices"

	"github.com/hacluster/hacluster/internal/lab"
)

func upgrade(ctx context.Context, p *play) error {
	holder, err := p.holder(ctx)
	if err != nil {
		return err
	}
	next := p.lab.Nodes()[founders]
	command := fmt.Sprintf("hacluster members add %s --address %v:7400", next.Name, next.Address.Addr())
	if err := p.refused(ctx, holder, command, "not every node understands this yet"); err != nil {
		return err
	}
	for i, n := range append(p.besides(holder), holder) {
		if n == holder {
			if _, err := p.on(ctx, n, "hacluster transfer", everything); err != nil {
				return err
			}
		}
		if err := p.renew(ctx, n); err != nil {
			return err
		}
		if i == 0 {
			if _, err := p.on(ctx, n, "hacluster status", linesWith("version ")); err != nil {
				return err
			}
		}
	}
	all, _ := p.current()
	for _, n := range all {
		if err := p.atLevel(ctx, n, 2); err != nil {
			return err
		}
	}
	_, err = p.on(ctx, holder, "hacluster status", linesWith("version ", "every node knows it"))
	return err
}

// renew puts the newer build on a node, and waits until all is well with it.
func (p *play) renew(ctx context.Context, n *lab.Node) error {
	if err := p.stop(ctx, n); err != nil {
		return err
	}
	p.happens("%s: the new build is installed", n.Name)
	if err := p.install(n, p.newer); err != nil {
		return err
	}
	if err := p.start(n); err != nil {
		return err
	}
	if _, err := p.holder(ctx); err != nil {
		return err
	}
	return p.until(ctx, func(ctx context.Context) error { return ownVersion(ctx, n) })
}

// ownVersion returns an error if the row of a node, in its status, does not have the version that it runs.
func ownVersion(ctx context.Context, n *lab.Node) error {
	s, err := n.Status(ctx)
	if err == nil && !slices.ContainsFunc(s.Nodes, func(m lab.Member) bool { return m.Name == n.Name && m.Version == s.Version }) {
		err = fmt.Errorf("%s runs %s, and its row does not say so: %+v", n.Name, s.Version, s.Nodes)
	}
	return err
}

func (p *play) atLevel(ctx context.Context, n *lab.Node, level int) error {
	return p.until(ctx, func(ctx context.Context) error {
		s, err := n.Status(ctx)
		if err == nil && s.Level.InUse != level {
			err = fmt.Errorf("%s is at level %d, want %d", n.Name, s.Level.InUse, level)
		}
		return err
	})
}

func grow(ctx context.Context, p *play) error {
	holder, err := p.holder(ctx)
	if err != nil {
		return err
	}
	added := p.lab.Nodes()[founders:]
	for _, n := range added {
		if err := p.install(n, p.newer); err != nil {
			return err
		}
		p.happens("a new machine, %s", n.Name)
		if err := p.boots(n, false); err != nil {
			return err
		}
		if err := p.certify(ctx, "ca", "", n.Name); err != nil {
			return err
		}
		join := fmt.Sprintf("hacluster join --via %v:7400 --config %s", holder.Address.Addr(), configFile)
		if _, err := p.on(ctx, n, join, everything); err != nil {
			return err
		}
		if err := p.start(n); err != nil {
			return err
		}
	}
	for _, n := range added {
		if err := p.voting(ctx, n); err != nil {
			return err
		}
	}
	if _, err := p.holder(ctx); err != nil {
		return err
	}
	_, err = p.on(ctx, holder, "hacluster members", everything)
	return err
}

func shrink(ctx context.Context, p *play) error {
	holder, err := p.holder(ctx)
	if err != nil {
		return err
	}
	going := p.lab.Nodes()[nodes-1]
	if going == holder { // nothing but a false alarm has ever brought it there
		going = p.lab.Nodes()[nodes-2]
	}
	for _, n := range []*lab.Node{going, holder} {
		others := slices.DeleteFunc(p.besides(n), func(o *lab.Node) bool { return o == holder })
		if _, err := p.on(ctx, others[0], "hacluster remove "+n.Name+" --yes", everything); err != nil {
			return err
		}
		if err := p.ended(ctx, n); err != nil {
			return err
		}
		if err := p.says(n, 0, "this node was removed from the cluster"); err != nil {
			return err
		}
		p.happens("%s is switched off", n.Name)
		if err := p.dies(n); err != nil {
			return err
		}
		if _, err := p.holder(ctx); err != nil {
			return err
		}
	}
	now, err := p.holder(ctx)
	if err != nil {
		return err
	}
	_, err = p.on(ctx, now, "hacluster members", everything)
	return err
}
