package sim

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap/zapcore"
)

// maxTrace bounds the lines kept; of a longer run the middle is dropped.
const maxTrace = 20_000

// Trace is the story of one run, one line for each thing that happened.
type Trace struct {
	now func() time.Duration

	mu      sync.Mutex
	lines   []string
	dropped int
}

func newTrace(now func() time.Duration) *Trace { return &Trace{now: now} }

// add writes one line: when, who, what.
func (t *Trace) add(who, format string, args ...any) {
	line := fmt.Sprintf("%12.6f  %-7s %s", t.now().Seconds(), who, fmt.Sprintf(format, args...))
	t.addLine(line)
}

func (t *Trace) addLine(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == maxTrace {
		t.lines = append(t.lines[:maxTrace/4], t.lines[maxTrace/2:]...)
		t.dropped += maxTrace / 4
	}
	t.lines = append(t.lines, line)
}

// String returns all lines.
func (t *Trace) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.Join(t.lines, "\n") + "\n"
	if t.dropped > 0 {
		text = fmt.Sprintf("(%d lines in the middle were dropped)\n%s", t.dropped, text)
	}
	return text
}

// logCore writes what a node logs for its operator into the trace. Raft's own words are left out: they are many.
type logCore struct {
	zapcore.LevelEnabler
	trace  *Trace
	who    string
	fields []zapcore.Field
	raft   func(message string) // takes what Raft itself says, which is not traced
}

func newLogCore(t *Trace, who string, raft func(message string)) zapcore.Core {
	return &logCore{LevelEnabler: zapcore.InfoLevel, trace: t, who: who, raft: raft}
}

// With implements zapcore.Core.
func (c *logCore) With(fields []zapcore.Field) zapcore.Core {
	more := *c
	more.fields = append(append([]zapcore.Field(nil), c.fields...), fields...)
	return &more
}

// Check implements zapcore.Core.
func (c *logCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	switch {
	case !c.Enabled(e.Level):
		return checked
	case strings.HasSuffix(e.LoggerName, ".raft"):
		c.raft(e.Message)
		return checked
	}
	return checked.AddCore(e, c)
}

// Write implements zapcore.Core.
func (c *logCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	var b strings.Builder
	b.WriteString(e.Message)
	for _, f := range fields {
		if f.Key == "keepalived" {
			continue
		}
		encoder := zapcore.NewMapObjectEncoder()
		f.AddTo(encoder)
		for key, value := range encoder.Fields {
			fmt.Fprintf(&b, " %s=%v", key, value)
		}
	}
	c.trace.add(c.who, "%s", b.String())
	return nil
}

// Sync implements zapcore.Core.
func (c *logCore) Sync() error { return nil }
