package election

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sys/unix"
)

// closedNode opens a node as Open does, closes it, and tells what it found in its data dir.
func closedNode(t *testing.T, cfg Config) (identity, origin) {
	t.Helper()
	n, err := Open(cfg, &ledger{})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	return n.self, n.origin
}

// edit opens the node's store for a test that plays disaster.
func edit(t *testing.T, cfg Config, change func(*store)) {
	t.Helper()
	s, err := openStore(cfg.DataDir, raftLogger(cfg.withDefaults().Logger))
	if err != nil {
		t.Fatal(err)
	}
	change(s)
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}

// must fails the test at once.
func must(t interface {
	Helper()
	Fatal(args ...any)
}, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func dbPath(cfg Config) string {
	return filepath.Join(cfg.DataDir, storeDir, storeName)
}

// The table of identity.go, row by row (I7).
func TestTheDataDirTellsANodesPast(t *testing.T) {
	t.Parallel()
	giveLog := func(s *store) error { return s.bolt.StoreLog(&raft.Log{Index: 1, Term: 1}) }
	tests := map[string]struct {
		// change is done to the data dir of a node that was opened once.
		change func(t *testing.T, cfg Config, own identity)
		origin origin
		same   bool // incarnation
	}{
		"identity, no marker, no log: not yet initialised": {
			func(*testing.T, Config, identity) {}, fresh, true,
		},
		"identity, no marker, a term but no log: interrupted bootstrap": {
			func(t *testing.T, cfg Config, _ identity) {
				edit(t, cfg, func(s *store) { must(t, s.bolt.SetUint64([]byte(currentTermKey), 1)) })
			}, fresh, true,
		},
		"identity, no marker, a log: bootstrapped": {
			func(t *testing.T, cfg Config, _ identity) { edit(t, cfg, func(s *store) { must(t, giveLog(s)) }) }, resumed, true,
		},
		"identity and its marker": {
			func(t *testing.T, cfg Config, own identity) { must(t, writeMarker(cfg, own)) }, resumed, true,
		},
		"identity and the marker of an older one: crashed while coming back": {
			func(t *testing.T, cfg Config, own identity) {
				own.Incarnation = "0123456789abcdef"
				must(t, writeMarker(cfg, own))
			}, returning, true,
		},
		"marker, store deleted": {
			func(t *testing.T, cfg Config, own identity) {
				must(t, writeMarker(cfg, own))
				must(t, os.RemoveAll(filepath.Join(cfg.DataDir, storeDir)))
			}, returning, false,
		},
		"marker, store truncated to nothing": {
			func(t *testing.T, cfg Config, own identity) {
				must(t, writeMarker(cfg, own))
				must(t, os.Truncate(dbPath(cfg), 0))
			}, returning, false,
		},
		"neither: a replaced machine": {
			func(t *testing.T, cfg Config, _ identity) {
				must(t, os.RemoveAll(filepath.Join(cfg.DataDir, storeDir)))
			}, fresh, false,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := newCluster(t, 1).config("node-a")
			before, _ := closedNode(t, cfg)
			test.change(t, cfg, before)
			after, found := closedNode(t, cfg)
			if found != test.origin || (after == before) != test.same {
				t.Errorf("found origin %d and %+v, want origin %d; it was %+v, same incarnation wanted: %v", found, after, test.origin, before, test.same)
			}
		})
	}
}

// The membership in a snapshot that outlived its store is that of a lost incarnation.
func TestSnapshotsOfALostStoreAreDropped(t *testing.T) {
	t.Parallel()
	cfg := newCluster(t, 1).config("node-a")
	own, _ := closedNode(t, cfg)
	must(t, writeMarker(cfg, own))
	edit(t, cfg, func(s *store) {
		sink, err := s.snapshots.Create(1, 5, 2, raft.Configuration{}, 1, nil)
		must(t, err)
		must(t, sink.Close())
	})
	must(t, os.Remove(dbPath(cfg)))
	if _, found := closedNode(t, cfg); found != returning {
		t.Errorf("origin %d, want returning", found)
	}
	edit(t, cfg, func(s *store) {
		if list, err := s.snapshots.List(); err != nil || len(list) != 0 {
			t.Errorf("snapshots left: %v, %v", list, err)
		}
	})
}

