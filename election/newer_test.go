package election

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// A node of an older build meets an entry that it cannot read: it ends there, applies nothing after it, and does not come up again, as
// it would vote. Its store is what the newer build goes on with.
func TestAnOlderBuildEndsAtWhatItCannotRead(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start("node-a", "node-b")
	older := startWith(t, c.config("node-c"), &ledger{unknown: "new"})
	c.nodes["node-c"] = older
	c.apply("old")
	c.expectEverywhere("old")
	eventually(t, "a leader of the newer build", func() error {
		if leader, _ := c.leader(); leader == older {
			return errors.Join(errors.New("it leads"), leader.Transfer(t.Context(), "node-a"))
		}
		return nil
	})
	delete(c.nodes, "node-c")
	c.apply("new")
	expectSentence(t, older.failure(t), errTooOld.Error())
	c.apply("after")
	c.expectEverywhere("old", "new", "after")
	if got := older.ledger.list(); !slices.Equal(got, []string{"old"}) {
		t.Errorf("the older build has applied %q", got)
	}

	before := checksums(t, c.config("node-c").DataDir)
	for range 2 {
		_, err := Open(c.config("node-c"), &ledger{unknown: "new"})
		expectSentence(t, err, "raft.db was left as it is", errTooOld.Error())
	}
	if after := checksums(t, c.config("node-c").DataDir); !maps.Equal(before, after) {
		t.Errorf("the refused build has changed the data dir from %v to %v", before, after)
	}
	c.start("node-c")
	c.expectEverywhere("old", "new", "after")
}

// checksums are those of all files below dir.
func checksums(t *testing.T, dir string) map[string]string {
	t.Helper()
	sums := make(map[string]string)
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		sums[path] = fmt.Sprintf("%x", sha256.Sum256(data))
		return err
	}))
	return sums
}

// The entry may be compacted away by then, and be in a snapshot only.
func TestAnOlderBuildDoesNotStartOnASnapshotThatItCannotRead(t *testing.T) {
	t.Parallel()
	cfg := newCluster(t, 1).config("node-a")
	closedNode(t, cfg)
	edit(t, cfg, func(s *store) {
		_, transport := raft.NewInmemTransport("node-a")
		sink, err := s.snapshots.Create(1, 7, 2, raft.Configuration{}, 1, transport)
		must(t, err)
		_, err = io.WriteString(sink, `["old","new"]`)
		must(t, errors.Join(err, sink.Close()))
	})
	_, err := Open(cfg, &ledger{unknown: "new"})
	expectSentence(t, err, errTooOld.Error())
	closedNode(t, cfg)
}

// Raft goes on handing over entries until the process has ended. None may be applied behind the one that was not, and no snapshot may
// say that it was.
func TestNothingIsAppliedBehindWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	reads := map[string]func(*machine) error{
		"an entry": func(m *machine) error {
			err, _ := m.Apply(&raft.Log{Index: 2, Term: 1, Data: []byte("new")}).(error)
			return err
		},
		"a snapshot": func(m *machine) error { return m.Restore(io.NopCloser(strings.NewReader(`["new"]`))) },
	}
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			var ended []error
			l := &ledger{unknown: "new"}
			m := &machine{StateMachine: l, end: func(err error) { ended = append(ended, err) }}
			m.Apply(&raft.Log{Index: 1, Term: 1, Data: []byte("old")})
			if err := read(m); !errors.Is(err, errTooOld) {
				t.Errorf("answered %v", err)
			}
			m.Apply(&raft.Log{Index: 3, Term: 1, Data: []byte("after")})
			if _, err := m.Snapshot(); !errors.Is(err, errTooOld) {
				t.Errorf("a snapshot was taken: %v", err)
			}
			if got := l.list(); !slices.Equal(got, []string{"old"}) {
				t.Errorf("applied %q", got)
			}
			if len(ended) != 1 {
				t.Errorf("the process was ended %d times: %v", len(ended), ended)
			}
		})
	}
}

// A node that lost its disk and was given an older build is not let in, and says why; with the newer one it is.
func TestAnOlderBuildIsNotLetIn(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, func(cfg *Config) {
		cfg.Level = 2
		cfg.Admits = func(level uint8) error {
			if level < 2 {
				return errTooOld
			}
			return nil
		}
	})
	c.start()
	c.apply("before")
	c.stop("node-c")
	cfg := c.config("node-c")
	must(t, os.RemoveAll(filepath.Join(cfg.DataDir, storeDir)))
	cfg.Level = 1
	older := start(t, cfg)
	older.expectPhase(t, errTooOld.Error())
	leader, _ := c.leader()
	if _, member := findServer(leader.raft.Load(), older.self.serverID()); member {
		t.Error("it was made a member all the same")
	}
	must(t, older.stop())
	c.start("node-c")
	c.expectEverywhere("before")
	c.nodes["node-c"].expectPhase(t, "running")
}
