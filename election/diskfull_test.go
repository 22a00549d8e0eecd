package election

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"
)

const (
	refusesWrites = "the raft store refuses writes and this node falls behind: make room on its disk, or mend it"
	takesWrites   = "the raft store takes writes again"
)

// A follower whose disk is full goes on answering heartbeats, so nobody else notices. It says so itself: one line in the log when it
// begins, one when it ends, and Status in between.
func TestAFollowerWhoseDiskIsFullSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, lines := observer.New(zap.InfoLevel)
		var full atomic.Pointer[simNode]
		s := newSimulation(t, 3, func(_ *raft.Server, n *simNode) {
			n.log = zap.New(core)
			d := &disk{InmemStore: n.parts.logs.(*raft.InmemStore), before: func() error {
				if full.Load() == n {
					return syscall.ENOSPC
				}
				return nil
			}}
			n.parts.logs = &deadlineStore{logs: d, stable: d, limit: time.Second, poisoned: n.fail, appended: n.noteWrite}
		})
		leader, term := s.leader(s.nodes...)
		time.Sleep(time.Second)
		follower := s.others(leader)[0]
		full.Store(follower)
		apply := func() {
			t.Helper()
			if _, _, err := leader.Apply(t.Context(), term, []byte("x")); err != nil {
				t.Fatalf("the leader of term %d does not go on: %v", term, err)
			}
			time.Sleep(10 * time.Second)
		}
		for range 5 {
			apply()
		}
		if got := follower.Status(); got.StoreError != "no space left on device" || got.LastIndex >= leader.Status().LastIndex {
			t.Errorf("status on a full disk: %+v", got)
		}
		if got := leader.Status().StoreError; got != "" {
			t.Errorf("the leader, whose disk is fine, says %q", got)
		}
		full.Store(nil)
		apply()
		if got := follower.Status(); got.StoreError != "" || len(follower.ledger.list()) != 6 {
			t.Errorf("status after room was made: %+v, applied %q", got, follower.ledger.list())
		}
		for message, level := range map[string]zapcore.Level{refusesWrites: zap.ErrorLevel, takesWrites: zap.InfoLevel} {
			if got := lines.FilterMessage(message).FilterLevelExact(level).Len(); got != 1 {
				t.Errorf("%q was logged %d times, want once", message, got)
			}
		}
	})
}

// needRoot skips a test that has to mount something, but not where it must run.
func needRoot(t *testing.T) {
	t.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("CI") == "true":
		t.Fatal("this test mounts a file system: run it as root")
	default:
		t.Skip("NOT TESTED: a full disk. This test mounts a file system: run it as root")
	}
}

// smallDisk is an empty file system of 2 MiB.
func smallDisk(t *testing.T) (dir string) {
	t.Helper()
	needRoot(t)
	dir = t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m,mode=0700"))
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// fill uses up all of the file system until the returned function is called.
func fill(t *testing.T, dir string) (makeRoom func()) {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	ballast, err := os.Create(path)
	must(t, err)
	if _, err := io.Copy(ballast, endless{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill %s: %v", dir, err)
	}
	must(t, ballast.Close())
	return func() { remove(t, path) }
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// onSmallDisk are three nodes of which node-b is on a small disk.
func onSmallDisk(t *testing.T) (c *cluster, dir string) {
	t.Helper()
	dir = smallDisk(t)
	c = newCluster(t, 3, func(cfg *Config) {
		// Large commands and a busy machine must not cost the leadership.
		cfg.Timing = Timing{Heartbeat: time.Second, Election: time.Second, Lease: time.Second, LogWrite: 10 * time.Second}
		if cfg.Name == "node-b" {
			cfg.DataDir = dir
		}
	})
	c.start()
	c.apply("before")
	return c, dir
}

// lead moves leadership to the named node.
func (c *cluster) lead(name string) (*process, uint64) {
	c.t.Helper()
	eventually(c.t, name+" leads", func() error {
		leader, _ := c.leader()
		if leader.cfg.Name == name {
			return nil
		}
		return errors.Join(fmt.Errorf("%s leads", leader.cfg.Name), leader.Transfer(c.t.Context(), name))
	})
	return c.leader()
}

// large is a command that does not fit into what bbolt has left over in its file.
func large(i int) string { return fmt.Sprint(i, strings.Repeat(" large", 20_000)) }

func TestAFollowerOnAFullDiskCatchesUpWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	c, dir := onSmallDisk(t)
	c.lead("node-a")
	c.expectEverywhere("before")
	full := c.nodes["node-b"]
	makeRoom := fill(t, dir)
	want := []string{"before"}
	for i := range 3 {
		want = append(want, large(i))
		c.apply(large(i))
	}
	eventually(t, "the full disk shows in the status", func() error {
		full.mustRun(t)
		if got := full.Status().StoreError; !strings.Contains(got, "no space left on device") {
			return fmt.Errorf("it is %q", got)
		}
		return nil
	})
	makeRoom()
	c.expectEverywhere(want...)
	if got := full.Status().StoreError; got != "" {
		t.Errorf("there is room again, and the status says %q", got)
	}
	// What failed half-way has left the file whole.
	c.stop("node-b")
	c.start("node-b")
	c.expectEverywhere(want...)
}

// A leader on a full disk steps down, or ends with a sentence when not even a term can be written; another node leads, and nothing
// that was committed is lost (I8).
func TestALeaderOnAFullDiskGivesWay(t *testing.T) {
	t.Parallel()
	c, dir := onSmallDisk(t)
	full, term := c.lead("node-b")
	c.expectEverywhere("before")
	makeRoom := fill(t, dir)
	if _, _, err := full.Apply(t.Context(), term, []byte(large(0))); !errors.Is(err, ErrUnknownOutcome) {
		t.Fatalf("Apply on a full disk = %v, want ErrUnknownOutcome", err)
	}
	others := &cluster{t: t, nodes: map[string]*process{"node-a": c.nodes["node-a"], "node-c": c.nodes["node-c"]}}
	eventually(t, "another node leads", func() error {
		for _, p := range others.nodes {
			if p.Leading(p.Status().Term) {
				return nil
			}
		}
		// Elected again, node-b leads until it has to write something: a term, a vote and an empty entry may still fit.
		_, _, err := full.Apply(t.Context(), full.Status().Term, []byte(large(0)))
		return fmt.Errorf("of node-b: %w", err)
	})
	// The address would be moved by now. This one fits into the others' disks, and node-b cannot follow.
	others.apply(large(1))
	eventually(t, "node-b says why", func() error {
		select {
		case <-full.done:
			full.expected = true
			expectSentence(t, full.err, "write term or vote", "no space left on device", "check the disk")
		default:
			if !strings.Contains(full.Status().StoreError, "no space left on device") {
				return fmt.Errorf("status %+v", full.Status())
			}
		}
		return nil
	})
	makeRoom()
	if full.expected {
		c.start("node-b")
	}
	c.expectEverywhere("before", large(1))
}
