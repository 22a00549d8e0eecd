package sdnotify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
)

// manager stands in for systemd: it listens where NOTIFY_SOCKET says.
func manager(t *testing.T, name string, variables map[string]string) (*net.UnixConn, *Manager) {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv(socketVariable, name)
	for key, value := range variables {
		t.Setenv(key, value)
	}
	m, err := FromEnvironment(zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return conn, m
}

func hear(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 64)
	n, err := conn.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(text[:n])
}

func TestManagerHears(t *testing.T) {
	for kind, name := range map[string]string{
		"a file":             filepath.Join(t.TempDir(), "notify"),
		"an abstract socket": fmt.Sprintf("@hacluster-sdnotify-%d", os.Getpid()),
	} {
		t.Run(kind, func(t *testing.T) {
			conn, m := manager(t, name, nil)
			m.Ready()
			m.Stopping()
			if first, second := hear(t, conn), hear(t, conn); first != "READY=1" || second != "STOPPING=1" {
				t.Errorf("heard %q, then %q", first, second)
			}
		})
	}
}

// TestEnvironmentIsTaken: what the agent runs must not be able to say that the agent is alive.
func TestEnvironmentIsTaken(t *testing.T) {
	manager(t, filepath.Join(t.TempDir(), "notify"), map[string]string{timeoutVariable: "1000000", pidVariable: fmt.Sprint(os.Getpid())})
	for _, variable := range os.Environ() {
		if strings.HasPrefix(variable, "NOTIFY_") || strings.HasPrefix(variable, "WATCHDOG_") {
			t.Errorf("%s is left", variable)
		}
	}
}

func TestWatchdogTimeout(t *testing.T) {
	own := fmt.Sprint(os.Getpid())
	for name, row := range map[string]struct {
		usec, pid string
		want      time.Duration
		wrong     bool
	}{
		"none":                 {"", "", 0, false},
		"ours":                 {"10000000", own, 10 * time.Second, false},
		"for whoever reads it": {"10000000", "", 10 * time.Second, false},
		"of another process":   {"10000000", "1", 0, false},
		"no number":            {"10s", own, 0, true},
		"negative":             {"-1", own, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(timeoutVariable, row.usec)
			t.Setenv(pidVariable, row.pid)
			m, err := FromEnvironment(zap.NewNop())
			if (err != nil) != row.wrong {
				t.Fatalf("error %v", err)
			}
			if err == nil && m.timeout != row.want {
				t.Errorf("timeout %v, want %v", m.timeout, row.want)
			}
		})
	}
}

// TestWatchSpeaksOnlyForTheLiving: silence is what makes systemd end a stuck agent, so a failed check must not be followed by a word.
func TestWatchSpeaksOnlyForTheLiving(t *testing.T) {
	defer goleak.VerifyNone(t)
	conn, m := manager(t, filepath.Join(t.TempDir(), "notify"), map[string]string{timeoutVariable: "30000"})
	ctx, cancel := context.WithCancel(t.Context())
	answers := make(chan error)
	done := make(chan error, 1)
	go func() {
		done <- m.Watch(ctx, func(context.Context) error {
			select {
			case err := <-answers:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	answers <- nil
	if word := hear(t, conn); word != "WATCHDOG=1" {
		t.Errorf("of a living agent: %q", word)
	}
	answers <- errors.New("stuck")
	answers <- errors.New("stuck") // asked again, so the first answer has had its effect
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	m.Stopping()
	if word := hear(t, conn); word != "STOPPING=1" {
		t.Errorf("of a stuck agent: %q", word)
	}
}

// TestNobodyAsked: by hand, in a container and under another supervisor there is nobody to tell.
func TestNobodyAsked(t *testing.T) {
	t.Setenv(socketVariable, "")
	t.Setenv(timeoutVariable, "")
	m, err := FromEnvironment(zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	m.Ready()
	if err := m.Watch(t.Context(), func(context.Context) error { t.Error("asked"); return nil }); err != nil {
		t.Error(err)
	}
}
