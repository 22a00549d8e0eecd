package config

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Health lists the checks of the local HAProxy. A nil check is off.
type Health struct {
	Process *ProcessCheck `yaml:"process"`
	Stats   *StatsCheck   `yaml:"stats"`
	HTTP    *HTTPCheck    `yaml:"http"`
	TCP     *TCPCheck     `yaml:"tcp"`
	Script  *ScriptCheck  `yaml:"script"`
}

// Probe is the schedule of a check: Rise successes in a row make it healthy, Fall failures in a row unhealthy.
type Probe struct {
	Interval time.Duration `yaml:"interval"` // from start to start
	Timeout  time.Duration `yaml:"timeout"`
	Rise     int           `yaml:"rise"`
	Fall     int           `yaml:"fall"`
}

// ProcessCheck watches the HAProxy processes for their exit.
type ProcessCheck struct {
	Name     string        `yaml:"name"`     // as in /proc/PID/comm
	PIDFile  string        `yaml:"pidfile"`  // empty: find the master by name
	Interval time.Duration `yaml:"interval"` // between scans for new processes; an exit needs no scan
}

// StatsCheck asks HAProxy's stats socket for "show info".
type StatsCheck struct {
	Socket string `yaml:"socket"`
	Probe  `yaml:",inline"`
}

// HTTPCheck sends a GET.
type HTTPCheck struct {
	URL    string        `yaml:"url"`
	Host   string        `yaml:"host"`
	Status []StatusRange `yaml:"status"`
	Probe  `yaml:",inline"`
}

// TCPCheck opens a connection.
type TCPCheck struct {
	Address string `yaml:"address"` // host:port
	Probe   `yaml:",inline"`
}

// ScriptCheck runs a program without a shell; exit code 0 is health.
type ScriptCheck struct {
	Command []string `yaml:"command"`
	Probe   `yaml:",inline"`
}

// StatusRange is an inclusive range of HTTP status codes, written "200-399" or "204".
type StatusRange struct{ Min, Max int }

// UnmarshalText parses "200-399" or "204".
func (r *StatusRange) UnmarshalText(text []byte) error {
	from, to, isRange := strings.Cut(string(text), "-")
	if !isRange {
		to = from
	}
	low, errLow := strconv.Atoi(from)
	high, errHigh := strconv.Atoi(to)
	if errLow != nil || errHigh != nil || low < 100 || high > 599 || low > high {
		return errors.New("not a range of HTTP status codes")
	}
	*r = StatusRange{Min: low, Max: high}
	return nil
}

// loadPatience is how long a probe waits for a HAProxy whose processes it does not see, at least (package health).
const loadPatience = 300 * time.Millisecond

// impatient reports whether a check has a time-out that only the sight of HAProxy's processes makes safe under load.
func (h Health) impatient() bool {
	quick := func(p Probe) bool { return p.Timeout < loadPatience }
	return h.Process == nil && (h.Stats != nil && quick(h.Stats.Probe) || h.HTTP != nil && quick(h.HTTP.Probe))
}

// DetectionTime returns the longest time from the moment HAProxy hangs (its processes exist, none answers) to the
// moment it is found unhealthy, or 0 if no configured check notices a hang. Process and tcp checks do not: the kernel
// still accepts connections for a stopped process. What a script notices is not known here.
func (h Health) DetectionTime() time.Duration {
	var shortest time.Duration
	consider := func(p Probe) {
		if t := p.detectionTime(); shortest == 0 || t < shortest {
			shortest = t
		}
	}
	if h.Stats != nil {
		consider(h.Stats.Probe)
	}
	if h.HTTP != nil {
		consider(h.HTTP.Probe)
	}
	return shortest
}

// detectionTime assumes the worst case, a hang just after a success: one interval until the next probe starts, then
// Fall timeouts, each but the last followed by the rest of its interval.
func (p Probe) detectionTime() time.Duration {
	return p.Interval + time.Duration(p.Fall-1)*max(p.Interval, p.Timeout) + p.Timeout
}

// enabled reports whether any check is on.
func (h Health) enabled() bool {
	return h.Process != nil || h.Stats != nil || h.HTTP != nil || h.TCP != nil || h.Script != nil
}
