package convert

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/keepalived"
	"github.com/hacluster/hacluster/internal/keepalived/script"
)

// What hacluster's configuration allows a probe.
const (
	minProbe, maxProbe = 10 * time.Millisecond, time.Minute
	minScan            = 100 * time.Millisecond // of the process check
	maxCount           = 100                    // of rise and fall
)

// health is the section of that name: at most one check of each kind.
type health struct {
	checks  []check
	assumed bool // no file has a check
}

// check is one check and where it comes from.
type check struct {
	script.Check
	argv              []string // of a script
	interval, timeout time.Duration
	rise, fall        int
	at                keepalived.Position
	view              *view
	what              string              // the statement
	command           *keepalived.Command // nil for a process that is tracked
	id                string              // what two checks must have in common to be the same
}

// kindScript is a check that is run as it is.
const kindScript script.Kind = "script"

// target is what a check asks, as a text to compare.
func (k check) target() string {
	return strings.Join(append([]string{string(k.Kind), k.Name, k.PIDFile, k.URL, k.Host, k.Address, k.Socket}, k.argv...), "\x00")
}

// became is the key in the file.
func (k check) became() string { return "health." + string(k.Kind) }

// collectChecks takes in the checks that the instances track.
func (c *converter) collectChecks() {
	for _, v := range c.views {
		tracked := map[string]bool{}
		for _, t := range v.instance.tracks {
			tracked[t.kind+" "+t.name] = true
			c.collect(v, t)
		}
		for _, name := range slices.Sorted(maps.Keys(v.scripts)) {
			if !tracked["track_script "+name] {
				c.report.dropped(v.scripts[name].at, "vrrp_script "+name, "no track_script of the instance names it, so keepalived does not run it for this instance")
			}
		}
		for _, name := range slices.Sorted(maps.Keys(v.processes)) {
			if !tracked["track_process "+name] {
				c.report.dropped(v.processes[name].at, "vrrp_track_process "+name, "no track_process of the instance names it")
			}
		}
	}
	if len(c.cluster.health.checks) == 0 {
		c.cluster.health.assumed = true
		c.report.changed(c.views[0].instance.name.at, "no check", "health.process",
			"keepalived notices only that a whole node is gone. hacluster wants to know of HAProxy: its processes are watched")
	}
}

func (c *converter) collect(v *view, t track) {
	what := t.kind + " " + t.name
	switch s, p := v.scripts[t.name], v.processes[t.name]; {
	case t.kind == "track_script" && s != nil && s.line != nil:
		c.noteWeight(v, "vrrp_script "+t.name, either(t.weight, s.weight))
		c.addScript(v, s)
	case t.kind == "track_process" && p != nil && p.process.set:
		c.noteWeight(v, "vrrp_track_process "+t.name, either(t.weight, p.weight))
		name := filepath.Base(p.process.v)
		k := check{
			Check:    script.Check{Kind: script.Process, Name: name[:min(len(name), maxName)]},
			interval: time.Second, at: p.process.at, view: v, what: "process " + p.process.v,
		}
		c.report.converted(k.at, k.what, k.became())
		c.addCheck(k)
	case t.kind == "track_file":
		c.report.dropped(t.at, what, "hacluster reads no state from a file. For maintenance there is 'hacluster transfer'; "+
			"if a program of yours writes its verdict on HAProxy there, give that program as health.script")
	default:
		c.report.refused(t.at, what, "no block of that name says what it is")
	}
}

// maxName is the length of a process name (proc(5)).
const maxName = 15

// either returns the weight of the track_ line, or else that of the block.
func either(a, b value[string]) value[string] {
	if a.set {
		return a
	}
	return b
}

// addScript turns a vrrp_script into a check of hacluster's own, or into one that runs the same command.
func (c *converter) addScript(v *view, s *checkScript) {
	k := check{
		interval: s.interval.v, timeout: s.timeout.v, rise: s.rise.v, fall: s.fall.v,
		at: s.line.At, view: v, what: s.line.String(), command: &s.command,
	}
	text := s.command.Text
	if s.command.Lost != "" {
		text = s.command.Argv[0]
	}
	native, ok := script.ReadCheck(text)
	if !ok {
		if name, content, found := c.locate(v, s.command.Argv[0]); found && len(s.command.Argv) == 1 {
			if native, ok = script.ReadCheck(content); ok {
				native.Changes = append(native.Changes, name+" was read and says nothing else")
			}
		}
	}
	if !ok {
		k.Kind, k.argv = kindScript, commandLine(s.command)
		c.noteScript(k)
		c.addCheck(k)
		return
	}
	k.Check = native
	if native.Timeout > 0 {
		k.timeout = min(k.timeout, native.Timeout)
	}
	if kind := c.addCheck(k); kind == k.Kind {
		c.noteNative(k, s)
	} else {
		c.report.changed(k.at, k.what, "health."+string(kind), "there is one check of each kind, and health."+string(k.Kind)+" is taken: the command is run as it is")
	}
}

