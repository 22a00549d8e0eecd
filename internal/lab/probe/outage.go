package probe

import (
	"slices"
	"time"
)

// Outage is a time without service, as new connections saw it: from the start of the first request that failed to the
// start of the next one that was served. End is zero while none was.
type Outage struct {
	Start, End time.Time
	Failed     int // requests
}

// Length returns how long the outage lasted; one that has not ended lasts until at least now.
func (o Outage) Length(now time.Time) time.Duration {
	if o.End.IsZero() {
		return now.Sub(o.Start)
	}
	return o.End.Sub(o.Start)
}

// Outages finds the outages in results, whatever their order.
func Outages(results []Result) []Outage {
	results = slices.Clone(results)
	slices.SortFunc(results, func(a, b Result) int { return a.Start.Compare(b.Start) })
	var outages []Outage
	down := false
	for _, r := range results {
		switch {
		case !r.OK() && !down:
			outages = append(outages, Outage{Start: r.Start, Failed: 1})
			down = true
		case !r.OK():
			outages[len(outages)-1].Failed++
		case down:
			outages[len(outages)-1].End = r.Start
			down = false
		}
	}
	return outages
}
