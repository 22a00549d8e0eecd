package main

import (
	"bytes"
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
		log := zap.New(oneLine{core}).With(zap.String("by", "x\ny")).Named("election")
		log.Info("waiting for node-b: \x1b[2J\n2026-01-01T00:00:00Z\terror\tforged", zap.String("error", "\x1b[2J\nforged"))
		log.Debug("not enabled")
		if got := out.String(); strings.Count(got, "\n") != 1 || strings.Contains(got, "\x1b") || strings.Contains(got, "not enabled") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
