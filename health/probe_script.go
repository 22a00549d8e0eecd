package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	scriptPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	// maxScriptOutput is how many bytes of the output are kept; the rest is read and dropped.
	maxScriptOutput = 256
	// scriptPipeWait is how long a process that left the group may hold the output open after the program has ended.
	scriptPipeWait = 100 * time.Millisecond
)

// scriptProber runs a program.
type scriptProber struct{ command []string }

func (p scriptProber) probe(ctx context.Context, _ func()) (string, error) {
	cmd := exec.CommandContext(ctx, p.command[0], p.command[1:]...)
	cmd.Env = []string{scriptPath, "LANG=C"}
	cmd.Dir = "/"
	// In a group of its own it can be killed together with what it started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = scriptPipeWait
	output := &headWriter{room: maxScriptOutput}
	cmd.Stdout, cmd.Stderr = output, output
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil {
		err = nil // it exited with 0, and left something behind that holds the output
	}
	line := output.firstLine()
	switch {
	case err != nil && line != "":
		return "", fmt.Errorf("%w: %s", err, line)
	case err != nil:
		return "", err
	case line != "":
		return "exited with 0: " + line, nil
	}
	return "exited with 0", nil
}

// headWriter keeps the beginning of what is written to it.
type headWriter struct {
	head bytes.Buffer
	room int
}

func (w *headWriter) Write(data []byte) (int, error) {
	kept := data[:min(len(data), w.room)]
	w.room -= len(kept)
	w.head.Write(kept)
	return len(data), nil
}

// firstLine returns what people can read of the first line.
func (w *headWriter) firstLine() string {
	line, _, _ := strings.Cut(strings.TrimSpace(w.head.String()), "\n")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(line, "?"))
}
