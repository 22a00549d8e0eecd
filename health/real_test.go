package health

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/hacluster/hacluster/internal/boottime"
)

// TestKillIsNoticedAtOnce: the death of all processes is an event, not the result of a probe, and the reason names it
// although the probes fail too.
func TestKillIsNoticedAtOnce(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want []string // one of these begins the reason, behind the name of the process
	}{
		// "process": between the two kills the worker looked like a daemon whose parent has just left it.
		{"master and worker", []string{"-W"}, []string{"master process", "worker process", "process"}},
		{"one process", []string{"-db"}, []string{"process"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const limit = 500 * time.Millisecond
			took := time.Hour
			for try := 0; try < 3 && took > limit; try++ { // a busy machine may stand still for as long
				took = killed(t, tt.args, tt.want)
			}
			if took > limit {
				t.Errorf("noticed after %v; an exit event takes milliseconds", took)
			}
		})
	}
}

// killed returns after what time the death of all processes was noticed.
func killed(t *testing.T, args, want []string) (took time.Duration) {
	t.Helper()
	h := newHAProxy(t)
	h.start(append([]string{h.binary}, args...)...)
	m := h.watch(h.checks())
	begin := h.signal(syscall.SIGKILL)
	s := h.awaitHealth(m, false, 5*time.Second)
	took = time.Since(begin)
	t.Logf("noticed %v after the first kill", took)
	if s.Checks[0].Healthy || !slices.ContainsFunc(want, func(w string) bool { return strings.HasPrefix(s.Reason, h.name+" "+w) }) {
		t.Errorf("status = %+v, want the process check to be blamed", s)
	}
	return took
}

