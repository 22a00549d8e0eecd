// Package host makes the machines of the lab. A host is one process that is PID 1 of its own PID namespace and the first
// of its own network, mount, UTS and IPC namespaces, with its own /proc and /run: what runs on it sees only its own
// processes, and killing PID 1 is pulling the plug, because the kernel kills the rest.
//
// This file is the lab's side; guest.go and init.go are what runs inside.
package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Command is the first argument with which the lab's binary starts itself as a host; see Main.
const Command = "lab-host"

// callTimeout bounds one request to a host's PID 1. It does nothing slow.
const callTimeout = 5 * time.Second

// ErrRefused means that PID 1 of the host answered, with an error.
var ErrRefused = errors.New("host refused")

// Spec describes a host to start.
type Spec struct {
	// Name becomes the host name, and names the host for hacluster-lab exec.
	Name string
	// Role is the key of the function that Main runs as PID 1.
	Role string
	// Args are the role's own arguments.
	Args []string
	// Log receives standard output and error of PID 1.
	Log *os.File
}

// Host is a running host, seen from the lab.
type Host struct {
	name string
	cmd  *exec.Cmd
	conn net.Conn

	mu     sync.Mutex // one request at a time
	enc    *json.Encoder
	dec    *json.Decoder
	killed bool
}

// Start starts a host by executing this very program again in fresh namespaces. The network is empty until somebody
// attaches an interface to Host.Pid.
func Start(spec Spec) (*Host, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("start host %s: %w", spec.Name, err)
	}
	defer theirs.Close()
	cmd := exec.Command("/proc/self/exe", append([]string{Command, spec.Name, spec.Role}, spec.Args...)...)
	cmd.Stdout, cmd.Stderr = spec.Log, spec.Log
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Setpgid:    true,
	}
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, fmt.Errorf("start host %s: %w", spec.Name, err)
	}
	return &Host{name: spec.Name, cmd: cmd, conn: ours, enc: json.NewEncoder(ours), dec: json.NewDecoder(ours)}, nil
}

// socketPair makes the line between the lab and PID 1. It ends with either side, so a host never outlives the lab.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open socket pair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "host"), os.NewFile(uintptr(fds[1]), "lab")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("open socket pair: %w", err)
	}
	return conn, theirs, nil
}

// Name returns the host's name.
func (h *Host) Name() string { return h.name }

// Pid returns the process id of the host's PID 1 as the lab sees it.
func (h *Host) Pid() int { return h.cmd.Process.Pid }

// Conn returns the raw line to PID 1, for roles that speak something else than the requests below.
func (h *Host) Conn() net.Conn { return h.conn }

// Path translates a path on the host (its /run, for example) to one that the lab can open.
func (h *Host) Path(path string) string { return fmt.Sprintf("/proc/%d/root%s", h.Pid(), path) }

// Kill kills every process of the host at once and waits until they are gone. A second Kill does nothing.
func (h *Host) Kill() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.killed {
		return nil
	}
	h.killed = true
	defer h.conn.Close()
	if err := h.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill host %s: %w", h.name, err)
	}
	var exit *exec.ExitError
	if err := h.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("wait for host %s: %w", h.name, err)
	}
	return nil
}

// Run starts a process on the host, in a process group of its own, under a name by which Signal and Running find it
// again. Its output is appended to the file log.
func (h *Host) Run(name string, argv, env []string, log string) error {
	_, err := h.call(request{Op: opRun, Name: name, Argv: argv, Env: env, Log: log})
	return err
}

// Target says which processes a signal goes to.
type Target uint8

const (
	// Leader is the process that Run started.
	Leader Target = iota
	// Group is that process and all its descendants, in one system call.
	Group
)

// Signal sends a signal to the process that was started under name, and returns the wall-clock time immediately before
// it was sent.
func (h *Host) Signal(name string, to Target, sig syscall.Signal) (time.Time, error) {
	answer, err := h.call(request{Op: opSignal, Name: name, Target: to, Signal: int(sig)})
	return time.Unix(0, answer.AtNanos), err
}

// Running reports whether the process that was started under name, or any process of its group, is still there.
func (h *Host) Running(name string) (bool, error) {
	answer, err := h.call(request{Op: opRunning, Name: name})
	return answer.Running, err
}

func (h *Host) call(req request) (response, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.killed {
		return response{}, fmt.Errorf("ask host %s to %s %s: %w", h.name, req.Op, req.Name, net.ErrClosed)
	}
	if err := h.conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return response{}, fmt.Errorf("ask host %s: %w", h.name, err)
	}
	var answer response
	err := h.enc.Encode(req)
	if err == nil {
		err = h.dec.Decode(&answer)
	}
	if err == nil && answer.Error != "" {
		err = fmt.Errorf("%w: %s", ErrRefused, answer.Error)
	}
	if err != nil {
		return answer, fmt.Errorf("ask host %s to %s %s: %w", h.name, req.Op, req.Name, err)
	}
	return answer, nil
}
