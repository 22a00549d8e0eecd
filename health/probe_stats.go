package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	maxStatsAnswer = 64 << 10 // bytes; HAProxy 3 sends about 3 kB
	// stoppingPause is how long to wait before asking again when a leaving worker answered.
	stoppingPause = 10 * time.Millisecond
)

// statsProber sends "show info" to HAProxy's stats socket (management.txt section 9.3). Each probe opens a connection,
// which goes through an accept queue as clients do; a session kept open with "prompt" would stay with the old worker
// after a reload.
type statsProber struct{ socket string }

// info is what matters of the answer.
type info struct {
	pid      int // the worker's number in its own PID namespace
	uptime   time.Duration
	stopping bool // it drains and will exit
}

// probe asks again while a leaving worker answers: during a reload the new one is about to (I5).
func (p statsProber) probe(ctx context.Context, asked func()) (string, error) {
	leaving := 0
	for {
		answer, err := p.ask(ctx, asked)
		switch {
		case err != nil && leaving != 0 && ctx.Err() != nil: // given up while it asked again
			return "", stoppingError{pid: leaving}
		case err != nil:
			return "", err
		case !answer.stopping:
			return fmt.Sprintf("answered by process %d, up %v", answer.pid, answer.uptime), nil
		}
		leaving = answer.pid
		retry := time.NewTimer(stoppingPause)
		select {
		case <-ctx.Done():
			retry.Stop()
			return "", stoppingError{pid: leaving}
		case <-retry.C:
		}
	}
}

// stoppingError says that only a leaving worker answered until the deadline. It is no timeout: HAProxy does answer.
type stoppingError struct{ pid int }

func (e stoppingError) Error() string {
	return fmt.Sprintf("only process %d answers, which is stopping", e.pid)
}

func (p statsProber) ask(ctx context.Context, asked func()) (info, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", p.socket)
	if errors.Is(err, fs.ErrPermission) {
		return info{}, fmt.Errorf("%w: give it to the agent's group in haproxy.cfg, 'stats socket %s group GROUP mode 660 level user'", err, p.socket)
	}
	if err != nil {
		return info{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // ends a read or write at the deadline
	if err := checkAnswerer(conn, p.socket); err != nil {
		return info{}, err
	}
	if _, err := io.WriteString(conn, "show info\n"); err != nil {
		return info{}, err
	}
	asked()
	data, err := io.ReadAll(io.LimitReader(conn, maxStatsAnswer))
	if err != nil {
		return info{}, err
	}
	return parseInfo(data)
}

// parseInfo reads the "Name: value" lines. HAProxys before 1.9 do not say Stopping.
func parseInfo(data []byte) (info, error) {
	var answer info
	for line := range bytes.Lines(data) {
		name, value, _ := strings.Cut(strings.TrimSpace(string(line)), ": ")
		switch name {
		case "Pid", "Uptime_sec", "Stopping":
		default:
			continue
		}
		number, err := strconv.Atoi(value)
		if err != nil || number < 0 {
			return info{}, fmt.Errorf("parse show info: %s is %q", name, value)
		}
		switch name {
		case "Pid":
			answer.pid = number
		case "Uptime_sec":
			answer.uptime = time.Duration(number) * time.Second
		case "Stopping":
			answer.stopping = number != 0
		}
	}
	if answer.pid == 0 {
		return info{}, errors.New("parse show info: no Pid in the answer; is this HAProxy's stats socket?")
	}
	return answer, nil
}