// commandLine returns what is run without a shell. What needs one gets one.
func commandLine(command keepalived.Command) []string {
	switch {
	case strings.ContainsAny(command.Text, "|&;<>$`") && !strings.HasSuffix(command.Argv[0], "sh"):
		return []string{"/bin/sh", "-c", command.Text}
	case filepath.IsAbs(command.Argv[0]):
		return command.Argv
	default:
		return append([]string{"/usr/bin/env"}, command.Argv...)
	}
}

func (c *converter) noteScript(k check) {
	if holdsSecret(strings.Join(k.argv, " ")) {
		c.report.refused(k.at, k.what, "the command line holds something secret, which is not copied: put it into a file that the command reads")
		return
	}
	c.report.changed(k.at, k.what, k.became(), "it is run as it is, since what it checks is not understood here. A time-out, a missing or "+
		"a forbidden program are "+
		"failures now; to keepalived the last two are successes")
}

// noteNative says what a check of hacluster's own does differently.
func (c *converter) noteNative(k check, s *checkScript) {
	why := k.Changes
	switch k.Kind {
	case script.Process:
		why = append(why, "the exit of a process is an event and counts at once; interval is only that of looking for new ones. "+
			"Like the command, it does not notice a HAProxy that hangs: health.stats does")
		if s.fall.v > 1 {
			why = append(why, fmt.Sprintf("fall %d waited %v for a restart; a restart moves the address now, a reload "+
				"does not", s.fall.v, time.Duration(s.fall.v)*s.interval.v))
		}
	case script.TCP:
		why = append(why, "a connection is opened without a command. Like it, it does not notice a HAProxy that hangs: the kernel accepts for it; health.http does")
	case script.HTTP, script.Stats:
		why = append(why, "HAProxy is asked without a command")
	}
	c.report.changed(k.at, k.what, k.became(), sentences(why))
}

// addCheck puts a check into its place, and returns the kind that it is of then. There is one place for each kind, and one
// file for all nodes.
func (c *converter) addCheck(k check) script.Kind {
	k = c.limit(k)
	k.id = k.target()
	checks := &c.cluster.health.checks
	if i := slices.IndexFunc(*checks, func(o check) bool { return o.id == k.id }); i >= 0 {
		if first := (*checks)[i]; first.interval != k.interval || first.timeout != k.timeout || first.rise != k.rise || first.fall != k.fall {
			c.report.changed(k.at, k.what, k.became(), fmt.Sprintf("its times or counts are not those of %s, which apply to all nodes", first.at))
		}
		return (*checks)[i].Kind
	}
	i := c.checkOf(k.Kind)
	if i < 0 {
		*checks = append(*checks, k)
		return k.Kind
	}
	switch first := (*checks)[i]; {
	case first.view != k.view:
		c.report.leaveOpen(fmt.Sprintf("%s (%s) and %s (%s) check different things. The file has the first; write the other one below health: in the file of %s.",
			first.what, first.at, k.what, k.at, c.nameOf(k.view)), "")
	case k.command != nil && k.Kind != kindScript && c.checkOf(kindScript) < 0:
		k.Kind, k.argv = kindScript, commandLine(*k.command)
		*checks = append(*checks, k)
	default:
		c.report.refused(k.at, k.what, fmt.Sprintf("there is one check of each kind, and %s is %s already: combine the two in one script", first.at, first.became()))
	}
	return k.Kind
}

// checkOf returns the place of the check of a kind, or -1.
func (c *converter) checkOf(kind script.Kind) int {
	return slices.IndexFunc(c.cluster.health.checks, func(o check) bool { return o.Kind == kind })
}

// sentences joins clauses.
func sentences(clauses []string) string {
	for i, clause := range clauses {
		if i > 0 {
			clauses[i] = capital(clause)
		}
	}
	return strings.Join(clauses, ". ")
}

// limit brings times and counts into the range of hacluster's configuration.
func (c *converter) limit(k check) check {
	before := k
	low := minProbe
	if k.Kind == script.Process {
		low = minScan
	} else {
		k.timeout = min(max(k.timeout, minProbe), maxProbe)
		k.rise, k.fall = min(k.rise, maxCount), min(k.fall, maxCount)
	}
	k.interval = min(max(k.interval, low), maxProbe)
	if k.interval != before.interval || k.timeout != before.timeout || k.rise != before.rise || k.fall != before.fall {
		c.report.changed(k.at, k.what, k.became(), "the times and counts that are written are as near to keepalived's as hacluster allows")
	}
	return k
}
