package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hacluster/hacluster/internal/adminapi"
)

// TestHistory: one line for each claim; what is not known here is not made up.
func TestHistory(t *testing.T) {
	at := time.Date(2026, 3, 14, 2, 7, 42, 16e6, time.UTC)
	end := at.Add(96 * time.Millisecond)
	var out strings.Builder
	err := printMoves(&out, []adminapi.Move{
		{AllocationID: "eipalloc-1", Node: "node-a", Term: 1, Mode: "adopt", Why: "first claim", Begin: at, Confirmed: &end, TookMS: 2},
		{AllocationID: "eipalloc-1", Node: "node-b", From: "node-a", Term: 2, Mode: "takeover", Why: "node-a is down", Begin: at, Confirmed: &end, TookMS: 96,
			Calls: []adminapi.Call{{API: "DisassociateAddress", Outcome: "gone", TookMS: 38.4}, {API: "AssociateAddress", Outcome: "done", TookMS: 40}}},
		{AllocationID: "eipalloc-1", Node: "node-c", From: "node-b", Term: 3, Mode: "handover", Why: "node-b released", Begin: at},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `TIME (UTC)               TERM  NODE    FROM    ADDRESS     MODE      TOOK           WHY              CALLS
2026-03-14 02:07:42.016  1     node-a  -       eipalloc-1  adopt     2ms            first claim      none
2026-03-14 02:07:42.016  2     node-b  node-a  eipalloc-1  takeover  96ms           node-a is down   DisassociateAddress gone after 38.4 ms, AssociateAddress done after 40 ms
2026-03-14 02:07:42.016  3     node-c  node-b  eipalloc-1  handover  not confirmed  node-b released  ?
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

// TestFrames: on a terminal a frame goes over the one before, and leaves nothing of it.
func TestFrames(t *testing.T) {
	if got, want := string(terminalFrame([]byte("a\nb\n"))), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := string(plainFrame([]byte("a\n"))), "a\n\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
