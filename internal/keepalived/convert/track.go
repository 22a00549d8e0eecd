package convert

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/keepalived"
)

// checkScript is a vrrp_script.
type checkScript struct {
	name              string
	at                keepalived.Position
	command           keepalived.Command
	line              *keepalived.Statement // that of the command; nil without one
	interval, timeout value[time.Duration]
	rise, fall        value[int]
	weight            value[string]
}

// trackProcess is a vrrp_track_process.
type trackProcess struct {
	name    string
	at      keepalived.Position
	process value[string]
	weight  value[string]
}

// readCheckScript takes in a vrrp_script with keepalived's defaults.
func (c *converter) readCheckScript(v *view, block *keepalived.Statement) {
	check := &checkScript{
		name: block.Arg(1), at: block.At,
		interval: value[time.Duration]{v: time.Second, at: block.At},
		rise:     value[int]{v: 1, at: block.At}, fall: value[int]{v: 1, at: block.At},
	}
	v.scripts[check.name] = check
	for _, s := range block.Block {
		switch s.Keyword() {
		case "script":
			c.readCommand(check, s)
		case "interval":
			c.setSeconds(&check.interval, s)
		case "timeout":
			c.setSeconds(&check.timeout, s)
		case "rise":
			c.setNumber(&check.rise, s)
		case "fall":
			c.setNumber(&check.fall, s)
		case "weight":
			check.weight = c.weight(s, 0)
		default:
			c.sortOut(scopeScript, s)
		}
	}
	if !check.timeout.set {
		check.timeout = value[time.Duration]{v: check.interval.v, at: check.interval.at}
	}
}

func (c *converter) readCommand(check *checkScript, s *keepalived.Statement) {
	command, err := s.Command()
	if err != nil {
		c.report.refused(s.At, s.String(), err.Error())
		return
	}
	check.command, check.line = command, s
	if command.Lost != "" {
		c.report.changed(s.At, s.String(), "", "without quotes keepalived runs only the first word, '"+command.Argv[0]+"', and so it is read "+
			"here: put the whole command in quotes")
	}
}

func (c *converter) setSeconds(to *value[time.Duration], s *keepalived.Statement) {
	if d, ok := c.seconds(s); ok {
		*to = said(max(d, time.Millisecond), s.At)
	}
}

func (c *converter) setNumber(to *value[int], s *keepalived.Statement) {
	if n, ok := c.number(s, 1, 1<<30); ok {
		*to = said(n, s.At)
	}
}

// weight reads a weight; what is reversed is healthy when the check fails, which no check of hacluster is.
// keyword is where the word weight stands.
func (c *converter) weight(s *keepalived.Statement, keyword int) value[string] {
	if slices.Contains(s.Words, "reverse") {
		c.report.refused(s.At, s.String(), "hacluster has no check that is content with a failure: turn it round in the script and remove 'reverse'")
	}
	return said(strings.Join(s.Words[keyword+1:], " "), s.At)
}

// readTrackProcess takes in a vrrp_track_process.
func (c *converter) readTrackProcess(v *view, block *keepalived.Statement) {
	p := &trackProcess{name: block.Arg(1), at: block.At}
	v.processes[p.name] = p
	for _, s := range block.Block {
		switch s.Keyword() {
		case "process":
			p.process = said(s.Arg(1), s.At)
			if len(s.Words) > 2 {
				c.report.changed(s.At, s.String(), "health.process", "the name of the process is compared, its parameters are not")
			}
		case "weight":
			p.weight = c.weight(s, 0)
		case "quorum":
			if s.Arg(1) != "1" {
				c.report.changed(s.At, s.String(), "health.process", "one HAProxy is enough; its workers are watched by themselves")
			}
		case "delay", "terminate_delay", "fork_delay":
			c.report.changed(s.At, s.String(), "health.process", "an exit counts at once. A reload of HAProxy needs no delay: it is not taken for an exit")
		case "quorum_max", "param_match", "full_command":
			c.report.changed(s.At, s.String(), "health.process", "the name of the process is compared, nothing else")
		default:
			c.sortOut(scopeProcess, s)
		}
	}
}

// noteWeight says what a weight becomes: a check that fails takes the address away, whatever the priorities are.
func (c *converter) noteWeight(v *view, what string, weight value[string]) {
	n, err := strconv.Atoi(weight.v)
	if !weight.set || n == 0 && err == nil {
		return
	}
	why := "a weight changes the priority; now a node whose check fails does not hold the address at all, while another can"
	if gap := c.gap(v); err == nil && gap > max(n, -n) {
		why += ". With weight " + weight.v + " against a difference of " + strconv.Itoa(gap) + " in priority it never moved; now it does"
	} else if v.instance.nopreempt.v && !v.instance.clearsPreempt() {
		why += ". Beside nopreempt a weight never moved the address"
	}
	c.report.changed(weight.at, what+" weight "+weight.v, "health", why)
}

// gap returns by how much the other node of a pair has a lower priority.
func (c *converter) gap(v *view) int {
	for _, other := range c.views {
		if other != v && len(c.views) == 2 {
			return v.instance.priority.v - other.instance.priority.v
		}
	}
	return 0
}
