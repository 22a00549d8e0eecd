package main

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/hacluster/hacluster/internal/legible"
)

// oneLine is a Core whose entries are one line each, and text. Some hold what another node or EC2 said. Where log.format is console, zap writes a
// message as it is, and a newline in it would be a line of their making; in both formats it lets C1 control characters through.
type oneLine struct{ zapcore.Core }

// With implements zapcore.Core.
func (c oneLine) With(fields []zapcore.Field) zapcore.Core {
	return oneLine{c.Core.With(legibleFields(fields))}
}

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
	return c.Core.Write(e, legibleFields(fields))
}

// legibleFields cleans what carries other people's words: strings and errors.
func legibleFields(fields []zapcore.Field) []zapcore.Field {
	clean := make([]zapcore.Field, len(fields))
	for i, f := range fields {
		switch f.Type {
		case zapcore.StringType:
			f.String = legible.Line(f.String)
		case zapcore.ErrorType:
			f = zap.String(f.Key, legible.Line(f.Interface.(error).Error()))
		}
		clean[i] = f
	}
	return clean
}
