package main

import (
	"go.uber.org/zap/zapcore"

	"github.com/hacluster/hacluster/internal/legible"
)

// oneLine is a Core whose messages are one line each. Where log.format is console the encoder writes them as they are, and some hold what
// another node or EC2 said: a newline would be a line of their making.
type oneLine struct{ zapcore.Core }

// With implements zapcore.Core.
func (c oneLine) With(fields []zapcore.Field) zapcore.Core { return oneLine{c.Core.With(fields)} }

// Check implements zapcore.Core.
func (c oneLine) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

// Write implements zapcore.Core.
func (c oneLine) Write(e zapcore.Entry, fields []zapcore.Field) error {
	e.Message = legible.Line(e.Message)
	return c.Core.Write(e, fields)
}
