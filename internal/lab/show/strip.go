package show

import (
	"fmt"
	"time"

	"github.com/hacluster/hacluster/internal/lab/chaos/judge"
)

// stripStep is the distance of the marks on the axis of a strip.
const stripStep = 10 * time.Second

// underNode is how far below a node's lane that of its faults is, which has no label.
const underNode = 22

// strip draws a part of a chaos run.
type strip struct {
	e    judge.Evidence
	v    judge.Verdict
	span judge.Span
}

func (s strip) timeline() timeline {
	began := s.e.Run.Began.Boot
	t := timeline{Caption: fmt.Sprintf("from %s to %s", sinceBeginning(s.span.From-began), sinceBeginning(s.span.To-began))}
	lanes := []lane{s.requests(), s.address(), s.cloud()}
	for _, n := range s.e.Run.Nodes {
		lanes = append(lanes, s.states(n.Name), s.damage(n.Name))
	}
	y := 14
	for i := range lanes {
		if lanes[i].Label == "" {
			y += underNode - laneHeight
		}
		lanes[i].Y = y
		y += laneHeight
	}
	t.Lanes, t.Height = lanes, y+16
	for at := s.span.From; at <= s.span.To; at += stripStep {
		t.Ticks = append(t.Ticks, mark{X: s.x(at), Text: sinceBeginning(at - began)})
	}
	for _, violation := range s.v.Violations {
		if at := violation.At + began; s.span.Contains(at) {
			t.Lines = append(t.Lines, mark{X: s.x(at), Class: "fault"})
		}
	}
	return t
}

// x returns the position of a time in percent.
func (s strip) x(at time.Duration) float64 {
	return 100 * min(1, max(0, float64(at-s.span.From)/float64(s.span.Length())))
}

// add appends the part of a bar that is in the strip.
func (s strip) add(l *lane, span judge.Span, class, text string) {
	if span.To < s.span.From || span.From > s.span.To {
		return
	}
	b := bar{X: s.x(span.From), Class: class, Text: text}
	b.W = max(0.1, s.x(span.To)-b.X)
	b.Title = fmt.Sprintf("%s, %v from %s", text, span.Length().Round(time.Millisecond), sinceBeginning(span.From-s.e.Run.Began.Boot))
	l.Bars = append(l.Bars, b)
}

// requests draws what clients got.
func (s strip) requests() lane {
	l := lane{Label: "Client requests"}
	now, good := judge.Span{From: s.span.From}, true
	flush := func(at time.Duration) {
		now.To = at
		class, text := "served", "served"
		if !good {
			class, text = "unserved", "not served"
		}
		if now.Length() > 0 {
			s.add(&l, now, class, text)
		}
		now.From = at
	}
	for _, r := range s.e.Requests {
		if s.span.Contains(r.At) && r.OK != good {
			flush(r.At)
			good = r.OK
		}
	}
	flush(min(s.span.To, s.e.Run.Ended.Boot))
	return l
}

func (s strip) address() lane {
	l := lane{Label: "Elastic IP"}
	for _, h := range s.e.Held() {
		if h.Node == "" {
			s.add(&l, h.Span, "nobody", "nobody")
		} else {
			s.add(&l, h.Span, "held "+h.Node, h.Node)
		}
	}
	return l
}

// cloud draws mutating calls, and what was wrong with EC2.
func (s strip) cloud() lane {
	l := lane{Label: "EC2"}
	for _, f := range s.e.Faults {
		for _, p := range f.Parts {
			if p.What == judge.PartEC2 || p.To == judge.ToEC2 {
				s.add(&l, f.Maybe(), "broken", f.Kind+" "+f.Text)
				break
			}
		}
	}
	for _, c := range s.e.Calls {
		if !c.Mutating() || !s.span.Contains(c.At()) {
			continue
		}
		class := c.Node
		if class == "" {
			class = "person"
		}
		l.Marks = append(l.Marks, mark{X: s.x(c.At()), Class: class, Title: fmt.Sprintf("%s by %s: %s", c.Action, class, c.Code)})
	}
	return l
}

// states draws what the agent said of itself.
func (s strip) states(node string) lane {
	l := lane{Label: node}
	log := s.e.Logs[node]
	for i, t := range log.Transitions {
		span := judge.Span{From: t.At, To: s.e.Run.Ended.Boot}
		if i+1 < len(log.Transitions) {
			span.To = log.Transitions[i+1].At
		}
		for _, a := range s.e.Absences {
			if a.Node == node && a.Began > span.From {
				span.To = min(span.To, a.Began)
			}
		}
		s.add(&l, span, "state "+t.To+" "+node, t.To)
	}
	return l
}

// damage draws what was broken on the node.
func (s strip) damage(node string) lane {
	var l lane
	for _, a := range s.e.Absences {
		if a.Node == node {
			s.add(&l, a.Sure(), "broken", "no agent")
		}
	}
	for _, f := range s.e.Faults {
		if f.Node == node && len(f.Parts) > 0 && f.Parts[0].What != judge.PartEC2 {
			s.add(&l, f.Maybe(), "broken", f.Kind)
		}
	}
	return l
}
