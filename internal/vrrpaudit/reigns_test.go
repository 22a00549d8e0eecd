package vrrpaudit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/packets"
)

// story tells the events of a report in short: who took over from whom and how, who were Masters together, who was missing.
func story(r Report) string {
	var parts []string
	for _, router := range r.Routers {
		for _, e := range router.Events {
			switch e.Kind {
			case HandOver:
				part := fmt.Sprintf("%s>%s %s", hosts(e.From), hosts(e.To), e.Cause)
				if e.Crossed > 0 {
					part += ", crossed"
				}
				parts = append(parts, part)
			case TwoMasters:
				var who []string
				for _, m := range e.Masters {
					who = append(who, fmt.Sprintf("%d*%s", m.Adverts, hosts(m.Sender)))
				}
				parts = append(parts, strings.Join(who, " with "))
			case Gap:
				parts = append(parts, hosts(e.From)+" missing")
			}
		}
	}
	return strings.Join(parts, "; ")
}

// Master_Down_Interval is 360.9 ms here, so four columns of silence end a reign.
func TestReigns(t *testing.T) {
	tests := map[string]struct{ score, want string }{
		"one Master":                        {`##########`, ""},
		"hesitation":                        {`##..##..##`, ""},
		"hesitation for too long":           {`##....##`, "A missing"},
		"dies, and the other takes over":    {`####......  .......###`, "A>B silence"},
		"the other is quicker than that":    {`####......  ......####`, "A>B silence"},
		"resigns":                           {`###0......  ....######`, "A>B priority 0"},
		"resigns twice":                     {`###00.....  .....#####`, "A>B priority 0"},
		"resigns and comes back":            {`###0..###`, "A>A priority 0"},
		"preempted":                         {`####......  ....######`, "A>B preemption"},
		"preempted in the same moment":      {`####......  ...#######`, "A>B preemption"},
		"one advert crosses":                {`...#######  ####......`, "B>A preemption, crossed"},
		"resigns behind the crossing":       {`...#######  ####0.....`, "B>A preemption, crossed"},
		"one advert, too late to cross":     {`...#######  ###.#.....`, "5*A with 1*B"},
		"two adverts too many":              {`...#######  #####.....`, "5*A with 2*B"},
		"two Masters for ever":              {`##########  ##########`, "9*A with 10*B"},
		"both begin, and one gives way":     {`##########  #.........`, ""},
		"both succeed, and one gives way":   {`###...........  .......#######  .......#......`, "A>B silence"},
		"both succeed, and neither does":    {`###...........  .......#######  .......#######`, "A>B silence; 6*B with 7*C"},
		"one advert amid another's reign":   {`##########  ....#.....`, "3*A with 1*B"},
		"some adverts amid another's reign": {`##############  ....#..#......`, "6*A with 2*B"},
		"a frozen Master wakes for one":     {`###.......#.....  .......#########`, "A>B silence; 1*A with 4*B"},
		"a frozen Master wakes for good":    {`###.......######  .......#########`, "A>B silence; 6*A with 6*B"},
		"it wakes when the other is gone":   {`###..........#  .......#####..`, "A>B silence; B>A preemption"},
		"it wakes and the other gives way":  {`###.......####  .......###....`, "A>B silence; B>A preemption"},
		"there and back, with goodbyes":     {`###0......###  ....####0....`, "A>B priority 0; B>A priority 0"},
		"there and back within a reign":     {`###0.###  ...#0...`, "A>B priority 0; B>A priority 0"},
		"gone again before it was noticed":  {`###..###  ...#0...`, "A>B preemption; B>A priority 0"},
		"in turns":                          {`###0.........###  ....####.......#  ..........####..`, "A>B priority 0; B>C silence; C>A preemption, crossed; A>B preemption"},
		"three Masters":                     {`##########  ..########  ....######`, "7*A with 8*B with 6*C"},
		"three in a row":                    {`###.....  ...#....  ....####`, "A>B preemption; B>C preemption"},
		"three in a row, not that quick":    {`###.....  ...##...  .....###`, "A>B preemption; B>C preemption"},
		"three, and each advert crosses":    {`......###  ...####..  ####.....`, "C>B preemption, crossed; B>A preemption, crossed"},
		"three, and back to the first":      {`###...###  ...##....  .....#...`, "B>C preemption; C>A preemption"},
		"torn, gone, back while others are": {`######0.####  ..####......  .....###....`, "6*A with 4*B; B>C preemption; C>A preemption"},
		"torn before a third one follows":   {`#####....  ..####...  ......###`, "2*A with 4*B; B>C preemption"},
		"torn twice":                        {`###################  ..##...........##..`, "4*A with 2*B; 3*A with 2*B"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			report := judged(Options{}, score(test.score))
			if got := story(report); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
			violated := strings.Contains(test.want, "with") || strings.Contains(test.want, "missing")
			if (report.Verdict == Violations) != violated {
				t.Errorf("verdict %s", report.Verdict)
			}
		})
	}
}

