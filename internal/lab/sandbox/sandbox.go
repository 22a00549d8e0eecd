// Package sandbox runs the lab where it can do no harm and leave nothing behind: as PID 1 of namespaces of its own (PID,
// network, mount, IPC and, for an unprivileged user, user). Whatever the lab starts or configures lives in these
// namespaces or in ones below, so that the death of that one process, however it comes, makes the kernel remove
// everything.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// tokenVariable marks every process of one lab in its environment.
	tokenVariable = "HACLUSTER_LAB_TOKEN"
	// scratchVariable tells the lab where to keep logs and data.
	scratchVariable = "HACLUSTER_LAB_SCRATCH"

	// interruptGrace is how long the lab may take to stop after Ctrl-C before it is killed.
	interruptGrace = 10 * time.Second

	// ExitInterrupted is the exit status after Ctrl-C or SIGTERM.
	ExitInterrupted = 130
)

// ErrNotPermitted means that this machine does not let this user make namespaces.
var ErrNotPermitted = errors.New("making namespaces is not permitted: run as root, or allow unprivileged user namespaces " +
	"(sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces>0)")

// Inside reports whether this process is the lab, not the command that a person started.
func Inside() bool { return os.Getenv(tokenVariable) != "" && os.Getpid() == 1 }

// Scratch returns the directory for what the lab writes while it runs. It is removed afterwards unless the command fails.
func Scratch() string { return os.Getenv(scratchVariable) }

// Enter runs this program again, with the same arguments, inside; it returns the exit status of that. Ctrl-C and SIGTERM
// are passed on once; a second one, or a lab that does not stop in time, ends it at once, and leaves nothing behind
// either.
func Enter(ctx context.Context, messages io.Writer) (int, error) {
	// The kernel kills the lab when the thread that started it ends: keep it for as long as this process lives.
	runtime.LockOSThread()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	run, err := register()
	if err != nil {
		return 0, err
	}
	keep := false
	defer func() { run.forget(keep) }()
	cmd := command(run)
	if err := cmd.Start(); err != nil {
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) {
			err = fmt.Errorf("%w: %w", ErrNotPermitted, err)
		}
		return 0, fmt.Errorf("start the lab: %w", err)
	}
	if err := run.started(cmd.Process.Pid); err != nil {
		return 0, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	status, interrupted := wait(ctx, cmd, signals)
	if interrupted {
		return ExitInterrupted, nil
	}
	if keep = status != 0 && !run.empty(); keep {
		fmt.Fprintf(messages, "logs are kept in %s\n", run.Scratch)
	}
	return status, nil
}

// command prepares the inner process: PID 1 of new namespaces, which dies with this one.
func command(run *Run) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), tokenVariable+"="+run.Token, scratchVariable+"="+run.Scratch)
	attr := &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
		Setpgid:    true, // Ctrl-C reaches this process alone, which passes it on
	}
	if uid := os.Getuid(); uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	cmd.SysProcAttr = attr
	return cmd
}

// wait waits for the lab, stopping it when asked to.
func wait(ctx context.Context, cmd *exec.Cmd, signals <-chan os.Signal) (status int, interrupted bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // the status is in ProcessState
	}()
	var grace <-chan time.Time
	stop := func() {
		if interrupted {
			_ = cmd.Process.Kill()
			return
		}
		interrupted = true
		_ = cmd.Process.Signal(syscall.SIGTERM)
		grace = time.After(interruptGrace)
	}
	cancelled := ctx.Done()
	for {
		select {
		case <-done:
			return cmd.ProcessState.ExitCode(), interrupted
		case <-signals:
			stop()
		case <-cancelled:
			cancelled = nil
			stop()
		case <-grace:
			stop()
		}
	}
}

// Furnish makes the mounts of the inner process its own, gives it a /proc that matches its PID namespace, and a PATH as
// root's. Call it first thing inside.
func Furnish() error {
	if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin"); err != nil {
		return fmt.Errorf("extend PATH: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}
