package statuspage

import (
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/adminapi"
)

// view is what the template shows.
type view struct {
	adminapi.Status
	Now time.Time
}

// words are the template's functions: numbers and flags as people read them.
var words = template.FuncMap{
	"clock":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
	"machine":  func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
	"millis":   millis,
	"interval": func(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond },
	"age":      adminapi.Age,
	"total":    total,
	"reasons":  reasons,
}

// Headline is the grade in words: colour alone says nothing to many.
func (v view) Headline() string {
	switch v.grade() {
	case adminapi.Good:
		return "All is well"
	case adminapi.Degraded:
		return "Needs attention"
	default:
		return "Critical"
	}
}

// Class is the style of the headline.
func (v view) Class() adminapi.Grade { return v.grade() }

func (v view) grade() adminapi.Grade {
	if v.Verdict == nil {
		return adminapi.Critical
	}
	return v.Verdict.Grade
}

// FindingWord names a finding's weight.
func (v view) FindingWord(g adminapi.Grade) string {
	return map[adminapi.Grade]string{adminapi.Good: "Note", adminapi.Degraded: "Warning", adminapi.Critical: "Critical"}[g]
}

// Ago is the age of a time, in two units at most.
func (v view) Ago(t time.Time) string {
	d := v.Now.Sub(t)
	switch {
	case d < 0:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min ago", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%d days ago", int(d.Hours()/24))
	}
}

// Answers says whether a node answers the leader, as far as that is known.
func (v view) Answers(n adminapi.Node) string {
	switch {
	case v.Answering == nil:
		return "not known"
	case slices.Contains(v.Answering, n.Name):
		return "yes"
	default:
		return "no"
	}
}

// Newest returns the history, newest first: that is what somebody looks for.
func (v view) Newest() []adminapi.Transition {
	h := slices.Clone(v.History)
	slices.Reverse(h)
	return h
}

// Heard are those of the wire who said something.
func (v view) Heard() []adminapi.Sender {
	if v.VRRP == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(v.VRRP.Senders), func(s adminapi.Sender) bool { return s.Adverts == 0 && len(s.Rejected) == 0 })
}

func millis(ms int64) string {
	if ms < 10_000 {
		return fmt.Sprintf("%d ms", ms)
	}
	return (time.Duration(ms) * time.Millisecond).Round(100 * time.Millisecond).String()
}

func total(counts map[string]uint64) (sum uint64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

func reasons(counts map[string]uint64) string {
	var out []string
	for _, why := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, fmt.Sprintf("%s %d", why, counts[why]))
	}
	return strings.Join(out, ", ")
}
