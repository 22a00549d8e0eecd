package election

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

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

// installed is a store with entries first to last of the given term and a snapshot that is then sent by a leader.
func installed(t *testing.T, first, last, term, index, snapshotTerm uint64) (s *store, restarted *error) {
	t.Helper()
	s = newStore(t)
	for i := first; i <= last; i++ {
		must(t, s.bolt.StoreLog(&raft.Log{Index: i, Term: term}))
	}
	restarted = new(error)
	s.snapshots.restart = func(err error) { *restarted = err }
	sendSnapshot(t, s, index, snapshotTerm)
	return s, restarted
}

func sendSnapshot(t *testing.T, s *store, index, term uint64) {
	t.Helper()
	_, transport := raft.NewInmemTransport("leader")
	sink, err := s.snapshots.Create(1, index, term, raft.Configuration{}, 1, transport)
	must(t, err)
	must(t, sink.Close())
}

// What of the log does not lead to a leader's snapshot was never committed. Kept, it makes Raft refuse every later entry for ever, or
// is sent on as if it were committed (I8). What does lead to it was acknowledged and must be kept.
func TestALogThatDoesNotLeadToTheSnapshotIsDropped(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		first, last, term   uint64 // of the log
		index, snapshotTerm uint64
		kept, restarts      bool
	}{
		"the log leads to it":                         {first: 1, last: 9, term: 4, index: 5, snapshotTerm: 4, kept: true},
		"the log ends with it":                        {first: 1, last: 5, term: 4, index: 5, snapshotTerm: 4, kept: true},
		"another leader's entry stands there":         {first: 1, last: 5, term: 3, index: 5, snapshotTerm: 4, restarts: true},
		"another leader's entries stand there and on": {first: 3, last: 9, term: 3, index: 5, snapshotTerm: 4, restarts: true},
		"the log ends before it":                      {first: 1, last: 4, term: 3, index: 5, snapshotTerm: 4},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, restarted := installed(t, test.first, test.last, test.term, test.index, test.snapshotTerm)
			last, err := s.bolt.LastIndex()
			must(t, err)
			if kept := last == test.last; kept != test.kept || !kept && last != 0 {
				t.Errorf("the log ends at %d, want it kept: %v", last, test.kept)
			}
			if (*restarted != nil) != test.restarts {
				t.Errorf("restart: %v, want %v", *restarted, test.restarts)
			}
		})
	}
}

// The answer to a snapshot is lost and the leader sends it again, while the log has gone on from it.
func TestASnapshotThatIsSentAgainKeepsTheLogBehindIt(t *testing.T) {
	t.Parallel()
	s, restarted := installed(t, 1, 9, 3, 12, 4)
	must(t, s.bolt.StoreLogs([]*raft.Log{{Index: 13, Term: 4}, {Index: 14, Term: 4}}))
	sendSnapshot(t, s, 12, 4)
	if last, err := s.bolt.LastIndex(); err != nil || last != 14 || *restarted != nil {
		t.Errorf("the log ends at %d (%v), restart %v; want 14 and none", last, err, *restarted)
	}
	var entry raft.Log
	if err := s.bolt.GetLog(12, &entry); err != nil || entry.Index != 12 || entry.Term != 4 {
		t.Errorf("the entry before the log is %+v (%v), want index and term of the snapshot's last", entry, err)
	}
	if err := s.bolt.GetLog(11, &entry); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("an entry inside the snapshot: %v, want %v", err, raft.ErrLogNotFound)
	}
}

// A request for an older snapshot that was held up somewhere would take the state machine back to what the log has no way on from.
func TestASnapshotOlderThanTheNodesOwnIsRefused(t *testing.T) {
	t.Parallel()
	s, _ := installed(t, 1, 9, 3, 8, 3)
	_, err := s.snapshots.Create(1, 7, 3, raft.Configuration{}, 1, nil)
	expectSentence(t, err, "older than this node's own", "entry 7", "3-8-")
}

