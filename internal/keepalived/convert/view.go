package convert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/keepalived"
)

// view is a configuration as the keepalived of one node reads it.
type view struct {
	file       *keepalived.File
	host       string
	routerID   value[string]
	version    value[int]
	asV2       value[bool]
	checksSrc  bool
	scripts    map[string]*checkScript
	processes  map[string]*trackProcess
	trackFiles map[string]keepalived.Position
	instances  []*keepalived.Statement
	groups     []*keepalived.Statement
	instance   instance
}

// label says which view, for people.
func (v *view) label() string {
	if v.host != "" {
		return v.file.Name + " for @" + v.host
	}
	return v.file.Name
}

func (v *view) start() keepalived.Position { return keepalived.Position{File: v.file.Name} }

// readViews reads each file for each node.
func (c *converter) readViews() error {
	configs, hosts := c.request.Configs, c.request.Hosts
	if len(configs) == 1 && len(hosts) > 1 {
		configs = slices.Repeat(configs, len(hosts))
	}
	if len(hosts) > 0 && len(hosts) != len(configs) {
		return fmt.Errorf("%d hosts for %d files: give one host for each file, or several for one file", len(hosts), len(configs))
	}
	for i, name := range configs {
		host := ""
		if len(hosts) > 0 {
			host = hosts[i]
		}
		file, err := keepalived.Parse(c.files, name, keepalived.Options{Host: host, LookupEnv: c.request.LookupEnv})
		if err != nil {
			return err
		}
		c.views = append(c.views, &view{
			file: file, host: host, scripts: map[string]*checkScript{}, processes: map[string]*trackProcess{},
			trackFiles: map[string]keepalived.Position{},
		})
	}
	for _, v := range c.views {
		c.readView(v)
	}
	return nil
}

func (c *converter) readView(v *view) {
	if len(v.file.Hosts) > 0 && v.host == "" {
		c.report.refused(v.start(), "@"+strings.Join(v.file.Hosts, ", @"), fmt.Sprintf(
			"the file has lines for certain hosts only: say for which it is to be read, for example --host %s", strings.Join(v.file.Hosts, ",")))
		return
	}
	for _, n := range v.file.Notes {
		c.report.changed(n.At, n.What, "", "what this command sees need not be what keepalived sees on the node")
	}
	for _, s := range v.file.Statements {
		c.readTop(v, s)
	}
	c.chooseInstance(v)
}

// readTop takes in a block of the file.
func (c *converter) readTop(v *view, s *keepalived.Statement) {
	switch s.Keyword() {
	case "global_defs":
		for _, inner := range s.Block {
			c.readGlobal(v, inner)
		}
	case "vrrp_script":
		c.readCheckScript(v, s)
	case "vrrp_track_process":
		c.readTrackProcess(v, s)
	case "vrrp_track_file", "track_file":
		v.trackFiles[s.Arg(1)] = s.At
	case "vrrp_instance":
		v.instances = append(v.instances, s)
	case "vrrp_sync_group":
		v.groups = append(v.groups, s)
	default:
		c.sortOut(scopeTop, s)
	}
}

func (c *converter) readGlobal(v *view, s *keepalived.Statement) {
	switch s.Keyword() {
	case "router_id", "lvs_id":
		v.routerID = said(s.Arg(1), s.At)
	case "vrrp_version":
		if n, ok := c.number(s, 2, 3); ok {
			v.version = said(n, s.At)
		}
	case "v3_checksum_as_v2":
		v.asV2 = said(c.boolean(s), s.At)
	case "vrrp_check_unicast_src":
		v.checksSrc = true
		c.report.converted(s.At, s.String(), "nodes (always so)")
	default:
		c.sortOut(scopeGlobal, s)
	}
}

// chooseInstance reads the instance that the cluster is made from. A cluster moves one Elastic IP.
func (c *converter) chooseInstance(v *view) {
	var names []string
	var chosen *keepalived.Statement
	for _, s := range v.instances {
		names = append(names, s.Arg(1))
		if s.Arg(1) == c.request.Instance || c.request.Instance == "" && len(v.instances) == 1 {
			chosen = s
		}
	}
	switch {
	case len(names) == 0:
		c.report.refused(v.start(), v.label(), "there is no vrrp_instance in it: is this the whole configuration?")
		return
	case chosen == nil && c.request.Instance != "":
		c.report.refused(v.start(), v.label(), fmt.Sprintf("there is no vrrp_instance %s in it, only %s", c.request.Instance, strings.Join(names, ", ")))
		return
	case chosen == nil:
		c.report.refused(v.instances[1].At, "vrrp_instance "+strings.Join(names, ", "), fmt.Sprintf(
			"a cluster of this version moves one Elastic IP: convert one of them with --instance %s, and the others into clusters of their own", names[0]))
		return
	}
	for _, s := range v.instances {
		if s != chosen {
			c.report.dropped(s.At, "vrrp_instance "+s.Arg(1), "--instance "+c.request.Instance+" was asked for; a cluster of this version moves one Elastic IP")
		}
	}
	c.readInstance(v, chosen)
	for _, g := range v.groups {
		c.readGroup(v, g)
	}
}

// number reads the first argument. Outside its range keepalived refuses or replaces it, and no meaning is certain.
func (c *converter) number(s *keepalived.Statement, low, high int) (int, bool) {
	n, err := strconv.Atoi(s.Arg(1))
	if err != nil || n < low || n > high {
		c.report.refused(s.At, s.String(), fmt.Sprintf("keepalived reads a number from %d to %d here: correct it", low, high))
		return 0, false
	}
	return n, true
}

// seconds reads the first argument as keepalived's decimal seconds.
func (c *converter) seconds(s *keepalived.Statement) (time.Duration, bool) {
	d, err := time.ParseDuration(s.Arg(1) + "s")
	if err != nil || d < 0 || strings.Trim(s.Arg(1), "0123456789.") != "" {
		c.report.refused(s.At, s.String(), "keepalived reads a number of seconds here: correct it")
		return 0, false
	}
	return d, true
}

// boolean reads an optional on, true, yes, off, false or no; nothing means on.
func (c *converter) boolean(s *keepalived.Statement) bool {
	switch s.Arg(1) {
	case "", "on", "true", "yes":
		return true
	case "off", "false", "no":
		return false
	}
	c.report.refused(s.At, s.String(), "keepalived reads on or off here: correct it")
	return false
}
