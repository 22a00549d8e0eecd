package show

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/probe"
)

// Timeline is a picture of what happened, ready to be drawn: lanes from top to bottom, and in them positions as
// percentages of the width, so that it fits every screen.
type timeline struct {
	Caption string
	Height  int
	Lanes   []lane
	Ticks   []mark // of the axis
	Lines   []mark // across all lanes: the fault and its end
}

type lane struct {
	Label string
	Y     int // of the label's base line; the bars are below
	Bars  []bar
	Marks []mark // calls
	Pulse []mark // adverts
}

type bar struct {
	X, W  float64
	Class string
	Text  string // inside, if there is room
	Title string // on hovering
}

type mark struct {
	X     float64
	Class string
	Text  string
	Title string
}

const (
	laneHeight = 46
	// lead is which part of the time after the fault is shown of the time before it.
	lead = 4
)

// drawing turns the evidence of a scene into a timeline between from and to.
type drawing struct {
	scene    Scene
	from, to time.Time
}

func (d drawing) timeline(caption string) timeline {
	t := timeline{Caption: caption}
	lanes := []lane{d.requests(), d.address()}
	for _, node := range lab.NodeNames() {
		lanes = append(lanes, d.node(node))
	}
	lanes = append(lanes, d.calls())
	for i := range lanes {
		lanes[i].Y = 14 + i*laneHeight
	}
	t.Lanes = lanes
	t.Height = len(lanes)*laneHeight + 30
	t.Ticks = d.axis()
	e := d.scene.Evidence
	t.Lines = append(t.Lines, mark{X: d.x(e.Injected), Class: "fault"})
	if !e.Released.IsZero() && d.visible(e.Released) {
		t.Lines = append(t.Lines, mark{X: d.x(e.Released), Class: "release"})
	}
	return t
}

// x returns the position of a time in percent.
func (d drawing) x(at time.Time) float64 {
	x := 100 * at.Sub(d.from).Seconds() / d.to.Sub(d.from).Seconds()
	return math.Round(1000*min(100, max(0, x))) / 1000
}

func (d drawing) visible(at time.Time) bool { return !at.Before(d.from) && !at.After(d.to) }

// bar returns the part of a bar that is visible; ok is false if none is.
func (d drawing) bar(from, to time.Time, class, text string) (b bar, ok bool) {
	if to.Before(d.from) || from.After(d.to) {
		return bar{}, false
	}
	b = bar{X: d.x(from), Class: class, Text: text}
	b.W = max(0.15, d.x(to)-b.X)
	b.Title = fmt.Sprintf("%s, %s to %s", text, d.offset(from), d.offset(to))
	return b, true
}

// offset writes a time relative to the fault.
func (d drawing) offset(at time.Time) string {
	ms := milliseconds(at.Sub(d.scene.Evidence.Injected))
	if ms < 0 {
		return "−" + duration(-ms)
	}
	return "+" + duration(ms)
}

func (d drawing) requests() lane {
	l := lane{Label: "Client requests"}
	e := d.scene.Evidence
	at := d.from
	add := func(to time.Time, class, text string) {
		if b, ok := d.bar(at, to, class, text); ok && to.After(at) {
			l.Bars = append(l.Bars, b)
		}
		at = to
	}
	for _, o := range probe.Outages(e.Requests) {
		end := o.End
		if end.IsZero() {
			end = e.End
		}
		add(o.Start, "served", "served")
		add(end, "unserved", fmt.Sprintf("%s without service", duration(milliseconds(end.Sub(o.Start)))))
	}
	add(d.to, "served", "served")
	return l
}

func (d drawing) address() lane {
	l := lane{Label: "Elastic IP " + lab.ElasticIP}
	holder, at := d.scene.Evidence.Victim, d.from
	add := func(to time.Time) {
		class, text := "nobody", "nobody"
		if holder != "" {
			class, text = "held "+holder, "→ "+holder
		}
		if b, ok := d.bar(at, to, class, text); ok {
			l.Bars = append(l.Bars, b)
		}
		at = to
	}
	for _, m := range d.scene.Evidence.Moves {
		add(m.Time)
		holder = m.To
	}
	add(d.to)
	return l
}

// node draws what the agent said of itself, and below it what it said on the wire.
func (d drawing) node(name string) lane {
	e := d.scene.Evidence
	l := lane{Label: name}
	state, at := "Backup", d.from
	if name == e.Victim {
		state = "Master"
	}
	add := func(to time.Time) {
		if b, ok := d.bar(at, to, "state "+state+" "+name, state); ok {
			l.Bars = append(l.Bars, b)
		}
		at = to
	}
	for _, t := range e.Transitions {
		if t.Node == name {
			add(t.Time)
			state = t.To
		}
	}
	if name == e.Victim && d.scene.Fault.Kills {
		add(e.Injected)
		state = "off"
	}
	add(d.to)
	for _, a := range e.Adverts {
		if a.Src == lab.NodeAddress(name) && d.visible(a.Time) {
			class, title := name, fmt.Sprintf("VRRP advert, priority %d, %s", a.Priority, d.offset(a.Time))
			if a.Priority == 0 {
				class = "goodbye"
			}
			l.Pulse = append(l.Pulse, mark{X: d.x(a.Time), Class: class, Title: title})
		}
	}
	return l
}

func (d drawing) calls() lane {
	l := lane{Label: "EC2 calls"}
	for _, c := range d.scene.Evidence.Calls {
		if c.Mutating && d.visible(c.Received) {
			l.Marks = append(l.Marks, mark{X: d.x(c.Received), Class: c.Node,
				Title: fmt.Sprintf("%s by %s: %s, %s", c.Action, c.Node, c.Outcome, d.offset(c.Received))})
		}
	}
	if n := len(l.Marks); n > 0 {
		l.Label = fmt.Sprintf("EC2 calls: %d", n)
	}
	return l
}

// axis places about five round times.
func (d drawing) axis() []mark {
	span := d.to.Sub(d.from)
	step := time.Millisecond
	for _, s := range []time.Duration{2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000} {
		if span/step > 5 {
			step = s * time.Millisecond
		}
	}
	var ticks []mark
	zero := d.scene.Evidence.Injected
	for at := zero.Add(-zero.Sub(d.from).Truncate(step)); !at.After(d.to); at = at.Add(step) {
		text := d.offset(at)
		if at.Equal(zero) {
			text = "0"
		}
		ticks = append(ticks, mark{X: d.x(at), Text: text})
	}
	return ticks
}

// timelines draws the whole scene and, enlarged, the time from the fault until everything was in its place.
func (s Scene) timelines() []timeline {
	e := s.Evidence
	whole := drawing{s, e.Injected.Add(-e.End.Sub(e.Injected) / lead), e.End}
	pictures := []timeline{whole.timeline("from the fault to the end of the watch")}
	last := e.Injected
	for _, ev := range e.Events() {
		if e.Released.IsZero() || ev.Time.Before(e.Released) {
			last = slices.MaxFunc([]time.Time{last, ev.Time}, time.Time.Compare)
		}
	}
	for _, o := range probe.Outages(e.Requests) {
		last = slices.MaxFunc([]time.Time{last, o.End}, time.Time.Compare)
	}
	reaction := last.Sub(e.Injected) * 5 / 4
	if reaction > 0 && reaction < e.End.Sub(e.Injected)/3 {
		reaction = max(reaction, 10*time.Millisecond)
		zoom := drawing{s, e.Injected.Add(-reaction / lead), e.Injected.Add(reaction)}
		pictures = append(pictures, zoom.timeline("the reaction, enlarged"))
	}
	return pictures
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
