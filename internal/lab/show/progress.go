package show

import (
	"fmt"
	"io"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
)

// Progress writes a few lines for each repetition. It is a lab.Observer.
type Progress struct {
	Out     io.Writer
	Started time.Time
	Total   int
	done    int
}

// Line writes one line with the time since the start.
func (p *Progress) Line(text string) {
	fmt.Fprintf(p.Out, "%7.1fs  %s\n", time.Since(p.Started).Seconds(), text)
}

// Before says what is next.
func (p *Progress) Before(fault lab.Fault, victim string, term uint64) {
	p.done++
	p.Line(fmt.Sprintf("[%d/%d] %s: %s is Master, term %d", p.done, p.Total, fault.Name, victim, term))
}

// Injected says that the fault happened.
func (p *Progress) Injected(fault lab.Fault, victim string, _ time.Time) {
	p.Line(fmt.Sprintf("        %s %s", victim, fault.Story))
}

// Released says that the fault is undone.
func (p *Progress) Released(fault lab.Fault, victim string, _ time.Time) {
	p.Line(fmt.Sprintf("        %s %s", victim, fault.Release))
}

// After says how it went.
func (p *Progress) After(r lab.Repetition) {
	p.Line(fmt.Sprintf("        %s → %s, longest gap %s ms, %d of %d requests failed (%d cut in flight), %s, %s",
		r.HolderBefore, r.HolderAfter, Number(r.LongestGap), r.Failed, r.Requests, r.CutInFlight, count(r.Mutating, "EC2 call"), count(r.Moves, "move")))
	if r.Problem != "" {
		p.Line("        PROBLEM: " + r.Problem)
	}
}
