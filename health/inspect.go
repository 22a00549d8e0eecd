package health

import (
	"context"
	"fmt"

	"github.com/hacluster/hacluster/internal/boottime"
)

// Processes is which HAProxy processes run, as the process check sees it in one look.
type Processes struct {
	// Main is the pid of the master, or of the only process; 0: there is none.
	Main    int
	Workers []int
	// MasterWorker: the main process is a master, whose number stays the same in a reload.
	MasterWorker bool
	Detail       string // for people
}

// FindProcesses looks for HAProxy's processes once. A master that was started by its configuration alone, without -W, is known by a worker
// of a certain age (see tracker), so the answer about one that has only just started may be wrong.
func FindProcesses(cfg ProcessConfig) (Processes, error) {
	c := newProcessCheck(cfg, newBoard(nil), nil)
	found, err := c.fs.scan(c.cfg.Name)
	if err != nil {
		return Processes{}, fmt.Errorf("look for %s: %w", c.cfg.Name, err)
	}
	s := snapshot{now: boottime.Now(), processes: found}
	if cfg.PIDFile != "" {
		s.filePID = readPIDFile(cfg.PIDFile)
	}
	v := c.tracker.judge(s)
	p := Processes{Detail: v.detail}
	if !v.running {
		p.Detail += c.explainAbsence(s)
		return p, nil
	}
	p.Main, p.MasterWorker = c.tracker.main.pid, c.tracker.main.isMaster || c.tracker.manages
	for _, w := range c.tracker.workers {
		p.Workers = append(p.Workers, w.pid)
	}
	return p, nil
}

// Ask runs all checks until HAProxy is healthy, or until ctx ends, and returns what they say then.
func Ask(ctx context.Context, cfg Config) (Status, error) {
	m, err := New(cfg, nil)
	if err != nil {
		return Status{}, err
	}
	// Without the deadline: a connection that is being made at that moment would fail by it, and count as a failure of HAProxy's.
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- m.Run(running) }()
	status := m.await(ctx)
	cancel()
	return status, <-ended
}

// await returns the first healthy status, or the newest one when ctx ends.
func (m *Monitor) await(ctx context.Context) Status {
	for {
		select {
		case s := <-m.Updates():
			if s.Healthy {
				return s
			}
		case <-ctx.Done():
			return m.Status()
		}
	}
}
