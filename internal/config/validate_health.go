package config

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// maxComm is the length of a process name in /proc/PID/comm; the kernel cuts longer ones (proc(5)).
const maxComm = 15

func (h Health) validate(d *document, self Node) {
	if !h.enabled() && !self.Witness {
		d.report("health", "no check is configured, so a dead HAProxy would keep the Elastic IP", "write at least 'process: {}' below health:")
	}
	if h.Process != nil {
		h.Process.validate(d)
	}
	if h.Stats != nil {
		h.Stats.validate(d)
	}
	if h.HTTP != nil {
		h.HTTP.validate(d)
	}
	if h.TCP != nil {
		h.TCP.validate(d)
	}
	if h.Script != nil {
		h.Script.validate(d)
	}
}

func (p ProcessCheck) validate(d *document) {
	if p.Name == "" || len(p.Name) > maxComm || strings.ContainsAny(p.Name, "/ ") {
		d.report("health.process.name", fmt.Sprintf("%q cannot be the name of a process", p.Name),
			fmt.Sprintf("write what /proc/PID/comm shows, without a path and at most %d bytes, for example haproxy", maxComm))
	}
	if p.PIDFile != "" {
		d.checkAbsolute("health.process.pidfile", p.PIDFile)
	}
	d.checkRange("health.process.interval", p.Interval, 100*time.Millisecond, time.Minute)
}

func (s StatsCheck) validate(d *document) {
	if s.Socket == "" {
		d.report("health.stats.socket", "is missing", "write the path from HAProxy's 'stats socket' line, for example /run/haproxy/admin.sock")
	}
	d.checkSocket("health.stats.socket", s.Socket)
	s.Probe.validate(d, "health.stats")
}

func (h HTTPCheck) validate(d *document) {
	if h.URL == "" {
		d.report("health.http.url", "is missing", "write for example http://127.0.0.1:80/healthz")
	}
	d.checkURL("health.http.url", h.URL, "http")
	if len(h.Status) == 0 {
		d.report("health.http.status", "no status would be healthy", "write [\"200-399\"]")
	}
	h.Probe.validate(d, "health.http")
}

func (t TCPCheck) validate(d *document) {
	host, port, err := net.SplitHostPort(t.Address)
	if err != nil || host == "" || port == "" {
		d.report("health.tcp.address", fmt.Sprintf("%q is not an address with a port", t.Address), "write for example 127.0.0.1:443")
	}
	d.checkPort("health.tcp.address", port)
	t.Probe.validate(d, "health.tcp")
}

func (s ScriptCheck) validate(d *document) {
	if len(s.Command) == 0 {
		d.report("health.script.command", "is missing", "write a list: the absolute path of the program, then its arguments")
	} else {
		d.checkAbsolute("health.script.command[0]", s.Command[0])
	}
	s.Probe.validate(d, "health.script")
}

func (p Probe) validate(d *document, path string) {
	d.checkRange(path+".interval", p.Interval, 10*time.Millisecond, time.Minute)
	d.checkRange(path+".timeout", p.Timeout, 10*time.Millisecond, time.Minute)
	d.checkInt(path+".rise", p.Rise, 1, 100)
	d.checkInt(path+".fall", p.Fall, 1, 100)
}
