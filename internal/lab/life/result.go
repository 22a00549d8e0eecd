package life

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/show"
)

// The mutating actions of EC2 that the nodes have a use for.
const (
	associate    = "AssociateAddress"
	disassociate = "DisassociateAddress"
)

// Result is what was seen of one step.
type Result struct {
	Name    string        `json:"name"`
	Story   string        `json:"story"`
	Took    time.Duration `json:"took"`
	Screen  []Entry       `json:"screen"`
	Clients lab.Clients   `json:"clients"`
	Moves   int           `json:"moves"` // of the Elastic IP to another node
	// Associate and Disassociate count the calls that EC2 received, DryRuns apart.
	Associate    int      `json:"associate"`
	Disassociate int      `json:"disassociate"`
	Wire         lab.Wire `json:"wire"`
	// Unusual says which promise was not kept; empty: all were.
	Unusual string `json:"unusual,omitempty"`
}

func newResult(s step, e lab.Evidence, screen []Entry) Result {
	m := lab.Measure(e)
	r := Result{
		Name: s.Name, Story: s.Story, Took: e.End.Sub(e.Injected), Screen: screen,
		Clients: m.Clients, Moves: m.Moves, Wire: m.Wire,
	}
	for _, c := range e.Calls {
		switch {
		case !c.Mutating:
		case c.Action == associate:
			r.Associate++
		case c.Action == disassociate:
			r.Disassociate++
		}
	}
	if err := s.promise.usually(r); err != nil {
		r.Unusual = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return r
}

// Line tells the figures, for who watches.
func (r Result) Line() string {
	line := fmt.Sprintf("gap %s ms, %d of %d requests failed (%d cut in flight), %d moves, %d AssociateAddress, %d DisassociateAddress, %.1f s",
		show.Number(r.Clients.Silence), r.Clients.Failed, r.Clients.Requests, r.Clients.CutInFlight, r.Moves, r.Associate, r.Disassociate, r.Took.Seconds())
	if r.Unusual != "" {
		line += "; NOT AS PROMISED: " + r.Unusual
	}
	return line
}

// promise is what clients, the address and EC2 may see of a step.
type promise struct {
	moves, associate, disassociate int
	// gap is how long clients may be without an answer, the requests apart that were in service when the address moved. 0: none fails.
	gap time.Duration
	// leaderless: one machine is left of three, so nobody calls before it is recovered, and then it has no need to (I4).
	leaderless bool
}

// never returns what must not be, whatever else the machine had to do.
func (x promise) never(r Result) error {
	var errs []error
	// A switch that saw no advert would prove nothing. But what is sent to machines that are off does not get onto the wire.
	if r.Wire.OverlappingReigns != 0 || r.Wire.Adverts == 0 && !x.leaderless {
		errs = append(errs, fmt.Errorf("I3: %d overlapping reigns in %d adverts", r.Wire.OverlappingReigns, r.Wire.Adverts))
	}
	if calls := r.Associate + r.Disassociate; x.leaderless && calls != 0 {
		errs = append(errs, fmt.Errorf("I4: %d calls, and no quorum", calls))
	}
	if r.Clients.Requests == 0 {
		errs = append(errs, errors.New("nobody asked for a page, so nothing was measured"))
	}
	return errors.Join(errs...)
}

// usually returns what was otherwise than promised. A busy machine loses requests of its own, and calls for elections that it needs not.
func (x promise) usually(r Result) error {
	var errs []error
	if r.Moves != x.moves {
		errs = append(errs, fmt.Errorf("%d moves, not %d", r.Moves, x.moves))
	}
	if r.Associate != x.associate || r.Disassociate != x.disassociate {
		errs = append(errs, fmt.Errorf("%d %s and %d %s, not %d and %d",
			r.Associate, associate, r.Disassociate, disassociate, x.associate, x.disassociate))
	}
	silence := time.Duration(r.Clients.SilenceBesideCut * float64(time.Millisecond))
	switch failed := r.Clients.Failed - r.Clients.CutInFlight; {
	case x.gap == 0 && failed > 0:
		errs = append(errs, fmt.Errorf("%d requests failed that no move cut", failed))
	case silence > x.gap && x.gap > 0:
		errs = append(errs, fmt.Errorf("no answer for %v, longer than %v", silence, x.gap))
	}
	return errors.Join(errs...)
}
