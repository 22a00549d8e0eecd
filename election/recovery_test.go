package election

import (
	"encoding/json"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// What goes wrong around nodes that come back. Each of these tests failed before the code that it names was there.

// TestANodeWithAPastSaysSoFromTheStart: I7: the port is open before the node has found its place. A replaced machine that polls in
// that moment must not take the others for fresh ones, or it bootstraps a second cluster.
func TestANodeWithAPastSaysSoFromTheStart(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, dir string){
		"its store is there": func(*testing.T, string) {},
		"its store is lost":  func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "raft")) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 3)
			c.start()
			c.leader()
			c.stop()
			lose(t, c.config("node-b").DataDir)
			n, err := Open(c.config("node-b"), &ledger{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = n.Close() }()
			recorder := httptest.NewRecorder()
			n.answerIdentity(recorder, nil)
			var answer identityAnswer
			if err := json.NewDecoder(recorder.Body).Decode(&answer); err != nil {
				t.Fatal(err)
			}
			if !answer.Initialized {
				t.Errorf("before Run the node answers %+v: taken for fresh", answer)
			}
		})
	}
}

// TestAStorePutBackIsRefused: I7: a store from a backup remembers an old incarnation, whose votes are forgotten.
func TestAStorePutBackIsRefused(t *testing.T) {
	c := newCluster(t, 3)
	c.start()
	c.leader()
	c.stop("node-c")
	dir := c.config("node-c").DataDir
	if err := os.Rename(filepath.Join(dir, "raft"), filepath.Join(dir, "backup")); err != nil {
		t.Fatal(err)
	}
	back := start(t, c.config("node-c")) // as a new incarnation
	eventually(t, "node-c in the cluster again", func() error {
		if s := back.Status(); s.LastIndex == 0 {
			return errors.New(s.Phase)
		}
		return nil
	})
	if err := back.stop(); err != nil {
		t.Fatal(err)
	}
	remove(t, filepath.Join(dir, "raft"))
	if err := os.Rename(filepath.Join(dir, "backup"), filepath.Join(dir, "raft")); err != nil {
		t.Fatal(err)
	}
	n, err := Open(c.config("node-c"), &ledger{})
	if err == nil {
		_ = n.Close()
		t.Fatal("opened")
	}
	if !strings.Contains(err.Error(), "backup") || !strings.Contains(err.Error(), "move the directory") {
		t.Errorf("no sentence for the operator: %v", err)
	}
}

// TestAFrozenPeerKeepsNobodyOut: a peer that accepts connections and never answers uses up its own time, not that of the others.
func TestAFrozenPeerKeepsNobodyOut(t *testing.T) {
	c := newCluster(t, 5)
	c.start()
	c.leader()
	c.stop("node-a", "node-e")
	frozen, err := net.Listen("tcp", c.config("node-a").address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = frozen.Close() }()
	dir := c.config("node-e").DataDir
	remove(t, filepath.Join(dir, "raft"))
	remove(t, filepath.Join(dir, markerName))
	e := start(t, c.config("node-e"))
	eventually(t, "node-e in the cluster", func() error {
		if s := e.Status(); s.LastIndex == 0 {
			return errors.New(s.Phase)
		}
		return nil
	})
}

// TestLostSnapshotsAreNamed: a log that begins behind what the snapshots cover is a sentence, not a panic inside Raft.
func TestLostSnapshotsAreNamed(t *testing.T) {
	c := newCluster(t, 1, func(cfg *Config) {
		cfg.Snapshots = Snapshots{Threshold: 8, Trailing: 2, Interval: 50 * time.Millisecond}
	})
	c.start()
	for range 40 {
		c.apply("x")
	}
	eventually(t, "a compacted log", func() error {
		if first, err := c.nodes["node-a"].store.bolt.FirstIndex(); err != nil || first <= 10 {
			return errors.New("not compacted")
		}
		return nil
	})
	c.stop()
	remove(t, filepath.Join(c.config("node-a").DataDir, "raft", "snapshots"))
	n, err := Open(c.config("node-a"), &ledger{})
	if err == nil {
		_ = n.Close()
		t.Fatal("opened")
	}
	if !strings.Contains(err.Error(), "snapshot") || !strings.Contains(err.Error(), "move the directory") {
		t.Errorf("no sentence for the operator: %v", err)
	}
}

// TestBackoffEndsNobody: Raft backs off from the log of a peer that was away for up to 10 s after the peer answers heartbeats again.
// A leader whose quorum needs that peer cannot commit meanwhile, and neither its disk nor a stuck transfer is to blame for it.
func TestBackoffEndsNobody(t *testing.T) {
	for name, act := range map[string]func(t *testing.T, s *simulation, leader, back *simNode, term uint64){
		"a command": func(t *testing.T, s *simulation, leader, back *simNode, term uint64) {
			for _, n := range s.others(leader) {
				if n != back {
					s.cut(n) // the operator restarts the next node
				}
			}
			if _, _, err := leader.Apply(t.Context(), term, []byte("x")); err == nil {
				t.Error("committed: Raft does not back off, so nothing was tested")
			}
		},
		"transfers": func(t *testing.T, _ *simulation, leader, back *simNode, term uint64) {
			for range 3 {
				_ = leader.Transfer(t.Context(), back.cfg.Name)
				_, _, _ = leader.Apply(t.Context(), term, []byte("y"))
				time.Sleep(time.Second)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSimulation(t, 3, func(_ *raft.Server, n *simNode) {
					n.cfg.Timing.Commit = 50 * time.Millisecond // the times below fall into the longest back-off with this one
				})
				leader, term := s.leader(s.nodes...)
				time.Sleep(time.Second)
				back := s.others(leader)[0]
				s.cut(back)
				time.Sleep(time.Second)
				if _, _, err := leader.Apply(t.Context(), term, []byte("while it is away")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(21 * time.Second)
				for _, peer := range s.others(back) {
					back.wire.Connect(peer.wire.LocalAddr(), peer.wire.InmemTransport)
					peer.wire.Connect(back.wire.LocalAddr(), back.wire.InmemTransport)
				}
				time.Sleep(600 * time.Millisecond)
				act(t, s, leader, back, term)
				select {
				case err := <-leader.done:
					t.Errorf("the leader ended: %v", err)
					leader.done <- nil
				case <-time.After(15 * time.Second):
				}
			})
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}
