package election

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// deadlineStore bounds every write of Raft to its log and its stable store.
//
// A leader whose disk hangs keeps sending heartbeats, so nobody replaces it (hashicorp/raft#503). The first write that
// misses its limit therefore poisons the store: it is reported through poisoned, which ends Run and with it the process,
// and no later write is begun. The late write itself may still land, but never after a newer one.
type deadlineStore struct {
	logs   raft.LogStore
	stable raft.StableStore
	limit  time.Duration
	// poisoned is called once, with a sentence for the operator. It must not block.
	poisoned func(error)
	poison   atomic.Pointer[error]
	// hangs says that a write is still out, or ended in a panic that may have left the file locked.
	hangs atomic.Bool
	// appended is called with the outcome of each append. It must not block.
	appended func(error)
	// cut says that the end of the log was deleted and nothing appended since.
	cut atomic.Bool
}

// FirstIndex implements raft.LogStore.
func (s *deadlineStore) FirstIndex() (uint64, error) { return s.logs.FirstIndex() }

// LastIndex implements raft.LogStore.
func (s *deadlineStore) LastIndex() (uint64, error) { return s.logs.LastIndex() }

// GetLog implements raft.LogStore. An entry that is damaged ends the process as a vote does that cannot be written, see end.
func (s *deadlineStore) GetLog(index uint64, entry *raft.Log) error {
	err := s.logs.GetLog(index, entry)
	if err != nil && !errors.Is(err, raft.ErrLogNotFound) {
		s.end(err)
	}
	return err
}

// StoreLog implements raft.LogStore.
func (s *deadlineStore) StoreLog(entry *raft.Log) error {
	return s.StoreLogs([]*raft.Log{entry})
}

// StoreLogs implements raft.LogStore. Where it fails after the end of the log was deleted, Raft goes on with the old end in memory
// and refuses every entry from then on (a known gap of raft.go, appendEntries), so the process ends.
func (s *deadlineStore) StoreLogs(entries []*raft.Log) error {
	err := s.write("append to the raft log", func() error { return s.logs.StoreLogs(entries) })
	s.appended(err)
	if err != nil && s.cut.Load() {
		s.end(fmt.Errorf("replace the end of the raft log: %w: make room on its disk, or mend it; the process ends and must be restarted", err))
	}
	s.cut.Store(false)
	return err
}

// DeleteRange implements raft.LogStore.
func (s *deadlineStore) DeleteRange(first, last uint64) error {
	end, err := s.logs.LastIndex()
	if err != nil {
		return err
	}
	err = s.write("delete from the raft log", func() error { return s.logs.DeleteRange(first, last) })
	if err == nil && end > 0 && last >= end {
		s.cut.Store(true)
	}
	return err
}

// Get implements raft.StableStore.
func (s *deadlineStore) Get(key []byte) ([]byte, error) { return s.stable.Get(key) }

// GetUint64 implements raft.StableStore.
func (s *deadlineStore) GetUint64(key []byte) (uint64, error) { return s.stable.GetUint64(key) }

// Set implements raft.StableStore. It does not return an error, see vote.
func (s *deadlineStore) Set(key, value []byte) error {
	return s.vote(func() error { return s.stable.Set(key, value) })
}

// SetUint64 implements raft.StableStore. It does not return an error, see vote.
func (s *deadlineStore) SetUint64(key []byte, value uint64) error {
	return s.vote(func() error { return s.stable.SetUint64(key, value) })
}

// vote writes a term or a vote. Raft panics when that fails, so the process ends here.
func (s *deadlineStore) vote(do func() error) error {
	const what = "write term or vote"
	if err := s.write(what, do); err != nil {
		s.end(fmt.Errorf("%s: %w: check the disk; the process ends and must be restarted", what, err))
	}
	return nil
}

// end reports what Raft would panic about, or go on from with a wrong idea of its log, and ends the goroutine of Raft's that asked: the
// sentence reaches the operator instead of a stack trace, and no answer of that goroutine reaches a peer. Run ends with the rest.
func (s *deadlineStore) end(err error) {
	_ = s.fail(err)
	runtime.Goexit()
}

func (s *deadlineStore) write(what string, do func() error) error {
	if err := s.poison.Load(); err != nil {
		return *err
	}
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				s.hangs.Store(true)
				done <- s.fail(fmt.Errorf("%s: the raft store is damaged: %v", what, p))
			}
		}()
		err := do()
		if errors.Is(err, errUnknownWrite) {
			err = s.fail(fmt.Errorf("%s: %w", what, err))
		}
		done <- err
	}()
	grace := s.limit / 10
	timer := time.NewTimer(s.limit - grace)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
	}
	// A process that was frozen meanwhile finds both its deadline missed and its write done.
	select {
	case err := <-done:
		return err
	case <-time.After(grace):
		s.hangs.Store(true)
		return s.fail(fmt.Errorf("%s: the disk has not answered for %v: "+
			"check it; the process ends so that another node can lead, and must be restarted", what, s.limit))
	}
}

// fail poisons the store and returns what poisoned it first.
func (s *deadlineStore) fail(err error) error {
	if s.poison.CompareAndSwap(nil, &err) {
		s.poisoned(err)
	}
	return *s.poison.Load()
}
