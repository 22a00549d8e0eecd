package fsm

import (
	"encoding/json"
	"fmt"
)

// Snapshot returns the whole state as bytes: one version byte, then JSON with sorted keys, so that equal states give equal
// bytes.
func (s State) Snapshot() ([]byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode snapshot: %w", err)
	}
	return append([]byte{encodingVersion}, text...), nil
}

// Restore reads what Snapshot wrote. Errors wrap ErrUnknownVersion or ErrMalformed.
func Restore(b []byte) (State, error) {
	if len(b) == 0 {
		return State{}, fmt.Errorf("decode snapshot of 0 bytes: %w", ErrMalformed)
	}
	if b[0] != encodingVersion {
		return State{}, fmt.Errorf("decode snapshot of version %d: %w", b[0], ErrUnknownVersion)
	}
	s := New()
	if err := strictUnmarshal(b[1:], &s); err != nil {
		return State{}, fmt.Errorf("decode snapshot: %w: %w", ErrMalformed, err)
	}
	if s.Addresses == nil || s.Nodes == nil {
		return State{}, fmt.Errorf("decode snapshot without addresses or nodes: %w", ErrMalformed)
	}
	return s, nil
}
