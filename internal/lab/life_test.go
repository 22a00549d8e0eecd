package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hacluster/hacluster/internal/lab/host"
	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
)

// What a cluster survives beside the faults of the measurements, with the built binary and real files.
func TestSurvives(t *testing.T) {
	sandboxtest.Need(t)
	opts := Options{Hacluster: sandboxtest.Build(t), Dir: filepath.Join(sandboxtest.MemoryDir(t), "lab")}
	err := Run(t.Context(), opts, func(ctx context.Context, l *Lab) error {
		for range 3 {
			t.Run("every agent killed at once", func(t *testing.T) { testAllKilled(ctx, t, l) })
		}
		t.Run("a machine replaced", func(t *testing.T) { testReplaced(ctx, t, l) })
		return nil
	})
	if err != nil {
		tellLogs(t, opts.Dir)
		t.Fatal(err)
	}
}

// testAllKilled: I6 and I8: what was committed is there after kill -9 of every agent, and clients are served by one node that leads.
func testAllKilled(ctx context.Context, t *testing.T, l *Lab) {
	_, before, err := l.await(ctx, steadyLimit, l.steady)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range l.nodes {
		if _, err := n.host.Signal(agent, host.Group, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() error {
		for _, n := range l.nodes {
			running, err := n.host.Running(agent)
			if err != nil {
				return err
			}
			if running {
				return fmt.Errorf("the killed agent of %s runs on", n.Name)
			}
		}
		return nil
	})
	for _, n := range l.nodes {
		if err := n.startMissing(); err != nil {
			t.Fatal(err)
		}
	}
	_, after, err := l.await(ctx, steadyLimit, l.steady)
	if err != nil {
		t.Fatal(err)
	}
	if after.Term <= before.Term {
		t.Errorf("term %d after %d: no election, so nothing was tested", after.Term, before.Term)
	}
	if after.AppliedIndex <= before.AppliedIndex {
		t.Errorf("applied index %d after %d: committed entries are lost", after.AppliedIndex, before.AppliedIndex)
	}
	if !after.Remembers(before) {
		t.Errorf("the history %s has forgotten the last entry of %s", after.History, before.History)
	}
	// The election may end with another node than the holder, which is asked for a release or, if it is not up yet, displaced.
	if after.Holder == before.Holder && after.AssociationID() != before.AssociationID() {
		t.Errorf("association %s became %s", before.AssociationID(), after.AssociationID())
	}
}

// testReplaced: I7: a machine with an empty disk joins the cluster as a new member; it bootstraps nothing. That it votes shows when
// the third node is off: then there is no quorum without it.
func testReplaced(ctx context.Context, t *testing.T, l *Lab) {
	replaced, moved := replaceBackup(ctx, t, l)
	if moved != nil { // a busy machine has elections of its own, but not twice
		t.Logf("once more: %v", moved)
		replaced, moved = replaceBackup(ctx, t, l)
	}
	if moved != nil {
		t.Error(moved)
	}
	holder, _, err := l.await(ctx, steadyLimit, l.steady)
	if err != nil {
		t.Fatal(err)
	}
	third := l.nodes[slices.IndexFunc(l.nodes, func(n *Node) bool { return n != holder && n != replaced })]
	eventually(t, func() error { // a newcomer gets its vote only when it has kept up for a while
		out, err := replaced.command(ctx, "status")
		if err == nil && !strings.Contains(string(out), "raft: running") {
			err = fmt.Errorf("%s: %s", replaced.Name, out)
		}
		return err
	})
	if err := third.powerOff(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		_, err := holder.command(ctx, "transfer", "--to", replaced.Name)
		return err
	})
	if err := l.repair(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.await(ctx, steadyLimit, l.steady); err != nil {
		t.Fatal(err)
	}
}

// replaceBackup gives a node that does not hold the address an empty disk, and returns it when it is back, and whether the address moved.
func replaceBackup(ctx context.Context, t *testing.T, l *Lab) (replaced *Node, moved error) {
	t.Helper()
	holder, before, err := l.await(ctx, steadyLimit, l.steady)
	if err != nil {
		t.Fatal(err)
	}
	replaced = l.nodes[slices.IndexFunc(l.nodes, func(n *Node) bool { return n != holder })]
	if err := replaced.powerOff(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(replaced.DataDir()); err != nil {
		t.Fatal(err)
	}
	if err := l.repair(); err != nil {
		t.Fatal(err)
	}
	_, joined, err := l.await(ctx, steadyLimit, l.steady)
	if err != nil {
		t.Fatal(err)
	}
	if joined.Holder != before.Holder || joined.AssociationID() != before.AssociationID() {
		moved = fmt.Errorf("the address moved from %s (%s) to %s (%s)", before.Holder, before.AssociationID(), joined.Holder, joined.AssociationID())
	}
	return replaced, moved
}
