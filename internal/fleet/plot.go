package fleet

import (
	"fmt"
	"math"
	"strings"
)

// chart is a plot with two logarithmic axes, for pages that are light or dark: lines and text of a middle tone on nothing.
type chart struct {
	title  string
	xLabel string
	xTicks []tick
	yTicks []tick
	lines  []line
}

type tick struct {
	at   float64
	text string
}

type line struct {
	name   string
	colour string
	dashed bool
	points []point
}

type point struct{ x, y float64 }

// The places of things in a chart, in pixels.
const (
	chartWidth  = 860
	chartHeight = 420
	plotLeft    = 80
	plotRight   = 660 // the names of the lines are to the right of it
	plotTop     = 44
	plotBottom  = 360
)

const (
	grey   = "#8a8f98"
	blue   = "#3d85c6"
	orange = "#e07b27"
	green  = "#3c9d5b"
	violet = "#9a6fc4"
)

// svg returns the chart as a file of its own.
func (c chart) svg() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="13" fill="%s">`+"\n",
		chartWidth, chartHeight, grey)
	fmt.Fprintf(&b, `<title>%s</title>`+"\n", c.title)
	fmt.Fprintf(&b, `<text x="%d" y="24" font-size="15">%s</text>`+"\n", plotLeft, c.title)
	for _, t := range c.xTicks {
		x := c.x(t.at)
		fmt.Fprintf(&b, `<path d="M%.1f %d V%d" stroke="%s" stroke-opacity="0.2"/>`+"\n", x, plotTop, plotBottom, grey)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x, plotBottom+20, t.text)
	}
	for _, t := range c.yTicks {
		y := c.y(t.at)
		fmt.Fprintf(&b, `<path d="M%d %.1f H%d" stroke="%s" stroke-opacity="0.2"/>`+"\n", plotLeft, y, plotRight, grey)
		fmt.Fprintf(&b, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", plotLeft-8, y+4, t.text)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", (plotLeft+plotRight)/2, plotBottom+44, c.xLabel)
	for i, l := range c.lines {
		c.draw(&b, l, plotTop+12+20*i)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// draw adds a line, and its name at the height legend.
func (c chart) draw(b *strings.Builder, l line, legend int) {
	dash := ""
	if l.dashed {
		dash = ` stroke-dasharray="5 4"`
	}
	var path strings.Builder
	for i, p := range l.points {
		step := " L"
		if i == 0 {
			step = "M"
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", step, c.x(p.x), c.y(p.y))
	}
	fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"%s/>`+"\n", path.String(), l.colour, dash)
	fmt.Fprintf(b, `<path d="M%d %d h22" stroke="%s" stroke-width="2"%s/>`+"\n", plotRight+16, legend, l.colour, dash)
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", plotRight+44, legend+4, l.name)
}

func (c chart) x(v float64) float64 { return place(v, c.xTicks, plotLeft, plotRight) }

func (c chart) y(v float64) float64 { return place(v, c.yTicks, plotBottom, plotTop) }

// place returns where v is between the first and the last tick, kept within them.
func place(v float64, ticks []tick, from, to float64) float64 {
	low, high := math.Log(ticks[0].at), math.Log(ticks[len(ticks)-1].at)
	if low == high {
		return (from + to) / 2
	}
	share := (math.Log(math.Max(v, ticks[0].at)) - low) / (high - low)
	return from + (to-from)*math.Min(1, share)
}

// takeoverChart shows how long the Elastic IPs are away, by the size of the fleet.
func (s Study) takeoverChart() chart {
	c := chart{
		title: "An Availability Zone fails: when the Elastic IPs are back", xLabel: "clusters in the account",
		yTicks: []tick{{0.5, "0.5 s"}, {1, "1 s"}, {3, "3 s"}, {10, "10 s"}, {30, "30 s"}, {60, "1 min"}, {180, "3 min"}, {600, "10 min"}, {1800, "30 min"}, {3600, "1 h"}},
	}
	colours := []string{blue, orange}
	for i, fencing := range Fencings() {
		half := line{name: string(fencing) + ", half of them", colour: colours[i], dashed: true}
		last := line{name: string(fencing) + ", the last", colour: colours[i]}
		floor := line{name: "EC2's bucket, the last", colour: grey, dashed: true}
		for _, r := range s.Takeovers[fencing] {
			x := float64(r.Scenario.Clusters)
			half.points = append(half.points, point{x, r.Quantile(0.5).Seconds()})
			last.points = append(last.points, point{x, r.Last().Seconds()})
			if f := r.Scenario.Floor(); f > 0 {
				floor.points = append(floor.points, point{x, f.Seconds()})
			}
		}
		c.lines = append(c.lines, last, half)
		if i == len(Fencings())-1 {
			c.lines = append(c.lines, floor)
		}
	}
	c.xTicks = s.sizeTicks()
	return c
}

// readsChart shows the reads of the steady state.
func (s Study) readsChart() chart {
	c := chart{
		title: "DescribeAddresses while nothing happens", xLabel: "clusters in the account",
		yTicks: []tick{{0.1, "0.1 /s"}, {1, "1 /s"}, {10, "10 /s"}, {100, "100 /s"}, {1000, "1,000 /s"}, {10000, "10,000 /s"}},
		xTicks: s.sizeTicks(),
	}
	made := line{name: "requests made", colour: violet}
	wanted := line{name: "one a minute each", colour: grey, dashed: true}
	served := line{name: "served by EC2", colour: green}
	for _, r := range s.Takeovers[Fencings()[0]] {
		x, seconds := float64(r.Scenario.Clusters), r.Steady.Length.Seconds()
		made.points = append(made.points, point{x, float64(r.Steady.Reads.Calls()) / seconds})
		wanted.points = append(wanted.points, point{x, r.Scenario.readsWanted()})
		served.points = append(served.points, point{x, float64(r.Steady.Reads.Served) / seconds})
	}
	c.lines = []line{made, wanted, served}
	return c
}

func (s Study) sizeTicks() []tick {
	var ticks []tick
	for _, r := range s.Takeovers[Fencings()[0]] {
		ticks = append(ticks, tick{float64(r.Scenario.Clusters), number(r.Scenario.Clusters)})
	}
	return ticks
}
