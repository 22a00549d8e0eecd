package election

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestRaftLogsThroughZap(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	logger := raftLogger(zap.New(core)).With("peer", "node-b")
	logger.Error("failed to heartbeat to", "servers", hclog.Fmt("%+v", []int{1, 2}), "term", uint64(3))
	entries := logs.All()
	if len(entries) != 1 {
		t.Fatalf("%d entries, want 1", len(entries))
	}
	entry := entries[0]
	if entry.Level != zapcore.WarnLevel || entry.LoggerName != "raft" || entry.Message != "failed to heartbeat to" {
		t.Errorf("entry is %+v", entry.Entry)
	}
	want := map[string]any{"peer": "node-b", "servers": "[1 2]", "term": uint64(3)}
	if diff := cmp.Diff(want, entry.ContextMap()); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func TestARaftThatRepeatsItselfIsSampled(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	logger := raftLogger(zap.New(core))
	for range 100 {
		logger.Error("failed to heartbeat to")
	}
	logger.Info("election won")
	if got := logs.FilterMessage("failed to heartbeat to").Len(); got != 5 {
		t.Errorf("%d lines of the same message, want 5", got)
	}
	if logs.FilterMessage("election won").Len() != 1 {
		t.Error("another message was lost")
	}
}
