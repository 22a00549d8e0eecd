package election

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/raft"
)

const (
	snapshotDir     = "snapshots" // fixed by raft.FileSnapshotStore
	snapshotMeta    = "meta.json" // likewise
	retainSnapshots = 2           // the noted one, and the next until it is noted
)

// snapshotStore is Raft's snapshot store, and notes each new snapshot in the bbolt file before Raft is told that it is durable.
//
// Raft by itself passes over a snapshot that it cannot read, takes an older one or none, and believes the index, the term and the
// members that an unprotected meta.json names. All three make a node forget entries that it has acknowledged (I8).
type snapshotStore struct {
	*raft.FileSnapshotStore
	dir  string
	bolt *boltStore
	// written is called with the outcome of each snapshot. It must not block.
	written func(error)
	// restart ends the process and does not return.
	restart func(error)
	// finishing is held from the moment a snapshot is in place, and older ones are gone, until it is noted.
	finishing sync.Mutex
}

var (
	errOlderSnapshot = errors.New("it is older than this node's own")
	errOutdatedLog   = errors.New("the leader's snapshot replaces the end of this node's log, which Raft keeps in memory: the process ends and must be restarted")
)

// noted names a snapshot. The zero value is none.
type noted struct {
	ID string `json:"id,omitempty"`
	// Sum is the CRC-32C of its meta.json, which in turn has the checksum of the state.
	Sum uint32 `json:"sum,omitempty"`
	// Index and Term are those of the last entry that it includes.
	Index uint64 `json:"index,omitempty"`
	Term  uint64 `json:"term,omitempty"`
}

// Create implements raft.SnapshotStore. A request that comes late must not take the node back to what it has compacted away.
func (s *snapshotStore) Create(version raft.SnapshotVersion, index, term uint64, members raft.Configuration, membersIndex uint64,
	transport raft.Transport) (raft.SnapshotSink, error) {
	h, err := s.bolt.header()
	if err == nil && index < h.Snapshot.Index {
		return nil, fmt.Errorf("create snapshot of entry %d: %w (%s)", index, errOlderSnapshot, h.Snapshot.ID)
	}
	sink, err := s.FileSnapshotStore.Create(version, index, term, members, membersIndex, transport)
	if err != nil {
		s.written(err)
		return nil, err
	}
	return &notedSink{SnapshotSink: sink, store: s, index: index, term: term}, nil
}

type notedSink struct {
	raft.SnapshotSink
	store       *snapshotStore
	index, term uint64
	closed      bool
}

// Close implements raft.SnapshotSink. Raft calls it again after Persist has.
func (s *notedSink) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	err := s.finish()
	s.store.written(err)
	return err
}

func (s *notedSink) finish() error {
	s.store.finishing.Lock()
	defer s.store.finishing.Unlock()
	snapshot, err := s.store.place(s.SnapshotSink, s.index, s.term)
	if err != nil {
		return err
	}
	outdated, err := s.store.bolt.note(snapshot)
	if err != nil {
		err = fmt.Errorf("note snapshot %s: %w", s.ID(), err)
		if !errors.Is(err, errUnknownWrite) {
			err = errors.Join(err, s.store.discard(s.ID()))
		}
		return err
	}
	if outdated {
		s.store.restart(errOutdatedLog)
	}
	return nil
}

// place makes a finished snapshot durable, and returns what is to be noted of it.
func (s *snapshotStore) place(sink raft.SnapshotSink, index, term uint64) (noted, error) {
	id := sink.ID()
	err := sink.Close()
	if err == nil {
		// Raft syncs the files and the directory of snapshots, but not what is between them.
		err = syncDir(filepath.Join(s.dir, id))
	}
	if err != nil {
		return noted{}, errors.Join(err, s.discard(id))
	}
	meta, err := os.ReadFile(s.meta(id))
	if err != nil {
		return noted{}, errors.Join(fmt.Errorf("read snapshot %s back: %w", id, err), s.discard(id))
	}
	return noted{ID: id, Sum: checksum(meta), Index: index, Term: term}, nil
}

// discard removes a snapshot that will not be noted. Left in place it would count as one of the newest, and the next would push out the
// noted one.
func (s *snapshotStore) discard(id string) error {
	path := filepath.Join(s.dir, id)
	return errors.Join(os.RemoveAll(path), os.RemoveAll(path+".tmp"))
}

func (s *snapshotStore) meta(id string) string { return filepath.Join(s.dir, id, snapshotMeta) }

// verify reads the noted snapshot, if there is one, and returns the index that it covers.
func (s *snapshotStore) verify() (covered uint64, err error) {
	h, err := s.bolt.header()
	if err != nil || h.Snapshot.ID == "" {
		return 0, err
	}
	id := h.Snapshot.ID
	meta, err := os.ReadFile(s.meta(id))
	if err != nil {
		return 0, fmt.Errorf("read snapshot %s: %w", id, err)
	}
	if checksum(meta) != h.Snapshot.Sum {
		return 0, fmt.Errorf("read snapshot %s: %s has a wrong checksum", id, snapshotMeta)
	}
	found, state, err := s.Open(id)
	if err != nil {
		return 0, fmt.Errorf("read snapshot %s: %w", id, err)
	}
	return found.Index, state.Close()
}

// dropOthers removes what is not the noted snapshot: older ones, and what a crash has left of newer ones, which Raft has built
// nothing on. Beside an empty store all are those of a lost incarnation, whose membership Raft would take for its own.
func (s *snapshotStore) dropOthers() error {
	h, err := s.bolt.header()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		if entry.Name() != h.Snapshot.ID {
			errs = append(errs, os.RemoveAll(filepath.Join(s.dir, entry.Name())))
		}
	}
	return errors.Join(errs...)
}
