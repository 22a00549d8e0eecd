package capture

import (
	"net/netip"
	"slices"
	"time"
)

// Reign is a time during which one node advertised a non-zero priority. It ends with priority 0, or with a silence of
// Master_Down_Interval.
type Reign struct {
	Node  netip.Addr
	VRID  uint8
	First time.Time // first advert of the reign
	Last  time.Time // last advert of the reign with a non-zero priority
}

// Reigns cuts adverts, which must be in order of time, into reigns in order of their beginning.
func Reigns(adverts []Advert) []Reign {
	type voice struct {
		node netip.Addr
		vrid uint8
	}
	type open struct {
		index int
		until time.Time
	}
	var reigns []Reign
	current := make(map[voice]open)
	for _, a := range adverts {
		v := voice{a.Src, a.VRID}
		if a.Priority == 0 {
			delete(current, v)
			continue
		}
		now, reigning := current[v]
		if !reigning || a.Time.After(now.until) {
			now.index = len(reigns)
			reigns = append(reigns, Reign{Node: a.Src, VRID: a.VRID, First: a.Time})
		}
		reigns[now.index].Last = a.Time
		now.until = a.Time.Add(a.Down())
		current[v] = now
	}
	return reigns
}

// Overlaps counts pairs of reigns of different nodes that overlap, which is what invariant I3 forbids: Y advertised, then
// X did, and then Y again. A reign that begins after the last advert of the one before is plain succession.
func Overlaps(reigns []Reign) int { return len(Overlapping(reigns)) }

// Overlapping returns the pairs that Overlaps counts, the earlier reign first.
func Overlapping(reigns []Reign) [][2]Reign {
	var pairs [][2]Reign
	for i, a := range reigns {
		for _, b := range reigns[i+1:] {
			if a.Node != b.Node && a.VRID == b.VRID && b.First.Before(a.Last) && a.First.Before(b.Last) {
				pairs = append(pairs, [2]Reign{a, b})
			}
		}
	}
	return pairs
}

// Reigning returns who reigns at a time, by adverts in order of time: the nodes whose last advert until then has a priority
// other than 0 and is not older than Master_Down_Interval.
func Reigning(adverts []Advert, at time.Time) []netip.Addr {
	last := make(map[netip.Addr]Advert)
	for _, a := range adverts {
		if !a.Time.After(at) {
			last[a.Src] = a
		}
	}
	var reigning []netip.Addr
	for node, a := range last {
		if a.Priority > 0 && !at.After(a.Time.Add(a.Down())) {
			reigning = append(reigning, node)
		}
	}
	slices.SortFunc(reigning, netip.Addr.Compare)
	return reigning
}
