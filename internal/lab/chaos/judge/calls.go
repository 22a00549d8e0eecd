package judge

import "time"

// deed is a node's mutating call with the term in which it was made.
type deed struct {
	call Call
	term uint64 // 0: the node never led before
	// line is the agent's word about the call; nil: it has none.
	line *Line
	// silenced: the agent ended before it could log the call.
	silenced bool
}

// tolerance is by how much stamps of one instant may differ: an agent's clock is read twice, and its log line is written later.
const tolerance = 5 * time.Millisecond

// attribute finds, for each mutating call of a node, the term in which it was made.
func (j *judgement) attribute() {
	for _, n := range j.Run.Nodes {
		log := j.Logs[n.Name]
		used := make([]bool, len(log.Calls))
		var left []Call
		for _, c := range j.Calls {
			if c.Node != n.Name || !c.Mutating() {
				continue
			}
			if i := log.during(c, used); i >= 0 {
				used[i] = true
				j.deeds[c.Seq] = deed{call: c, term: log.Calls[i].Term, line: &log.Calls[i]}
				continue
			}
			left = append(left, c)
		}
		for _, c := range left {
			j.deeds[c.Seq] = j.attributeLate(c, log, used)
		}
	}
}

// during finds the line of the call that was under way when EC2 received this one.
func (l Log) during(c Call, used []bool) int {
	for i, line := range l.Calls {
		if !used[i] && line.fits(c) && line.From-tolerance <= c.At() && c.At() <= line.To+tolerance {
			return i
		}
	}
	return -1
}

// fits reports whether the line may speak of the call, times aside.
func (l Line) fits(c Call) bool {
	switch {
	case l.Action != c.Action || l.Class == classNotSent || l.Class == classNotPermitted:
		return false
	case c.Action == actionDisassociate:
		return l.Association == c.Parameters["AssociationId"]
	default:
		return l.Association == "" || l.Association == c.AssociationID
	}
}

// attributeLate is for a call that no line covers: its agent ended before it could write one, or gave up waiting before the
// call arrived.
func (j *judgement) attributeLate(c Call, log Log, used []bool) deed {
	if j.endedAfter(c, log) {
		return deed{call: c, term: log.led(c.At() + tolerance), silenced: true}
	}
	for i := len(log.Calls) - 1; i >= 0; i-- {
		if line := log.Calls[i]; !used[i] && line.fits(c) && line.To < c.At() {
			used[i] = true
			return deed{call: c, term: line.Term, line: &log.Calls[i]}
		}
	}
	return deed{call: c, term: log.led(c.At() + tolerance)}
}

// endedAfter reports whether the process that led when the call was received ended before the agent logged another call.
func (j *judgement) endedAfter(c Call, log Log) bool {
	next := j.end()
	for _, line := range log.Calls {
		if line.From > c.At() {
			next = line.From
			break
		}
	}
	for _, a := range j.Absences {
		// Sent before the end and read by EC2 after it: the sender's kernel finishes what it was given.
		if a.Node == c.Node && a.Ended >= c.At()-tolerance && a.Asked <= next {
			return true
		}
	}
	return false
}

// judgeCalls is I1 and I4 for each mutating call of a node.
func (j *judgement) judgeCalls() {
	alone := make(map[string][]Span)
	for _, n := range j.Run.Nodes {
		alone[n.Name] = j.alone(n.Name)
	}
	for _, c := range j.Calls {
		d, ok := j.deeds[c.Seq]
		if !ok {
			continue
		}
		j.judgeTerm(d)
		for _, s := range j.Logs[c.Node].unhealthy(j.end()) {
			if j.within(c, s, 0) {
				j.violated("I1", c.Node, c.At(), "%s %v after the node had found its HAProxy unhealthy", c.Action, c.At()-s.From)
			}
		}
		for _, s := range alone[c.Node] {
			if j.within(c, s, j.Run.EvidenceMaxAge) {
				j.violated("I4", c.Node, c.At(), "%s %v after the node had lost every quorum", c.Action, c.At()-s.From)
			}
		}
	}
}

// judgeTerm is I1 but for health: the caller leads the term, and was granted a claim in it.
func (j *judgement) judgeTerm(d deed) {
	c, log := d.call, j.Logs[d.call.Node]
	if d.line == nil && !d.silenced {
		j.violated("I1", c.Node, c.At(), "%s without a word in the agent's log", c.Action)
	}
	reign, ok := log.reign(d.term, j.end())
	switch {
	case d.term == 0 || !ok || reign.From > c.At()+tolerance:
		j.violated("I1", c.Node, c.At(), "%s in term %d, which the node has not led", c.Action, d.term)
	case j.within(c, Span{reign.To, j.end()}, 0):
		j.violated("I1", c.Node, c.At(), "%s in term %d, %v after the node knew that its leadership was over", c.Action, d.term, c.At()-reign.To)
	}
	if !j.history.complete {
		return // said once, see judgeMemory
	}
	if !j.history.granted(c.Node, d.term) {
		j.violated("I1", c.Node, c.At(), "%s in term %d without a granted claim", c.Action, d.term)
	}
}

// within reports whether the call was certainly sent more than late after the span's beginning, and before its end.
func (j *judgement) within(c Call, s Span, late time.Duration) bool {
	if !s.Contains(c.At()) {
		return false
	}
	limit, ok := j.travel(c.Node, s.From, c.At())
	return ok && c.At() > s.From+late+limit
}

// judgeTerms: one leader a term, which all of I1 rests on.
func (j *judgement) judgeTerms() {
	leaders := make(map[uint64]string)
	for _, n := range j.Run.Nodes {
		for _, l := range j.Logs[n.Name].Leaderships {
			if !l.Self {
				continue
			}
			if other, taken := leaders[l.Term]; taken && other != n.Name {
				j.violated("I1", n.Name, l.At, "leads term %d, as %s does", l.Term, other)
			}
			leaders[l.Term] = n.Name
		}
	}
}
