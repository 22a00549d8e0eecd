package election

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

const (
	storeDir          = "raft"
	storeName         = "raft.db"
	snapshotDir       = "snapshots" // fixed by raft.FileSnapshotStore
	retainSnapshots   = 2
	storeLockDeadline = time.Second
	// currentTermKey is Raft's own key in the stable store (raft.go, keyCurrentTerm).
	currentTermKey = "CurrentTerm"
)

// store is the node's part of the data dir that Raft uses: one bbolt file for log and votes, and a directory of snapshots.
type store struct {
	dir       string
	path      string
	bolt      *raftboltdb.BoltStore
	snapshots *raft.FileSnapshotStore
	// guarded is what Raft writes through, nil before it runs.
	guarded *deadlineStore
}

// openStore opens or creates the store under dataDir. The bbolt file is locked until close.
func openStore(dataDir string, logger hclog.Logger) (*store, error) {
	dir := filepath.Join(dataDir, storeDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, dirError("create", dir, err)
	}
	s := &store{dir: dir, path: filepath.Join(dir, storeName)}
	if err := recoverDamage(s.path, s.openBolt); err != nil {
		return nil, err
	}
	var err error
	if s.snapshots, err = raft.NewFileSnapshotStoreWithLogger(dir, retainSnapshots, logger); err != nil {
		return nil, errors.Join(dirError("create snapshots in", dir, err), s.bolt.Close())
	}
	if err := recoverDamage(s.path, s.readWhole); err != nil {
		return nil, errors.Join(err, s.bolt.Close())
	}
	return s, nil
}

// recoverDamage turns into an error what bbolt makes of a damaged file: a panic, or a memory fault where the mapping goes beyond
// the end of a shortened file. After a panic in Open the handle is lost with its locks, but then the process is about to end.
func recoverDamage(path string, do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = damaged(path, fmt.Errorf("%v", p))
		}
	}()
	return do()
}

func (s *store) openBolt() (err error) {
	s.bolt, err = raftboltdb.New(raftboltdb.Options{
		Path:        s.path,
		BoltOptions: &bbolt.Options{Timeout: storeLockDeadline},
	})
	if err != nil {
		return openError(s.path, err)
	}
	return nil
}

// readWhole reads every entry once: bbolt looks at a page only when it is used, and would otherwise meet a damaged one in the
// middle of an election, with a panic in Raft's main loop. The log is short, as it is compacted.
func (s *store) readWhole() error {
	list, err := s.snapshots.List()
	if err != nil {
		return dirError("list snapshots in", s.dir, err)
	}
	var covered uint64
	if len(list) > 0 {
		covered = list[0].Index
	}
	if err := s.readLog(covered); err != nil {
		return damaged(s.path, err)
	}
	for _, key := range []string{identityKey, currentTermKey} {
		if _, _, err := s.get(key); err != nil {
			return damaged(s.path, err)
		}
	}
	return nil
}

// readLog reads the log up to its end. A follower that was sent a snapshot keeps its older entries, so there may be a hole
// behind what the newest snapshot covers; Raft reads nothing there.
func (s *store) readLog(covered uint64) error {
	first, err := s.bolt.FirstIndex()
	if err != nil {
		return fmt.Errorf("find first log entry: %w", err)
	}
	last, err := s.bolt.LastIndex()
	if err != nil {
		return fmt.Errorf("find last log entry: %w", err)
	}
	if first > covered+1 {
		return fmt.Errorf("the log begins at %d, but the newest snapshot ends at %d", first, covered)
	}
	for index := max(first, 1); index <= last; index++ {
		var entry raft.Log
		err := s.bolt.GetLog(index, &entry)
		switch {
		case errors.Is(err, raft.ErrLogNotFound) && index <= covered:
			index = covered
		case err != nil:
			return fmt.Errorf("read log entry %d of %d to %d: %w", index, first, last, err)
		case entry.Index != index:
			return fmt.Errorf("log entry %d calls itself %d", index, entry.Index)
		}
	}
	return nil
}

