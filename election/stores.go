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
	bbolterrors "go.etcd.io/bbolt/errors"
)

const (
	storeDir  = "raft"
	storeName = "raft.db"
	// currentTermKey is Raft's own key in the stable store (raft.go, keyCurrentTerm).
	currentTermKey = "CurrentTerm"
)

// store is the node's part of the data dir that Raft uses: one bbolt file for log and votes, and a directory of snapshots.
type store struct {
	dir       string
	path      string
	bolt      *boltStore
	snapshots *snapshotStore
	// guarded is what Raft writes through, nil before it runs.
	guarded *deadlineStore
}

// openStore opens or creates the store under dataDir and reads all of it once. The bbolt file is locked until close.
func openStore(dataDir string, logger hclog.Logger) (*store, error) {
	dir := filepath.Join(dataDir, storeDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, dirError("create", dir, err)
	}
	if err := errors.Join(checkPrivate(dataDir), checkPrivate(dir)); err != nil {
		return nil, err
	}
	s := &store{dir: dir, path: filepath.Join(dir, storeName)}
	if err := recoverDamage(s.path, s.openBolt); err != nil {
		return nil, err
	}
	files, err := raft.NewFileSnapshotStoreWithLogger(dir, retainSnapshots, logger)
	if err != nil {
		return nil, errors.Join(dirError("create snapshots in", dir, err), s.bolt.Close())
	}
	// raft.db and snapshots may be new, and so may their directory.
	if err := errors.Join(syncDir(dir), syncDir(dataDir)); err != nil {
		return nil, errors.Join(dirError("sync", dir, err), s.bolt.Close())
	}
	s.snapshots = &snapshotStore{FileSnapshotStore: files, dir: filepath.Join(dir, snapshotDir), bolt: s.bolt,
		written: func(error) {}, restart: func(error) {}}
	if err := recoverDamage(s.path, s.readWhole); err != nil {
		return nil, errors.Join(err, s.bolt.Close())
	}
	if err := s.snapshots.dropOthers(); err != nil {
		return nil, errors.Join(dirError("clean up snapshots in", dir, err), s.bolt.Close())
	}
	return s, nil
}

// checkPrivate refuses a directory in which everybody may replace files: this node's votes, and all that it knows, would be theirs.
func checkPrivate(dir string) error {
	const otherWrite = 0o002
	info, err := os.Stat(dir)
	if err != nil {
		return dirError("look at", dir, err)
	}
	if mode := info.Mode().Perm(); mode&otherWrite != 0 {
		return fmt.Errorf("data directory %s has mode %04o, so everybody could replace what this node voted and knows: run 'chmod o-w %s'",
			dir, mode, dir)
	}
	return nil
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
	if s.bolt, err = openBoltStore(s.path); err != nil {
		return openError(s.path, err)
	}
	return nil
}

// readWhole reads everything once: what is damaged would otherwise be met in the middle of an election. The log is short, as it
// is compacted.
func (s *store) readWhole() error {
	covered, err := s.snapshots.verify()
	switch {
	case errors.Is(err, fs.ErrPermission):
		return dirError("read snapshots in", s.dir, err)
	case err != nil:
		return damaged(s.path, err)
	}
	if err := s.bolt.verify(covered); err != nil {
		return damaged(s.path, err)
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
	case errors.Is(err, errKeyNotFound):
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

// end returns where the log ends, or the newest snapshot if there is no log behind it.
func (s *store) end() (Position, error) {
	h, err := s.bolt.header()
	if err != nil || h.Last == 0 {
		return Position{Term: h.Snapshot.Term, Index: h.Snapshot.Index}, err
	}
	var last raft.Log
	if err := s.bolt.GetLog(h.Last, &last); err != nil {
		return Position{}, fmt.Errorf("read the last entry of %s: %w", s.path, err)
	}
	return Position{Term: last.Term, Index: last.Index}, nil
}

// members returns the newest configuration, committed or not, as Raft would begin with it.
func (s *store) members() (members raft.Configuration, err error) {
	h, err := s.bolt.header()
	if err != nil {
		return members, fmt.Errorf("read %s: %w", s.path, err)
	}
	if id := h.Snapshot.ID; id != "" {
		meta, state, err := s.snapshots.Open(id)
		if err != nil {
			return members, fmt.Errorf("open snapshot %s: %w", id, err)
		}
		_ = state.Close() // only read
		members = meta.Configuration
	}
	err = s.eachEntry(h.Snapshot.Index+1, func(entry *raft.Log) error {
		if entry.Type == raft.LogConfiguration {
			members = raft.DecodeConfiguration(entry.Data)
		}
		return nil
	})
	return members, err
}

// eachEntry reads the log from the given index on.
func (s *store) eachEntry(first uint64, do func(*raft.Log) error) error {
	last, err := s.bolt.LastIndex()
	if err != nil {
		return fmt.Errorf("find last log entry in %s: %w", s.path, err)
	}
	for index := first; index <= last; index++ {
		var entry raft.Log
		if err := s.bolt.GetLog(index, &entry); err != nil {
			return err
		}
		if err := do(&entry); err != nil {
			return err
		}
	}
	return nil
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

// guard returns the store as Raft sees it, with a deadline on each write. appended is told whether what Raft wants to keep, be it
// log or snapshot, could be written.
func (s *store) guard(limit time.Duration, poisoned, appended func(error)) *deadlineStore {
	s.guarded = &deadlineStore{logs: s.bolt, stable: s.bolt, limit: limit, poisoned: poisoned, appended: appended}
	s.snapshots.written, s.snapshots.restart = appended, s.guarded.end
	return s.guarded
}

// close releases the store, unless a write hangs in it: then closing would hang too, and the process is about to end. A write of Raft's says
// so; one that notes a snapshot has no deadline.
func (s *store) close() error {
	if s.guarded != nil && s.guarded.hangs.Load() {
		return nil
	}
	closed := make(chan error, 1)
	go func() { closed <- s.bolt.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			return fmt.Errorf("close %s: %w", s.path, err)
		}
		return nil
	case <-time.After(stopGrace):
		return fmt.Errorf("close %s: it has not ended, most likely because the disk hangs", s.path)
	}
}
