package vrrpaudit

import (
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/packets"
)

// A minute between two Masters is in order by VRRP's rules, and nobody's wish: it is told, and changes no verdict.
func TestLateHandOver(t *testing.T) {
	at := func(from string, priority uint8, offsets ...time.Duration) (all []packets.Packet) {
		for _, offset := range offsets {
			all = append(all, plain{at: offset, from: from, priority: priority}.packet())
		}
		return all
	}
	for name, test := range map[string]struct {
		play     []packets.Packet
		end      time.Duration // of the capture
		late     int
		longest  time.Duration
		headline string // its end
		line     string // of an event
	}{
		"a quick one": {append(at("A", 100, 0, 100*time.Millisecond), at("B", 100, 600*time.Millisecond)...), 800 * time.Millisecond, 0, 500 * time.Millisecond,
			"never more than one master", "  "},
		"after silence": {append(at("A", 100, 0, 100*time.Millisecond), at("B", 100, 60100*time.Millisecond)...), 60200 * time.Millisecond, 1, time.Minute,
			"never more than one master; WARNING: 1 late hand-over, nobody was Master for up to 1m0s",
			"? 2026-11-22 12:01:00.100000  +1m0.1s       hand-over from 10.0.0.1 to 10.0.0.2 by silence, after 1m0s, which is late: the Master_Down_Interval is 360.938ms"},
		"after a resignation": {append(append(at("A", 100, 0), at("A", 0, 100*time.Millisecond)...), at("A", 100, 30100*time.Millisecond)...), 30100 * time.Millisecond, 1, 30 * time.Second,
			"nobody was Master for up to 30s", "? 2026-11-22 12:00:30.100000  +30.1s        10.0.0.1 is Master again, 30s after priority 0, which is late"},
		"stopped for good": {append(at("A", 100, 0), at("A", 0, 100*time.Millisecond)...), 60100 * time.Millisecond, 0, time.Minute, "never more than one master", "  "},
	} {
		t.Run(name, func(t *testing.T) {
			audit := New(Options{})
			for _, p := range test.play {
				audit.Add(p)
			}
			report := audit.Report("test", packets.Stats{First: began, Last: began.Add(test.end)}, nil)
			if report.Verdict != Clean || report.Warnings != test.late || report.Routers[0].Late != test.late {
				t.Errorf("%s with %d warnings (%d), want %d", report.Verdict, report.Warnings, report.Routers[0].Late, test.late)
			}
			if got := time.Duration(report.Routers[0].Longest); got != test.longest {
				t.Errorf("without a Master for %v, want %v", got, test.longest)
			}
			out := string(text(t, report))
			if headline, _, _ := strings.Cut(out, "\n"); !strings.HasSuffix(headline, test.headline) || !strings.Contains(out, "\n"+test.line) {
				t.Errorf("want %q and %q in\n%s", test.headline, test.line, out)
			}
		})
	}
}
