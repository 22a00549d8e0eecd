package judge

import (
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/lab/capture"
)

// Figures is what a run comes to in numbers.
type Figures struct {
	Duration time.Duration  `json:"duration_ns"`
	Faults   map[string]int `json:"faults"` // by kind

	Elections int `json:"elections"` // leaderships that a node knew of
	Calls     int `json:"ec2_mutating"`
	ByPeople  int `json:"ec2_by_people"`
	Moves     int `json:"moves"` // from one node to another
	Reigns    int `json:"reigns"`
	Adverts   int `json:"adverts"`
	// LateCalls arrived after their sender had ended or given up waiting, or took effect later.
	LateCalls int `json:"late_calls"`

	// Remembered counts the times that every agent was killed at once, and the Master afterwards knew all that was known before.
	Remembered int `json:"all_killed_and_remembered"`

	// Able is about the time in which a quorum of agents and a healthy node in their midst existed, AbleWithEC2 about the part of
	// it in which the EC2 API worked for that node and no person had moved the address, All about the whole run.
	Able        Availability `json:"able"`
	AbleWithEC2 Availability `json:"able_with_ec2"`
	All         Availability `json:"all"`
}

// Availability says what clients got in some part of a run.
type Availability struct {
	Time     time.Duration `json:"time_ns"`
	Requests int           `json:"requests"`
	Answered int           `json:"answered"`
	// Gaps are times without service, from the first request that failed to the next that was answered.
	Gaps      int           `json:"gaps"`
	Longest   time.Duration `json:"longest_gap_ns"`
	LongestAt time.Duration `json:"longest_gap_at_ns"` // since the beginning of the run
}

// Share returns the answered part of the requests, in percent.
func (a Availability) Share() float64 {
	if a.Requests == 0 {
		return 0
	}
	return 100 * float64(a.Answered) / float64(a.Requests)
}

func (j *judgement) figures() Figures {
	run := Span{j.Run.Began.Boot, j.Run.Ended.Boot}
	f := Figures{Duration: run.Length(), Faults: make(map[string]int), Adverts: len(j.Adverts)}
	for _, fault := range j.Faults {
		f.Faults[fault.Kind]++
	}
	for _, log := range j.Logs {
		for _, l := range log.Leaderships {
			if l.Self {
				f.Elections++
			}
		}
	}
	f.Reigns, f.Remembered = len(capture.Reigns(j.Adverts)), j.remembered
	j.countCalls(&f)
	someone := func(able func(world, string) bool) func(world) bool {
		return func(w world) bool {
			return slices.ContainsFunc(j.Run.Nodes, func(n Node) bool { return able(w, n.Name) })
		}
	}
	able := func(w world, node string) bool { return w.able(node, j.Run.Nodes) }
	f.Able = j.availability(j.when(Period.Maybe, someone(able)))
	f.AbleWithEC2 = j.availability(j.when(Period.Maybe, someone(func(w world, node string) bool {
		return able(w, node) && w.reachesEC2(node)
	})))
	f.All = j.availability([]Span{run})
	return f
}

func (j *judgement) countCalls(f *Figures) {
	holder := ""
	for _, h := range j.Held() {
		if h.Node != "" && h.Node != holder {
			if holder != "" {
				f.Moves++
			}
			holder = h.Node
		}
	}
	for _, c := range j.Calls {
		d, ours := j.deeds[c.Seq]
		switch {
		case ours:
			f.Calls++
		case c.Mutating():
			f.ByPeople++
		}
		if ours && (d.late() || d.silenced) {
			f.LateCalls++
		}
	}
}

// late reports whether the call arrived, or took effect, when its sender waited no longer.
func (d deed) late() bool {
	return d.line != nil && (d.call.At() > d.line.To+tolerance || d.call.Landed() > d.line.To+tolerance)
}

// availability looks at the requests that were made in the spans.
func (j *judgement) availability(spans []Span) Availability {
	var a Availability
	for _, s := range spans {
		a.Time += s.Length()
		a.addSpan(s, j.Run.Began.Boot, j.requestsIn(s))
	}
	return a
}

func (j *judgement) requestsIn(s Span) []Request {
	from, _ := slices.BinarySearchFunc(j.Requests, s.From, func(r Request, at time.Duration) int { return int(r.At - at) })
	to, _ := slices.BinarySearchFunc(j.Requests, s.To, func(r Request, at time.Duration) int { return int(r.At - at) })
	return j.Requests[from:to]
}

// addSpan counts the requests of one span of a run that began at began.
func (a *Availability) addSpan(s Span, began time.Duration, requests []Request) {
	down := time.Duration(-1)
	close := func(at time.Duration) {
		if down >= 0 {
			a.Gaps++
			if at-down > a.Longest {
				a.Longest, a.LongestAt = at-down, down-began
			}
			down = -1
		}
	}
	for _, r := range requests {
		a.Requests++
		if r.OK {
			a.Answered++
			close(r.At)
		} else if down < 0 {
			down = r.At
		}
	}
	close(s.To)
}
