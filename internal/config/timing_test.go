package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestTimingDocument: the sums of docs/TIMING.md are those of the two profiles.
func TestTimingDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/TIMING.md")
	if err != nil {
		t.Fatal(err)
	}
	var sums [2]Sums
	for i, profile := range []Profile{ProfileDefault, ProfileFast} {
		file := fmt.Sprintf("profile: %s\n%s", profile, strings.Replace(minimal, "health: {process: {}}", "health: {process: {}, stats: {socket: /s}}", 1))
		c, err := parse("c.yaml", []byte(file), "", host)
		if err != nil {
			t.Fatal(err)
		}
		if c.Profile != profile {
			t.Fatalf("profile %q, want %q", c.Profile, profile)
		}
		sums[i] = c.Sums()
	}
	ms := func(of func(Sums) time.Duration) string {
		return fmt.Sprintf("| %d | %d |", of(sums[0]).Round(time.Millisecond).Milliseconds(), of(sums[1]).Round(time.Millisecond).Milliseconds())
	}
	for row, cells := range map[string]string{
		"| HAProxy hangs |":               ms(func(s Sums) time.Duration { return s.Hang }),
		"| node dies | the others are":    ms(func(s Sums) time.Duration { return s.Silence }),
		"| node dies, hints off":          ms(func(s Sums) time.Duration { return s.Fallback }),
		"| cut off | the old Master":      ms(func(s Sums) time.Duration { return s.Quiet }),
		"| new Master, no clean release ": ms(func(s Sums) time.Duration { return s.Quiet + s.Quiet/100 + 10*time.Millisecond }),
	} {
		if !hasRow(string(text), row, cells) {
			t.Errorf("the row that begins with %q does not end with %q", row, cells)
		}
	}
}

func hasRow(text, begins, ends string) bool {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, begins) && strings.HasSuffix(strings.TrimSpace(line), ends) {
			return true
		}
	}
	return false
}
