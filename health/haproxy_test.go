package health

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"
)

const haproxyConfig = `
global
  stats socket %[1]s mode 600 level admin
  nbthread 2
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
frontend main
  bind %[2]s
  monitor-uri /healthz
`

// haproxy is a real HAProxy with a name of its own, so that others on this machine are not mistaken for it.
type haproxy struct {
	t                        *testing.T
	name                     string // as in /proc/PID/comm
	binary, config           string
	socket, pidfile, address string
}

func newHAProxy(t *testing.T) *haproxy {
	t.Helper()
	path, err := exec.LookPath("haproxy")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/haproxy"); err != nil {
			missing(t, "HAProxy is not installed: apt-get install haproxy")
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	dir, err := os.MkdirTemp("", "hap") // t.TempDir is too long for a unix socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	_, port, _ := net.SplitHostPort(address)
	h := &haproxy{
		t:       t,
		name:    "hap" + port,
		binary:  filepath.Join(dir, "hap"+port), // a process is named after the link it was started by
		config:  filepath.Join(dir, "haproxy.cfg"),
		socket:  filepath.Join(dir, "stats.sock"),
		pidfile: filepath.Join(dir, "pid"),
		address: address,
	}
	if err := os.Symlink(path, h.binary); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.config, fmt.Appendf(nil, haproxyConfig, h.socket, h.address), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.signal(syscall.SIGKILL) })
	return h
}

// start runs HAProxy, by way of the given command if there is one, and reaps it when it exits.
func (h *haproxy) start(args ...string) {
	h.t.Helper()
	args = append(args, "-f", h.config, "-p", h.pidfile)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	reaped := make(chan struct{})
	go func() {
		defer close(reaped)
		_ = cmd.Wait() // it is killed, or a daemon's parent
	}()
	h.t.Cleanup(func() {
		h.signal(syscall.SIGKILL)
		<-reaped
		if h.t.Failed() {
			h.t.Logf("output of %v:\n%s", args, output.String())
		}
	})
}

