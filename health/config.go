package health

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"time"
)

// Probe is the schedule and the hysteresis of a check that asks something. A zero field means its default.
type Probe struct {
	Interval time.Duration // from start to start; an overdue probe starts at once. Default 200ms, script 1s
	// Timeout of one probe. Default 300ms, script 1s. In the checks stats and http it is how long HAProxy may do nothing
	// about a request: load is no fault, so one that is seen to work, or to wait for a CPU, has 1s if that is longer. It
	// takes the process check to see that; without it less than 300ms counts as 300ms.
	Timeout time.Duration
	Rise    int // successes in a row until healthy. Default 2
	Fall    int // failures in a row until unhealthy. Default 2
}

// Config lists the checks; a nil one is off and at least one must be on. HAProxy is healthy when all of them are.
type Config struct {
	Process *ProcessConfig
	Stats   *StatsConfig
	HTTP    *HTTPConfig
	TCP     *TCPConfig
	Script  *ScriptConfig
}

// ProcessConfig describes how to find the HAProxy processes, whose exit is an event (pidfd_open(2)).
type ProcessConfig struct {
	// Name is compared with /proc/PID/comm. Default "haproxy".
	Name string
	// PIDFile tells which of several HAProxys is meant. It may hold the number that the process has in its own PID
	// namespace. Empty: the newest process of that name whose parent has another name.
	PIDFile string
	// Interval is the time between scans for new processes; an exit needs none. Default 1s.
	Interval time.Duration
	// ProcRoot is where proc(5) of our own PID namespace is mounted. Default "/proc".
	ProcRoot string
}

// StatsConfig asks "show info" over the stats socket.
type StatsConfig struct {
	Socket string // path of the unix socket
	Probe  Probe
}

// HTTPConfig sends a GET over a connection of its own. Redirects are not followed.
type HTTPConfig struct {
	URL    string        // http only
	Host   string        // Host header; empty: that of URL
	Status []StatusRange // statuses that are healthy. Default 200 to 399
	Probe  Probe
}

// StatusRange is an inclusive range of HTTP status codes.
type StatusRange struct{ Min, Max int }

// TCPConfig opens a connection. It does not notice a hang: the kernel accepts for a stopped process.
type TCPConfig struct {
	Address string // host:port
	Probe   Probe
}

// ScriptConfig runs a program without a shell and with a minimal environment; exit code 0 is health. At the timeout
// its process group is killed. Two runs never overlap.
type ScriptConfig struct {
	Command []string // absolute path of the program, then its arguments
	Probe   Probe
}

// validate returns everything that is wrong, joined.
func (c Config) validate() error {
	var errs []error
	if c.Process == nil && c.Stats == nil && c.HTTP == nil && c.TCP == nil && c.Script == nil {
		errs = append(errs, errors.New("no check is configured"))
	}
	if c.Stats != nil && !filepath.IsAbs(c.Stats.Socket) {
		errs = append(errs, fmt.Errorf("stats check: socket %q is not an absolute path", c.Stats.Socket))
	}
	if c.HTTP != nil {
		errs = append(errs, c.HTTP.validate())
	}
	if c.TCP != nil {
		if _, _, err := net.SplitHostPort(c.TCP.Address); err != nil {
			errs = append(errs, fmt.Errorf("tcp check: parse address: %w", err))
		}
	}
	if c.Script != nil && (len(c.Script.Command) == 0 || !filepath.IsAbs(c.Script.Command[0])) {
		errs = append(errs, fmt.Errorf("script check: command %q does not begin with an absolute path", c.Script.Command))
	}
	for name, p := range c.probes() {
		errs = append(errs, p.validate(name))
	}
	if c.Process != nil && c.Process.Interval < 0 {
		errs = append(errs, fmt.Errorf("process check: interval %v is negative", c.Process.Interval))
	}
	return errors.Join(errs...)
}

func (c HTTPConfig) validate() error {
	u, err := url.Parse(c.URL)
	if err != nil {
		return fmt.Errorf("http check: parse url: %w", err)
	}
	if u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("http check: %q is not an http URL", c.URL)
	}
	return nil
}

func (c Config) probes() map[string]Probe {
	probes := map[string]Probe{}
	if c.Stats != nil {
		probes[checkStats] = c.Stats.Probe
	}
	if c.HTTP != nil {
		probes[checkHTTP] = c.HTTP.Probe
	}
	if c.TCP != nil {
		probes[checkTCP] = c.TCP.Probe
	}
	if c.Script != nil {
		probes[checkScript] = c.Script.Probe
	}
	return probes
}

func (p Probe) validate(check string) error {
	if p.Interval < 0 || p.Timeout < 0 || p.Rise < 0 || p.Fall < 0 {
		return fmt.Errorf("%s check: interval, timeout, rise or fall is negative: %+v", check, p)
	}
	return nil
}

// quickProbe notices a hang within 800 ms: one interval, then Fall timeouts.
func quickProbe() Probe {
	return Probe{Interval: 200 * time.Millisecond, Timeout: 300 * time.Millisecond, Rise: 2, Fall: 2}
}

// slowProbe suits a program, which costs more than a request.
func slowProbe() Probe {
	return Probe{Interval: time.Second, Timeout: time.Second, Rise: 2, Fall: 2}
}

// orDefault fills the zero fields from d.
func (p Probe) orDefault(d Probe) Probe {
	if p.Interval == 0 {
		p.Interval = d.Interval
	}
	if p.Timeout == 0 {
		p.Timeout = d.Timeout
	}
	if p.Rise == 0 {
		p.Rise = d.Rise
	}
	if p.Fall == 0 {
		p.Fall = d.Fall
	}
	return p
}