// TestMasterAloneIsKilled: its worker is no HAProxy that has taken over.
func TestMasterAloneIsKilled(t *testing.T) {
	h := newHAProxy(t)
	h.start(h.binary, "-W")
	m := h.watch(h.checks())
	master, worker := h.master(), h.worker()
	waitFor(t, 5*time.Second, "the worker to be older than a daemon that was just forked", func() bool {
		p, _ := procfs{root: "/proc"}.read(worker, h.name)
		return boottime.Now()-p.start > forkAge
	})
	if err := syscall.Kill(master, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s := h.awaitHealth(m, false, 5*time.Second)
	if want := h.name + " master process " + strconv.Itoa(master) + " exited"; s.Reason != want {
		t.Errorf("reason = %q, want %q", s.Reason, want)
	}
}

// TestWorkerAloneIsKilled, with a master that does not exit in turn: it is stopped.
func TestWorkerAloneIsKilled(t *testing.T) {
	h := newHAProxy(t)
	h.start(h.binary, "-W")
	m := h.watch(h.checks())
	master, worker := h.master(), h.worker()
	if err := syscall.Kill(master, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(worker, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s := h.awaitHealth(m, false, 5*time.Second)
	if want := fmt.Sprintf("%s worker process %d exited and master process %d has no other", h.name, worker, master); s.Reason != want {
		t.Errorf("reason = %q, want %q", s.Reason, want)
	}
}

// TestHangIsNoticed: a stopped HAProxy has all its processes and even accepts connections. The times are those of
// TestHangIsNoticedInTime; here it is seen that the short time-outs of profile fast apply.
func TestHangIsNoticed(t *testing.T) {
	tests := []struct {
		name  string
		probe Probe
		off   func(*Config) // which checks are left out
	}{
		{"default", quickProbe(), func(*Config) {}},
		{"fast", fastProbe(), func(*Config) {}},
		{"fast, by the stats socket alone", fastProbe(), func(c *Config) { c.HTTP = nil }},
		{"fast, by http alone", fastProbe(), func(c *Config) { c.Stats = nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHAProxy(t)
			h.start(h.binary, "-W")
			cfg := h.checksWith(tt.probe)
			tt.off(&cfg)
			m := h.watch(cfg)
			begin := h.signal(syscall.SIGSTOP)
			s := h.awaitHealth(m, false, 5*time.Second)
			t.Logf("noticed after %v: %s", time.Since(begin), s.Reason)
			expectHang(t, s, tt.probe)
			h.signal(syscall.SIGCONT)
			h.awaitHealth(m, true, 5*time.Second)
		})
	}
}

// expectHang wants a process check that still passes, and a probe that did not wait longer than it had to. On a busy
// machine it does not wait for exactly its time-out.
func expectHang(t *testing.T, s Status, p Probe) {
	t.Helper()
	long := p.Timeout < unseenTimeout && strings.Contains(s.Reason, fmt.Sprint("after ", unseenTimeout))
	if !s.Checks[0].Healthy || !strings.Contains(s.Reason, "check timed out after") || long {
		t.Errorf("status = %+v, want time-outs of %v", s, p.Timeout)
	}
}

// TestHangOfTheWorkerAlone: its master goes on, and is told by the kernel that its child has stopped.
func TestHangOfTheWorkerAlone(t *testing.T) {
	h := newHAProxy(t)
	h.start(h.binary, "-W")
	m := h.watch(h.checksWith(fastProbe()))
	if err := syscall.Kill(h.worker(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	expectHang(t, h.awaitHealth(m, false, 5*time.Second), fastProbe())
}

// TestReloadIsNotAFault (I5): SIGUSR2 replaces the worker three times under load, and nothing at all is published.
func TestReloadIsNotAFault(t *testing.T) {
	for _, profile := range profiles() {
		t.Run(profile.name, func(t *testing.T) {
			h := newHAProxy(t)
			h.start(h.binary, "-W")
			m := h.watch(h.checksWith(profile.probe))
			h.load()
			for range 3 {
				h.reload()
			}
			waitFor(t, 5*time.Second, "the old workers to leave", func() bool { return len(h.processes()) == 2 })
			settle(t, m)
			expectNoUpdate(t, m, "three reloads")
		})
	}
}

// TestNewWorkerIsLookedFor (I5): while an old worker drains and does nothing, a new one that nobody has found yet may be
// hard at work. So who thinks that HAProxy does nothing has the process check look again, whose next scan is far away.
func TestNewWorkerIsLookedFor(t *testing.T) {
	h := newHAProxy(t)
	h.start(h.binary, "-W")
	b := newBoard(zaptest.NewLogger(t))
	process := newProcessCheck(ProcessConfig{Name: h.name, Interval: time.Hour}, b, zaptest.NewLogger(t))
	m := &Monitor{board: b, tasks: []func(context.Context) error{process.run}}
	run(t, m)
	h.awaitHealth(m, true, 5*time.Second)
	waitFor(t, 5*time.Second, "the first worker to answer and be known", func() bool { return process.follows(h.answering()) })
	h.holdWorker()
	h.reload()
	if process.follows(h.answering()) {
		t.Fatal("the new worker is known already: this tests nothing")
	}
	awaitIdle(t, process.work)
	waitFor(t, 5*time.Second, "the new worker to be known", func() bool { return process.follows(h.answering()) })
}

// follows reports whether the process has been found.
func (c *processCheck) follows(pid int) bool {
	ids := c.work.known.Load()
	return ids != nil && slices.ContainsFunc(*ids, func(id processID) bool { return id.pid == pid })
}

// TestDrainingWorkerLeaves (I5): an old worker that is held by a client's connection leaves long after the reload.
func TestDrainingWorkerLeaves(t *testing.T) {
	h := newHAProxy(t)
	h.start(h.binary, "-W")
	m := h.watch(h.checks())
	letGo := h.holdWorker()
	h.reload()
	settle(t, m)
	if n := len(h.processes()); n != 3 {
		t.Fatalf("%d processes, want a master, a worker and an old worker that drains", n)
	}
	letGo()
	waitFor(t, 5*time.Second, "the old worker to leave", func() bool { return len(h.processes()) == 2 })
	settle(t, m)
	expectNoUpdate(t, m, "the end of the old worker")
}

// TestFailedReloadIsNotAFault (I5): with a broken configuration the old worker goes on.
func TestFailedReloadIsNotAFault(t *testing.T) {
	h := newHAProxy(t)
	h.start(h.binary, "-W")
	m := h.watch(h.checks())
	if err := os.WriteFile(h.config, []byte("nonsense\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(h.master(), syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	settle(t, m)
	expectNoUpdate(t, m, "a failed reload")
}

// TestTakeoverIsNotAFault (I5): without a master a reload is another HAProxy, started with -sf.
func TestTakeoverIsNotAFault(t *testing.T) {
	for _, by := range []string{"name", "pidfile"} {
		t.Run("found by "+by, func(t *testing.T) {
			h := newHAProxy(t)
			h.start(h.binary, "-D")
			cfg := h.checks()
			if by == "pidfile" {
				cfg.Process.PIDFile = h.pidfile
			}
			m := h.watch(cfg)
			for range 3 {
				old := h.worker()
				h.start(h.binary, "-D", "-sf", strconv.Itoa(old))
				waitFor(t, 5*time.Second, "the takeover", func() bool {
					pid := h.answering()
					return pid != 0 && pid != old && len(h.processes()) == 1
				})
				expectNoUpdate(t, m, "a takeover")
			}
			settle(t, m)
			expectNoUpdate(t, m, "three takeovers")
			h.signal(syscall.SIGKILL)
			h.awaitHealth(m, false, 5*time.Second)
		})
	}
}

// TestRestart: after a stop the next HAProxy counts only when the probes have risen with it.
func TestRestart(t *testing.T) {
	h := newHAProxy(t)
	h.start(h.binary, "-W")
	m := h.watch(h.checks())
	for range 2 {
		h.signal(syscall.SIGTERM)
		h.awaitHealth(m, false, 5*time.Second)
		waitFor(t, 5*time.Second, "the stop", func() bool { return len(h.processes()) == 0 })
		h.start(h.binary, "-W")
		s := h.awaitHealth(m, true, 5*time.Second)
		if s.Checks[1].Since < s.Checks[0].Since || s.Checks[2].Since < s.Checks[0].Since {
			t.Errorf("status = %+v, want the probes to rise after the process was found", s)
		}
	}
}

// TestChildPIDNamespace: HAProxy in a container calls itself 1 in its pidfile and is another number to us.
func TestChildPIDNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		missing(t, "a PID namespace needs root")
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		missing(t, "unshare is not installed: apt-get install util-linux")
	}
	for _, by := range []string{"name", "pidfile"} {
		t.Run("found by "+by, func(t *testing.T) {
			h := newHAProxy(t)
			h.start(unshare, "--pid", "--fork", "--mount-proc", "--kill-child", h.binary, "-W")
			cfg := h.checks()
			if by == "pidfile" {
				cfg.Process.PIDFile = h.pidfile
			}
			m := h.watch(cfg)
			if n := readPIDFile(h.pidfile); n != 1 {
				t.Fatalf("pidfile says %d, want 1, or this tests nothing", n)
			}
			h.reload()
			settle(t, m)
			expectNoUpdate(t, m, "a reload in a PID namespace")
			begin := h.signal(syscall.SIGKILL)
			s := h.awaitHealth(m, false, 5*time.Second)
			t.Logf("noticed after %v: %s", time.Since(begin), s.Reason)
			if s.Checks[0].Healthy {
				t.Errorf("status = %+v, want the process check to be blamed", s)
			}
		})
	}
}
