package election

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
)

var update = flag.Bool("update", false, "write testdata/release1, if it is not there; it stays for ever")

// The data dir that the first release has left is what every later one starts on, and tells the same of it. An older build must also be
// able to open a later one's, to find out that it is too old; so the format stays as it is, and what is new in it is a level's (package fsm).
func TestTheStoreOfTheFirstRelease(t *testing.T) {
	t.Parallel()
	const golden = "testdata/release1"
	if _, err := os.Stat(golden); *update && errors.Is(err, fs.ErrNotExist) {
		must(t, os.CopyFS(golden, os.DirFS(releasedStore(t).DataDir)))
	}
	cfg := newCluster(t, 1).config("node-a")
	must(t, os.CopyFS(cfg.DataDir, os.DirFS(golden)))
	own, found := closedNode(t, cfg)
	if found != resumed {
		t.Errorf("origin %d, want %d", found, resumed)
	}
	var got strings.Builder
	fmt.Fprintf(&got, "{%s %s %s}\n", own.Cluster, own.Node, own.Incarnation)
	if own.Generation != "" || own.Predecessor != "" {
		t.Errorf("it was recovered: %+v", own)
	}
	edit(t, cfg, func(s *store) {
		for _, line := range contents(t, s) {
			fmt.Fprintln(&got, line)
		}
		last, err := s.bolt.LastIndex()
		must(t, err)
		for index := uint64(5); index <= last; index++ {
			var entry raft.Log
			must(t, s.bolt.GetLog(index, &entry))
			fmt.Fprintf(&got, "%d %d %s %q\n", entry.Index, entry.Term, entry.Type, entry.Data)
		}
	})
	told := filepath.Join("testdata", "release1.txt")
	if _, err := os.Stat(told); *update && errors.Is(err, fs.ErrNotExist) {
		must(t, os.WriteFile(told, []byte(got.String()), 0o644))
	}
	want, err := os.ReadFile(told)
	must(t, err)
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("the store of the first release says something else now (-then +now):\n%s", d)
	}
}

// releasedStore is the data dir of a node that has voted, and has compacted its log.
func releasedStore(t *testing.T) Config {
	t.Helper()
	cfg := newCluster(t, 1).config("node-a")
	own, _ := closedNode(t, cfg)
	must(t, writeMarker(cfg, own))
	edit(t, cfg, func(s *store) {
		members := raft.Configuration{Servers: []raft.Server{{ID: own.serverID(), Address: serverAddress("127.0.0.1:7946", own.serverID())}}}
		entries := []*raft.Log{{Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(members)}, {Type: raft.LogNoop}}
		for i := range 10 {
			entries = append(entries, &raft.Log{Type: raft.LogCommand, Data: fmt.Appendf(nil, "\x01{\"kind\":\"command %d\"}", i)})
		}
		for i, entry := range entries {
			entry.Index, entry.Term = uint64(i+1), 2
		}
		must(t, s.bolt.StoreLogs(entries))
		_, transport := raft.NewInmemTransport("node-a")
		sink, err := s.snapshots.Create(1, 6, 2, members, 1, transport)
		must(t, err)
		_, err = sink.Write([]byte("\x01{\"state\":6}"))
		must(t, errors.Join(err, sink.Close()))
		must(t, s.bolt.DeleteRange(1, 4))
		must(t, s.bolt.SetUint64([]byte(currentTermKey), 3))
		must(t, s.bolt.SetUint64([]byte(lastVoteTermKey), 3))
		must(t, s.bolt.Set([]byte(lastVoteCandidateKey), []byte("node-b.00ff@10.0.0.2:7946")))
	})
	return cfg
}
