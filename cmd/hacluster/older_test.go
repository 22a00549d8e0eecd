package main_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/internal/controller"
)

// TestAnOlderBuildRefusesASnapshot: the log that raised the level is compacted away, and the older build finds a snapshot only. It says
// what to install, and the newer build goes on with the store. With the log it is TestRollingUpgrade of the lab.
func TestAnOlderBuildRefusesASnapshot(t *testing.T) {
	n := newNode(t)
	raft := election.Config{Cluster: "test", Name: "node-a", DataDir: n.data(), Peers: []election.Peer{{Name: "node-a", Address: "127.0.0.1:0"}}}
	leaveSnapshot(t, raft, "../../fsm/testdata/level2.snapshot")

	older := filepath.Join(t.TempDir(), "hacluster")
	if out, err := exec.Command("go", "build", "-tags", "hacluster_level1", "-o", older, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	for range 2 { // as a service manager does
		cmd := n.command("agent", "--config", n.config())
		cmd.Path = older
		stuck := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		out, err := cmd.CombinedOutput()
		if !stuck.Stop() || err == nil {
			t.Fatalf("the older build runs on: %v\n%s", err, out)
		}
		for _, words := range []string{"raft.db was left as it is", "is at level 2", "install hacluster v1.1.0 or later"} {
			if !strings.Contains(string(out), words) {
				t.Errorf("it does not say %q:\n%s", words, out)
			}
		}
	}
	newer, err := election.Open(raft, controller.NewReplica())
	must(t, err)
	must(t, newer.Close())
}

// leaveSnapshot lets a node leave a store whose log is of level 1, and whose snapshot is the one in file.
func leaveSnapshot(t *testing.T, cfg election.Config, file string) {
	t.Helper()
	state, err := os.ReadFile(file)
	must(t, err)
	cfg.Snapshots = election.Snapshots{Threshold: 2, Trailing: 1, Interval: 20 * time.Millisecond}
	node, err := election.Open(cfg, still(state))
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- node.Run(ctx) }()
	waitFor(t, "snapshot", func() bool {
		_, _, err := node.Apply(ctx, node.Status().Term, []byte("\x01{}"))
		snapshots, globErr := filepath.Glob(filepath.Join(cfg.DataDir, "raft", "snapshots", "*[0-9]"))
		return err == nil && globErr == nil && len(snapshots) > 0
	})
	stop()
	must(t, <-ended)
}

// still is a state machine that stays at one snapshot.
type still []byte

func (s still) Apply(uint64, uint64, []byte) any { return nil }
func (s still) Snapshot() ([]byte, error)        { return s, nil }
func (s still) Restore([]byte) error             { return nil }
func (s still) Check([]byte) error               { return nil }
