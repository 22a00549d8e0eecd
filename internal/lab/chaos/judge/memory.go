package judge

import (
	"fmt"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
)

// KindAllKilled is the Kind of a fault that kills every agent at once.
const KindAllKilled = "all-killed"

// judgeIdentities is I7: who lost its store comes back as somebody else.
func (j *judgement) judgeIdentities() {
	for _, f := range j.Faults {
		if !f.StoreLost {
			continue
		}
		before := make(map[string]bool)
		for _, s := range j.Logs[f.Node].Starts {
			switch {
			case s.At < f.Began:
				before[s.ServerID] = true
			case before[s.ServerID]:
				j.violated("I7", f.Node, s.At, "runs as %s again, whose store was lost (%s)", s.ServerID, f.Kind)
			}
		}
	}
}

// judgeMemory is I8: histories agree, a Master knows everything committed in earlier terms, and nothing is forgotten when every
// agent is killed.
func (j *judgement) judgeMemory() {
	if !j.history.complete {
		j.doubt("I1, I2, I8: between two looks the history grew by more lines than a status shows")
	}
	for _, d := range j.history.diverged {
		j.violated("I8", d.at.Status.Node, d.at.Answered, "its history has %s where another node's had %s", d.was, d.expected)
	}
	for _, s := range j.Sightings {
		if s.Status.State == stateMaster {
			j.judgeMaster(s)
		}
	}
	for _, f := range j.Faults {
		if f.Kind == KindAllKilled {
			j.judgeAllKilled(f)
		}
	}
}

// judgeMaster: what was committed in a term is in the log of every later leader (Raft, "Leader Completeness").
func (j *judgement) judgeMaster(s Sighting) {
	end, ok := j.history.end(s)
	if !ok {
		return
	}
	for _, c := range j.history.claims[end:] {
		if c.Term < s.Status.Term {
			j.violated("I8", s.Status.Node, s.Answered, "is Master in term %d and does not know what was committed in term %d (%s of %s)",
				s.Status.Term, c.Term, c.Event, c.Node)
			return
		}
	}
}

// judgeAllKilled compares what any node knew before with what the first Master knew afterwards.
func (j *judgement) judgeAllKilled(f Fault) {
	var before, after *Sighting
	for i, s := range j.Sightings {
		if s.Answered <= f.Began && (before == nil || s.Status.AppliedIndex >= before.Status.AppliedIndex) {
			before = &j.Sightings[i]
		}
		if s.Asked >= f.Mending && s.Status.State == stateMaster && after == nil {
			after = &j.Sightings[i]
		}
	}
	if before == nil || after == nil {
		j.doubt("I8: all agents were killed at +%v, and there was no look before, or no Master after", (f.Began - j.Run.Began.Boot).Round(time.Millisecond))
		return
	}
	missing := j.missing(before.Status, *after)
	for _, what := range missing {
		j.violated("I8", after.Status.Node, after.Answered, "every agent was killed, and then %s", what)
	}
	if len(missing) == 0 {
		j.remembered++
	}
}

// missing lists what was known before and is not afterwards.
func (j *judgement) missing(before lab.Status, after Sighting) []string {
	var list []string
	if after.Status.AppliedIndex < before.AppliedIndex {
		list = append(list, fmt.Sprintf("the applied index was %d, after %d", after.Status.AppliedIndex, before.AppliedIndex))
	}
	if shown := compact(before.History); len(shown) > 0 {
		last := shown[len(shown)-1]
		if end, ok := j.history.end(after); !ok || !slices.Contains(j.history.lines[:end], last) {
			list = append(list, "nobody knew of "+last)
		}
	}
	for _, was := range before.Nodes {
		for _, is := range after.Status.Nodes {
			if is.Name == was.Name && is.Drained != was.Drained {
				list = append(list, fmt.Sprintf("%s was drained %t, after %t", is.Name, is.Drained, was.Drained))
			}
		}
	}
	return list
}
