package discovery

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/hacluster/hacluster/eip"
)

// Log keys.
const (
	keyNode  = "member"
	keyWhy   = "why"
	keyFound = "found"
)

// changeTimeout bounds one change of the members.
const changeTimeout = 10 * time.Second

// Finder lists the running instances that have the cluster's tag: all of them, or an error. eip.Finder is one.
type Finder interface {
	Find(ctx context.Context) ([]eip.Instance, error)
}

// Roster is the committed list of members.
type Roster interface {
	// Members returns all members, admitted ones that are not there yet included, and whether this node leads. Unless it does, nobody is
	// admitted or removed.
	Members() (members []Member, leads bool)
	// Admit lets a node join. It is no error if it may already.
	Admit(ctx context.Context, node Node) error
	// Remove takes a member's vote and membership. It is no error if it is none any more.
	Remove(ctx context.Context, name string) error
}

// KeeperConfig tells NewKeeper who this node is and how to decide.
type KeeperConfig struct {
	Self     string
	Layout   Layout
	Interval time.Duration // between reads of EC2, of the leader only
	// Stabilisation is how long an instance must be gone before its node is removed.
	Stabilisation time.Duration
	// Now reads CLOCK_BOOTTIME.
	Now func() time.Duration
	// Meter is told what is not done; not nil.
	Meter *Meter
}

// Keeper keeps the members in step with EC2 while this node leads.
type Keeper struct {
	cfg    KeeperConfig
	finder Finder
	roster Roster
	log    *zap.Logger

	core  *Core
	waits []string // what was said last
}

// NewKeeper makes a Keeper.
func NewKeeper(cfg KeeperConfig, finder Finder, roster Roster, log *zap.Logger) *Keeper {
	return &Keeper{cfg: cfg, finder: finder, roster: roster, log: log}
}

// Run looks at EC2 every interval until ctx ends. What goes wrong is logged, and tried again after the next read.
func (k *Keeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(k.cfg.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			k.round(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

func (k *Keeper) round(ctx context.Context) {
	if _, leads := k.roster.Members(); !leads {
		k.core = nil
		k.say(nil)
		return
	}
	if k.core == nil {
		k.core = NewCore(k.cfg.Self, k.cfg.Layout, k.cfg.Stabilisation)
	}
	read := Read{At: k.cfg.Now()}
	read.Instances, read.Err = k.finder.Find(ctx)
	members, leads := k.roster.Members() // as they are behind the read, which may have taken seconds
	if !leads || ctx.Err() != nil {
		return
	}
	decision := k.core.Step(read, members)
	k.say(decision.Waits)
	k.carryOut(ctx, decision)
}

// say logs what is not done, once for as long as it is the same.
func (k *Keeper) say(waits []string) {
	k.cfg.Meter.waits.Store(uint64(len(waits)))
	for _, w := range waits {
		if !slices.Contains(k.waits, w) {
			k.log.Info("waiting with a member", zap.String(keyWhy, w))
		}
	}
	k.waits = waits
}

func (k *Keeper) carryOut(ctx context.Context, d Decision) {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	for _, n := range d.Admit {
		if err := k.roster.Admit(ctx, n); err != nil {
			k.log.Warn("admit a node that was found", zap.String(keyNode, n.Name), zap.Error(err))
			continue
		}
		k.log.Info("a new instance may join", zap.String(keyNode, n.Name), zap.Stringer("address", n.Address))
	}
	for _, name := range d.Remove {
		if err := k.roster.Remove(ctx, name); err != nil {
			k.log.Warn("remove a node whose instance is gone", zap.String(keyNode, name), zap.Error(err))
			continue
		}
		k.log.Info("removed a node whose instance is gone", zap.String(keyNode, name))
	}
}
