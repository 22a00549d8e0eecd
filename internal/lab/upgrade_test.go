package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/lab/host"
	"github.com/hacluster/hacluster/internal/lab/probe"
	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
)

// The builds of TestRollingUpgrade. The older one stands for an earlier release: it knows level 1 only.
const (
	olderVersion = "v1.0.0"
	newerVersion = "v1.1.0"
)

// TestRollingUpgrade follows docs/UPGRADE.md from one build to the next, with clients all the time, and tries what it says not to do.
func TestRollingUpgrade(t *testing.T) {
	sandboxtest.Need(t)
	older := sandboxtest.Build(t, "-tags", "hacluster_level1", "-ldflags", "-X main.version="+olderVersion)
	newer := sandboxtest.Build(t, "-ldflags", "-X main.version="+newerVersion)
	var refused error
	for range 2 { // a busy machine loses requests of its own, but not twice
		opts := Options{Hacluster: older, Dir: filepath.Join(sandboxtest.MemoryDir(t), "lab")}
		err := Run(t.Context(), opts, func(ctx context.Context, l *Lab) error {
			u := upgrade{t: t, lab: l, older: older, newer: newer}
			if refused = u.roll(ctx); refused != nil {
				return nil
			}
			t.Run("the older build is refused", func(t *testing.T) { u.on(t).olderIsRefused(ctx) })
			t.Run("an older build does not join", func(t *testing.T) { u.on(t).olderDoesNotJoin(ctx) })
			return nil
		})
		if err != nil || t.Failed() {
			tellLogs(t, opts.Dir)
			t.Fatal(err)
		}
		if refused == nil {
			return
		}
		t.Logf("not as usual: %v", refused)
	}
	t.Error(refused)
}

// upgrade is a lab between two builds.
type upgrade struct {
	t            *testing.T
	lab          *Lab
	older, newer string // programs
}

func (u upgrade) on(t *testing.T) upgrade { u.t = t; return u }

// roll upgrades every node, the holder last, and returns what clients saw of it. One of them goes back once, while that is possible.
func (u upgrade) roll(ctx context.Context) error {
	holder, before := u.steady(ctx)
	e := Evidence{Victim: holder.Name, Injected: time.Now()}
	order := append(slices.DeleteFunc(slices.Clone(u.lab.nodes), func(n *Node) bool { return n == holder }), holder)
	for i, n := range order {
		u.replace(ctx, n, u.newer, newerVersion)
		if i == 0 {
			u.replace(ctx, n, u.older, olderVersion)
			u.replace(ctx, n, u.newer, newerVersion)
		}
		if n != holder {
			u.wantLevel(ctx, n, Level{InUse: 1, Known: 2, WaitsFor: names(order[i+1:])})
		}
	}
	for _, n := range u.lab.nodes {
		u.wantLevel(ctx, n, Level{InUse: 2, Known: 2})
	}
	_, after := u.steady(ctx)
	if !after.Remembers(before) && before.Holder == after.Holder {
		u.t.Errorf("the history %s has forgotten the last entry of %s", after.History, before.History)
	}
	e.End = time.Now()
	if err := pause(ctx, probe.Timeout); err != nil {
		u.t.Fatal(err)
	}
	if err := u.lab.Collect(&e); err != nil {
		u.t.Fatal(err)
	}
	r := Measure(e)
	u.t.Logf("%d requests in %v, %d failed, %d of them cut in flight, %d moves by %d calls",
		r.Requests, e.End.Sub(e.Injected).Round(time.Second), r.Failed, r.CutInFlight, r.Moves, r.Mutating)
	if err := oneVoice(r, e); err != nil {
		u.t.Error(err)
	}
	return errors.Join(nobodyRefused(r, e), movesOnce(r, e))
}

// replace stops the agent of a node, which hands over if it holds, and starts another build of it.
func (u upgrade) replace(ctx context.Context, n *Node, program, version string) {
	u.t.Helper()
	if holder, _ := u.lab.cloud.holder(); holder == n.Name {
		if err := n.Transfer(ctx, ""); err != nil {
			u.t.Fatal(err)
		}
	}
	u.stop(n)
	n.Install(program)
	if err := n.Start(agent); err != nil {
		u.t.Fatal(err)
	}
	u.steady(ctx)
	if status, err := n.status(ctx); err != nil || status.Version != version {
		u.t.Fatalf("%s runs %s (%v), want %s", n.Name, status.Version, err, version)
	}
}

