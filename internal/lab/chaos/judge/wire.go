package judge

import (
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
		j.violated("I3", second, shared.From, "%s and %s both advertised for %v", first, second, shared.Length().Round(time.Microsecond))
	}
}

func (j *judgement) name(r capture.Reign) string {
	for _, n := range j.Run.Nodes {
		if n.Address == r.Node.String() {
			return n.Name
		}
	}
	return r.Node.String()
}
