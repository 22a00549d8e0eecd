package election

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

// disk is a store in memory whose writes can hang or fail.
type disk struct {
	*raft.InmemStore
	// before is called at the start of each write.
	before func() error
}

func (d *disk) StoreLogs(entries []*raft.Log) error {
	if err := d.before(); err != nil {
		return err
	}
	return d.InmemStore.StoreLogs(entries)
}

func (d *disk) SetUint64(key []byte, value uint64) error {
	if err := d.before(); err != nil {
		return err
	}
	return d.InmemStore.SetUint64(key, value)
}

// guardedDisk returns a store of which write number hang, counted from 1, waits for release.
func guardedDisk(hang int32, release <-chan struct{}) (store *deadlineStore, begun *atomic.Int32, poisoned *[]error) {
	begun, poisoned = new(atomic.Int32), new([]error)
	d := &disk{InmemStore: raft.NewInmemStore(), before: func() error {
		if begun.Add(1) == hang {
			<-release
		}
		return nil
	}}
	store = &deadlineStore{logs: d, stable: d, limit: time.Second, poisoned: func(err error) { *poisoned = append(*poisoned, err) }, appended: func(error) {}}
	return store, begun, poisoned
}

func TestTheFirstMissedDeadlinePoisonsTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		store, begun, poisoned := guardedDisk(2, release)
		if err := store.StoreLog(&raft.Log{Index: 1}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		err := store.StoreLog(&raft.Log{Index: 2})
		expectSentence(t, err, "the disk has not answered for 1s", "must be restarted")
		if took := time.Since(began); took != time.Second {
			t.Errorf("the miss was reported after %v, want 1s", took)
		}
		// Later writes are not even begun, so the late one cannot land after them.
		for name, write := range map[string]func() error{
			"StoreLog":    func() error { return store.StoreLog(&raft.Log{Index: 3}) },
			"StoreLogs":   func() error { return store.StoreLogs([]*raft.Log{{Index: 3}}) },
			"DeleteRange": func() error { return store.DeleteRange(1, 2) },
		} {
			if again := write(); !errors.Is(again, err) {
				t.Errorf("%s after the miss = %v, want the same error", name, again)
			}
		}
		if begun.Load() != 2 {
			t.Errorf("%d writes were begun, want 2", begun.Load())
		}
		close(release)
		synctest.Wait()
		if last, _ := store.LastIndex(); last != 2 {
			t.Errorf("last index is %d after the late write, want 2", last)
		}
		if len(*poisoned) != 1 {
			t.Errorf("reported %d times: %v", len(*poisoned), *poisoned)
		}
	})
}

// Raft panics when a term cannot be written. So the write is reported, and the goroutine of Raft's that asked ends.
func TestAVoteThatCannotBeWrittenIsReportedAndNeverReturns(t *testing.T) {
	t.Parallel()
	reported := make(chan error, 1)
	d := &disk{InmemStore: raft.NewInmemStore(), before: func() error { return syscall.ENOSPC }}
	store := &deadlineStore{logs: d, stable: d, limit: time.Second, poisoned: func(err error) { reported <- err }, appended: func(error) {}}
	returned := make(chan error, 1)
	go func() {
		defer close(returned)
		returned <- store.SetUint64([]byte(currentTermKey), 7)
	}()
	expectSentence(t, <-reported, "write term or vote", "no space left on device", "check the disk")
	if err, ok := <-returned; ok {
		t.Errorf("SetUint64 returned %v", err)
	}
}

// Raft panics when a committed entry cannot be read, too.
func TestADamagedEntryIsReportedAndNeverReturned(t *testing.T) {
	t.Parallel()
	cfg := newCluster(t, 1).config("node-a")
	edit(t, cfg, func(s *store) { must(t, s.bolt.StoreLog(&raft.Log{Index: 1, Data: []byte("what was committed")})) })
	// The file is damaged under a store that is open.
	reported := make(chan error, 1)
	s, err := openStore(cfg.DataDir, raftLogger(zap.NewNop()))
	must(t, err)
	t.Cleanup(func() { must(t, s.close()) })
	store := s.guard(time.Second, func(err error) { reported <- err }, func(error) {})
	must(t, store.GetLog(1, new(raft.Log)))
	data, err := os.ReadFile(dbPath(cfg))
	must(t, err)
	file, err := os.OpenFile(dbPath(cfg), os.O_WRONLY, 0)
	must(t, err)
	_, err = file.WriteAt([]byte{'!'}, int64(bytes.LastIndex(data, []byte(`"Index":1`))))
	must(t, errors.Join(err, file.Close()))
	returned := make(chan error, 1)
	go func() {
		defer close(returned)
		returned <- store.GetLog(1, new(raft.Log))
	}()
	expectSentence(t, <-reported, "is damaged", "log entry 1", "wrong checksum", "move the directory")
	if err, ok := <-returned; ok {
		t.Errorf("GetLog returned %v", err)
	}
}

