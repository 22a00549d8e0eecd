package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// TestMessagesAreOneLine: in both formats, with fields or without.
func TestMessagesAreOneLine(t *testing.T) {
	encoders := map[string]func(zapcore.EncoderConfig) zapcore.Encoder{"console": zapcore.NewConsoleEncoder, "json": zapcore.NewJSONEncoder}
	for name, encoder := range encoders {
		var out bytes.Buffer
		core := zapcore.NewCore(encoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&out), zap.InfoLevel)
		log := zap.New(oneLine{core}).With(zap.String("by", "x\ny\u009b")).Named("election")
		log.Info("waiting for node-b: \x1b[2J\n2026-01-01T00:00:00Z\terror\tforged", zap.String("reason", "\x1b[2J\nforged\u009b"),
			zap.Error(errors.New("\x1b[2J\nforged\u009b")))
		log.Debug("not enabled")
		if got := out.String(); strings.Count(got, "\n") != 1 || strings.ContainsAny(got, "\x1b\u009b") || strings.Contains(got, "not enabled") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
