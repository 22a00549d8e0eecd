package judge

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"
)

// claim is one line of the replicated history.
type claim struct {
	Time        time.Time `json:"time"`
	Term        uint64    `json:"term"`
	Event       string    `json:"event"`
	Node        string    `json:"node"`
	Mode        string    `json:"mode"`
	Association string    `json:"association_id"`
}

// history is what the cluster committed, put together from what its nodes showed of it.
type history struct {
	lines  []string // as printed, oldest first
	claims []claim  // the same, read
	// complete: there is no gap. Each status shows the newest lines only.
	complete bool
	// diverged has, for each sighting that contradicts the ones before, the line that should have been there.
	diverged []divergence
}

type divergence struct {
	at            Sighting
	was, expected string
}

// rebuild puts the history together. Every node shows the end of some prefix of one and the same sequence; what does not
// fit is a divergence.
func (e Evidence) rebuild() history {
	h := history{complete: true}
	for _, s := range e.Sightings {
		if shown := compact(s.Status.History); len(shown) > 0 {
			h.merge(s, shown)
		}
	}
	for _, line := range h.lines {
		var c claim
		_ = json.Unmarshal([]byte(line), &c) // what is no line of history has no event
		h.claims = append(h.claims, c)
	}
	return h
}

func (h *history) merge(s Sighting, shown []string) {
	at := slices.Index(h.lines, shown[0])
	if at < 0 {
		// Nothing of it is known, or it begins earlier than what is known.
		first := slices.IndexFunc(shown, func(line string) bool { return slices.Contains(h.lines, line) })
		switch {
		case first < 0:
			h.complete = h.complete && len(h.lines) == 0
			h.lines = append(h.lines, shown...)
			return
		case shown[first] != h.lines[0]:
			h.diverged = append(h.diverged, divergence{s, shown[0], h.lines[0]})
			return
		}
		h.lines = append(slices.Clone(shown[:first]), h.lines...)
		at = 0
	}
	for i, line := range shown {
		switch {
		case at+i >= len(h.lines):
			h.lines = append(h.lines, line)
		case h.lines[at+i] != line:
			h.diverged = append(h.diverged, divergence{s, line, h.lines[at+i]})
			return
		}
	}
}

// compact returns the lines without the white space of their indentation.
func compact(lines []json.RawMessage) []string {
	var out []string
	for _, line := range lines {
		var buffer bytes.Buffer
		if json.Compact(&buffer, line) != nil {
			continue
		}
		out = append(out, buffer.String())
	}
	return out
}

// granted reports whether the node was granted a claim in the term.
func (h history) granted(node string, term uint64) bool {
	return slices.ContainsFunc(h.claims, func(c claim) bool { return c.Event == eventGranted && c.Node == node && c.Term == term })
}

// handedOver reports whether the node was granted a claim by handover in the term.
func (h history) handedOver(node string, term uint64) bool {
	return slices.ContainsFunc(h.claims, func(c claim) bool {
		return c.Event == eventGranted && c.Node == node && c.Term == term && c.Mode == modeHandover
	})
}

// adopted returns the newest term in which the association was adopted, or found to be there already, before a wall-clock time;
// 0: none.
func (h history) adopted(association string, before time.Time) uint64 {
	var term uint64
	for _, c := range h.claims {
		taken := c.Event == eventGranted && c.Mode == modeAdopt || c.Event == eventConfirmed
		if taken && c.Association == association && c.Time.Before(before) {
			term = max(term, c.Term)
		}
	}
	return term
}

// end returns the position behind the last line that the sighting shows; ok is false if it shows none.
func (h history) end(s Sighting) (position int, ok bool) {
	shown := compact(s.Status.History)
	if len(shown) == 0 {
		return 0, false
	}
	return slices.Index(h.lines, shown[len(shown)-1]) + 1, true
}
