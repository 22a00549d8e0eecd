package bench

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/template"

	"github.com/hacluster/hacluster/internal/lab/show"
)

// Dimensions of a picture, in pixels.
const (
	labelWidth = 190
	plotLeft   = labelWidth + 40 // left of it: the place of 0, which has none on a logarithmic axis
	plotWidth  = 480
	laneHeight = 34
	zeroX      = labelWidth + 14
	topMargin  = 34
)

// picture draws every repetition of a cell as a dot: one lane a system, time on a logarithmic axis. Colours are legible on
// light and on dark.
const picture = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{.Width}} {{.Height}}" width="{{.Width}}" height="{{.Height}}" role="img" aria-label="{{.Title}}">
<style>
text { font: 12px system-ui, sans-serif; fill: #6b7480; } .name { font-weight: 600; } .title { font-size: 13px; }
.grid { stroke: #8a929b; stroke-opacity: .25; } .ours { fill: #2f7fd6; stroke: #2f7fd6; } .theirs { fill: #d07a1f; stroke: #d07a1f; }
.dot { fill-opacity: .45; stroke-width: 1; } .noisy { fill: none; } .median { stroke-width: 3; }
</style>
<text class="title" x="0" y="14">{{.Title}}</text>
{{- range .Ticks}}
<line class="grid" x1="{{.X}}" y1="22" x2="{{.X}}" y2="{{$.Bottom}}"/><text x="{{.X}}" y="{{$.TickY}}" text-anchor="middle">{{.Text}}</text>
{{- end}}
{{- range .Lanes}}
<g class="{{.Class}}"><text class="name" style="stroke: none" x="0" y="{{.TextY}}">{{.Name}}</text>
{{- range .Dots}}<circle class="dot{{if .Noisy}} noisy{{end}}" cx="{{.X}}" cy="{{.Y}}" r="4"><title>{{.Text}}</title></circle>{{end}}
{{- with .Median}}<line class="median" x1="{{.X}}" x2="{{.X}}" y1="{{.From}}" y2="{{.To}}"><title>{{.Text}}</title></line>{{end}}</g>
{{- end}}
</svg>
`

type dot struct {
	X, Y  float64
	Noisy bool
	Text  string
}

type median struct {
	X, From, To float64
	Text        string
}

type lane struct {
	Name, Class string
	TextY       float64
	Dots        []dot
	Median      *median
}

type tick struct {
	X    float64
	Text string
}

type drawing struct {
	Title                        string
	Width, Height, Bottom, TickY int
	Ticks                        []tick
	Lanes                        []lane
}

// draw writes the client gaps of a cell as a picture.
func (r *Results) draw(w io.Writer, c cell) error {
	axis := r.axis(c)
	d := drawing{Title: "Longest client gap in ms: " + c.title(), Width: plotLeft + plotWidth + 20}
	y := float64(topMargin)
	for _, name := range r.systemsOf(c) {
		d.Lanes = append(d.Lanes, r.lane(c, name, y, axis))
		y += laneHeight
	}
	d.Bottom = int(y)
	d.TickY, d.Height = d.Bottom+16, d.Bottom+24
	d.Ticks = append(d.Ticks, tick{zeroX, "0"})
	for v := axis.low; v <= axis.high*1.001; v *= 10 {
		d.Ticks = append(d.Ticks, tick{axis.x(v), show.Number(v)})
	}
	return template.Must(template.New("picture").Parse(picture)).Execute(w, d)
}

func (r *Results) lane(c cell, name string, y float64, axis axis) lane {
	l := lane{Name: name, Class: "theirs", TextY: y + laneHeight/2 + 4}
	if strings.HasPrefix(name, "hacluster") {
		l.Class = "ours"
	}
	n := 0
	for _, rep := range r.Repetitions {
		if rep.Fault != c.fault || rep.Latency != c.latency || rep.System != name || rep.NotSteady != "" {
			continue
		}
		// Side by side in height, so that equal ones can be counted.
		at := y + 8 + float64(n%7)*3
		l.Dots = append(l.Dots, dot{axis.x(rep.Silence), at, rep.stolen(), show.Number(rep.Silence) + " ms"})
		n++
	}
	if s, ok := spread(r.of(c, name), gap); ok {
		l.Median = &median{axis.x(s.Median), y + 4, y + laneHeight - 4, "median " + show.Number(s.Median) + " ms"}
	}
	return l
}

// axis is logarithmic from low to high, which are powers of ten.
type axis struct{ low, high float64 }

func (r *Results) axis(c cell) axis {
	a := axis{low: 1, high: 100}
	for _, rep := range r.Repetitions {
		if rep.Fault == c.fault && rep.Latency == c.latency {
			for a.high < rep.Silence {
				a.high *= 10
			}
		}
	}
	return a
}

func (a axis) x(v float64) float64 {
	if v == 0 {
		return zeroX
	}
	share := math.Log10(max(v, a.low)/a.low) / math.Log10(a.high/a.low)
	return math.Round(10*(plotLeft+share*plotWidth)) / 10
}

// title names a cell for people, file for the file system.
func (c cell) title() string {
	return fmt.Sprintf("%s, EC2 latency %s ms", c.fault, show.Number(c.latency))
}

func (c cell) file() string { return fmt.Sprintf("bench-%s-%s.svg", c.fault, show.Number(c.latency)) }
