package health

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/hacluster/hacluster/internal/boottime"
)

const (
	defaultScanInterval = time.Second
	// unsettledInterval is the time between scans while HAProxy is absent.
	unsettledInterval = 50 * time.Millisecond
)

// processCheck finds HAProxy by scanning /proc and learns of its end by pidfd.
type processCheck struct {
	cfg   ProcessConfig
	fs    procfs
	board *board
	log   *zap.Logger
	index int // on the board

	tracker tracker
	work    *workload          // is told which processes there are
	watched map[processID]bool // processes with a goroutine that waits for their exit
	exits   chan processID     // their ends; unbuffered, each sender waits for the loop or for ctx
}

func newProcessCheck(cfg ProcessConfig, b *board, log *zap.Logger) *processCheck {
	if cfg.Name == "" {
		cfg.Name = "haproxy"
	}
	if cfg.Interval == 0 {
		cfg.Interval = defaultScanInterval
	}
	if cfg.ProcRoot == "" {
		cfg.ProcRoot = "/proc"
	}
	fs := procfs{root: cfg.ProcRoot}
	return &processCheck{
		cfg:     cfg,
		fs:      fs,
		board:   b,
		log:     log,
		index:   b.add(checkProcess, cfg.Name+" process has not been looked for yet", 1, 1),
		tracker: tracker{name: cfg.Name, usePIDFile: cfg.PIDFile != ""},
		work:    newWorkload(fs),
		watched: map[processID]bool{},
		exits:   make(chan processID),
	}
}

// run looks at the processes at once, at each exit of one of them, when a probe wants to know, and now and then.
func (c *processCheck) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.loop(ctx, g) })
	return g.Wait()
}

func (c *processCheck) loop(ctx context.Context, g *errgroup.Group) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case id := <-c.exits:
			delete(c.watched, id)
		case <-c.work.stale:
		case <-timer.C:
		}
		timer.Reset(c.look(ctx, g))
	}
}

// look judges what runs now, and returns when to look again if nothing happens.
func (c *processCheck) look(ctx context.Context, g *errgroup.Group) time.Duration {
	processes, err := c.fs.scan(c.cfg.Name)
	if err != nil {
		c.board.lost(c.index, fmt.Sprintf("%s process cannot be looked for: %v", c.cfg.Name, err))
		return unsettledInterval
	}
	s := snapshot{now: boottime.Now(), processes: processes}
	if c.cfg.PIDFile != "" {
		s.filePID = readPIDFile(c.cfg.PIDFile)
	}
	before := c.tracker.main
	v := c.tracker.judge(s)
	if v.running {
		c.work.follow(v.watch)
		c.logTakeover(before)
		err = c.watchAll(ctx, g, v.watch)
	}
	switch {
	case errors.Is(err, os.ErrProcessDone):
		return 0 // it exited since the scan: look again before saying that it runs
	case err != nil:
		c.board.lost(c.index, err.Error())
	case v.running:
		c.board.found(c.index, v.detail)
	default:
		c.board.lost(c.index, v.detail+c.explainAbsence(s))
	}
	if v.unsettled || err != nil {
		return unsettledInterval
	}
	return c.cfg.Interval
}

// explainAbsence adds the one cause that looks like an absence and is none.
func (c *processCheck) explainAbsence(s snapshot) string {
	if len(s.processes) > 0 || !c.fs.hidden() {
		return ""
	}
	return fmt.Sprintf("; %s hides other users' processes (hidepid, or ProtectProc= of the unit): run hacluster as root or mount it with hidepid=0", c.cfg.ProcRoot)
}

func (c *processCheck) logTakeover(before process) {
	if now := c.tracker.main; before.pid != 0 && before.processID != now.processID {
		c.log.Info("haproxy replaced", zap.Int("from_pid", before.pid), zap.Int("to_pid", now.pid))
	}
}

// watchAll begins to wait for the exit of those that are not waited for yet. The error is os.ErrProcessDone if one of
// them has exited already.
func (c *processCheck) watchAll(ctx context.Context, g *errgroup.Group, processes []process) error {
	for _, p := range processes {
		if c.watched[p.processID] {
			continue
		}
		if err := c.watch(ctx, g, p.processID); err != nil {
			return fmt.Errorf("%s process %d cannot be watched: %w", c.cfg.Name, p.pid, err)
		}
	}
	return nil
}

func (c *processCheck) watch(ctx context.Context, g *errgroup.Group, id processID) error {
	pidfd, err := openPIDFD(id.pid)
	if err != nil {
		return err
	}
	// Between the scan and the open the number may have passed to another process.
	if !c.fs.isAlive(id) {
		return errors.Join(os.ErrProcessDone, pidfd.Close())
	}
	c.watched[id] = true
	g.Go(func() error {
		if err := waitExit(ctx, pidfd); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case c.exits <- id:
		case <-ctx.Done():
		}
		return nil
	})
	return nil
}
