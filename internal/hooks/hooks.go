// Package hooks runs the operator's programs when the node's state changes, as keepalived's notify scripts are run.
//
// Hooks are on nobody's path: whoever tells of a change does not wait for them. They run one at a time, in order, each for a
// limited time. Only the newest change waits; an older one that has not begun by then never does.
package hooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/hacluster/hacluster/internal/controller"
)

// stop is the state that an agent enters by ending. The controller has no word for it: by then it is gone.
const stop controller.State = "Stop"

// Config says which programs to run, and what they are told. Each command is an absolute path and its arguments; an empty one is no
// hook.
type Config struct {
	Cluster       string
	Node          string
	Priority      int
	AllocationIDs string // separated by spaces

	NotifyMaster []string
	NotifyBackup []string
	NotifyFault  []string
	// NotifyStop runs when the agent ends, after the hand-over.
	NotifyStop []string
	// Notify runs after the one for the state, with four more arguments (keepalived.conf(5)): INSTANCE, the name of the cluster, the
	// state, the priority.
	Notify []string

	// Timeout is how long one program may run.
	Timeout time.Duration
}

// hook is one program for one state.
type hook struct {
	name    string // its key in the configuration file
	command []string
}

// forState returns what to run for a state, in order.
func (c Config) forState(s controller.State) []hook {
	specific := map[controller.State]hook{
		controller.Master: {"notify_master", c.NotifyMaster},
		controller.Backup: {"notify_backup", c.NotifyBackup},
		controller.Fault:  {"notify_fault", c.NotifyFault},
		stop:              {"notify_stop", c.NotifyStop},
	}[s]
	general := hook{"notify", c.Notify}
	if len(c.Notify) > 0 {
		general.command = slices.Concat(c.Notify, []string{"INSTANCE", c.Cluster, word(s), strconv.Itoa(c.Priority)})
	}
	return slices.DeleteFunc([]hook{specific, general}, func(h hook) bool { return len(h.command) == 0 })
}

// Check says what keeps the hooks from being run on this machine: one error for each hook, all joined.
func (c Config) Check() error {
	var problems []error
	for _, h := range []hook{{"notify", c.Notify}, {"notify_master", c.NotifyMaster}, {"notify_backup", c.NotifyBackup},
		{"notify_fault", c.NotifyFault}, {"notify_stop", c.NotifyStop}} {
		if len(h.command) == 0 {
			continue
		}
		if err := CheckProgram(h.command[0]); err != nil {
			problems = append(problems, fmt.Errorf("hooks.%s: %w", h.name, err))
		}
	}
	return errors.Join(problems...)
}

// Stats counts since the start of the agent.
type Stats struct {
	Runs       uint64 // programs that were started
	Failures   uint64 // programs that could not be started, or ended with another exit status than 0, by time-out too
	Timeouts   uint64 // programs that were ended because their time was over
	Superseded uint64 // changes whose hooks, or the last of them, never ran because a newer change came first
	Refused    uint64 // programs that were not started because they are unsafe, missing or not executable
}

// Runner runs hooks. It is the controller's observer.
type Runner struct {
	cfg atomic.Pointer[Config]
	log *zap.Logger

	// pending holds the newest change that no hook has begun for. Full, it gives the older one up.
	pending chan controller.Change

	runs, failures, timeouts, superseded, refused atomic.Uint64
}

// New returns a runner that starts nothing, or the error of [Config.Check]: what is refused now would be missed in a failover.
func New(cfg Config, log *zap.Logger) (*Runner, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	r := &Runner{log: log, pending: make(chan controller.Change, 1)}
	r.cfg.Store(&cfg)
	return r, nil
}

// Replace takes other programs into use, from the next change on. The error is that of [Config.Check]; then nothing changes.
func (r *Runner) Replace(cfg Config) error {
	if err := cfg.Check(); err != nil {
		return err
	}
	r.cfg.Store(&cfg)
	return nil
}

// Stats returns the counts so far.
func (r *Runner) Stats() Stats {
	return Stats{Runs: r.runs.Load(), Failures: r.failures.Load(), Timeouts: r.timeouts.Load(),
		Superseded: r.superseded.Load(), Refused: r.refused.Load()}
}

// Changed takes a change of state for the hooks, in place of one that still waits. It never waits itself. One goroutine may call it.
func (r *Runner) Changed(c controller.Change) {
	select {
	case older := <-r.pending:
		r.supersede(older)
	default:
	}
	r.pending <- c // there is room: nobody else sends
}

// ErrReplaced, as the cause of the end of Run's context, says that another agent takes the place of this one in the same process: nothing ends
// of which a hook should be told.
var ErrReplaced = errors.New("another agent takes the place of this one")

// Run runs hooks until ctx ends, then those for the end of the agent, and returns when the last one has ended. The error is nil.
func (r *Runner) Run(ctx context.Context) error {
	if err := closeOnExec(); err != nil {
		r.log.Warn("hooks may inherit open files", zap.Error(err))
	}
	last := controller.Change{Transition: controller.Transition{To: controller.Init}}
	for {
		select {
		case <-ctx.Done():
			if !errors.Is(context.Cause(ctx), ErrReplaced) {
				r.stop(ctx, last)
			}
			return nil
		case last = <-r.pending:
			r.notify(ctx, last, func() bool { return ctx.Err() != nil || len(r.pending) > 0 })
		}
	}
}

// stop tells of the end. It is newer than whatever still waits.
func (r *Runner) stop(ctx context.Context, last controller.Change) {
	select {
	case waiting := <-r.pending:
		r.supersede(waiting)
		last = waiting
	default:
	}
	last.From, last.To, last.Reason = last.To, stop, "agent stopping"
	r.notify(ctx, last, func() bool { return false })
}

// notify runs the hooks of one change, unless it is out of date by the time of the next of them.
func (r *Runner) notify(ctx context.Context, c controller.Change, outdated func() bool) {
	for _, h := range r.cfg.Load().forState(c.To) {
		if outdated() {
			r.supersede(c)
			return
		}
		r.run(ctx, h, c)
	}
}

// supersede gives a change up, which is worth a word if there are hooks for it.
func (r *Runner) supersede(c controller.Change) {
	if len(r.cfg.Load().forState(c.To)) == 0 {
		return
	}
	r.superseded.Add(1)
	r.log.Warn("hooks superseded: the state was left before they could run", zap.String(keyState, word(c.To)), zap.Uint64("term", c.Term))
}

// word returns keepalived's word for a state.
func word(s controller.State) string { return strings.ToUpper(string(s)) }