// stopBeforeAnotherTerm stops a node and has another leader elected, so that entries of the term that it returns, which the node alone
// has, are of a leader that was deposed.
func (c *cluster) stopBeforeAnotherTerm(name string) (term uint64) {
	c.t.Helper()
	_, term = c.leader()
	c.stop(name)
	eventually(c.t, "a leader of a later term", func() error {
		leader, now := c.leader()
		if now > term {
			return nil
		}
		for _, p := range c.nodes {
			if p != leader {
				return errors.Join(errors.New("the same"), leader.Transfer(c.t.Context(), p.cfg.Name))
			}
		}
		return errors.New("nobody else")
	})
	return term
}

// A follower comes back with entries that were never committed and reach beyond the snapshot that it needs. With hashicorp/raft alone it
// is sent that snapshot for ever (simulator, schedule 2835).
func TestAFollowerWithEntriesOfAnotherLeaderCatchesUpBySnapshot(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, func(cfg *Config) {
		cfg.Snapshots = Snapshots{Threshold: 4, Trailing: 1, Interval: 20 * time.Millisecond}
	})
	c.start()
	c.apply("0")
	c.expectEverywhere("0")
	term := c.stopBeforeAnotherTerm("node-c")
	want := []string{"0"}
	for i := 1; i <= 20; i++ {
		want = append(want, strconv.Itoa(i))
		c.apply(want[i])
	}
	eventually(t, "the log of all others is compacted beyond what node-c has", func() error {
		for _, p := range c.nodes {
			if first, err := p.store.bolt.FirstIndex(); err != nil || first < 20 {
				return fmt.Errorf("the log of %s begins at %d (%w)", p.cfg.Name, first, err)
			}
		}
		return nil
	})
	edit(t, c.config("node-c"), func(s *store) {
		last, err := s.bolt.LastIndex()
		must(t, err)
		for i := last + 1; i < last+100; i++ {
			must(t, s.bolt.StoreLog(&raft.Log{Index: i, Term: term, Type: raft.LogCommand, Data: []byte("never committed")}))
		}
	})
	c.start("node-c")
	expectSentence(t, c.nodes["node-c"].failure(t), "replaces the end of this node's log", "must be restarted")
	c.start("node-c")
	c.apply("21")
	c.expectEverywhere(append(want, "21")...)
}

// A follower's log begins right behind its snapshot with entries that were never committed. With hashicorp/raft alone it cannot say what
// comes before them, and refuses the leader for ever.
func TestAFollowerWhoseLogIsOfAnotherLeaderFromItsSnapshotOnCatchesUp(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start()
	want := []string{"0", "1", "2"}
	for _, command := range want {
		c.apply(command)
	}
	c.expectEverywhere(want...)
	members := c.nodes["node-c"].raft.Load().GetConfiguration()
	state, err := c.nodes["node-c"].ledger.Snapshot()
	must(t, err)
	term := c.stopBeforeAnotherTerm("node-c")
	edit(t, c.config("node-c"), func(s *store) {
		last, err := s.bolt.LastIndex()
		must(t, err)
		var entry raft.Log
		must(t, s.bolt.GetLog(last, &entry))
		_, transport := raft.NewInmemTransport("node-c")
		sink, err := s.snapshots.Create(1, last, entry.Term, members.Configuration(), members.Index(), transport)
		must(t, err)
		_, err = sink.Write(state)
		must(t, err)
		must(t, sink.Close())
		must(t, s.bolt.DeleteRange(1, last))
		for i := last + 1; i < last+50; i++ {
			must(t, s.bolt.StoreLog(&raft.Log{Index: i, Term: term, Type: raft.LogCommand, Data: []byte("never committed")}))
		}
	})
	c.start("node-c")
	c.apply("after")
	c.expectEverywhere(append(want, "after")...)
}
