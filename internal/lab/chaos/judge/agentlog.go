package judge

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"
	"time"
)

// entry has the keys of all log lines that are of interest.
type entry struct {
	Time        time.Time `json:"ts"`
	Message     string    `json:"msg"`
	ServerID    string    `json:"server_id"`
	Term        uint64    `json:"term"`
	Leader      string    `json:"leader"`
	Self        bool      `json:"self"`
	From        string    `json:"from"`
	To          string    `json:"to"`
	Call        string    `json:"call"`
	Class       string    `json:"class"`
	Association string    `json:"association_id"`
	Took        string    `json:"took"`
}

// ReadLog reads an agent's log; boot translates its times. Lines of no interest are skipped.
func ReadLog(r io.Reader, boot func(time.Time) time.Duration) (Log, error) {
	var log Log
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if line := lines.Text(); crashes(line) {
			log.Crashes = append(log.Crashes, line)
			continue
		}
		var e entry
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			log.add(e, boot(e.Time))
		}
	}
	return log, lines.Err()
}

// crashes reports whether the line is the first of what the Go runtime says at a crash.
func crashes(line string) bool {
	return strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") || strings.HasPrefix(line, "unexpected fault address")
}

func (l *Log) add(e entry, at time.Duration) {
	switch e.Message {
	case "starting":
		l.Starts = append(l.Starts, Start{At: at, ServerID: e.ServerID})
	case "leadership":
		l.Leaderships = append(l.Leaderships, Leadership{At: at, Term: e.Term, Leader: e.Leader, Self: e.Self})
	case "state transition":
		l.Transitions = append(l.Transitions, Transition{At: at, From: e.From, To: e.To, Term: e.Term})
	case "EC2 call":
		took, err := time.ParseDuration(e.Took)
		if err != nil {
			took = 0
		}
		l.Calls = append(l.Calls, Line{From: at - took, To: at, Action: e.Call, Term: e.Term, Association: e.Association, Class: e.Class})
	}
}

// led returns the term that the node last said it led at the time, or 0.
func (l Log) led(at time.Duration) uint64 {
	var term uint64
	for _, n := range l.Leaderships {
		if n.Self && n.At <= at {
			term = n.Term
		}
	}
	return term
}

// reign returns the time from the node's news that it leads in a term to its next news; ok is false if it never led then.
// A process that ended without a word ended its leadership too: then the next start is the end.
func (l Log) reign(term uint64, end time.Duration) (s Span, ok bool) {
	for i, n := range l.Leaderships {
		if !n.Self || n.Term != term {
			continue
		}
		s = Span{From: n.At, To: end}
		if i+1 < len(l.Leaderships) {
			s.To = l.Leaderships[i+1].At
		}
		return s, true
	}
	return Span{}, false
}

// unhealthy returns the times during which the node said that its HAProxy was unhealthy.
func (l Log) unhealthy(end time.Duration) []Span {
	var spans []Span
	for i, t := range l.Transitions {
		if t.To != stateFault {
			continue
		}
		s := Span{From: t.At, To: end}
		if i+1 < len(l.Transitions) {
			s.To = l.Transitions[i+1].At
		}
		for _, start := range l.Starts {
			if start.At > s.From {
				s.To = min(s.To, start.At) // a new process knows nothing of the old one's state
				break
			}
		}
		spans = append(spans, s)
	}
	return spans
}
