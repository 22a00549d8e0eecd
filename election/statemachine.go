package election

import (
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"
)

// machine makes a raft.FSM of a StateMachine.
type machine struct {
	StateMachine
}

// Apply implements raft.FSM.
func (m machine) Apply(entry *raft.Log) any {
	return m.StateMachine.Apply(entry.Term, entry.Index, entry.Data)
}

// Snapshot implements raft.FSM. The state is small (a few KiB), so it is encoded at once rather than while it is persisted.
func (m machine) Snapshot() (raft.FSMSnapshot, error) {
	state, err := m.StateMachine.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("encode state for snapshot: %w", err)
	}
	return snapshot(state), nil
}

// Restore implements raft.FSM.
func (m machine) Restore(source io.ReadCloser) error {
	state, err := io.ReadAll(source)
	if err != nil {
		return fmt.Errorf("read snapshot: %w", err)
	}
	if err := m.StateMachine.Restore(state); err != nil {
		return fmt.Errorf("restore state from snapshot: %w", err)
	}
	return nil
}

type snapshot []byte

// Persist implements raft.FSMSnapshot.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(s); err != nil {
		return fmt.Errorf("write snapshot: %w", errors.Join(err, sink.Cancel()))
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (s snapshot) Release() {}