func TestOpenRefusesWithTheRemedy(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		prepare func(t *testing.T, cfg *Config)
		words   []string
	}{
		"another cluster's data": {
			func(t *testing.T, cfg *Config) {
				closedNode(t, *cfg)
				cfg.Cluster = "other"
			}, []string{`belongs to node "node-a" of cluster "test"`, "correct the configuration, or move the directory away"},
		},
		"another node's data": {
			func(t *testing.T, cfg *Config) {
				closedNode(t, *cfg)
				cfg.Name = "node-b"
			}, []string{`belongs to node "node-a"`, `this is node "node-b"`},
		},
		"another node's marker": {
			func(t *testing.T, cfg *Config) {
				must(t, writeMarker(*cfg, identity{Cluster: "test", Node: "node-b", Incarnation: "1"}))
			}, []string{`belongs to node "node-b"`},
		},
		"a damaged marker": {
			func(t *testing.T, cfg *Config) {
				must(t, os.WriteFile(filepath.Join(cfg.DataDir, markerName), []byte("{"), 0o600))
			}, []string{"initialized is damaged", "move"},
		},
		"somebody else's raft log": {
			func(t *testing.T, cfg *Config) {
				edit(t, *cfg, func(s *store) { must(t, s.bolt.StoreLog(&raft.Log{Index: 1, Term: 1})) })
			}, []string{"raft log of something other than hacluster", "move it away"},
		},
		"a file in place of the data dir": {
			func(t *testing.T, cfg *Config) {
				cfg.DataDir = filepath.Join(cfg.DataDir, "file")
				must(t, os.WriteFile(cfg.DataDir, nil, 0o600))
			}, []string{"not a directory", "check that the data dir is a writable directory"},
		},
		"a store in use": {
			func(t *testing.T, cfg *Config) {
				s, err := openStore(cfg.DataDir, raftLogger(cfg.withDefaults().Logger))
				must(t, err)
				t.Cleanup(func() { _ = s.close() })
			}, []string{"locked by another process", "stop it first"},
		},
		"a port in use": {
			func(t *testing.T, cfg *Config) {
				l, err := net.Listen("tcp", cfg.address())
				must(t, err)
				t.Cleanup(func() { _ = l.Close() })
			}, []string{"another process has this port", "change the address of this node"},
		},
		"an address of another machine": {
			func(_ *testing.T, cfg *Config) { cfg.Peers[0].Address = "192.0.2.1:7946" }, []string{"this machine has no such address"},
		},
		"a name that is not configured": {
			func(_ *testing.T, cfg *Config) { cfg.Name = "node-x" }, []string{`node "node-x" is not among the peers (node-a, node-b)`},
		},
		"two peers at one address": {
			func(_ *testing.T, cfg *Config) { cfg.Peers[1].Address = cfg.Peers[0].Address }, []string{"is given to both node-a and node-b"},
		},
		"a lease longer than the heartbeat": {
			func(_ *testing.T, cfg *Config) { cfg.Timing.Lease = time.Minute }, []string{"LeaderLeaseTimeout"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := newCluster(t, 2).config("node-a")
			test.prepare(t, &cfg)
			_, err := Open(cfg, &ledger{})
			expectSentence(t, err, test.words...)
			if name == "a port in use" || name == "an address of another machine" {
				return
			}
			l, err := net.Listen("tcp", cfg.address())
			if err != nil {
				t.Fatalf("Open has left the port open: %v", err)
			}
			_ = l.Close()
		})
	}
}

func TestWrongPermissionsNameTheRemedy(t *testing.T) {
	t.Parallel()
	const owner = "give it the data dir (chown -R) or run as its owner"
	tests := map[string]struct {
		path  []string
		mode  os.FileMode
		words string
	}{
		"the data dir, not to be read": {nil, 0o000, owner},
		"the store's directory":        {[]string{storeDir}, 0o000, owner},
		"the store, not to be read":    {[]string{storeDir, storeName}, 0o000, owner},
		"the store, not to be written": {[]string{storeDir, storeName}, 0o400, owner},
		"the snapshots":                {[]string{storeDir, snapshotDir}, 0o000, "check that the data dir is a writable directory"},
		"a snapshot's meta data":       {[]string{storeDir, snapshotDir, "*", snapshotMeta}, 0o000, owner},
		"a snapshot's state":           {[]string{storeDir, snapshotDir, "*", "state.bin"}, 0o000, owner},
		"the marker":                   {[]string{markerName}, 0o000, owner},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := agedStore(t)
			found, err := filepath.Glob(filepath.Join(append([]string{cfg.DataDir}, test.path...)...))
			must(t, err)
			if len(found) != 1 {
				t.Fatalf("%q found", found)
			}
			giveAway(t, filepath.Dir(cfg.DataDir)) // with t.TempDir's own directory around it
			must(t, openAsOwner(cfg))
			must(t, os.Chmod(found[0], test.mode))
			t.Cleanup(func() { _ = os.Chmod(found[0], 0o700) })
			expectSentence(t, openAsOwner(cfg), "permission denied", found[0], test.words)
		})
	}
}

