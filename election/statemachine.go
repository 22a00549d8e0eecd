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
	// end ends the process. It does not block.
	end func(error)
	// refused is set by the first command or snapshot of a newer build. From then on the state stays as it is, though Raft goes on until
	// the process has ended.
	refused error
}

// Apply implements raft.FSM.
func (m *machine) Apply(entry *raft.Log) any {
	if err := m.check(entry.Data); err != nil {
		return err
	}
	return m.StateMachine.Apply(entry.Term, entry.Index, entry.Data)
}

// check ends the process at what this build cannot read.
func (m *machine) check(data []byte) error {
	if m.refused == nil {
		if m.refused = m.Check(data); m.refused != nil {
			m.end(m.refused)
		}
	}
	return m.refused
}

// Snapshot implements raft.FSM. The state is small (a few KiB), so it is encoded at once rather than while it is persisted.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	if m.refused != nil {
		return nil, m.refused // it would be of an index up to which nothing was applied
	}
	state, err := m.StateMachine.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("encode state for snapshot: %w", err)
	}
	return snapshot(state), nil
}

// Restore implements raft.FSM.
func (m *machine) Restore(source io.ReadCloser) error {
	state, err := io.ReadAll(source)
	if err != nil {
		return fmt.Errorf("read snapshot: %w", err)
	}
	if err := m.check(state); err != nil {
		return err
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
