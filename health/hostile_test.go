package health

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	mallory = 12345 // an ordinary user
	service = 99    // the user of a service
)

func owned(uid int) func(*process) { return func(p *process) { p.uid = uid } }

// TestTrackerAndFakes: any user can start a process named haproxy. It is neither watched in HAProxy's place nor does its end look like
// HAProxy's.
func TestTrackerAndFakes(t *testing.T) {
	// HAProxy may have been given that user, and an operator who sees it run must read why it does not count.
	const passedOver = "; process 20 is user 12345's and does not count: restart hacluster if HAProxy runs as that user now"
	genuine, fake, newer := proc(10, 1), proc(20, 1, owned(mallory), young), proc(30, 1)
	show(t, false, []film{
		{name: "a fake beside HAProxy", pictures: []picture{
			{processes: []process{fake, genuine}, want: "ok: haproxy process 10"},
			{processes: []process{genuine}, want: "ok: haproxy process 10"},
			{processes: []process{fake}, want: "down: haproxy process 10 exited" + passedOver},
			{processes: []process{fake, newer}, want: "ok: haproxy process 30"},
		}},
		{name: "a fake with what looks like a worker", pictures: []picture{
			{processes: []process{proc(10, 1, master), worker(11, 10), fake, worker(21, 20, owned(mallory))}, want: "ok: haproxy master process 10, worker 11"},
			{processes: []process{fake, worker(21, 20, owned(mallory))}, want: "down: haproxy master process 10 exited" + passedOver},
		}},
		{name: "workers are another user's than their master", pictures: []picture{
			{processes: []process{proc(10, 1, master), worker(11, 10, owned(65534))}, want: "ok: haproxy master process 10, worker 11"},
			{processes: []process{proc(10, 1, master)}, want: "down: haproxy worker process 11 exited and master process 10 has no other"},
		}},
		{name: "HAProxy is started anew as a service's user", pictures: []picture{
			{processes: []process{genuine}, want: "ok: haproxy process 10"},
			{want: "down: haproxy process 10 exited"},
			{processes: []process{proc(30, 1, owned(service))}, want: "ok: haproxy process 30"},
		}},
		{name: "HAProxy is an ordinary user's, and stays so", pictures: []picture{
			{processes: []process{proc(10, 1, owned(100000))}, want: "ok: haproxy process 10"},
			{processes: []process{fake}, want: "down: haproxy process 10 exited" + passedOver},
			{processes: []process{fake, proc(30, 1, owned(100000))}, want: "ok: haproxy process 30"},
		}},
	})
	show(t, true, []film{
		{name: "a fake with the number of the pidfile, from a PID namespace", pictures: []picture{
			{filePID: 10, processes: []process{proc(5, 1, owned(mallory), inner(10)), genuine}, want: "ok: haproxy process 10"},
			{filePID: 10, processes: []process{proc(5, 1, owned(mallory), inner(10))}, want: "down: haproxy process 10 exited" +
				"; process 5 is user 12345's and does not count: restart hacluster if HAProxy runs as that user now"},
		}},
	})
}

// TestAFakeHAProxyIsNotWatched: the same with real processes, one of them another user's.
func TestAFakeHAProxyIsNotWatched(t *testing.T) {
	if os.Geteuid() != 0 {
		missing(t, "this test needs root: it starts a process of another user")
	}
	name := fmt.Sprintf("hapx%d", os.Getpid()%1e6)
	dir, err := os.MkdirTemp("", "fake") // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	binary := filepath.Join(dir, name)
	sleep, err := exec.LookPath("sleep")
	if err == nil {
		err = exec.Command("cp", "--dereference", sleep, binary).Run()
	}
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	begin := func(uid uint32) *exec.Cmd {
		cmd := exec.Command(binary, "1000")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}, Setpgid: true, Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		return cmd
	}
	genuine := begin(0)
	fake := begin(mallory)
	m, err := New(Config{Process: &ProcessConfig{Name: name, Interval: 20 * time.Millisecond}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	defer func() { cancel(); <-done }()
	says := func(healthy bool, pid int) func() bool {
		return func() bool {
			s := m.Status()
			return s.Healthy == healthy && strings.Contains(s.Checks[0].Detail, fmt.Sprintf("process %d", pid))
		}
	}
	// A process stands as a child of this test for its parent has another name.
	waitFor(t, 20*time.Second, "the genuine one to be watched", says(true, genuine.Process.Pid))
	_ = fake.Process.Kill()
	_ = fake.Wait()
	begin(mallory)
	_ = genuine.Process.Kill()
	waitFor(t, 20*time.Second, "its end to be noticed beside a fake", says(false, genuine.Process.Pid))
}

// TestAFakeStatsSocketIsNotBelieved: in a directory where everybody may write, anybody can listen once HAProxy is gone.
func TestAFakeStatsSocketIsNotBelieved(t *testing.T) {
	if os.Geteuid() != 0 {
		missing(t, "this test needs root: it listens as another user")
	}
	for _, tt := range []struct {
		name string
		uid  int
		mode os.FileMode
		want string
	}{
		{"HAProxy in /tmp", 0, os.ModeSticky | 0o777, "answered by process 1"},
		{"HAProxy as a service's user in /tmp", service, os.ModeSticky | 0o777, "answered by process 1"},
		{"anybody in /tmp", mallory, os.ModeSticky | 0o777, "failed: user 12345 listens at the stats socket"},
		{"HAProxy as some user, in a directory of its own", mallory, 0o700, "answered by process 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "stats")
			if err == nil {
				err = os.Chown(dir, tt.uid, tt.uid)
			}
			if err == nil {
				err = os.Chmod(dir, tt.mode)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			socket := filepath.Join(dir, "admin.sock")
			l := listenAs(t, tt.uid, socket)
			served := make(chan struct{})
			go func() {
				defer close(served)
				if conn, err := l.Accept(); err == nil {
					answerStats(conn, "Pid: 1\n")
				}
			}()
			got := probeOnce(t, statsProber{socket: socket}, 10*time.Second)
			l.Close()
			<-served
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("probe says %q, want %q", got, tt.want)
			}
		})
	}
}

// listenAs listens as another user. Users are a thread's on Linux; that thread is not used again.
func listenAs(t *testing.T, uid int, path string) net.Listener {
	t.Helper()
	type result struct {
		l   net.Listener
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			done <- result{err: errno}
			return
		}
		l, err := net.Listen("unix", path)
		done <- result{l, err}
	}()
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.l
}
