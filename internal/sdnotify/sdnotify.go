// Package sdnotify tells systemd how the agent is: ready, stopping, and alive, which is more than being there.
//
// The protocol is a datagram of "KEY=value" lines to the socket that systemd names in the environment (sd_notify(3), sd_watchdog_enabled(3)).
package sdnotify

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"go.uber.org/zap"
)

const (
	socketVariable  = "NOTIFY_SOCKET"
	timeoutVariable = "WATCHDOG_USEC"
	pidVariable     = "WATCHDOG_PID"

	ready    = "READY=1"
	stopping = "STOPPING=1"
	alive    = "WATCHDOG=1"

	// sendWithin bounds one datagram: a manager that does not read must not hold up the agent.
	sendWithin = time.Second
	// perTimeout is how often the watchdog hears of the agent within its timeout; sd_watchdog_enabled(3) asks for two.
	perTimeout = 3
)

// Manager is the service manager that started this process. One that asked for nothing is told nothing.
type Manager struct {
	socket  string        // "@" at its beginning: an abstract one; empty: no manager wants to know
	timeout time.Duration // of its watchdog; 0: there is none
	log     *zap.Logger
}

// FromEnvironment takes what the manager passed on out of the environment, so that no program that the agent runs can speak for it.
func FromEnvironment(log *zap.Logger) (*Manager, error) {
	m := &Manager{socket: os.Getenv(socketVariable), log: log}
	usec, pid := os.Getenv(timeoutVariable), os.Getenv(pidVariable)
	for _, name := range []string{socketVariable, timeoutVariable, pidVariable} {
		if err := os.Unsetenv(name); err != nil {
			return nil, fmt.Errorf("remove %s from the environment: %w", name, err)
		}
	}
	if usec == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return m, nil // none, or that of another process
	}
	n, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || n <= 0 {
		return nil, fmt.Errorf("%s is %q: want microseconds, as systemd writes them; unset it to run without a watchdog", timeoutVariable, usec)
	}
	m.timeout = time.Duration(n) * time.Microsecond
	return m, nil
}

// Ready says that the start is over.
func (m *Manager) Ready() { m.tell(ready) }

// Stopping says that the end has begun. From then on the watchdog waits for nothing.
func (m *Manager) Stopping() { m.tell(stopping) }

// Watch tells the watchdog that the agent is alive, for as long as check says so, until ctx ends. check returns nil if what matters still
// moves; its context ends after one timeout of the watchdog, by which time the manager has lost its patience anyway.
func (m *Manager) Watch(ctx context.Context, check func(context.Context) error) error {
	if m.timeout == 0 {
		return nil
	}
	ticker := time.NewTicker(m.timeout / perTimeout)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		within, cancel := context.WithTimeout(ctx, m.timeout)
		err := check(within)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			m.log.Error("this agent is stuck: the watchdog is about to end it", zap.Error(err))
		default:
			m.tell(alive)
		}
	}
}

// tell logs what goes wrong, once each time: the agent works without its manager.
func (m *Manager) tell(state string) {
	if m.socket == "" {
		return
	}
	if err := m.send(state); err != nil {
		m.log.Warn("systemd cannot be told", zap.String("state", state), zap.Error(err))
	}
}

func (m *Manager) send(state string) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(sendWithin)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(state))
	return err
}
