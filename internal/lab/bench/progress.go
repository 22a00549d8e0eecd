package bench

import (
	"fmt"
	"io"
	"time"

	"github.com/hacluster/hacluster/internal/lab/show"
)

// Progress writes one line for each repetition.
type Progress struct {
	Out     io.Writer
	Total   int
	Started time.Time
	done    int
}

// Done tells how a repetition went, and when all of them will have.
func (p *Progress) Done(r Repetition) {
	p.done++
	elapsed := time.Since(p.Started)
	left := time.Duration(float64(elapsed) / float64(p.done) * float64(p.Total-p.done))
	fmt.Fprintf(p.Out, "[%*d/%d, %s left] %-14s %-22s EC2 %s ms: %s\n", len(fmt.Sprint(p.Total)), p.done, p.Total,
		left.Round(time.Second), r.Fault, r.System, show.Number(r.Latency), r.outcome())
}

func (r *Repetition) outcome() string {
	if r.NotSteady != "" {
		return "NOT STEADY before the fault: " + r.NotSteady
	}
	text := fmt.Sprintf("gap %s, first call %s, moved %s; moves %d, calls %d, two masters %d", show.Number(r.Silence), maybe(r.FirstCall),
		maybe(r.Moved), r.Moves, r.Mutating, r.Torn)
	if !r.Right {
		text += ", WRONG NODE"
	}
	if r.stolen() {
		text += fmt.Sprintf(", %.0f %% stolen", 100*r.Stolen)
	}
	if r.Problem != "" {
		text += ", NOT SETTLED: " + r.Problem
	}
	return text
}

func maybe(v *float64) string {
	if v == nil {
		return "never"
	}
	return show.Number(*v)
}
