package vrrpaudit

import (
	"net/netip"
	"strconv"
	"time"
)

// Kind names what was found. The names are stable: scripts read them.
type Kind string

// What happens in the course of time: an Event.
const (
	TwoMasters Kind = "two_masters"     // more than one sender was Master
	Gap        Kind = "gap"             // the Master was silent for its Master_Down_Interval, and nobody took over
	HandOver   Kind = "hand_over"       // another sender is Master now, or the same one again after it resigned
	Resigned   Kind = "priority_0"      // the sender said that it stops
	Changed    Kind = "settings_change" // the sender says something else than before
)

// What is wrong with a sender's packets: a Problem.
const (
	Malformed     Kind = "malformed"
	BadChecksum   Kind = "bad_checksum"
	Multicast     Kind = "multicast"
	WrongTTL      Kind = "wrong_ttl"
	UnknownSender Kind = "unknown_sender"
	Cut           Kind = "cut"        // by the capture's snap length; the header is judged if it is there
	Unverified    Kind = "unverified" // authenticated by a key that nobody here has; the rest is judged
)

// What the senders of a virtual router do not agree on: a Problem too.
const (
	VersionMismatch    Kind = "version_mismatch"
	IntervalMismatch   Kind = "interval_mismatch"   // with VRRPv2: receivers drop such adverts
	IntervalDifference Kind = "interval_difference" // with VRRPv3: a Backup goes by the Master's
	AuthMismatch       Kind = "auth_mismatch"
	PasswordMismatch   Kind = "password_mismatch"
	AddressMismatch    Kind = "address_mismatch"
	ChecksumMismatch   Kind = "checksum_mismatch"
)

// Violation says whether the kind is one that a sound cluster does not show. The others are for information.
func (k Kind) Violation() bool {
	switch k {
	case HandOver, Resigned, Changed, Cut, Unverified, IntervalDifference:
		return false
	default:
		return true
	}
}

// Seconds is a duration that JSON shows as seconds.
type Seconds time.Duration

// MarshalJSON writes a number with as many decimals as it needs.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Seconds(), 'f', -1, 64), nil
}

// String shows microseconds at the finest, as captures do.
func (s Seconds) String() string { return time.Duration(s).Round(time.Microsecond).String() }

// Event is something that happened at a time. Which fields are set depends on the kind.
type Event struct {
	Kind      Kind       `json:"kind"`
	Violation bool       `json:"violation"`
	Warning   bool       `json:"warning,omitempty"` // hand_over: a late one
	At        time.Time  `json:"at"`
	Offset    Seconds    `json:"offset_s"`            // since the first frame of the capture
	Until     time.Time  `json:"until,omitzero"`      // two_masters, gap; priority_0: the last of several in a row
	Duration  Seconds    `json:"duration_s,omitzero"` // of two_masters and gap; hand_over: how long there was silence before
	From      netip.Addr `json:"from,omitzero"`       // whom it is about; hand_over: the former Master
	To        netip.Addr `json:"to,omitzero"`         // hand_over: the new Master; two_masters: who went on alone
	Cause     string     `json:"cause,omitempty"`     // hand_over: "priority 0", "silence" or "preemption"
	Crossed   Seconds    `json:"crossed_s,omitzero"`  // hand_over: the former Master's last advert, so long behind the new one's first
	Adverts   int        `json:"adverts,omitempty"`   // priority_0: how many in a row
	Masters   []Share    `json:"masters,omitempty"`   // two_masters: who they were
	Down      Seconds    `json:"down_s,omitzero"`     // gap, late hand_over: the Master_Down_Interval
	Detail    string     `json:"detail,omitempty"`
}

// Share is one Master's part in a time of more than one.
type Share struct {
	Sender   netip.Addr `json:"sender"`
	Priority uint8      `json:"priority"`
	Adverts  int        `json:"adverts"`
}

// Problem is what is wrong, once or more often, with packets of one sender, or between senders.
type Problem struct {
	Kind      Kind       `json:"kind"`
	Violation bool       `json:"violation"`
	Sender    netip.Addr `json:"sender,omitzero"`    // none for what is between senders
	Reason    string     `json:"reason,omitempty"`   // keepalived's counter, where it has one
	Detail    string     `json:"detail"`             // of the first packet
	Count     int        `json:"count"`              // packets; between senders: different values
	First     time.Time  `json:"first,omitzero"`     // packet
	Offset    Seconds    `json:"offset_s,omitempty"` // of the first packet, since the first frame of the capture
	Last      time.Time  `json:"last,omitzero"`      // packet
}

// maxListed bounds the events of one kind that are remembered; the others are counted.
const maxListed = 50

// findings collects what is found about one virtual router. Problems are few, by sender and kind; events are bounded.
type findings struct {
	problems map[problemKey]*Problem
	events   []*Event
	counts   map[Kind]int
	torn     time.Duration // with more than one Master
	longest  time.Duration // without one
	late     int           // hand-overs
}

type problemKey struct {
	kind   Kind
	reason string
	sender netip.Addr
}

func newFindings() findings {
	return findings{problems: make(map[problemKey]*Problem), counts: make(map[Kind]int)}
}

// add counts a problem, and keeps the first of its sender, kind and reason.
func (f *findings) add(p Problem) {
	key := problemKey{p.Kind, p.Reason, p.Sender}
	known, ok := f.problems[key]
	if !ok {
		known = &p
		known.Violation = p.Kind.Violation()
		f.problems[key] = known
	}
	known.Count++
	known.Last = p.First
	f.counts[p.Kind]++
}

// happen notes an event. The result may still grow, whether it is listed or only counted.
func (f *findings) happen(e Event) *Event {
	e.Violation = e.Kind.Violation()
	f.counts[e.Kind]++
	switch e.Kind {
	case TwoMasters:
		f.torn += time.Duration(e.Duration)
	case Gap, HandOver:
		f.longest = max(f.longest, time.Duration(e.Duration))
	}
	if e.Warning {
		f.late++
	}
	if f.counts[e.Kind] <= maxListed {
		f.events = append(f.events, &e)
	}
	return &e
}
