package vrrpaudit

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/packets"
	"github.com/hacluster/hacluster/vrrpwire"
)

// Verdict is what a report comes to.
type Verdict string

// Verdicts.
const (
	Clean      Verdict = "clean"
	Violations Verdict = "violations"
	// Incomplete means that not everything could be read or judged, or that there was nothing to judge. What was read is in the report.
	Incomplete Verdict = "incomplete"
)

// Report is what a capture shows. Its JSON is stable: fields may be added.
type Report struct {
	Verdict    Verdict  `json:"verdict"`
	Violations int      `json:"violations"`      // events and problems that a sound cluster does not show
	Warnings   int      `json:"warnings"`        // late hand-overs, which change no verdict
	Error      string   `json:"error,omitempty"` // why the verdict is incomplete, and what to do
	Capture    Capture  `json:"capture"`
	Routers    []Router `json:"virtual_routers"`
}

// Capture is what was read.
type Capture struct {
	Name     string    `json:"name"`
	Format   string    `json:"format"`
	Frames   int       `json:"frames"`
	Packets  int       `json:"vrrp_packets"`
	First    time.Time `json:"first,omitzero"` // frame
	Last     time.Time `json:"last,omitzero"`  // frame
	Duration Seconds   `json:"duration_s"`
	Notes    []string  `json:"notes,omitempty"`
}

// Router is one virtual router: a VRID within an address family and, if the frames are tagged, a VLAN.
type Router struct {
	VRID     uint8        `json:"vrid"`
	Family   string       `json:"family"` // "IPv4" or "IPv6"
	VLANs    []uint16     `json:"vlans,omitempty"`
	Senders  []Sender     `json:"senders"`
	Masters  []netip.Addr `json:"masters_at_end"`
	Torn     Seconds      `json:"two_masters_s"`            // time with more than one Master, from first to last advert of each such event
	Longest  Seconds      `json:"longest_without_master_s"` // from the last advert of a Master to the first of the next, or the same one's, or the end
	Late     int          `json:"late_hand_overs"`
	Counts   map[Kind]int `json:"counts"` // of all findings, listed or not
	Problems []Problem    `json:"problems"`
	Events   []Event      `json:"events"` // in order of time; at most 50 of a kind
}

// Sender is one source address.
type Sender struct {
	Address    netip.Addr `json:"address"`
	Packets    int        `json:"packets"`
	Duplicates int        `json:"duplicates"` // further sightings of the same packets, not counted above
	Adverts    int        `json:"adverts"`    // with a priority above 0; one to several peers counts once
	Priorities []int      `json:"priorities"` // above 0
	Version    uint8      `json:"version"`    // 0 if it sent no advert
	Auth       string     `json:"auth"`
	Addresses  []string   `json:"addresses"`  // null if not known
	Advertised Seconds    `json:"interval_s"` // what it says
	Measured   Measured   `json:"measured"`   // what it does
}

// Measured is the time between the adverts of a reign.
type Measured struct {
	Count  int     `json:"count"`
	Min    Seconds `json:"min_s"`
	Median Seconds `json:"median_s"` // exact up to 1024 intervals
	Max    Seconds `json:"max_s"`
}

// Report ends the audit. stats are the reader's, and failure is what kept it from reading on, or nil.
func (a *Audit) Report(name string, stats packets.Stats, failure error) Report {
	a.queue.flush(a.judge)
	report := Report{Verdict: Clean, Routers: []Router{}, Capture: Capture{
		Name: name, Format: stats.Format, Frames: stats.Frames, Packets: a.packets,
		First: stats.First, Last: stats.Last, Duration: Seconds(stats.Last.Sub(stats.First)), Notes: a.notes(stats),
	}}
	end := stats.Last
	if a.backwards > 0 {
		end = a.now // what came before by its clock may be later in the file
	}
	for _, r := range a.routers {
		r.finish(end)
		report.Routers = append(report.Routers, r.report(stats.First))
	}
	slices.SortFunc(report.Routers, func(x, y Router) int {
		return cmp.Or(cmp.Compare(x.VRID, y.VRID), cmp.Compare(x.Family, y.Family), slices.Compare(x.VLANs, y.VLANs))
	})
	for _, r := range report.Routers {
		report.Warnings += r.Late
		for kind, n := range r.Counts {
			if kind.Violation() {
				report.Violations += n
			}
		}
	}
	if report.Violations > 0 {
		report.Verdict = Violations
	}
	if err := a.incomplete(stats, failure); err != nil {
		report.Verdict, report.Error = Incomplete, err.Error()
	}
	return report
}

