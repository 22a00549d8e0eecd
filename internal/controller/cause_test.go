package controller

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/hacluster/hacluster/eip"
)

// TestEveryTransitionHasACause: whatever the transcripts show can be counted by a word. A new sentence needs one.
func TestEveryTransitionHasACause(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^  (Init|Backup|Master|Fault) -> (Init|Backup|Master|Fault): (.*)$`)
	seen := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range line.FindAllStringSubmatch(string(text), -1) {
			seen++
			change := Transition{From: State(m[1]), To: State(m[2]), Reason: m[3]}
			if change.Cause() == CauseOther {
				t.Errorf("%s: %s -> %s: no word for %q", file, m[1], m[2], m[3])
			}
		}
	}
	if seen < 50 {
		t.Fatalf("only %d transitions in the transcripts: are they read?", seen)
	}
}

func TestCauses(t *testing.T) {
	tests := []struct {
		from, to State
		reason   string
		want     Cause
	}{
		{Init, Backup, "leader is node-b", CauseStarted},
		{Backup, Fault, "http check timed out", CauseUnhealthy},
		{Fault, Master, "all checks pass", CauseHealthy},
		{Backup, Master, "node-b released", CauseReleased},
		{Backup, Master, "node-b was deposed", CauseReleasedOnAsked},
		{Backup, Master, "no release from node-b: node-b is down", CauseUnanswered},
		{Backup, Master, "node-b is down; node-b released", CauseNodeDown},
		{Backup, Master, "node-b leads no more", CauseSeized},
		{Backup, Master, "a node named drained released", CauseReleased},
		{Master, Backup, "agent stopping", CauseStopping},
		{Master, Backup, "drained", CauseDrained},
		{Master, Backup, "refresh of a contested association needs another way to EC2", CauseRefresh},
		{Master, Backup, "claim not confirmed for 10s", CauseUnconfirmed},
		{Master, Backup, "something new", CauseOther},
	}
	for _, tt := range tests {
		if got := (Transition{From: tt.from, To: tt.to, Reason: tt.reason}).Cause(); got != tt.want {
			t.Errorf("%s -> %s: %q is %s, want %s", tt.from, tt.to, tt.reason, got, tt.want)
		}
	}
}

// TestRefusalsHaveAWord: it survives all that package eip puts around the refusal.
func TestRefusalsHaveAWord(t *testing.T) {
	for _, refused := range []error{errNotLeading, errNotGranted, errUnhealthy, errNoEvidence, fmt.Errorf("%w: the last began 1s ago", errNoEvidence)} {
		err := fmt.Errorf("associate address: %w", fmt.Errorf("%w: %w", eip.ErrNotPermitted, refused))
		var known interface{ Reason() string }
		if !errors.As(err, &known) || !slices.Contains(RefusalWords(), known.Reason()) {
			t.Errorf("%v has no word of %v", err, RefusalWords())
		}
	}
}
