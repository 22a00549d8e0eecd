// Package health watches the HAProxy of this machine. It knows nothing of who leads.
//
// An exit is an event (pidfd) and published at once; a hang is found by probes with deadlines; a reload is neither (I5).
package health

import (
	"context"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// The names of the checks, in the order in which they are blamed: what comes first explains what comes later.
const (
	checkProcess = "process"
	checkStats   = "stats"
	checkHTTP    = "http"
	checkTCP     = "tcp"
	checkScript  = "script"
)

// Status is what is known of HAProxy at one moment. It is a value: nothing in it changes later.
type Status struct {
	Healthy bool
	Reason  string        // one clause for people, such as "haproxy master process 4711 exited"
	Checks  []CheckStatus // those that are on; process first
	At      time.Duration // boottime of the newest result in it
}

// CheckStatus is what one check says.
type CheckStatus struct {
	Name    string        // process, stats, http, tcp or script
	Healthy bool          // after rise and fall
	Detail  string        // the newest result, such as "timed out after 300ms (2 of 2)"
	Since   time.Duration // boottime of the last change of Healthy
}

// Monitor runs the checks.
type Monitor struct {
	board *board
	tasks []func(context.Context) error
}

// New checks the configuration and returns a Monitor at rest: unhealthy, nothing checked yet. The caller names the
// logger; nil is silent.
func New(cfg Config, log *zap.Logger) (*Monitor, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if log == nil {
		log = zap.NewNop()
	}
	return newMonitor(cfg, log), nil
}

// Run checks until ctx ends, then returns nil. Call it once. When it has returned, Status is unhealthy: what nobody
// looks at is not known to be healthy.
func (m *Monitor) Run(ctx context.Context) error {
	defer m.board.stop()
	g, ctx := errgroup.WithContext(ctx)
	for _, task := range m.tasks {
		g.Go(func() error { return task(ctx) })
	}
	return g.Wait()
}

// Status returns the newest status. It takes no lock and does no I/O, so it may be asked before each call to EC2 (I1).
func (m *Monitor) Status() Status { return *m.board.newest.Load() }

// Updates delivers the status whenever HAProxy or one of the checks became healthy or unhealthy. It holds one
// status: a reader who is late gets the newest and misses those between.
func (m *Monitor) Updates() <-chan Status { return m.board.updates }

// newMonitor lists the tasks in the order of blame.
func newMonitor(cfg Config, log *zap.Logger) *Monitor {
	m := &Monitor{board: newBoard(log)}
	work := newWorkload(procfs{}) // follows nobody
	if cfg.Process != nil {
		process := newProcessCheck(*cfg.Process, m.board, log)
		m.tasks = append(m.tasks, process.run)
		work = process.work
	}
	probe := func(name string, schedule Probe, p prober) *probeCheck {
		check := newProbeCheck(name, schedule, p, m.board)
		m.tasks = append(m.tasks, check.run)
		return check
	}
	if cfg.Stats != nil {
		probe(checkStats, cfg.Stats.Probe.orDefault(quickProbe()), statsProber{socket: cfg.Stats.Socket}).observe = work.observe
	}
	if cfg.HTTP != nil {
		probe(checkHTTP, cfg.HTTP.Probe.orDefault(quickProbe()), newHTTPProber(*cfg.HTTP)).observe = work.observe
	}
	if cfg.TCP != nil {
		probe(checkTCP, cfg.TCP.Probe.orDefault(quickProbe()), tcpProber{address: cfg.TCP.Address})
	}
	if cfg.Script != nil {
		probe(checkScript, cfg.Script.Probe.orDefault(slowProbe()), scriptProber{command: cfg.Script.Command})
	}
	return m
}
