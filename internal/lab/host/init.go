package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The requests that Init answers, one JSON object per line, in order.
const (
	opRun     = "run"
	opSignal  = "signal"
	opRunning = "running"
)

type request struct {
	Op     string   `json:"op"`
	Name   string   `json:"name"`
	Argv   []string `json:"argv,omitempty"`
	Env    []string `json:"env,omitempty"`
	Log    string   `json:"log,omitempty"`
	Target Target   `json:"target,omitempty"`
	Signal int      `json:"signal,omitempty"`
}

type response struct {
	Error   string `json:"error,omitempty"`
	AtNanos int64  `json:"at,omitempty"`
	Running bool   `json:"running,omitempty"`
}

// Init is the role of a host that runs processes for the lab: it starts and signals them, and reaps what dies, orphans
// included. It does not restart anything; that is the lab's decision.
func Init(line *os.File, _ []string) error {
	in := initd{pids: make(map[string]int)}
	children := make(chan os.Signal, 1) // one pending SIGCHLD is enough: reap takes all that are dead
	signal.Notify(children, syscall.SIGCHLD)
	defer signal.Stop(children)
	go in.reap(children) // ends with PID 1, and so with the host
	return in.serve(line)
}

type initd struct {
	mu   sync.Mutex
	pids map[string]int // of what Run started last under a name; also its process group
}

func (in *initd) serve(line io.ReadWriter) error {
	dec, enc := json.NewDecoder(line), json.NewEncoder(line)
	for {
		var req request
		if err := dec.Decode(&req); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read request: %w", err)
		}
		answer, err := in.handle(req)
		if err != nil {
			answer.Error = err.Error()
		}
		if err := enc.Encode(answer); err != nil {
			return fmt.Errorf("write answer: %w", err)
		}
	}
}

func (in *initd) handle(req request) (response, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch req.Op {
	case opRun:
		return response{}, in.run(req)
	case opSignal:
		return in.signal(req)
	case opRunning:
		pid, known := in.pids[req.Name]
		return response{Running: known && unix.Kill(-pid, 0) == nil}, nil
	default:
		return response{}, fmt.Errorf("unknown request %q", req.Op)
	}
}

// run uses the system call, not os/exec, because reap already waits for every child.
func (in *initd) run(req request) error {
	output, err := os.OpenFile(req.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer output.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	pid, err := syscall.ForkExec(req.Argv[0], req.Argv, &syscall.ProcAttr{
		Env:   req.Env,
		Files: []uintptr{null.Fd(), output.Fd(), output.Fd()},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", req.Argv[0], err)
	}
	in.pids[req.Name] = pid
	return nil
}

func (in *initd) signal(req request) (response, error) {
	pid, known := in.pids[req.Name]
	if !known {
		return response{}, fmt.Errorf("nothing was started as %s", req.Name)
	}
	if req.Target == Group {
		pid = -pid
	}
	at := time.Now()
	if err := unix.Kill(pid, syscall.Signal(req.Signal)); err != nil {
		return response{}, fmt.Errorf("signal %s: %w", req.Name, err)
	}
	return response{AtNanos: at.UnixNano()}, nil
}

func (in *initd) reap(children <-chan os.Signal) {
	for range children {
		for {
			var status unix.WaitStatus
			pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil || pid <= 0 {
				break
			}
			in.report(pid, status)
		}
	}
}

// report writes to the host's log which process ended and how.
func (in *initd) report(pid int, status unix.WaitStatus) {
	in.mu.Lock()
	defer in.mu.Unlock()
	name := "orphan"
	for n, p := range in.pids {
		if p == pid {
			name = n
		}
	}
	if status.Signaled() {
		log.Printf("%s (pid %d) was killed by %s", name, pid, status.Signal())
		return
	}
	log.Printf("%s (pid %d) exited with status %d", name, pid, status.ExitStatus())
}