// nobody stands in for the user of the service: root is not bound by permissions. A user that is not root is, and keeps its files.
const nobody = 65534

func giveAway(t *testing.T, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	must(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, nobody, nobody))
	}))
}

// openAsOwner opens a node in a thread with the file system user id of nobody, which ends with the goroutine as it stays locked.
func openAsOwner(cfg Config) error {
	opened := make(chan error)
	go func() {
		runtime.LockOSThread()
		if os.Geteuid() == 0 {
			_ = unix.Setfsuid(nobody)
		}
		n, err := Open(cfg, &ledger{})
		if err == nil {
			_ = n.Close()
		}
		opened <- err
	}()
	return <-opened
}

// damagedStores are what disks and hurried people do to a bbolt file.
func TestADamagedStoreIsRefusedWithTheRemedy(t *testing.T) {
	t.Parallel()
	fill := func(t *testing.T, cfg Config) {
		own, _ := closedNode(t, cfg)
		must(t, writeMarker(cfg, own))
		edit(t, cfg, func(s *store) {
			for i := range uint64(400) {
				must(t, s.bolt.StoreLog(&raft.Log{Index: i + 1, Term: 1, Data: make([]byte, 200)}))
			}
		})
	}
	tests := map[string]func(data []byte) []byte{
		"zeroed":               func(data []byte) []byte { return make([]byte, len(data)) },
		"cut in half":          func(data []byte) []byte { return data[:len(data)/2] },
		"cut to one page":      func(data []byte) []byte { return data[:4096] },
		"zeroed in the middle": func(data []byte) []byte { clear(data[4*4096 : len(data)-4096]); return data },
		"bits of page headers flipped": func(data []byte) []byte {
			for page := 2; page < len(data)/4096; page++ {
				data[page*4096+8] ^= 0xff
			}
			return data
		},
		// bbolt opens this one: the file's own structure is whole, some pages of the log are not.
		"pages of the log zeroed": func(data []byte) []byte {
			const leaf = 2 // page flag; the other leaf page, of the root bucket, has two entries
			for page := 2; page < len(data)/4096; page++ {
				header := data[page*4096:]
				if binary.LittleEndian.Uint16(header[8:]) == leaf && binary.LittleEndian.Uint16(header[10:]) > 2 {
					clear(header[:4096])
				}
			}
			return data
		},
		"text": func([]byte) []byte { return []byte("not a database\n") },
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := newCluster(t, 1).config("node-a")
			fill(t, cfg)
			data, err := os.ReadFile(dbPath(cfg))
			must(t, err)
			must(t, os.WriteFile(dbPath(cfg), damage(data), 0o600))
			_, err = Open(cfg, &ledger{})
			expectSentence(t, err, "is damaged", "move the directory", "comes back as a new member")
		})
	}
}

func TestAHoleInTheLogIsDamage(t *testing.T) {
	t.Parallel()
	cfg := newCluster(t, 1).config("node-a")
	closedNode(t, cfg)
	edit(t, cfg, func(s *store) {
		for _, index := range []uint64{1, 2, 10, 11} {
			must(t, s.bolt.StoreLog(&raft.Log{Index: index, Term: 1}))
		}
	})
	_, err := Open(cfg, &ledger{})
	expectSentence(t, err, "is damaged", "read log entry 3 of 1 to 11")
}

func TestAServerIDIsANameAndAnIncarnation(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]raft.ServerID{"node-a": "node-a.00ff", "node-a.example.com": "node-a.example.com.00ff", "": ""} {
		if got := nodeName(id); got != name {
			t.Errorf("nodeName(%q) = %q, want %q", id, got, name)
		}
	}
	address, id, err := splitServerAddress(serverAddress("10.0.0.3:7946", "node-c.00ff"))
	if err != nil || address != "10.0.0.3:7946" || id != "node-c.00ff" {
		t.Errorf("server address splits into %q, %q, %v", address, id, err)
	}
	if _, _, err := splitServerAddress("10.0.0.3:7946"); err == nil {
		t.Error("an address without server id was accepted")
	}
}