// A full disk is an answer: Raft's leader steps down by itself, and a follower may catch up when there is room again.
func TestALogWriteThatFailsInTimeDoesNotPoison(t *testing.T) {
	t.Parallel()
	full := true
	d := &disk{InmemStore: raft.NewInmemStore(), before: func() error {
		if full {
			return syscall.ENOSPC
		}
		return nil
	}}
	store := &deadlineStore{logs: d, stable: d, limit: time.Second, poisoned: func(err error) { t.Errorf("poisoned: %v", err) }, appended: func(error) {}}
	if err := store.StoreLog(&raft.Log{Index: 1}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("StoreLog on a full disk = %v", err)
	}
	full = false
	if err := store.StoreLog(&raft.Log{Index: 1}); err != nil {
		t.Errorf("StoreLog after room was made = %v", err)
	}
}

// Raft deletes the end of the log to put another leader's entries there. Where that fails it has a wrong end in memory, and refuses
// every later entry.
func TestALogWhoseEndCannotBeReplacedEndsTheProcess(t *testing.T) {
	t.Parallel()
	full := false
	d := &disk{InmemStore: raft.NewInmemStore(), before: func() error {
		if full {
			return syscall.ENOSPC
		}
		return nil
	}}
	poisoned := make(chan error, 1)
	store := &deadlineStore{logs: d, stable: d, limit: time.Second, poisoned: func(err error) { poisoned <- err }, appended: func(error) {}}
	must(t, store.StoreLogs([]*raft.Log{{Index: 1}, {Index: 2}, {Index: 3}}))
	must(t, store.DeleteRange(1, 1)) // compaction
	full = true
	if err := store.StoreLog(&raft.Log{Index: 4}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("StoreLog on a full disk = %v", err)
	}
	must(t, store.DeleteRange(3, 3)) // in memory there is room for that
	go func() { _ = store.StoreLog(&raft.Log{Index: 3, Term: 2}) }()
	expectSentence(t, <-poisoned, "replace the end of the raft log", "make room", "must be restarted")
}

// Behind a leader's snapshot the log may be empty, and Raft compacts it all the same. No end was cut then, and a full disk is an answer.
func TestCompactingAnEmptyLogCutsNoEnd(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	store := s.guard(time.Second, func(err error) { t.Errorf("poisoned: %v", err) }, func(error) {})
	must(t, store.DeleteRange(0, 976))
	mend := failWrites(s.bolt, func(func([]byte, int64) (int, error), []byte, int64) (int, error) { return 0, syscall.ENOSPC })
	failed := make(chan error, 1)
	go func() {
		defer close(failed)
		failed <- store.StoreLog(&raft.Log{Index: 2001, Term: 1})
	}()
	if err, returned := <-failed; !returned || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("StoreLog on a full disk = %v, returned %t", err, returned)
	}
	mend()
	must(t, store.StoreLog(&raft.Log{Index: 2001, Term: 1}))
}

func TestAPanicOfTheStoreBecomesASentence(t *testing.T) {
	t.Parallel()
	var reported error
	d := &disk{InmemStore: raft.NewInmemStore(), before: func() error { panic("page 7: unexpected page type") }}
	store := &deadlineStore{logs: d, stable: d, limit: time.Second, poisoned: func(err error) { reported = err }, appended: func(error) {}}
	expectSentence(t, store.StoreLog(&raft.Log{Index: 1}), "the raft store is damaged", "page 7")
	expectSentence(t, reported, "the raft store is damaged", "page 7")
}

// The whole way: the disk of the leader hangs, its run ends with a sentence, and another node leads.
func TestALeaderWhoseDiskHangsEndsAndAnotherLeads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var hung atomic.Pointer[simNode]
		release := make(chan struct{})
		s := newSimulation(t, 3, func(_ *raft.Server, n *simNode) {
			memory := n.parts.logs.(*raft.InmemStore)
			d := &disk{InmemStore: memory, before: func() error {
				if hung.Load() == n {
					<-release
				}
				return nil
			}}
			n.parts.logs = &deadlineStore{logs: d, stable: d, limit: time.Second, poisoned: n.fail, appended: n.noteWrite}
		})
		leader, term := s.leader(s.nodes...)
		synctest.Wait()
		hung.Store(leader)
		if _, _, err := leader.Apply(t.Context(), term, []byte("lost?")); !errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("Apply = %v, want ErrUnknownOutcome: the write may still land", err)
		}
		expectSentence(t, <-leader.done, "append to the raft log", "the disk has not answered")
		leader.done <- nil
		successor, newTerm := s.leader(s.others(leader)...)
		if _, _, err := successor.Apply(t.Context(), newTerm, fmt.Append(nil, "go on")); err != nil {
			t.Error(err)
		}
		close(release)
	})
}
