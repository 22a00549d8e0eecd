package election

import (
	"errors"
	"reflect"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// newStore is an empty store.
func newStore(t *testing.T) *store {
	t.Helper()
	s, err := openStore(t.TempDir(), hclog.NewNullLogger())
	must(t, err)
	t.Cleanup(func() { must(t, s.close()) })
	return s
}

// failWrites makes bbolt's writes go through instead, until the returned function is called. bbolt has no seam for it.
func failWrites(b *boltStore, instead func(real func([]byte, int64) (int, error), page []byte, at int64) (int, error)) (mend func()) {
	field := reflect.ValueOf(b.db).Elem().FieldByName("ops").FieldByName("writeAt")
	hook := (*func([]byte, int64) (int, error))(unsafe.Pointer(field.UnsafeAddr()))
	real := *hook
	*hook = func(page []byte, at int64) (int, error) { return instead(real, page, at) }
	return func() { *hook = real }
}

// Raft writes a vote as two values, the term first. A crash in between must not leave the new term with the old candidate: that is a
// vote which nobody cast, and Raft repeats a vote without a look at the log (I7).
func TestAVoteThatIsHalfWrittenIsNoVote(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	must(t, s.bolt.SetUint64([]byte(lastVoteTermKey), 5))
	must(t, s.bolt.Set([]byte(lastVoteCandidateKey), []byte("node-b")))
	must(t, s.bolt.SetUint64([]byte(lastVoteTermKey), 7))
	if candidate, err := s.bolt.Get([]byte(lastVoteCandidateKey)); !errors.Is(err, errKeyNotFound) {
		t.Errorf("after the term alone the vote is for %q (%v), want none", candidate, err)
	}
}

// The disk fails while it syncs the last page of a transaction: bbolt reports an error and goes on with the transaction in force. Raft
// would take the entries for not written, and put others before them (I8).
func TestAWriteOfUnknownOutcomeEndsTheProcess(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	poisoned := make(chan error, 1)
	guarded := s.guard(time.Second, func(err error) { poisoned <- err }, func(error) {})
	must(t, guarded.StoreLog(&raft.Log{Index: 1, Term: 1}))
	metaPages := int64(2 * s.bolt.db.Info().PageSize)
	mend := failWrites(s.bolt, func(real func([]byte, int64) (int, error), page []byte, at int64) (int, error) {
		n, err := real(page, at)
		if err == nil && at < metaPages {
			err = syscall.EIO // as fdatasync reports it: the page is in the page cache
		}
		return n, err
	})
	if err := guarded.StoreLog(&raft.Log{Index: 2, Term: 5}); !errors.Is(err, errUnknownWrite) {
		t.Errorf("append = %v, want an unknown outcome", err)
	}
	mend()
	expectSentence(t, <-poisoned, "may or may not have happened", "check it", "must be restarted")
	if err := s.bolt.StoreLog(&raft.Log{Index: 2, Term: 6}); !errors.Is(err, errUnknownWrite) {
		t.Errorf("the append after it = %v, want it refused", err)
	}
}

// What fails before that last page has not happened, and is not held against the disk.
func TestAWriteThatCertainlyFailedIsNotTheEnd(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	mend := failWrites(s.bolt, func(func([]byte, int64) (int, error), []byte, int64) (int, error) { return 0, syscall.ENOSPC })
	if err := s.bolt.StoreLog(&raft.Log{Index: 1, Term: 1}); !errors.Is(err, syscall.ENOSPC) || errors.Is(err, errUnknownWrite) {
		t.Errorf("append on a full disk = %v", err)
	}
	mend()
	must(t, s.bolt.StoreLog(&raft.Log{Index: 1, Term: 1}))
}

// Raft may be at a snapshot of its own, on a slow disk, while a leader sends it a newer one. The late one must neither replace the
// newer one nor touch the log behind it (I8).
func TestALateSnapshotDoesNotReplaceANewerOne(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for i := uint64(1); i <= 160; i++ {
		must(t, s.bolt.StoreLog(&raft.Log{Index: i, Term: 1}))
	}
	_, transport := raft.NewInmemTransport("node-a")
	late, err := s.snapshots.Create(1, 150, 1, raft.Configuration{}, 1, transport)
	must(t, err)
	sendSnapshot(t, s, 5000, 4)
	must(t, s.bolt.StoreLog(&raft.Log{Index: 5001, Term: 4}))
	if err := late.Close(); !errors.Is(err, errOlderSnapshot) {
		t.Errorf("the late snapshot ended with %v, want it refused", err)
	}
	h, err := s.bolt.header()
	must(t, err)
	if h.Snapshot.Index != 5000 || h.Last != 5001 {
		t.Errorf("the snapshot ends at %d and the log at %d, want 5000 and 5001", h.Snapshot.Index, h.Last)
	}
	must(t, s.readWhole())
}

// Snapshots that are in place but could not be noted must not push out the noted one, without which the node does not start.
func TestSnapshotsThatCannotBeNotedLeaveTheNotedOne(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	must(t, s.bolt.StoreLog(&raft.Log{Index: 1, Term: 3}))
	sendSnapshot(t, s, 10, 3)
	mend := failWrites(s.bolt, func(func([]byte, int64) (int, error), []byte, int64) (int, error) { return 0, syscall.ENOSPC })
	_, transport := raft.NewInmemTransport("node-a")
	for index := uint64(11); index < 14; index++ {
		sink, err := s.snapshots.Create(1, index, 3, raft.Configuration{}, 1, transport)
		must(t, err)
		if err := sink.Close(); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("the snapshot of entry %d ended with %v", index, err)
		}
	}
	mend()
	must(t, s.readWhole())
}

// A node is stopped while its disk hangs in the note of a snapshot, and before any write of the log has missed its deadline. The store cannot be
// closed then; the process must end all the same.
func TestAStoreThatHangsInASnapshotKeepsNobodyFromEnding(t *testing.T) {
	t.Parallel()
	s, err := openStore(t.TempDir(), hclog.NewNullLogger())
	must(t, err)
	var once sync.Once
	hangs, release := make(chan struct{}), make(chan struct{})
	failWrites(s.bolt, func(real func([]byte, int64) (int, error), page []byte, at int64) (int, error) {
		once.Do(func() { close(hangs) })
		<-release
		return real(page, at)
	})
	done := make(chan error, 1)
	go func() {
		_, err := s.bolt.note(noted{ID: "3-10-1", Index: 10, Term: 3})
		done <- err
	}()
	<-hangs
	closed := make(chan error, 1)
	go func() { closed <- s.close() }()
	select {
	case err := <-closed:
		expectSentence(t, err, "close", "the disk hangs")
	case <-time.After(20 * time.Second):
		t.Error("close has not returned")
	}
	close(release)
	must(t, <-done)
}
