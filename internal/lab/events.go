package lab

import (
	"fmt"
	"slices"
	"time"
)

// Kind says what an Event is about.
type Kind string

// The kinds of events.
const (
	KindFault Kind = "fault"
	KindState Kind = "state"
	KindCall  Kind = "call"
	KindMove  Kind = "move"
)

// Event is one line of the story of a repetition.
type Event struct {
	Time time.Time
	Kind Kind
	Node string
	Text string
}

// Observer is told how an experiment goes, from the goroutine that runs it.
type Observer interface {
	// Before: the lab is steady and victim is Master; the fault is next.
	Before(fault Fault, victim string, term uint64)
	// Injected: the fault happened to victim.
	Injected(fault Fault, victim string, at time.Time)
	// Released: the fault is undone.
	Released(fault Fault, victim string, at time.Time)
	// After: the repetition is measured; the repair is next.
	After(r Repetition)
}

// Events returns what happened in the lab from from to to, in order of time: changes of state, mutating EC2 calls, moves
// of the Elastic IP.
func (l *Lab) Events(from, to time.Time) ([]Event, error) {
	e := Evidence{Calls: l.cloud.callsBetween(from, to), Moves: l.cloud.movesBetween(from, to)}
	for _, n := range l.nodes {
		transitions, err := n.log.since(from)
		if err != nil {
			return nil, err
		}
		e.Transitions = append(e.Transitions, transitions...)
	}
	return slices.DeleteFunc(e.Events(), func(ev Event) bool { return ev.Time.After(to) }), nil
}

// Events tells the evidence as a story.
func (e Evidence) Events() []Event {
	var events []Event
	for _, t := range e.Transitions {
		events = append(events, Event{t.Time, KindState, t.Node, fmt.Sprintf("%s: %s → %s, term %d (%s)", t.Node, t.From, t.To, t.Term, t.Reason)})
	}
	for _, c := range e.Calls {
		if c.Mutating {
			events = append(events, Event{c.Received, KindCall, c.Node, fmt.Sprintf("%s calls %s: %s", c.Node, c.Action, c.Outcome)})
		}
	}
	for _, m := range e.Moves {
		text := fmt.Sprintf("%s now leads to %s", ElasticIP, m.To)
		if m.To == "" {
			text = fmt.Sprintf("%s leads nowhere", ElasticIP)
		}
		events = append(events, Event{m.Time, KindMove, m.To, text})
	}
	slices.SortStableFunc(events, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return events
}
