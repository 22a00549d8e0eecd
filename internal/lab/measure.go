package lab

import (
	"math"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/lab/capture"
	"github.com/hacluster/hacluster/internal/lab/probe"
)

// servedWithin is longer than a healthy server in the lab needs for a request.
const servedWithin = 50 * time.Millisecond

// Evidence is everything that was seen of one repetition, from a while before the fault to the end of the watch.
type Evidence struct {
	Fault  string
	Victim string
	// Injected is when the fault happened; Released when it was undone, zero if it was not; End when the watch ended.
	Injected, Released, End time.Time

	Requests    []probe.Result
	Calls       []Call
	Moves       []Move
	Transitions []Transition
	Adverts     []capture.Advert
}

// Repetition is what one repetition measured. Times are in milliseconds; null means that it did not happen.
type Repetition struct {
	Fault   string    `json:"fault"`
	Started time.Time `json:"started"`
	// Problem says why the lab did not become steady again; empty: it did.
	Problem string `json:"problem,omitempty"`

	Nodes
	Reaction
	Clients
	Cloud
	Wire
}

// Nodes says who was who.
type Nodes struct {
	HolderBefore string `json:"holder_before"` // the victim of the fault
	HolderAfter  string `json:"holder_after"`
	LeaderAfter  string `json:"leader_after"`
	TermBefore   uint64 `json:"term_before"`
	TermAfter    uint64 `json:"term_after"`
}

// Reaction says how quickly the cluster reacted, counted from the fault.
type Reaction struct {
	// Noticed: the first mutating EC2 call or the first state transition in a log, whichever was earlier.
	Noticed *float64 `json:"noticed_ms"`
	// FirstCall: the first mutating call (AssociateAddress or DisassociateAddress, no DryRun) that EC2 received.
	FirstCall *float64 `json:"fault_to_first_ec2_call_ms"`
	// FirstAssociate: the first AssociateAddress that EC2 received.
	FirstAssociate *float64 `json:"fault_to_first_associate_ms"`
}

// Clients says what the client's requests saw.
type Clients struct {
	// LongestGap and SummedGap: from the first request that failed to the next that was served; 0: none failed.
	LongestGap float64 `json:"longest_gap_ms"`
	SummedGap  float64 `json:"summed_gap_ms"`
	Requests   int     `json:"requests"`
	Failed     int     `json:"failed_requests"`
	// CutInFlight of the Failed were being served when the address moved, which cuts connections, on AWS as in the lab:
	// they had started at most servedWithin before.
	CutInFlight int `json:"cut_in_flight"`
	// Silence is the longest time between two answers, or the fault and an answer, in which a request began that failed.
	// Unlike the gaps it does not depend on when a busy client got to send what it had begun. SilenceBesideCut is the same
	// without the requests that were cut in flight.
	Silence          float64 `json:"longest_silence_ms"`
	SilenceBesideCut float64 `json:"longest_silence_beside_cut_ms"`
}

// Cloud says what EC2 saw.
type Cloud struct {
	Moves int `json:"moves"` // to another node
	// Nowhere is the longest time in which the Elastic IP, taken from one node, was with no other yet.
	Nowhere  float64 `json:"longest_nowhere_ms"`
	Mutating int     `json:"ec2_mutating"`
	Reads    int     `json:"ec2_reads"` // DryRuns included
	// AfterWake: mutating calls of the victim after the fault was undone.
	AfterWake int `json:"victim_calls_after_release"`
}

// Wire says what the switch saw of VRRP.
type Wire struct {
	Adverts int `json:"adverts"` // of any priority; an advert to two peers counts twice
	// OverlappingReigns counts pairs of reigns of different nodes that overlapped (I3).
	OverlappingReigns int `json:"overlapping_reigns"`
}

// Measure computes a repetition from its evidence.
func Measure(e Evidence) Repetition {
	r := Repetition{Fault: e.Fault, Started: e.Injected, Nodes: Nodes{HolderBefore: e.Victim}}
	r.Reaction = e.reaction()
	r.Clients = e.clients()
	r.Cloud = e.cloud()
	r.HolderAfter = e.Victim
	for _, m := range e.Moves {
		r.HolderAfter = m.To
	}
	r.Wire = Wire{Adverts: len(e.Adverts), OverlappingReigns: capture.Overlaps(capture.Reigns(e.Adverts))}
	return r
}