func (u upgrade) stop(n *Node) {
	u.t.Helper()
	if _, err := n.host.Signal(agent, host.Leader, syscall.SIGTERM); err != nil {
		u.t.Fatal(err)
	}
	u.ended(n)
}

func (u upgrade) ended(n *Node) {
	u.t.Helper()
	eventually(u.t, func() error {
		running, err := n.host.Running(agent)
		if err == nil && running {
			return fmt.Errorf("the agent of %s runs on", n.Name)
		}
		return err
	})
}

func (u upgrade) steady(ctx context.Context) (*Node, Status) {
	u.t.Helper()
	holder, status, err := u.lab.await(ctx, steadyLimit, u.lab.steady)
	if err != nil {
		u.t.Fatal(err)
	}
	return holder, status
}

func (u upgrade) wantLevel(ctx context.Context, n *Node, want Level) {
	u.t.Helper()
	eventually(u.t, func() error {
		status, err := n.status(ctx)
		if err != nil {
			return err
		}
		if got := status.Level; got.InUse != want.InUse || got.Known != want.Known || !slices.Equal(got.WaitsFor, want.WaitsFor) {
			return fmt.Errorf("%s says level %+v, want %+v", n.Name, got, want)
		}
		return nil
	})
}

func names(nodes []*Node) []string {
	var all []string
	for _, n := range nodes {
		all = append(all, n.Name)
	}
	slices.Sort(all)
	return all
}

// olderIsRefused: after the level has risen there is no way back. The older build says so and ends, changes nothing, and the newer one
// goes on from there.
func (u upgrade) olderIsRefused(ctx context.Context) {
	holder, before := u.steady(ctx)
	n := u.besides(holder)
	u.stop(n)
	n.Install(u.older)
	for range 2 { // as a service manager does
		logged := u.logged(n)
		if err := n.Start(agent); err != nil {
			u.t.Fatal(err)
		}
		u.ended(n)
		for _, words := range []string{"the state of the cluster is at level 2", "install hacluster " + newerVersion + " or later", "was left as it is"} {
			if said := u.logged(n)[len(logged):]; !strings.Contains(said, words) {
				u.t.Errorf("the older build ended without %q:\n%s", words, said)
			}
		}
	}
	u.replaceEnded(ctx, n)
	if _, after := u.steady(ctx); after.AssociationID() != before.AssociationID() {
		u.t.Errorf("association %s became %s", before.AssociationID(), after.AssociationID())
	}
}

// olderDoesNotJoin: nor with an empty disk.
func (u upgrade) olderDoesNotJoin(ctx context.Context) {
	holder, before := u.steady(ctx)
	n := u.besides(holder)
	u.stop(n)
	if err := os.RemoveAll(n.DataDir()); err != nil {
		u.t.Fatal(err)
	}
	n.Install(u.older)
	if err := n.Start(agent); err != nil {
		u.t.Fatal(err)
	}
	eventually(u.t, func() error {
		status, err := n.status(ctx)
		if err == nil && !strings.Contains(status.Phase, "install hacluster "+newerVersion+" or later") {
			err = fmt.Errorf("%s says: %s", n.Name, status.Phase)
		}
		return err
	})
	u.stop(n)
	u.replaceEnded(ctx, n)
	if _, after := u.steady(ctx); after.AssociationID() != before.AssociationID() {
		u.t.Errorf("association %s became %s", before.AssociationID(), after.AssociationID())
	}
}

// replaceEnded starts the newer build on a node whose agent has ended.
func (u upgrade) replaceEnded(ctx context.Context, n *Node) {
	u.t.Helper()
	n.Install(u.newer)
	if err := n.Start(agent); err != nil {
		u.t.Fatal(err)
	}
	u.wantLevel(ctx, n, Level{InUse: 2, Known: 2})
}

// besides returns a node that does not hold.
func (u upgrade) besides(holder *Node) *Node {
	i := slices.IndexFunc(u.lab.nodes, func(n *Node) bool { return n != holder })
	return u.lab.nodes[i]
}

func (u upgrade) logged(n *Node) string {
	u.t.Helper()
	log, err := os.ReadFile(n.LogPath())
	if err != nil {
		u.t.Fatal(err)
	}
	return string(bytes.TrimSpace(log))
}
