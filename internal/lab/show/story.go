package show

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
)

const (
	// followInterval is how often a Story looks for news.
	followInterval = 50 * time.Millisecond
	// followDelay is how old news must be before they are told, so that news from different witnesses come in order.
	followDelay = 100 * time.Millisecond
)

// Witness tells what happened in a lab; *lab.Lab is one.
type Witness interface {
	Events(from, to time.Time) ([]lab.Event, error)
}

// Story tells live what happens, line by line, for people. It is a lab.Observer.
type Story struct {
	Out io.Writer

	mu   sync.Mutex
	zero time.Time // of the fault; zero: nothing is going on
	told time.Time // everything up to here has been told
}

// Follow tells what the witness has to say, from each fault to the end of its repetition, until ctx ends.
func (s *Story) Follow(ctx context.Context, w Witness) error {
	ticker := time.NewTicker(followInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			if err := s.tell(w, now.Add(-followDelay)); err != nil {
				return err
			}
		}
	}
}

func (s *Story) tell(w Witness, to time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.zero.IsZero() || !to.After(s.told) {
		return nil
	}
	events, err := w.Events(s.told.Add(1), to)
	if err != nil {
		return err
	}
	s.told = to
	for _, e := range events {
		s.line(e.Time, symbol(e.Kind), e.Text)
	}
	return nil
}

func symbol(kind lab.Kind) string {
	switch kind {
	case lab.KindFault:
		return "✗"
	case lab.KindCall:
		return "☁"
	case lab.KindMove:
		return "➜"
	default:
		return "·"
	}
}

func (s *Story) line(at time.Time, symbol, text string) {
	fmt.Fprintf(s.Out, "  %+8.3f s  %s %s\n", at.Sub(s.zero).Seconds(), symbol, text)
}

// Before opens the scene.
func (s *Story) Before(fault lab.Fault, victim string, term uint64) {
	title := " " + fault.Title + " "
	fmt.Fprintf(s.Out, "\n──%s%s\n", title, strings.Repeat("─", max(4, 76-len(title))))
	fmt.Fprintf(s.Out, "  %s is Master in term %d and holds %s; a client asks for a page every 5 ms\n", victim, term, lab.ElasticIP)
}

// Injected starts the clock.
func (s *Story) Injected(fault lab.Fault, victim string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zero, s.told = at, at.Add(-1)
	s.line(at, symbol(lab.KindFault), victim+" "+fault.Story)
}

// Released tells that the fault is undone.
func (s *Story) Released(fault lab.Fault, victim string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line(at, "✓", victim+" "+fault.Release)
}

// After closes the scene with what clients noticed.
func (s *Story) After(r lab.Repetition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zero = time.Time{}
	fmt.Fprintf(s.Out, "  clients: %s\n", noticed(r))
	if r.Problem != "" {
		fmt.Fprintf(s.Out, "  PROBLEM: %s\n", r.Problem)
	}
}

// noticed says in a sentence what clients noticed of a fault.
func noticed(r lab.Repetition) string {
	if r.Failed == 0 {
		return fmt.Sprintf("none of %d requests failed", r.Requests)
	}
	text := fmt.Sprintf("%d of %d requests failed; the longest time without service was %s ms", r.Failed, r.Requests, Number(r.LongestGap))
	if r.CutInFlight > 0 {
		text += fmt.Sprintf(" (%d cut in flight by the move of the address)", r.CutInFlight)
	}
	return text
}