// incomplete says why the capture could not be judged, or not all of it.
func (a *Audit) incomplete(stats packets.Stats, failure error) error {
	switch {
	case failure != nil:
		return failure
	case a.unjudged > 0:
		return fmt.Errorf("%d packets were not judged: they come from more than %d senders, which is a flood; "+
			"cut it out with 'tcpdump -r FILE -w SMALLER src host A or src host B'", a.unjudged, maxSenders)
	case a.heard():
		return nil
	case stats.Frames == 0:
		return errors.New("the capture has no frames: was the interface the right one, and the filter 'ip proto 112 or ip6 proto 112'?")
	case a.packets > 0:
		return fmt.Errorf("none of the %d VRRP packets shows a whole VRRP header: capture with 'tcpdump -s 0'", a.packets)
	case stats.Unreadable > 0:
		return fmt.Errorf("%d of %d frames are of link type %s, which is not read here: capture on an Ethernet interface, or with -i any",
			stats.Unreadable, stats.Frames, stats.LinkType)
	case stats.CutShort > 0:
		return fmt.Errorf("%d of %d frames are too short to tell what they are: capture with 'tcpdump -s 0'", stats.CutShort, stats.Frames)
	default:
		return fmt.Errorf("none of the %d frames carries VRRP: capture where a node sends or receives it, with 'ip proto 112 or ip6 proto 112'",
			stats.Frames)
	}
}

// heard says whether anybody was heard.
func (a *Audit) heard() bool {
	for _, r := range a.routers {
		for _, s := range r.senders {
			if s.voice != (voice{}) {
				return true
			}
		}
	}
	// A packet that is malformed to the last one is a finding as well, unless it is the capture that spoilt it.
	for _, r := range a.routers {
		if r.findings.counts[Malformed] > 0 {
			return true
		}
	}
	return false
}

func (a *Audit) notes(stats packets.Stats) []string {
	var notes []string
	note := func(n int, format string, args ...any) {
		if n > 0 {
			notes = append(notes, fmt.Sprintf(format, args...))
		}
	}
	note(a.backwards, "the capture's clock goes back %s: nothing is judged across that", times(a.backwards))
	note(stats.CutShort, "%s too short to tell what they are (capture with 'tcpdump -s 0')", plural(stats.CutShort, "frame is", "frames are"))
	note(stats.Untimed, "%s without a time", plural(stats.Untimed, "frame is", "frames are"))
	note(stats.Unreadable, "%s of link type %s, which is not read", plural(stats.Unreadable, "frame is", "frames are"), stats.LinkType)
	return notes
}

func (r *router) report(start time.Time) Router {
	problems := append([]Problem{}, r.mismatches()...)
	for i := range problems {
		problems[i].Violation = problems[i].Kind.Violation()
		r.findings.counts[problems[i].Kind]++
	}
	for _, p := range r.findings.problems {
		p.Offset = Seconds(p.First.Sub(start))
		problems = append(problems, *p)
	}
	slices.SortFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), a.Sender.Compare(b.Sender), cmp.Compare(a.Reason, b.Reason))
	})
	events := make([]Event, 0, len(r.findings.events))
	for _, e := range r.findings.events {
		e.Offset = Seconds(e.At.Sub(start))
		events = append(events, *e)
	}
	slices.SortStableFunc(events, func(a, b Event) int { return a.At.Compare(b.At) })
	return Router{
		VRID: r.key.vrid, Family: r.family(), VLANs: r.vlans, Senders: r.reportSenders(), Masters: r.masters(),
		Torn: Seconds(r.findings.torn), Longest: Seconds(r.findings.longest), Late: r.findings.late, Counts: r.findings.counts, Problems: problems, Events: events,
	}
}

func (r *router) family() string {
	if r.key.ipv6 {
		return "IPv6"
	}
	return "IPv4"
}

func (r *router) masters() []netip.Addr {
	masters := make([]netip.Addr, 0, len(r.open))
	for _, o := range r.open {
		masters = append(masters, o.sender.addr)
	}
	return masters
}

func (r *router) reportSenders() []Sender {
	senders := make([]Sender, 0, len(r.senders))
	for _, s := range r.senders {
		senders = append(senders, s.report())
	}
	slices.SortFunc(senders, func(a, b Sender) int { return a.Address.Compare(b.Address) })
	return senders
}

func (s *sender) report() Sender {
	return Sender{
		Address: s.addr, Packets: s.packets, Duplicates: s.duplicates, Adverts: s.adverts, Priorities: s.priorities.list(),
		Version: s.voice.version, Auth: s.settings.auth, Addresses: s.settings.list(), Advertised: Seconds(s.voice.interval),
		Measured: Measured{
			Count: s.intervals.count, Min: Seconds(s.intervals.least), Median: Seconds(s.intervals.median()), Max: Seconds(s.intervals.most),
		},
	}
}

// cause returns what was wrong with a packet, without the words that every such error begins with.
func cause(refusal *vrrpwire.PacketError) string {
	prefix := vrrpwire.ErrMalformed.Error() + ": "
	return strings.TrimPrefix(refusal.Err.Error(), prefix)
}
