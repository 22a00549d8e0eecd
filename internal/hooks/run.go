package hooks

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/controller"
)

const (
	// killAfter is how long a program has from SIGTERM to SIGKILL.
	killAfter = 2 * time.Second
	// stopWithin is how long a program has, at most, once the agent ends. At the worst three follow each other (the one that is
	// running, notify_stop and notify): 21 s with killAfter, well within systemd's 90.
	stopWithin = 5 * time.Second
	// drainWithin is how long the output may stay open after the program has ended and its group was killed: a process that left the
	// group is not waited for.
	drainWithin = 100 * time.Millisecond
)

const (
	keyHook  = "hook"
	keyState = "state"
	keyTook  = "took"
)

// run runs one program and logs how it went.
func (r *Runner) run(ctx context.Context, h hook, c controller.Change) {
	log := r.log.With(zap.String(keyHook, h.name), zap.String(keyState, word(c.To)))
	// The check also reads the beginning of the file and of its interpreter: a disk that hangs does so here, in a system call that holds
	// up this goroutine only. In fork and exec it would keep a processor of the Go runtime (golang/go#11155).
	if err := CheckProgram(h.command[0]); err != nil {
		r.refused.Add(1)
		log.Error("hook refused", zap.Error(err))
		return
	}
	start := time.Now()
	err := r.execute(ctx, h, c, log)
	if err != nil {
		r.failures.Add(1)
		log.Warn("hook failed", zap.Error(err), zap.Duration(keyTook, time.Since(start)))
		return
	}
	log.Info("hook ended", zap.Duration(keyTook, time.Since(start)))
}

// execute starts the program and waits for its end. The run is then over: what is left of its process group is killed, so that nothing
// of an older state goes on beside the hooks of a newer one.
func (r *Runner) execute(ctx context.Context, h hook, c controller.Change, log *zap.Logger) error {
	life, end := r.lifetime(ctx)
	defer end()
	output, theirs, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("open a pipe for the output: %w", err)
	}
	defer output.Close()
	cmd := exec.CommandContext(life, h.command[0], h.command[1:]...)
	cmd.Env, cmd.Dir = r.environment(h, c), "/"
	cmd.Stdout, cmd.Stderr = theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return signalGroup(cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = killAfter
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	r.runs.Add(1)
	said := make(chan struct{})
	go func() {
		defer close(said)
		logOutput(output, log)
	}()
	err = cmd.Wait()
	// The number of the group is not given to others so soon: the kernel goes through all numbers first.
	if signalGroup(cmd.Process.Pid, syscall.SIGKILL) == nil {
		log.Warn("hook left processes behind; they were killed")
	}
	if err := output.SetReadDeadline(time.Now().Add(drainWithin)); err != nil {
		log.Warn("hook's output cannot be limited in time", zap.Error(err))
	}
	<-said
	if life.Err() != nil {
		r.timeouts.Add(1)
		return fmt.Errorf("its time was over: %v", cmd.ProcessState)
	}
	return err
}

// lifetime ends when a program's time is over: by the time-out, or stopWithin after the agent began to end.
func (r *Runner) lifetime(ctx context.Context) (context.Context, context.CancelFunc) {
	life, end := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Load().Timeout)
	hurry := context.AfterFunc(ctx, func() { time.AfterFunc(stopWithin, end) })
	return life, func() { hurry(); end() }
}

// signalGroup returns os.ErrProcessDone if nobody is left in the group.
func signalGroup(pgid int, s syscall.Signal) error {
	err := syscall.Kill(-pgid, s)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// closeOnExec keeps from the hooks what this process was started with. What it opened itself is kept from them already.
func closeOnExec() error {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("list open files: %w", err)
	}
	for _, f := range open {
		if fd, err := strconv.Atoi(f.Name()); err == nil && fd > syscall.Stderr {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// environment is all that a program gets: nothing of the agent's own, which may hold credentials.
func (r *Runner) environment(h hook, c controller.Change) []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C"}
	for _, v := range [][2]string{
		{"HOOK", h.name},
		{"CLUSTER", r.cfg.Load().Cluster},
		{"NODE", r.cfg.Load().Node},
		{"PRIORITY", strconv.Itoa(r.cfg.Load().Priority)},
		{"STATE", word(c.To)},
		{"PREVIOUS_STATE", word(c.From)},
		{"REASON", c.Reason},
		{"TERM", strconv.FormatUint(c.Term, 10)},
		{"EIP", each(c, func(a controller.Whereabouts) string { return textOf(a.PublicIP) })},
		{"ALLOCATION_ID", r.cfg.Load().AllocationIDs},
		{"ASSOCIATION_ID", each(c, func(a controller.Whereabouts) string { return string(a.Association) })},
		{"HOLDER", each(c, func(a controller.Whereabouts) string { return string(a.Holder) })},
	} {
		env = append(env, "HACLUSTER_"+v[0]+"="+printable(v[1]))
	}
	return env
}

// each joins what is known of several addresses by spaces, in the order of the configuration; '-' stands for what is not known of one
// of several.
func each(c controller.Change, what func(controller.Whereabouts) string) string {
	var words []string
	for _, a := range c.Addresses {
		word := what(a)
		if word == "" && len(c.Addresses) > 1 {
			word = "-"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func textOf(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// printable returns text as one line that a terminal and execve(2) take as it is.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}
