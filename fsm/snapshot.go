package fsm

import (
	"encoding/json"
	"fmt"
)

// Snapshot returns the whole state as bytes: its level in one byte, then JSON with sorted keys, so that equal states give equal
// bytes.
func (s State) Snapshot() ([]byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode snapshot: %w", err)
	}
	return append([]byte{byte(s.Level)}, text...), nil
}

// Restore reads what Snapshot wrote. Errors wrap *NewerError or ErrMalformed.
func Restore(b []byte) (State, error) {
	if err := Newest.Check(b); err != nil {
		return State{}, fmt.Errorf("decode snapshot: %w", err)
	}
	if len(b) == 0 || b[0] == 0 {
		return State{}, fmt.Errorf("decode snapshot without a level: %w", ErrMalformed)
	}
	s := New()
	if err := strictUnmarshal(b[1:], &s); err != nil {
		return State{}, fmt.Errorf("decode snapshot: %w: %w", ErrMalformed, err)
	}
	s.Level = Level(b[0])
	if s.Addresses == nil || s.Nodes == nil {
		return State{}, fmt.Errorf("decode snapshot without addresses or nodes: %w", ErrMalformed)
	}
	return s, nil
}