// processes lists the live ones without the code under test.
func (h *haproxy) processes() []int {
	files, _ := filepath.Glob("/proc/[0-9]*/comm")
	var pids []int
	for _, file := range files {
		comm, err := os.ReadFile(file)
		if err != nil || strings.TrimSpace(string(comm)) != h.name {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(file, "/proc/%d/", &pid); err != nil {
			h.t.Fatal(err)
		}
		if stat, err := os.ReadFile(filepath.Join(filepath.Dir(file), "stat")); err == nil && !strings.Contains(string(stat), ") Z ") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// signal sends sig to all its processes and returns when it began to.
func (h *haproxy) signal(sig syscall.Signal) time.Time {
	pids := h.processes()
	begin := time.Now()
	for _, pid := range pids {
		_ = syscall.Kill(pid, sig) // it may be gone already
	}
	return begin
}

// master returns the process whose parent is not one of them.
func (h *haproxy) master() int {
	h.t.Helper()
	pids := h.processes()
	for _, pid := range pids {
		p, ok := procfs{root: "/proc"}.read(pid, h.name)
		isChild := false
		for _, other := range pids {
			isChild = isChild || p.parent == other
		}
		if ok && !isChild {
			return pid
		}
	}
	h.t.Fatal("no master process")
	return 0
}

// answering returns the process that answers the stats socket, or 0.
func (h *haproxy) answering() int {
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Second)
	defer cancel()
	answer, err := statsProber{socket: h.socket}.ask(ctx, func() {})
	if err != nil || answer.stopping {
		return 0
	}
	return answer.pid
}

// worker waits for a process that answers: signals to process 0 go to the test itself, and to all that it has started.
func (h *haproxy) worker() (pid int) {
	h.t.Helper()
	waitFor(h.t, 10*time.Second, "an answer of the stats socket", func() bool {
		pid = h.answering()
		return pid != 0
	})
	return pid
}

// reload does SIGUSR2 and waits until another worker answers. A master that is still busy with the last reload ignores
// the signal, so it is sent again now and then.
func (h *haproxy) reload() {
	h.t.Helper()
	before := h.worker()
	var sent time.Time
	waitFor(h.t, 5*time.Second, "a new worker", func() bool {
		if time.Since(sent) > time.Second {
			if err := syscall.Kill(h.master(), syscall.SIGUSR2); err != nil {
				h.t.Fatal(err)
			}
			sent = time.Now()
		}
		pid := h.answering()
		return pid != 0 && pid != before
	})
}

// checks are those of docs/config.example.yaml.
func (h *haproxy) checks() Config { return h.checksWith(quickProbe()) }

func (h *haproxy) checksWith(p Probe) Config {
	return Config{
		Process: &ProcessConfig{Name: h.name},
		Stats:   &StatsConfig{Socket: h.socket, Probe: p},
		HTTP:    &HTTPConfig{URL: "http://" + h.address + "/healthz", Probe: p},
	}
}

// profile is a set of values of docs/TIMING.md.
type profile struct {
	name  string
	probe Probe
}

func profiles() []profile { return []profile{{"default", quickProbe()}, {"fast", fastProbe()}} }

// fastProbe has the values that internal/config takes for profile fast.
func fastProbe() Probe {
	return Probe{Interval: 50 * time.Millisecond, Timeout: 50 * time.Millisecond, Rise: 4, Fall: 3}
}

// watch runs a monitor and waits until it is healthy and has nothing left to say.
func (h *haproxy) watch(cfg Config) *Monitor {
	h.t.Helper()
	m, err := New(cfg, zaptest.NewLogger(h.t))
	if err != nil {
		h.t.Fatal(err)
	}
	run(h.t, m)
	h.awaitHealth(m, true, 10*time.Second)
	return m
}

// run runs the monitor until the test ends.
func run(t *testing.T, m *Monitor) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// awaitHealth reads updates until one says what is wanted, and returns it.
func (h *haproxy) awaitHealth(m *Monitor, healthy bool, limit time.Duration) Status {
	h.t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		select {
		case s := <-m.Updates():
			if s.Healthy == healthy {
				return s
			}
		case <-deadline.C:
			h.t.Fatalf("no update with healthy = %v within %v; status %+v", healthy, limit, m.Status())
		}
	}
}

// expectNoUpdate fails if anything was published since the last update was read.
func expectNoUpdate(t *testing.T, m *Monitor, after string) {
	t.Helper()
	select {
	case s := <-m.Updates():
		t.Fatalf("update after %s: %+v", after, s)
	default:
	}
	if s := m.Status(); !s.Healthy {
		t.Fatalf("unhealthy after %s: %+v", after, s)
	}
}

// settle gives every check time for two more results, so that a late fault of the event before would be seen.
func settle(t *testing.T, m *Monitor) {
	t.Helper()
	begin := m.Status().At
	waitFor(t, 5*time.Second, "more results", func() bool { return m.Status().At > begin+700*time.Millisecond })
}

// holdWorker keeps the worker that serves now from leaving, with half a request, until the test ends or letGo is called.
func (h *haproxy) holdWorker() (letGo func()) {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.address)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\n")); err != nil {
		h.t.Fatal(err)
	}
	return func() { conn.Close() }
}

// load sends requests until the test ends, as clients do during a reload.
func (h *haproxy) load() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan string)
	go func() {
		sent, failed := 0, 0
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		for ctx.Err() == nil {
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.address+"/healthz", nil)
			resp, err := client.Do(req)
			if ctx.Err() != nil {
				break
			}
			sent++
			if err != nil {
				failed++
				continue
			}
			resp.Body.Close()
		}
		done <- fmt.Sprintf("%d requests under load, %d not answered", sent, failed)
	}()
	h.t.Cleanup(func() {
		cancel()
		h.t.Log(<-done)
	})
}
