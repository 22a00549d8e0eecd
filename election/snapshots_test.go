package election

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hashicorp/raft"
)

func snapshotPath(cfg Config) string { return filepath.Join(cfg.DataDir, storeDir, snapshotDir) }

// onlySnapshot is the directory of the one snapshot that the store has.
func onlySnapshot(t *testing.T, cfg Config) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(snapshotPath(cfg), "*"))
	must(t, err)
	if len(found) != 1 {
		t.Fatalf("snapshots %q, want one", found)
	}
	return found[0]
}

// Raft by itself would take an older snapshot, or none, and forget what it has acknowledged (I8). So an older one is never a way
// out, not even where the log seems to allow it.
func TestADamagedSnapshotIsRefusedWithTheRemedy(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, snapshot string){
		"its state cut":            func(t *testing.T, snapshot string) { must(t, os.Truncate(filepath.Join(snapshot, "state.bin"), 100)) },
		"its state lost":           func(t *testing.T, snapshot string) { remove(t, filepath.Join(snapshot, "state.bin")) },
		"its meta data emptied":    func(t *testing.T, snapshot string) { must(t, os.Truncate(filepath.Join(snapshot, snapshotMeta), 0)) },
		"its meta data lost":       func(t *testing.T, snapshot string) { remove(t, filepath.Join(snapshot, snapshotMeta)) },
		"the snapshot lost":        func(t *testing.T, snapshot string) { remove(t, snapshot) },
		"all snapshots lost":       func(t *testing.T, snapshot string) { remove(t, filepath.Dir(snapshot)) },
		"called an unfinished one": func(t *testing.T, snapshot string) { must(t, os.Rename(snapshot, snapshot+".tmp")) },
	}
	stores := map[string]func(t *testing.T, s *store){
		"the log goes on from the older snapshot": func(*testing.T, *store) {},
		// As on a follower that was sent a snapshot. Raft would vote with nothing.
		"the log is empty": func(t *testing.T, s *store) { must(t, s.bolt.DeleteRange(1, agedLast)) },
	}
	for logName, shape := range stores {
		for name, damage := range tests {
			t.Run(logName+", "+name, func(t *testing.T) {
				t.Parallel()
				cfg := agedStore(t)
				older := onlySnapshot(t, cfg)
				var newest string
				edit(t, cfg, func(s *store) {
					shape(t, s)
					takeSnapshot(t, s, agedLast)
					h, err := s.bolt.header()
					must(t, err)
					newest = filepath.Join(snapshotPath(cfg), h.Snapshot.ID)
				})
				if _, err := os.Stat(older); err != nil {
					t.Fatalf("the older snapshot is not there to fall back to: %v", err)
				}
				damage(t, newest)
				_, err := Open(cfg, &ledger{})
				expectSentence(t, err, "is damaged", "move the directory", "comes back as a new member", filepath.Base(newest))
			})
		}
	}
}

// A crash leaves a snapshot half written, or whole and not noted; Raft has built on neither.
func TestWhatACrashLeavesOfASnapshotIsCleanedUp(t *testing.T) {
	t.Parallel()
	crashes := map[string]func(t *testing.T, s *store){
		"half written": func(t *testing.T, s *store) {
			sink, err := s.snapshots.FileSnapshotStore.Create(1, agedLast, 3, raft.Configuration{}, 1, nil)
			must(t, err)
			_, err = sink.Write([]byte("half a st"))
			must(t, err)
		},
		"whole and not noted": func(t *testing.T, s *store) {
			sink, err := s.snapshots.FileSnapshotStore.Create(1, agedLast, 3, raft.Configuration{}, 1, nil)
			must(t, err)
			must(t, sink.Close())
		},
	}
	for name, crash := range crashes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := agedStore(t)
			noted := onlySnapshot(t, cfg)
			var want []string
			edit(t, cfg, func(s *store) {
				want = contents(t, s)
				crash(t, s)
			})
			edit(t, cfg, func(s *store) {
				if got := contents(t, s); !slices.Equal(got, want) {
					t.Error(firstDifference(got, want))
				}
			})
			if left := onlySnapshot(t, cfg); left != noted {
				t.Errorf("left is %s, want %s", left, noted)
			}
		})
	}
}

// The sentence of a damaged store tells the operator what to do. It works: the node is back, as somebody else (I7).
func TestTheRemedyForADamagedStoreWorks(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start()
	c.apply("before")
	c.expectEverywhere("before")
	old := c.nodes["node-b"].Status()
	c.stop("node-b")
	cfg := c.config("node-b")
	data, err := os.ReadFile(dbPath(cfg))
	must(t, err)
	image(data).newestMeta()[20] ^= 1
	must(t, os.WriteFile(dbPath(cfg), data, 0o600))
	_, err = Open(cfg, &ledger{})
	expectSentence(t, err, "move the directory "+filepath.Join(cfg.DataDir, storeDir)+" away, leave the file \"initialized\" beside it")
	must(t, os.Rename(filepath.Join(cfg.DataDir, storeDir), filepath.Join(cfg.DataDir, "away")))
	c.start("node-b")
	c.expectRejoined("node-b", old)
	c.apply("after")
	c.expectEverywhere("before", "after")
}