// A time with two Masters begins with the second's first advert, and ends with the last advert of whoever stops first.
func TestTornTime(t *testing.T) {
	report := judged(Options{}, score(`##########......  ...#############`))
	e := report.Routers[0].Events[0]
	if from, to := e.At.Sub(began), e.Until.Sub(began); from != 301*time.Millisecond || to != 900*time.Millisecond {
		t.Errorf("torn from %v to %v", from, to)
	}
	if e.To != host("B") || report.Routers[0].Torn != e.Duration || e.Duration != Seconds(599*time.Millisecond) {
		t.Errorf("%v goes on alone after %v, %v in all", e.To, e.Duration, report.Routers[0].Torn)
	}
}

// One advert can cross another. Two cannot, however close they are.
func TestTwoAdvertsCrossNothing(t *testing.T) {
	for text, want := range map[string]string{
		"+0ms A\n+100ms A\n+150ms B\n+152ms A\n+250ms B":           "A>B preemption, crossed",
		"+0ms A\n+100ms A\n+150ms B\n+152ms A\n+158ms A\n+250ms B": "2*A with 2*B",
	} {
		if got := story(judged(Options{}, script(t, text))); got != want {
			t.Errorf("%q, want %q:\n%s", got, want, text)
		}
	}
}

// Who resigns before the other's next advert was Master beside it all the same, if that comes when it is due: a deposed Master that wakes
// between its check and its send says one advert, hears the new one, and resigns.
func TestOneAdvertAndAGoodbyeAmidAnothersReign(t *testing.T) {
	const reign = "+0ms A\n+100ms A\n+200ms A\n+300ms A\n"
	for text, want := range map[string]string{
		reign + "+330ms B\n+335ms B prio 0\n+400ms A\n+500ms A":                                   "1*A with 1*B",
		reign + "+330ms B\n+335ms B prio 0\n+335ms B prio 0\n+400ms A\n+500ms A":                  "1*A with 1*B",
		reign + "+330ms B\n+390ms B prio 0\n+450ms A\n+550ms A":                                   "A>B preemption; B>A priority 0", // a Backup's skew later
		reign + "+330ms B\n+335ms B prio 0\n+390ms C\n+490ms C":                                   "A>B preemption; B>C priority 0",
		reign + "+330ms B\n+335ms B prio 0\n+380ms A prio 0\n+400ms C":                            "A>B preemption; B>C priority 0",
		reign + "+330ms B\n+335ms B prio 0\n+2s C":                                                "A>B preemption; B>C priority 0",
		reign + "+330ms B\n+335ms B prio 0":                                                       "A>B preemption",
		reign + "+300ms A peer Y\n+330ms B\n+335ms B prio 0\n+400ms A\n+400ms A peer Y\n+500ms A": "1*A with 1*B",
	} {
		if got := story(judged(Options{}, script(t, text))); got != want {
			t.Errorf("%q, want %q:\n%s", got, want, text)
		}
	}
}