func (e Evidence) reaction() Reaction {
	var r Reaction
	for _, c := range e.Calls {
		if !c.Mutating || c.Received.Before(e.Injected) {
			continue
		}
		after := milliseconds(c.Received.Sub(e.Injected))
		r.FirstCall = earlier(r.FirstCall, after)
		if c.Action == actionAssociate {
			r.FirstAssociate = earlier(r.FirstAssociate, after)
		}
	}
	r.Noticed = r.FirstCall
	for _, t := range e.Transitions {
		if !t.Time.Before(e.Injected) {
			r.Noticed = earlier(r.Noticed, milliseconds(t.Time.Sub(e.Injected)))
		}
	}
	return r
}

func (e Evidence) clients() Clients {
	c := Clients{Requests: len(e.Requests)}
	var failed, cut []time.Time
	for _, o := range probe.Outages(e.Requests) {
		gap := milliseconds(o.Length(e.End))
		c.LongestGap = max(c.LongestGap, gap)
		c.SummedGap += gap
		c.Failed += o.Failed
		cut = append(cut, e.cutInFlight(o)...)
	}
	for _, r := range e.Requests {
		if !r.OK() {
			failed = append(failed, r.Start)
		}
	}
	c.CutInFlight = len(cut)
	c.Silence = e.silence(failed)
	c.SilenceBesideCut = e.silence(slices.DeleteFunc(failed, func(t time.Time) bool { return slices.Contains(cut, t) }))
	return c
}

// silence returns the longest time without an answer around any of the times, from the fault to the end of the watch.
func (e Evidence) silence(around []time.Time) float64 {
	answers := []time.Time{e.Injected, e.End}
	for _, r := range e.Requests {
		if answered := r.Start.Add(r.Took); r.OK() && answered.After(e.Injected) && answered.Before(e.End) {
			answers = append(answers, answered)
		}
	}
	slices.SortFunc(answers, time.Time.Compare)
	longest := time.Duration(0)
	for _, t := range around {
		next, found := slices.BinarySearchFunc(answers, t, time.Time.Compare)
		if found {
			next++
		}
		next = min(max(next, 1), len(answers)-1) // what began before the fault was cut by it
		longest = max(longest, answers[next].Sub(answers[next-1]))
	}
	return milliseconds(longest)
}

// cutInFlight returns when those requests of an outage began that were being served when the Elastic IP left its holder. That
// is none if the outage had begun earlier than a healthy server needs to answer: those requests were lost before.
func (e Evidence) cutInFlight(o probe.Outage) []time.Time {
	var cut []time.Time
	for _, m := range e.Moves {
		if m.From == "" || m.Effective.Before(o.Start) || m.Time.After(o.Start.Add(servedWithin)) {
			continue
		}
		for _, r := range e.Requests {
			if !r.OK() && !r.Start.Before(o.Start) && r.Start.Before(m.Effective) && r.Start.Add(r.Took).After(m.Time) {
				cut = append(cut, r.Start)
			}
		}
	}
	return cut
}

func (e Evidence) cloud() Cloud {
	var c Cloud
	holder := e.Victim
	var left time.Time // when the address left its holder for nowhere; zero: it is somewhere
	for _, m := range e.Moves {
		if m.To == "" {
			left = m.Time
			continue
		}
		if !left.IsZero() {
			c.Nowhere = max(c.Nowhere, milliseconds(m.Time.Sub(left)))
			left = time.Time{}
		}
		if m.To != holder {
			c.Moves++
			holder = m.To
		}
	}
	if !left.IsZero() {
		c.Nowhere = max(c.Nowhere, milliseconds(e.End.Sub(left)))
	}
	for _, call := range e.Calls {
		if !call.Mutating {
			c.Reads++
			continue
		}
		c.Mutating++
		if call.Node == e.Victim && !e.Released.IsZero() && call.Received.After(e.Released) {
			c.AfterWake++
		}
	}
	return c
}

func earlier(a *float64, b float64) *float64 {
	if a != nil && *a <= b {
		return a
	}
	return &b
}

// milliseconds rounds to microseconds.
func milliseconds(d time.Duration) float64 {
	return math.Round(d.Seconds()*1e6) / 1e3
}
