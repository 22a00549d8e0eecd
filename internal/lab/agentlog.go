package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// transitionMessage is the message of the one log line that the agent writes for each change of its state.
const transitionMessage = "state transition"

// Transition is one change of a node's state, as its agent logged it.
type Transition struct {
	Time   time.Time `json:"time"`
	Node   string    `json:"node"`
	From   string    `json:"from"`
	To     string    `json:"to"`
	Reason string    `json:"reason"`
	Term   uint64    `json:"term"`
}

// agentLog follows the JSON log of an agent.
type agentLog struct {
	node string
	path string

	mu          sync.Mutex
	offset      int64
	transitions []Transition
}

// since returns the transitions from from on.
func (l *agentLog) since(from time.Time) ([]Transition, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.read(); err != nil {
		return nil, fmt.Errorf("read log of %s: %w", l.node, err)
	}
	var found []Transition
	for _, t := range l.transitions {
		if !t.Time.Before(from) {
			found = append(found, t)
		}
	}
	return found, nil
}

// read takes in the lines that are complete. Lines of no interest, and what is no JSON (a panic), are skipped: the log
// is kept for people anyway.
func (l *agentLog) read() error {
	data, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	data = data[min(l.offset, int64(len(data))):]
	for {
		line, rest, complete := bytes.Cut(data, []byte("\n"))
		if !complete {
			return nil
		}
		l.offset += int64(len(line)) + 1
		data = rest
		if t, ok := parseTransition(line); ok {
			t.Node = l.node
			l.transitions = append(l.transitions, t)
		}
	}
}

func parseTransition(line []byte) (Transition, bool) {
	var entry struct {
		Message string    `json:"msg"`
		At      timestamp `json:"ts"`
		Transition
	}
	if !bytes.Contains(line, []byte(transitionMessage)) || json.Unmarshal(line, &entry) != nil || entry.Message != transitionMessage {
		return Transition{}, false
	}
	found := entry.Transition
	found.Time = time.Time(entry.At)
	return found, true
}

// timestamp reads a time as zap writes it: RFC 3339, or seconds since 1970.
type timestamp time.Time

// UnmarshalJSON reads both forms.
func (t *timestamp) UnmarshalJSON(data []byte) error {
	var seconds float64
	if err := json.Unmarshal(data, &seconds); err == nil {
		*t = timestamp(time.UnixMicro(int64(seconds * 1e6)))
		return nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.000Z0700"} {
		if at, err := time.Parse(layout, text); err == nil {
			*t = timestamp(at)
			return nil
		}
	}
	return fmt.Errorf("no time: %q", text)
}
