package ec2fake

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Kind is what a Fault does to a call.
type Kind string

const (
	// Latency delays the call by Delay before its effect. The effect happens even if the client has gone.
	Latency Kind = "latency"
	// AnswerDelay delays the answer by Delay after the effect.
	AnswerDelay Kind = "answer-delay"
	// Drop closes the connection without an answer and without an effect.
	Drop Kind = "drop"
	// LostAnswer lets the effect happen and closes the connection without an answer.
	LostAnswer Kind = "lost-answer"
	// LateEffect closes the connection at once and lets the effect happen Delay later, judged by the state of then.
	LateEffect Kind = "late-effect"
	// ErrorBefore answers Code with Status (default InternalError, 500) without an effect.
	ErrorBefore Kind = "error-before"
	// ErrorAfter answers Code with Status (default InternalError, 500) although the effect happened.
	ErrorAfter Kind = "error-after"
	// Throttle answers RequestLimitExceeded (503) without an effect.
	Throttle Kind = "throttle"
	// Deny answers UnauthorizedOperation (403) without an effect, to a DryRun as well.
	Deny Kind = "deny"
	// StaleRead lets DescribeAddresses answer with the state of Delay ago.
	StaleRead Kind = "stale-read"
)

// Fault is one injected misbehaviour. The faults that match a call apply together.
type Fault struct {
	Kind Kind `json:"kind"`
	// Action limits the fault to one API action; empty: all.
	Action string `json:"action,omitempty"`
	// Caller limits the fault to an instance id, a source address or an access key; empty: all.
	Caller string `json:"caller,omitempty"`
	// Count limits the fault to the first Count calls that match; 0: no limit.
	Count int `json:"count,omitempty"`

	Delay  Duration `json:"delay,omitempty"`
	Code   string   `json:"code,omitempty"`
	Status int      `json:"status,omitempty"`
}

// Duration is a time.Duration that reads and writes JSON as "150ms".
type Duration time.Duration

// MarshalText writes time.Duration's own form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}

func (f Fault) validate() error {
	kinds := []Kind{Latency, AnswerDelay, Drop, LostAnswer, LateEffect, ErrorBefore, ErrorAfter, Throttle, Deny, StaleRead}
	if !slices.Contains(kinds, f.Kind) {
		return fmt.Errorf("fault kind %q is none of %q", f.Kind, kinds)
	}
	if f.Delay < 0 || f.Count < 0 {
		return fmt.Errorf("fault %s: negative delay or count", f.Kind)
	}
	return nil
}

// plan is what the matching faults together do to one call.
type plan struct {
	before, after, late, stale time.Duration
	drop, lose                 bool
	refuse, spoil              *apiError // answered instead of the effect; answered in spite of it
	kinds                      []Kind
}

func (p *plan) add(f Fault) {
	p.kinds = append(p.kinds, f.Kind)
	delay := time.Duration(f.Delay)
	switch f.Kind {
	case Latency:
		p.before += delay
	case AnswerDelay:
		p.after += delay
	case Drop:
		p.drop = true
	case LostAnswer:
		p.lose = true
	case LateEffect:
		p.late, p.lose = delay, true
	case ErrorBefore:
		p.refuse = f.serverError()
	case ErrorAfter:
		p.spoil = f.serverError()
	case Throttle:
		p.refuse = errThrottled()
	case Deny:
		p.refuse = errUnauthorized()
	case StaleRead:
		p.stale = max(p.stale, delay)
	}
}

func (f Fault) serverError() *apiError {
	e := &apiError{status: 500, code: "InternalError", message: "An internal error has occurred"}
	if f.Code != "" {
		e.code = f.Code
	}
	if f.Status != 0 {
		e.status = f.Status
	}
	return e
}

// faultSet holds the faults in force and counts them down.
type faultSet struct {
	mu     sync.Mutex
	faults []*activeFault
}

type activeFault struct {
	Fault
	left int
}

func (s *faultSet) replace(faults []Fault) error {
	active := make([]*activeFault, 0, len(faults))
	for _, f := range faults {
		if err := f.validate(); err != nil {
			return err
		}
		active = append(active, &activeFault{Fault: f, left: f.Count})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = active
	return nil
}

// plan consumes what matches a call with that action by one of the callers.
func (s *faultSet) plan(action string, callers ...string) plan {
	s.mu.Lock()
	defer s.mu.Unlock()
	var p plan
	for _, f := range s.faults {
		if f.Action != "" && f.Action != action || f.Caller != "" && !slices.Contains(callers, f.Caller) {
			continue
		}
		if f.Count > 0 {
			if f.left == 0 {
				continue
			}
			f.left--
		}
		p.add(f.Fault)
	}
	return p
}

func (s *faultSet) list() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Fault, len(s.faults))
	for i, f := range s.faults {
		out[i] = f.Fault
	}
	return out
}
