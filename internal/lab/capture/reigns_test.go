package capture

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// adverts reads a score: one character per 100 ms and node, one line per node. '#' is an advert, '0' one with priority 0,
// '.' silence. Nodes of one column advertise in the order of the lines, 1 ms apart.
func adverts(score string) []Advert {
	lines := strings.Fields(score)
	var all []Advert
	for column := range len(lines[0]) {
		for node, line := range lines {
			at := time.UnixMilli(int64(column*100 + node))
			advert := Advert{
				Time: at, Src: netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + node)}), VRID: 51, Priority: 100, Interval: 100 * time.Millisecond,
			}
			switch line[column] {
			case '0':
				advert.Priority = 0
				fallthrough
			case '#':
				all = append(all, advert)
			}
		}
	}
	return all
}

// The counter behind every claim about invariant I3.
func TestOverlaps(t *testing.T) {
	tests := map[string]struct {
		score            string
		reigns, overlaps int
	}{
		"one Master":                           {`##########  ..........`, 1, 0},
		"silent succession":                    {`####......  .......###`, 2, 0},
		"succession by priority 0":             {`###0......  ....######`, 2, 0},
		"priority 0 after the successor's":     {`####0.....  ...#######`, 2, 0},
		"the first advert in the same round":   {`####......  ...#######`, 2, 0},
		"one advert too many":                  {`#####.....  ...#######`, 2, 1},
		"two Masters at once":                  {`##########  ##########`, 2, 1},
		"a frozen Master wakes for one advert": {`###.......#...  ........######`, 3, 1},
		"a frozen Master wakes after the last": {`###..........#  ........####..`, 3, 0},
		"there and back, each with a goodbye":  {`###0......###  ....####0....`, 3, 0},
		"there and back within 3 intervals":    {`###0.###  ...#0...`, 3, 0},
		"there and back, by silence":           {`###.......###  ....##.......`, 3, 0},
		"hesitation within 3 intervals":        {`##..##..##  ..........`, 1, 0},
		"three nodes, two overlaps":            {`#####....  ...####..  .....####`, 3, 2},
		"nobody":                               {`....  ....`, 0, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			reigns := Reigns(adverts(test.score))
			if len(reigns) != test.reigns {
				t.Errorf("%d reigns, want %d: %v", len(reigns), test.reigns, reigns)
			}
			if got := Overlaps(reigns); got != test.overlaps {
				t.Errorf("%d overlaps, want %d: %v", got, test.overlaps, reigns)
			}
		})
	}
}

// Two routers of different VRIDs are different matters.
func TestOverlapsByVRID(t *testing.T) {
	mixed := adverts("##### #####")
	for i := range mixed {
		if mixed[i].Src == netip.MustParseAddr("10.0.0.2") {
			mixed[i].VRID = 52
		}
	}
	if got := Overlaps(Reigns(mixed)); got != 0 {
		t.Errorf("%d overlaps between VRIDs", got)
	}
}

func ExampleReigns() {
	for _, r := range Reigns(adverts("###0.... ....####")) {
		fmt.Println(r.Node, r.First.UnixMilli(), r.Last.UnixMilli())
	}
	// Output:
	// 10.0.0.1 0 200
	// 10.0.0.2 401 701
}

func TestReigning(t *testing.T) {
	a, b := netip.MustParseAddr("10.20.0.11"), netip.MustParseAddr("10.20.0.12")
	start := time.Unix(100, 0)
	advert := func(node netip.Addr, after time.Duration, priority uint8) Advert {
		return Advert{Time: start.Add(after), Src: node, Priority: priority, Interval: 100 * time.Millisecond}
	}
	for name, test := range map[string]struct {
		adverts []Advert
		after   time.Duration
		want    []netip.Addr
	}{
		"nobody":              {nil, 0, nil},
		"one":                 {[]Advert{advert(a, 0, 150)}, 100 * time.Millisecond, []netip.Addr{a}},
		"silent for too long": {[]Advert{advert(a, 0, 150)}, 400 * time.Millisecond, nil},
		"resigned":            {[]Advert{advert(a, 0, 150), advert(a, 10*time.Millisecond, 0)}, 20 * time.Millisecond, nil},
		"came back":           {[]Advert{advert(a, 0, 0), advert(a, 10*time.Millisecond, 150)}, 20 * time.Millisecond, []netip.Addr{a}},
		"two at once":         {[]Advert{advert(b, 0, 100), advert(a, time.Millisecond, 150)}, 2 * time.Millisecond, []netip.Addr{a, b}},
		"not yet":             {[]Advert{advert(a, 10*time.Millisecond, 150)}, 0, nil},
	} {
		if got := Reigning(test.adverts, start.Add(test.after)); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
