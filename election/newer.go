package election

import (
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

// This file keeps an older build from running on what a newer one has written. Raft itself would replicate and vote, as it does not look
// into commands; the node would be elected, and could not apply what it has acknowledged.

// readable returns the first complaint of check about the newest snapshot and the commands in the log, committed or not. It changes
// nothing: the build that has written them goes on from there.
func (s *store) readable(check func([]byte) error) error {
	err := s.snapshots.readable(check)
	if err == nil {
		err = s.bolt.readable(check)
	}
	if err != nil {
		return fmt.Errorf("raft store %s was left as it is: %w", s.path, err)
	}
	return nil
}

func (s *snapshotStore) readable(check func([]byte) error) error {
	h, err := s.bolt.header()
	if err != nil || h.Snapshot.ID == "" {
		return err
	}
	_, source, err := s.Open(h.Snapshot.ID)
	if err != nil {
		return fmt.Errorf("open snapshot %s: %w", h.Snapshot.ID, err)
	}
	state, err := io.ReadAll(source)
	if err := errors.Join(err, source.Close()); err != nil {
		return fmt.Errorf("read snapshot %s: %w", h.Snapshot.ID, err)
	}
	return check(state)
}

func (b *boltStore) readable(check func([]byte) error) error {
	return b.db.View(func(tx *bbolt.Tx) error {
		log := tx.Bucket([]byte(logBucket))
		first, last := ends(log)
		for index := max(first, 1); index <= last; index++ {
			var entry raft.Log
			if err := readEntry(log, index, &entry); err != nil {
				return fmt.Errorf("read log entry %d: %w", index, err)
			}
			if entry.Type != raft.LogCommand {
				continue
			}
			if err := check(entry.Data); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c Config) admits(level uint8) error {
	if c.Admits == nil {
		return nil
	}
	return c.Admits(level)
}
