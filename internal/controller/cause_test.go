package controller

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hacluster/hacluster/eip"
)

// TestCauses: what the transcripts show is counted by the right word. That each transition has one, the player checks.
func TestCauses(t *testing.T) {
	want := map[string]Cause{
		"Init -> Backup: leader is node-b":                                                      CauseStarted,
		"Init -> Backup: all checks pass":                                                       CauseStarted,
		"Backup -> Fault: haproxy exited":                                                       CauseUnhealthy,
		"Master -> Fault: http check timed out":                                                 CauseUnhealthy,
		"Fault -> Backup: all checks pass":                                                      CauseHealthy,
		"Fault -> Master: all checks pass":                                                      CauseHealthy,
		"Backup -> Master: first claim":                                                         CauseFirstClaim,
		"Backup -> Master: this node claimed last":                                              CauseOwnClaim,
		"Backup -> Master: node-b released":                                                     CauseReleased,
		"Backup -> Master: node-b was deposed":                                                  CauseReleasedOnAsked,
		"Backup -> Master: no release from node-b: dial tcp 10.0.0.2:7946: i/o timeout":         CauseUnanswered,
		"Backup -> Master: node-b leads no more":                                                CauseSeized,
		"Backup -> Master: the respected association is gone":                                   CauseForeignGone,
		"Backup -> Master: foreign move: the address was found at eni-b (10.0.0.2)":             CauseForeignMove,
		"Master -> Backup: foreign move: the address was found at eni-b (10.0.0.2)":             CauseForeignMove,
		"Master -> Backup: agent stopping":                                                      CauseStopping,
		"Master -> Backup: leadership lost":                                                     CauseLeadershipLost,
		"Master -> Backup: released to the leader of term 3":                                    CauseDeposed,
		"Master -> Backup: transfer asked by the operator":                                      CauseOperator,
		"Master -> Backup: preempted by node-b of higher priority":                              CausePreempted,
		"Master -> Backup: drained":                                                             CauseDrained,
		"Master -> Backup: node-b has the address already":                                      CauseLeftInPlace,
		"Master -> Backup: to be removed":                                                       CauseRemoved,
		"Master -> Backup: removed from the cluster":                                            CauseRemoved,
		"Master -> Backup: EC2 is out of reach, and the address was last read elsewhere":        CauseEC2,
		"Master -> Backup: EC2 is out of reach, and a call of the past may have to be repaired": CauseEC2,
	}
	seen := map[string]bool{}
	for _, change := range playedChanges(t) {
		text := fmt.Sprintf("%s -> %s: %s", change.From, change.To, change.Reason)
		if cause, listed := want[text]; listed && change.Cause != cause {
			t.Errorf("%s: counted as %q, want %q", text, change.Cause, cause)
		}
		seen[text] = true
	}
	for text := range want {
		if !seen[text] {
			t.Errorf("no transcript shows %q", text)
		}
	}
}

// playedChanges are the transitions of all transcripts.
func playedChanges(t *testing.T) []Transition {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var changes []Transition
	for _, file := range files {
		script, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p := newPlay(t)
		p.run(string(script))
		changes = append(changes, p.changes...)
	}
	return changes
}

// TestStoryOfSeveralAddresses: each sentence once, and the word of the first.
func TestStoryOfSeveralAddresses(t *testing.T) {
	down, released := reason{CauseNodeDown, "node-b is down"}, reason{CauseReleased, "node-b released"}
	c := &Core{}
	for _, story := range []reason{{}, down, released, down} {
		c.charges = append(c.charges, &charge{Core: c, claim: claimant{story: story}})
	}
	if got, want := c.story(), (reason{CauseNodeDown, "node-b is down; node-b released"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
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
