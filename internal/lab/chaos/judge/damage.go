package judge

import (
	"slices"
	"time"
)

// breakage is a part that was broken for a time.
type breakage struct {
	part Part
	span Span
}

// broken lists what was broken and when; view chooses what is done with the doubt.
func (e Evidence) broken(view func(Period) Span) []breakage {
	var list []breakage
	for _, f := range e.Faults {
		for _, p := range f.Parts {
			list = append(list, breakage{p, view(f.Period)})
		}
	}
	for _, a := range e.Absences {
		list = append(list, breakage{Part{What: PartAgent, Node: a.Node}, view(a.Period)})
	}
	for _, h := range e.Held() {
		if h.ByPerson {
			list = append(list, breakage{Part{What: PartPlace}, h.Span})
		}
	}
	return list
}

// world says what is broken at one instant.
type world map[Part]bool

// hears reports whether packets of a node and what they are for arrive at another.
func (w world) hears(from, to string) bool {
	return !w[Part{PartLink, from, ""}] && !w[Part{PartLink, to, ""}] && !w[Part{PartPath, from, to}]
}

// talk reports whether the agents of two nodes can hear one another, and run.
func (w world) talk(a, b string) bool {
	return !w[Part{PartAgent, a, ""}] && !w[Part{PartAgent, b, ""}] && w.hears(a, b) && w.hears(b, a)
}

// voices counts the nodes that could acknowledge a leader on the node, itself included. Nodes of which one of the parts is
// broken do not count.
func (w world) voices(node string, nodes []Node, without ...string) int {
	n := 0
	for _, other := range nodes {
		if slices.ContainsFunc(without, func(what string) bool { return w[Part{what, other.Name, ""}] }) {
			continue
		}
		if other.Name == node || w.talk(node, other.Name) {
			n++
		}
	}
	return n
}

// able reports whether the node could hold the address and serve: its agent and its HAProxy run, clients and a quorum reach it.
func (w world) able(node string, nodes []Node) bool {
	return !w[Part{PartAgent, node, ""}] && !w[Part{PartHAProxy, node, ""}] && !w[Part{PartLink, node, ""}] &&
		w.voices(node, nodes, PartVote, PartDisk) >= majority(nodes)
}

// reachesEC2 reports whether nothing stands between the node and a working API, which nobody else uses.
func (w world) reachesEC2(node string) bool {
	return !w[Part{PartPlace, "", ""}] && !w[Part{PartEC2, "", ""}] && !w[Part{PartEC2, node, ""}] && !w[Part{PartPath, node, ToEC2}] && !w[Part{PartLink, node, ""}]
}

func majority(nodes []Node) int { return len(nodes)/2 + 1 }

// when returns the times, within the run, at which holds was true of what was broken.
func (e Evidence) when(view func(Period) Span, holds func(world) bool) []Span {
	run := Span{e.Run.Began.Boot, e.Run.Ended.Boot}
	list := e.broken(view)
	edges := []time.Duration{run.From, run.To}
	for _, b := range list {
		for _, edge := range []time.Duration{b.span.From, b.span.To} {
			if run.Contains(edge) {
				edges = append(edges, edge)
			}
		}
	}
	slices.Sort(edges)
	edges = slices.Compact(edges)
	var spans []Span
	for i := range len(edges) - 1 {
		piece := Span{edges[i], edges[i+1]}
		w := make(world)
		for _, b := range list {
			if b.span.From <= piece.From && b.span.To >= piece.To {
				w[b.part] = true
			}
		}
		if !holds(w) {
			continue
		}
		if n := len(spans); n > 0 && spans[n-1].To == piece.From {
			spans[n-1].To = piece.To
			continue
		}
		spans = append(spans, piece)
	}
	return spans
}

// alone returns the times during which the node certainly had no quorum: whatever it sent, no majority could answer.
func (e Evidence) alone(node string) []Span {
	return e.when(Period.Sure, func(w world) bool {
		return w.voices(node, e.Run.Nodes) < majority(e.Run.Nodes)
	})
}

// requestTime is what a request to EC2 needs, from the agent's last check to the API's stamp, on a machine that runs.
const requestTime = 100 * time.Millisecond

// travel returns how long a request that EC2 received at the time may have been on its way, if it was sent after from: the
// time of a request, plus the pauses of this machine in between. ok is false when the way itself was broken meanwhile: TCP
// sends again, and the request may be of any age.
func (e Evidence) travel(node string, from, received time.Duration) (limit time.Duration, ok bool) {
	for _, b := range e.broken(Period.Maybe) {
		onTheWay := b.part == Part{PartPath, node, ToEC2} || b.part == Part{PartLink, node, ""}
		if onTheWay && b.span.From <= received && b.span.To+tcpPatience >= from {
			return 0, false
		}
	}
	return requestTime + e.stalled(Span{from, received}), true
}

// tcpPatience is how long after a break TCP may still be waiting before it sends again: it doubles its time-out each time.
const tcpPatience = 30 * time.Second

// stalled returns for how long the machine did not run the lab, within a span.
func (e Evidence) stalled(s Span) time.Duration {
	var sum time.Duration
	for _, stall := range e.Stalls {
		sum += Span{max(s.From, stall.From), min(s.To, stall.To)}.Length()
	}
	return sum
}
