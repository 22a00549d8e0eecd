package judge

import (
	"slices"
	"time"
)

// KindReload is the Kind of a fault that reloads HAProxy: the one that must not be noticed.
const KindReload = "haproxy-reload"

// pauseOfNote is how long a pause of this machine must be to make a healthy HAProxy, or a leader, look dead.
const pauseOfNote = 200 * time.Millisecond

// judgeReloads is I5, for the reloads at which nothing else was broken.
func (j *judgement) judgeReloads() {
	for _, f := range j.Faults {
		if f.Kind != KindReload || !f.Alone {
			continue
		}
		watched := Span{f.Began, f.Ended}
		if j.stalled(watched) >= pauseOfNote {
			j.doubt("I5: the machine stood still for %v during a reload", j.stalled(watched).Round(time.Millisecond))
			continue
		}
		for _, t := range j.Logs[f.Node].Transitions {
			if t.To == stateFault && watched.Contains(t.At) {
				j.violated("I5", f.Node, t.At, "a reload made its HAProxy count as unhealthy")
			}
		}
		for _, c := range j.Calls {
			if _, ours := j.deeds[c.Seq]; ours && watched.Contains(c.At()) && !j.electedIn(Span{f.Began, c.At()}) {
				j.violated("I5", c.Node, c.At(), "%s after a reload of HAProxy on %s", c.Action, f.Node)
			}
		}
	}
}

// electedIn reports whether a node became leader meanwhile, which is reason enough for a call.
func (j *judgement) electedIn(s Span) bool {
	for _, log := range j.Logs {
		if slices.ContainsFunc(log.Leaderships, func(l Leadership) bool { return l.Self && s.Contains(l.At) }) {
			return true
		}
	}
	return false
}

// judgeSettles is I6: when everything is mended, the address is with the one Master, who leads and is healthy, and all agree.
func (j *judgement) judgeSettles() {
	for _, s := range j.Settles {
		if s.Problem != "" {
			j.violated("I6", "", s.Steady, "round %d: the cluster did not settle within %v: %s", s.Round, (s.Steady - s.Mended).Round(time.Second), s.Problem)
			continue
		}
		if len(s.Sightings) != len(j.Run.Nodes) {
			j.violated("I6", "", s.Steady, "round %d: %d of %d nodes answered in the end", s.Round, len(s.Sightings), len(j.Run.Nodes))
		}
		for _, sighting := range s.Sightings {
			j.judgeSettled(s.Round, sighting)
		}
	}
	if len(j.Settles) == 0 {
		j.violated("I6", "", j.Run.Ended.Boot, "the run ended before anything was mended")
	}
}

func (j *judgement) judgeSettled(round int, s Sighting) {
	st := s.Status
	holder, id := j.holder(s.Asked)
	switch {
	case (st.State == stateMaster) != (st.Node == holder):
		j.violated("I6", st.Node, s.Answered, "round %d: is %s in the end, while EC2 leads to %q", round, st.State, holder)
	case st.Leader != holder || st.Holder != holder || st.AssociationID() != id:
		j.violated("I6", st.Node, s.Answered, "round %d: says leader %s, holder %s by %s; EC2 leads to %q by %s",
			round, st.Leader, st.Holder, st.AssociationID(), holder, id)
	case !st.Healthy:
		j.violated("I6", st.Node, s.Answered, "round %d: is unhealthy in the end", round)
	}
}

// holder returns where the log of EC2 led at a time.
func (j *judgement) holder(at time.Duration) (node, id string) {
	for _, h := range j.Held() {
		if h.Contains(at) {
			node, id = h.Node, h.Association
		}
	}
	return node, id
}

// Hold is a time during which the address was with one node, or with nobody.
type Hold struct {
	Span
	Node, Association string
	ByPerson          bool // who put it there
}

// Held returns where the address was, as the log of EC2 tells it, from the first association on.
func (e Evidence) Held() []Hold {
	var holds []Hold
	for _, c := range e.landed() {
		if n := len(holds); n > 0 {
			holds[n-1].To = c.Landed()
		}
		node, id := e.target(c)
		holds = append(holds, Hold{Span{c.Landed(), max(c.Landed(), e.Run.Ended.Boot)}, node, id, c.Node == ""})
	}
	return holds
}

// target returns where a call that landed took the address; empty: nowhere.
func (e Evidence) target(c Call) (node, id string) {
	if c.Action != actionAssociate {
		return "", ""
	}
	for _, n := range e.Run.Nodes {
		if n.ENI == c.Parameters["NetworkInterfaceId"] {
			return n.Name, c.AssociationID
		}
	}
	return "somewhere else", c.AssociationID
}