func openError(path string, err error) error {
	switch {
	case errors.Is(err, bbolterrors.ErrTimeout):
		return fmt.Errorf("raft store %s is locked by another process: is another agent running on this data dir? stop it first", path)
	case errors.As(err, new(*fs.PathError)):
		return dirError("open", path, err)
	default:
		return damaged(path, err)
	}
}

func damaged(path string, err error) error {
	return fmt.Errorf("raft store %s is damaged: move the directory %s away, leave the file %q beside it, and start the node again; "+
		"it comes back as a new member (%w)", path, filepath.Dir(path), markerName, err)
}

// dirError names the remedy for what the file system refuses.
func dirError(verb, path string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s %s: the user with id %d may not: give it the data dir (chown -R) or run as its owner: %w",
			verb, path, os.Geteuid(), err)
	}
	return fmt.Errorf("%s %s: check that the data dir is a writable directory: %w", verb, path, err)
}

func (s *store) get(key string) (value []byte, known bool, err error) {
	value, err = s.bolt.Get([]byte(key))
	switch {
	case errors.Is(err, raftboltdb.ErrKeyNotFound):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("read %s from %s: %w", key, s.path, err)
	}
	return value, true, nil
}

// bootstrapped says whether Raft has a log or a snapshot. A term alone does not count: BootstrapCluster writes the term first
// and the entry second, and a crash may come between.
func (s *store) bootstrapped() (bool, error) {
	last, err := s.bolt.LastIndex()
	if err != nil {
		return false, fmt.Errorf("find last log entry in %s: %w", s.path, err)
	}
	if last > 0 {
		return true, nil
	}
	list, err := s.snapshots.List()
	if err != nil {
		return false, dirError("list snapshots in", s.dir, err)
	}
	return len(list) > 0, nil
}

// hasRaftState says whether the bbolt file, snapshots aside, has a term or a log.
func (s *store) hasRaftState() (bool, error) {
	_, term, err := s.get(currentTermKey)
	if err != nil || term {
		return term, err
	}
	last, err := s.bolt.LastIndex()
	if err != nil {
		return false, fmt.Errorf("find last log entry in %s: %w", s.path, err)
	}
	return last > 0, nil
}

func (s *store) dropSnapshots() error {
	path := filepath.Join(s.dir, snapshotDir)
	entries, err := os.ReadDir(path)
	if err != nil {
		return dirError("read", path, err)
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(path, entry.Name())); err != nil {
			return dirError("remove", path, err)
		}
	}
	return nil
}

// bootstrap writes the first configuration. Raft has not run on this store, so a term without a log is what an interrupted
// bootstrap left behind; it is taken back, or BootstrapCluster would refuse.
func (s *store) bootstrap(config *raft.Config, members []raft.Server) error {
	if err := s.bolt.SetUint64([]byte(currentTermKey), 0); err != nil {
		return fmt.Errorf("prepare bootstrap in %s: %w", s.path, err)
	}
	err := raft.BootstrapCluster(config, s.bolt, s.bolt, s.snapshots, nil, raft.Configuration{Servers: members})
	if err != nil {
		return fmt.Errorf("bootstrap the cluster in %s: %w", s.path, err)
	}
	return nil
}

// guard returns the store as Raft sees it, with a deadline on each write.
func (s *store) guard(limit time.Duration, poisoned func(error)) *deadlineStore {
	s.guarded = &deadlineStore{logs: s.bolt, stable: s.bolt, limit: limit, poisoned: poisoned}
	return s.guarded
}

// close releases the store, unless a write hangs in it: then closing would hang too, and the process is about to end.
func (s *store) close() error {
	if s.guarded != nil && s.guarded.poison.Load() != nil {
		return nil
	}
	if err := s.bolt.Close(); err != nil {
		return fmt.Errorf("close %s: %w", s.path, err)
	}
	return nil
}
