package main

import (
	"testing"

	"github.com/hacluster/hacluster/internal/adminapi"
)

// TestStatusNamesWhomTheLevelWaitsFor: docs/UPGRADE.md shows these lines.
func TestStatusNamesWhomTheLevelWaitsFor(t *testing.T) {
	nodes := []adminapi.Node{{Name: "lb-1", Version: "v1.5.0"}, {Name: "lb-2", Version: "v1.4.0"}}
	tests := []struct {
		level adminapi.Level
		want  string
	}{
		{adminapi.Level{InUse: 2, Known: 2}, "version v1.5.0, level 2 of 2"},
		{adminapi.Level{InUse: 1, Known: 2, WaitsFor: []string{"lb-2", "lb-3"}},
			"version v1.5.0, level 1 of 2: waits for lb-2 (v1.4.0), lb-3 (which has not said its version)"},
		{adminapi.Level{InUse: 1, Known: 2}, "version v1.5.0, level 1 of 2"}, // about to be raised
	}
	for _, tt := range tests {
		if got := levelLine(adminapi.Status{Version: "v1.5.0", Level: tt.level, Nodes: nodes}); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
