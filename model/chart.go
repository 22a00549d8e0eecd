package main

import (
	"fmt"
	"regexp"
	"strings"
)

// chart is a counterexample: what happened, in order.
type chart struct {
	steps  []step
	broken string // the promise that the last step broke
}

// step is one line that the model printed: from and to name lanes, to is 0 where nothing is sent.
type step struct {
	from, to byte
	text     string
}

// lane is one column of a chart.
type lane struct {
	key  byte
	name string
}

const (
	logLane  = 'L' // the committed log
	ec2Lane  = 'E'
	laneSize = 6
)

var printedStep = regexp.MustCompile(`^@(.)(.)(?: +|$)(.*)$`)

var noID = regexp.MustCompile(`\bx0\b`)

// inWords says what Promela can only print as numbers.
func inWords(text string) string {
	text = noID.ReplaceAllString(text, "nothing")
	return strings.NewReplacer("AllowReassociation=0", "AllowReassociation=false", "AllowReassociation=1", "AllowReassociation=true").Replace(text)
}

// parseChart reads the lines that claim.pml prints in a replay: "@", sender, receiver, text. Everything else is Spin's.
func parseChart(replay string) chart {
	var c chart
	for line := range strings.Lines(replay) {
		m := printedStep.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		from, to, text := m[1][0], m[2][0], inWords(m[3])
		if from == '!' {
			c.broken = text
			break
		}
		s := step{from: from, to: to, text: text}
		if from == ' ' {
			s.from, s.to = to, 0
		} else if to == ' ' {
			s.to = 0
		}
		c.steps = append(c.steps, s)
	}
	return c
}

// String draws the chart: a column for each node, the log and EC2, an arrow where one tells the other, the words beside it.
func (c chart) String() string {
	lanes := c.lanes()
	var b strings.Builder
	names := "    "
	for _, l := range lanes {
		names += fmt.Sprintf("%-*s", laneSize, l.name)
	}
	b.WriteString(strings.TrimRight(names, " ") + "\n")
	for i, s := range c.steps {
		fmt.Fprintf(&b, "%3d %s %s\n", i+1, arrow(lanes, s), s.words())
	}
	if c.broken != "" {
		fmt.Fprintf(&b, "\nBROKEN  %s\n", c.broken)
	}
	return b.String()
}

func (c chart) lanes() []lane {
	lanes := []lane{{'A', "A"}, {'B', "B"}}
	for _, s := range c.steps {
		if s.from == 'C' || s.to == 'C' {
			lanes = append(lanes, lane{'C', "C"})
			break
		}
	}
	return append(lanes, lane{logLane, "log"}, lane{ec2Lane, "EC2"})
}

// arrow draws the lanes with the step's arrow, or a star where nothing is sent.
func arrow(lanes []lane, s step) string {
	drawn := []byte(strings.Repeat(" ", laneSize*len(lanes)))
	from, to := -1, -1
	for i, l := range lanes {
		drawn[i*laneSize] = '|'
		if l.key == s.from {
			from = i * laneSize
		}
		if l.key == s.to {
			to = i * laneSize
		}
	}
	switch {
	case from >= 0 && to > from:
		copy(drawn[from:to], strings.Repeat("-", to-from))
		drawn[from], drawn[to] = 'o', '>'
	case to >= 0 && from > to:
		copy(drawn[to:from], strings.Repeat("-", from-to))
		drawn[from], drawn[to] = 'o', '<'
	case from >= 0:
		drawn[from] = '*'
	}
	return string(drawn)
}

// words names the node: its text begins with the term that it acts in.
func (s step) words() string {
	if s.from == ec2Lane || s.from == logLane {
		return s.text
	}
	return string(s.from) + " " + s.text
}
