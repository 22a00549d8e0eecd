package judge

import (
	"net/netip"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/lab/capture"
)

// judgeWire is I3: reigns on the wire never overlap. A switch that saw no advert would prove nothing.
func (j *judgement) judgeWire() {
	if len(j.Adverts) == 0 {
		j.violated("I3", "", j.Run.Ended.Boot, "no advert was captured, so nothing is shown")
	}
	for _, pair := range capture.Overlapping(capture.Reigns(j.Adverts)) {
		first, second := j.name(pair[0]), j.name(pair[1])
		shared := Span{j.Run.boot(pair[1].First), min(j.Run.boot(pair[0].Last), j.Run.boot(pair[1].Last))}
		if j.heldBack(pair[0]) || j.heldBack(pair[1]) {
			j.verdict.Residuals = append(j.verdict.Residuals, Residual{At: shared.From - j.Run.Began.Boot,
				Text: "of " + first + " and " + second + ", the kernel of one sent an advert that it had held back while its link was down"})
			continue
		}
		j.violated("I3", second, shared.From, "%s and %s both advertised for %v", first, second, shared.Length().Round(time.Microsecond))
	}
}

const (
	// neighbourPatience is how long a kernel may hold a packet back while it asks for the hardware address of its next hop: three
	// questions, a second apart (arp(7): mcast_solicit, retrans_time_ms), and a late answer.
	neighbourPatience = 4 * time.Second
	// burst is how long the kernel takes to send what it held back for one peer. Adverts that are sent anew are at least 10 ms
	// apart.
	burst = time.Millisecond
)

// heldBack reports whether the reign is nothing but packets that waited in the kernel, behind every check of the agent, for a
// link to come back: the pause between check and send of docs/SAFETY.md.
func (j *judgement) heldBack(r capture.Reign) bool {
	since := make(map[netip.Addr]time.Time)
	for _, a := range j.Adverts {
		if a.Src != r.Node || a.VRID != r.VRID || a.Time.Before(r.First) || a.Time.After(r.Last) {
			continue
		}
		if _, known := since[a.Dst]; !known {
			since[a.Dst] = a.Time
		}
		if a.Time.Sub(since[a.Dst]) > burst {
			return false
		}
	}
	node, first := j.name(r), j.Run.boot(r.First)
	return slices.ContainsFunc(j.broken(Period.Maybe), func(b breakage) bool {
		return b.part == Part{PartLink, node, ""} && b.span.From <= first && first <= b.span.To+neighbourPatience
	})
}

func (j *judgement) name(r capture.Reign) string {
	for _, n := range j.Run.Nodes {
		if n.Address == r.Node.String() {
			return n.Name
		}
	}
	return r.Node.String()
}
