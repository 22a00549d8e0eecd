package life

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
)

func loseQuorum(ctx context.Context, p *play) error {
	holder, err := p.holder(ctx)
	if err != nil {
		return err
	}
	p.lost = p.besides(holder)
	for _, n := range p.lost {
		p.happens("%s loses its network and all its processes at once", n.Name)
		if err := p.dies(n); err != nil {
			return err
		}
	}
	err = p.until(ctx, func(ctx context.Context) error {
		s, err := holder.Status(ctx)
		if err == nil && s.Leader != "" {
			err = fmt.Errorf("%s says that %s leads", holder.Name, s.Leader)
		}
		return err
	})
	if err != nil {
		return err
	}
	if _, err := p.on(ctx, holder, "hacluster status", verdict); err != nil {
		return err
	}
	return p.watch(ctx, leaderlessTime)
}

// leaderlessTime is how long clients are watched while nobody can be elected.
const leaderlessTime = 3 * time.Second

func (p *play) watch(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// recoverAlone is docs/RECOVERY.md on the survivor.
func recoverAlone(ctx context.Context, p *play) error {
	all, _ := p.current()
	if len(all) != 1 {
		return fmt.Errorf("%d nodes are alive", len(all))
	}
	survivor := all[0]
	if err := p.stop(ctx, survivor); err != nil {
		return err
	}
	if _, err := p.on(ctx, survivor, "hacluster recover --show --config "+configFile, everything); err != nil {
		return err
	}
	out, err := p.on(ctx, survivor, "hacluster recover --yes-i-know lab --config "+configFile, fromLine("What will happen"))
	if err != nil {
		return err
	}
	if !strings.Contains(out, "Done. The old store is in") {
		return errors.New("no backup is mentioned: " + out)
	}
	if err := p.start(survivor); err != nil {
		return err
	}
	if _, err := p.whole(ctx, survivor.Name); err != nil { // not well: it is its own quorum
		return err
	}
	_, err = p.on(ctx, survivor, "hacluster status", verdict)
	return err
}

func comeBack(ctx context.Context, p *play) error {
	all, _ := p.current()
	survivor := all[0]
	empty, kept := p.lost[0], p.lost[1]
	if err := p.comesEmpty(ctx, empty); err != nil {
		return err
	}
	if err := p.comesWithItsDisk(ctx, kept); err != nil {
		return err
	}
	if _, err := p.holder(ctx); err != nil {
		return err
	}
	_, err := p.on(ctx, survivor, "hacluster members", everything)
	return err
}

// handOver is a planned move while every call of the past counts as under way.
func handOver(ctx context.Context, p *play) error {
	survivor, err := p.holder(ctx)
	if err != nil {
		return err
	}
	if _, err := p.on(ctx, survivor, "hacluster transfer", everything); err != nil {
		return err
	}
	now, err := p.holder(ctx)
	if err != nil {
		return err
	}
	_, err = p.on(ctx, now, "hacluster status", everything)
	return err
}

// comesEmpty brings a new machine under the name of a lost one.
func (p *play) comesEmpty(ctx context.Context, n *lab.Node) error {
	if err := p.wipes(n); err != nil {
		return err
	}
	p.happens("a new machine, with an empty disk and the network interface of %s", n.Name)
	if err := p.boots(n, false); err != nil {
		return err
	}
	if err := p.certify(ctx, "new-ca", "-again", n.Name); err != nil {
		return err
	}
	if err := p.start(n); err != nil {
		return err
	}
	return p.voting(ctx, n)
}

// comesWithItsDisk brings a lost machine back, first as if nobody had read docs/RECOVERY.md.
func (p *play) comesWithItsDisk(ctx context.Context, n *lab.Node) error {
	p.happens("%s is switched on, with its disk", n.Name)
	before, err := logged([]*lab.Node{n})
	if err != nil {
		return err
	}
	if err := p.boots(n, true); err != nil {
		return err
	}
	if err := p.ended(ctx, n); err != nil {
		return err
	}
	if err := p.says(n, len(before[0]), "the cluster was recovered from the loss of its quorum"); err != nil {
		return err
	}
	if _, err := p.on(ctx, n, fmt.Sprintf("mv %s/raft %[1]s/raft.old", dataDir), everything); err != nil {
		return err
	}
	if err := p.start(n); err != nil {
		return err
	}
	return p.voting(ctx, n)
}
