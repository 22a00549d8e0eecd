package sandbox

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// killTimeout bounds how long Down waits for the kernel to dismantle a lab.
const killTimeout = 10 * time.Second

// Run is a lab that runs, or one whose command crashed and could not clean up.
type Run struct {
	Token   string    `json:"token"`
	PID     int       `json:"pid"` // of the lab's PID 1, as seen from outside
	Command []string  `json:"command"`
	Started time.Time `json:"started"`
	Scratch string    `json:"scratch"`
}

// registryDir is where runs of this user are noted: one file each, named after its token.
func registryDir() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "hacluster-lab")
	}
	if os.Getuid() == 0 {
		return "/run/hacluster-lab"
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("hacluster-lab-%d", os.Getuid()))
}

func register() (*Run, error) {
	token := rand.Text()[:12]
	scratch, err := os.MkdirTemp("", "hacluster-lab-"+token+"-")
	if err != nil {
		return nil, fmt.Errorf("register the lab: %w", err)
	}
	run := &Run{Token: token, Command: os.Args, Started: time.Now(), Scratch: scratch}
	if err := run.write(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(scratch))
	}
	return run, nil
}

func (r *Run) file() string { return filepath.Join(registryDir(), r.Token+".json") }

func (r *Run) write() error {
	data, err := json.Marshal(r)
	if err == nil {
		err = os.MkdirAll(registryDir(), 0o700)
	}
	if err == nil {
		err = os.WriteFile(r.file(), data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("register the lab: %w", err)
	}
	return nil
}

func (r *Run) started(pid int) error {
	r.PID = pid
	return r.write()
}

func (r *Run) empty() bool {
	entries, err := os.ReadDir(r.Scratch)
	return err == nil && len(entries) == 0
}

// forget removes the traces of a run that has ended.
func (r *Run) forget(keepScratch bool) {
	if !keepScratch {
		_ = os.RemoveAll(r.Scratch)
	}
	_ = os.Remove(r.file())
	_ = os.Remove(registryDir()) // if it was the last one
}

// Runs returns the runs of this user that have not ended in an orderly way.
func Runs() ([]Run, error) {
	files, err := filepath.Glob(filepath.Join(registryDir(), "*.json"))
	if err != nil {
		return nil, err
	}
	var runs []Run
	for _, file := range files {
		data, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue // ended in the meantime
		} else if err != nil {
			return nil, fmt.Errorf("read run: %w", err)
		}
		var run Run
		if err := json.Unmarshal(data, &run); err != nil {
			return nil, fmt.Errorf("read run %s: %w", file, err)
		}
		runs = append(runs, run)
	}
	return runs, nil
}

// Down ends a run, wherever its command may be, and removes its traces. It reports whether the lab was still alive.
// Nothing is killed that does not carry the run's token: process ids are reused, tokens are not.
func (r *Run) Down() (alive bool, err error) {
	alive, err = r.kill()
	if err != nil {
		return alive, fmt.Errorf("end lab %s: %w", r.Token, err)
	}
	r.forget(false)
	return alive, nil
}

func (r *Run) kill() (bool, error) {
	if r.PID == 0 {
		return false, nil
	}
	fd, err := unix.PidfdOpen(r.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	// The descriptor is open: from here on the process cannot be mistaken for another.
	if !hasToken(r.PID, r.Token) {
		return false, nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); errors.Is(err, unix.ESRCH) {
		return false, nil
	} else if err != nil {
		return true, err
	}
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(killTimeout.Milliseconds()))
	if err == nil && n == 0 {
		err = fmt.Errorf("process %d did not go away within %s", r.PID, killTimeout)
	}
	return true, err
}

func hasToken(pid int, token string) bool {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	for variable := range bytes.SplitSeq(environ, []byte{0}) {
		if string(variable) == tokenVariable+"="+token {
			return true
		}
	}
	return false
}

// Guest returns the process id of PID 1 of a host of this run, as seen from outside. The host's first arguments are
// command and name.
func (r *Run) Guest(command, name string) (int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		cmdline, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err != nil {
			continue
		}
		args := strings.Split(string(cmdline), "\x00")
		if len(args) > 2 && args[1] == command && args[2] == name && hasToken(pid, r.Token) {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("no host %s in lab %s", name, r.Token)
}
