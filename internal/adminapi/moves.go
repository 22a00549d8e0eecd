package adminapi

import (
	"slices"
	"time"

	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
)

// Move is one claim on an address and what it led to. What the cluster agreed on is in it on every node; what came before the claim, and
// what EC2 answered, only as far as this node saw it since its agent started.
type Move struct {
	AllocationID string `json:"allocation_id"`
	Node         string `json:"node"`
	From         string `json:"from,omitempty"` // who held before; the node itself where it took again what it had
	Term         uint64 `json:"term"`
	Mode         string `json:"mode"`
	Why          string `json:"why,omitempty"`
	// Begin is the first step's time, by the clock of the node that took it.
	Begin time.Time `json:"begin"`
	// Confirmed is nil while the claim is not confirmed.
	Confirmed *time.Time `json:"confirmed,omitempty"`
	TookMS    int64      `json:"took_ms,omitempty"` // from Begin to Confirmed
	Steps     []Step     `json:"steps"`
	Calls     []Call     `json:"calls,omitempty"`
}

// Step is one step of a move.
type Step struct {
	Name string    `json:"name"` // detected, elected, claimed, EC2 answered, confirmed
	Time time.Time `json:"time"`
	// SinceMS is the time since the first step. Steps of different nodes are by different clocks.
	SinceMS int64  `json:"since_ms"`
	Text    string `json:"text,omitempty"`
}

// Call is one call to EC2 and what came of it.
type Call struct {
	API     string  `json:"api"`
	Outcome string  `json:"outcome"`
	TookMS  float64 `json:"took_ms"`
}

// The words of the replicated history.
const (
	eventGranted   = "claim granted"
	eventConfirmed = "confirmed"
	eventReleased  = "released"
)

// The names of steps.
const (
	stepDetected  = "detected"
	stepElected   = "elected"
	stepClaimed   = "claimed"
	stepAnswered  = "EC2 answered"
	stepConfirmed = "confirmed"
)

// detectedWithin bounds how long before a claim its cause may have been noticed.
const detectedWithin = 30 * time.Second

// silenceGap is what there may be between two moments of one silence, in milliseconds: a node that is missed is asked for again and again.
const silenceGap = 2000

// teller makes moves of the history, oldest first.
type teller struct {
	moments []controller.Moment
	open    map[fsm.AllocationID]*Move
	holder  map[fsm.AllocationID]string
	release map[fsm.AllocationID]fsm.Transition // the newest since the last claim
	moves   []*Move
}

// moves tells the history as claims, oldest first.
func moves(history []fsm.Transition, moments []controller.Moment) []Move {
	t := teller{moments: moments, open: map[fsm.AllocationID]*Move{}, holder: map[fsm.AllocationID]string{}, release: map[fsm.AllocationID]fsm.Transition{}}
	for _, h := range history {
		switch h.Event {
		case eventGranted:
			t.granted(h)
		case eventConfirmed:
			t.confirmed(h)
		case eventReleased:
			t.release[h.Address] = h
		}
	}
	out := make([]Move, 0, len(t.moves))
	for _, m := range t.moves {
		t.addCalls(m)
		m.order()
		out = append(out, *m)
	}
	return out
}

// granted begins a move; a claim before each disassociate is part of the move that is open.
func (t *teller) granted(h fsm.Transition) {
	if m := t.open[h.Address]; m != nil && m.Node == string(h.Node) && m.Term == h.Term {
		m.Mode = string(h.Mode)
		return
	}
	m := &Move{AllocationID: string(h.Address), Node: string(h.Node), From: t.holder[h.Address], Term: h.Term, Mode: string(h.Mode), Why: h.Reason}
	t.addCause(m, h)
	t.addElection(m)
	m.add(stepClaimed, h.UnixMilli, string(h.Mode))
	t.open[h.Address] = m
	t.moves = append(t.moves, m)
	delete(t.release, h.Address)
}

func (t *teller) confirmed(h fsm.Transition) {
	t.holder[h.Address] = string(h.Node)
	m := t.open[h.Address]
	if m == nil || m.Node != string(h.Node) {
		return // its claim is older than the history
	}
	m.add(stepConfirmed, h.UnixMilli, string(h.Association))
	at := at(h.UnixMilli)
	m.Confirmed = &at
	delete(t.open, h.Address)
}

// addCause: the former holder let go, or it was missed. Of several silences, which may have been refuted, the last that goes on counts.
func (t *teller) addCause(m *Move, grant fsm.Transition) {
	if r, ok := t.release[grant.Address]; ok {
		m.add(stepDetected, r.UnixMilli, string(r.Node)+" let go: "+r.Reason)
		return
	}
	var begin, newest int64
	for _, seen := range t.moments {
		missed := seen.Kind == controller.MomentSilence || seen.Kind == controller.MomentLeaderless
		if !missed || string(seen.Node) != m.From || seen.Term >= grant.Term || seen.UnixMilli > grant.UnixMilli {
			continue
		}
		if seen.UnixMilli-newest > silenceGap {
			begin = seen.UnixMilli
		}
		newest = seen.UnixMilli
	}
	if begin != 0 && grant.UnixMilli-newest <= detectedWithin.Milliseconds() {
		m.add(stepDetected, begin, m.From+" is missed")
	}
}

func (t *teller) addElection(m *Move) {
	for _, seen := range t.moments {
		if seen.Kind == controller.MomentElected && seen.Term == m.Term && string(seen.Node) == m.Node {
			m.add(stepElected, seen.UnixMilli, "")
			return
		}
	}
}

// addCalls adds those of the move's term; a later repair in the same term has a claim, and so a move, of its own.
func (t *teller) addCalls(m *Move) {
	begin := m.Steps[len(m.Steps)-1].Time
	for _, s := range m.Steps {
		if s.Name == stepClaimed {
			begin = s.Time
		}
	}
	for _, seen := range t.moments {
		if seen.Kind != controller.MomentCall || seen.Term != m.Term || string(seen.Call.Address) != m.AllocationID {
			continue
		}
		when := at(seen.UnixMilli)
		if when.Before(begin) || m.Confirmed != nil && when.After(*m.Confirmed) {
			continue
		}
		c := callOf(seen.Call)
		m.Calls = append(m.Calls, c)
		m.add(stepAnswered, seen.UnixMilli, c.API+": "+c.Outcome)
	}
}

func (m *Move) add(name string, unixMilli int64, text string) {
	m.Steps = append(m.Steps, Step{Name: name, Time: at(unixMilli), Text: text})
}

// order sorts the steps by time and counts from the first.
func (m *Move) order() {
	rank := []string{stepDetected, stepElected, stepClaimed, stepAnswered, stepConfirmed}
	slices.SortStableFunc(m.Steps, func(a, b Step) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return slices.Index(rank, a.Name) - slices.Index(rank, b.Name)
	})
	m.Begin = m.Steps[0].Time
	for i := range m.Steps {
		m.Steps[i].SinceMS = m.Steps[i].Time.Sub(m.Begin).Milliseconds()
	}
	if m.Confirmed != nil {
		m.TookMS = m.Confirmed.Sub(m.Begin).Milliseconds()
	}
}

// lastFailover returns the newest move to another node; nil: there was none.
func lastFailover(all []Move) *Move {
	for _, m := range slices.Backward(all) {
		if m.From != "" && m.From != m.Node {
			return &m
		}
	}
	return nil
}

func at(unixMilli int64) time.Time { return time.UnixMilli(unixMilli).UTC() }