// The order of time counts, not the order in the file: several interfaces are written in turns.
func TestOrder(t *testing.T) {
	tidy := score(`###0......  ....######`)
	shuffled := append([]packets.Packet(nil), tidy...)
	for i := 0; i+2 < len(shuffled); i += 3 {
		shuffled[i], shuffled[i+2] = shuffled[i+2], shuffled[i]
	}
	if got, want := story(judged(Options{}, shuffled)), story(judged(Options{}, tidy)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A clock that was set back makes neither two Masters out of one nor intervals out of nothing.
func TestClockSetBack(t *testing.T) {
	all := score(`#####################################`)
	for i := range all {
		if i >= len(all)/2 {
			all[i].Time = all[i].Time.Add(-1500 * time.Millisecond)
		}
	}
	report := judged(Options{}, all)
	if report.Verdict != Clean || len(report.Capture.Notes) != 1 {
		t.Errorf("%s: %s; notes %q", report.Verdict, story(report), report.Capture.Notes)
	}
	if got := report.Routers[0].Senders[0].Measured; got.Min != got.Max {
		t.Errorf("measured %v", got)
	}
}

// The Master falls silent and nobody follows: the later frames of a capture, of whatever kind, show for how long.
func TestSilentToTheEnd(t *testing.T) {
	for name, test := range map[string]struct {
		score string
		later time.Duration
		want  string
	}{
		"long enough":              {`###`, time.Second, "A missing"},
		"not yet":                  {`###`, 500 * time.Millisecond, ""},
		"it resigned":              {`##0`, time.Second, ""},
		"another one reigns still": {`###.....  .......#`, time.Second, "A>B silence"},
	} {
		t.Run(name, func(t *testing.T) {
			audit := New(Options{})
			for _, p := range score(test.score) {
				audit.Add(p)
			}
			stats := packets.Stats{First: began, Last: began.Add(test.later)}
			if got := story(audit.Report("test", stats, nil)); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// Hours of trouble are counted to the end, and listed up to a bound.
func TestBounds(t *testing.T) {
	const rounds = 5000
	audit := New(Options{})
	var last time.Time
	for i := range rounds { // A reigns; every second B says one thing
		for n := range 10 {
			p := plain{at: time.Duration(i)*time.Second + time.Duration(n)*100*time.Millisecond, from: "A", priority: 100}.packet()
			audit.Add(p)
			last = p.Time
		}
		p := plain{at: time.Duration(i)*time.Second + 950*time.Millisecond, from: "B", priority: 90}.packet()
		audit.Add(p)
	}
	router := audit.Report("long", packets.Stats{First: began, Last: last}, nil).Routers[0]
	if n := router.Counts[TwoMasters]; n != rounds-1 { // the last is not followed by any of A's
		t.Errorf("%d times with two Masters, want %d", n, rounds-1)
	}
	listed := 0
	for _, e := range router.Events {
		if e.Kind == TwoMasters {
			listed++
		}
	}
	if listed != maxListed {
		t.Errorf("%d events listed, want %d", listed, maxListed)
	}
	a := router.Senders[0]
	if got := a.Measured; got.Count != 10*rounds-1 || got.Median != Seconds(100*time.Millisecond) {
		t.Errorf("measured %d intervals of %v", got.Count, got.Median)
	}
	for _, r := range audit.routers {
		if n := len(r.senders[host("A")].intervals.kept); n > maxIntervals {
			t.Errorf("%d intervals kept", n)
		}
	}
}

// A flood of made-up sources must neither fill the memory nor pass as judged.
func TestSenderFlood(t *testing.T) {
	audit := New(Options{})
	const sources = maxSenders + 500
	for i := range sources {
		p := plain{at: time.Duration(i) * time.Millisecond, from: "A", priority: 100}.packet()
		p.Src = p.Src.Next()
		for range i {
			p.Src = p.Src.Next()
		}
		audit.Add(p)
	}
	report := audit.Report("flood", packets.Stats{Frames: sources, First: began, Last: began.Add(time.Minute)}, nil)
	if report.Verdict != Incomplete || !strings.Contains(report.Error, "500 packets were not judged") {
		t.Errorf("%s: %s", report.Verdict, report.Error)
	}
}
