package health

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// startProcess runs a program until the test ends.
func startProcess(t *testing.T, command ...string) process {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	return process{processID: processID{pid: cmd.Process.Pid}}
}

// followed makes a workload of real processes.
func followed(processes ...process) *workload {
	w := newWorkload(procfs{root: "/proc"})
	w.follow(processes)
	return w
}

// awaitIdle observes until nothing was done for a while.
func awaitIdle(t *testing.T, w *workload) {
	t.Helper()
	waitFor(t, 5*time.Second, "the processes to do nothing", func() bool {
		since := w.observe()
		<-time.After(20 * time.Millisecond)
		return since() == idle
	})
}

// TestOnlyAStoppedProcessIsIdle: one that runs, or would if it were let, never is.
func TestOnlyAStoppedProcessIsIdle(t *testing.T) {
	spinning := startProcess(t, "/bin/sh", "-c", "while :; do :; done")
	w := followed(spinning)
	for range 20 {
		if since := w.observe(); since() != working {
			t.Fatal("a process that spins is not called working")
		}
	}
	if err := syscall.Kill(spinning.pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	awaitIdle(t, w)
	since := w.observe()
	if err := syscall.Kill(spinning.pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 5*time.Second, "the process to go on", func() bool { return since() == working })
}

// TestWorkBetweenTwoLooks: a process that has worked is not idle, even if it sleeps at both looks.
func TestWorkBetweenTwoLooks(t *testing.T) {
	sleeper := startProcess(t, "/bin/sh", "-c", "trap : USR1; while :; do sleep 60 & wait; done")
	w := followed(sleeper)
	awaitIdle(t, w)
	since := w.observe()
	if err := syscall.Kill(sleeper.pid, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 5*time.Second, "the work", func() bool { return since() == working })
	awaitIdle(t, w)
	if since() != working {
		t.Error("the work was forgotten")
	}
}

// TestNobodyKnown: before the first scan, and where the process check is off.
func TestNobodyKnown(t *testing.T) {
	if got := newWorkload(procfs{}).observe()(); got != unseen {
		t.Errorf("work = %v, want unseen", got)
	}
}

// TestIdleIsCertain: what is not known is never called idle.
func TestIdleIsCertain(t *testing.T) {
	sleeper, other := startProcess(t, "/bin/sleep", "60"), startProcess(t, "/bin/sleep", "60")
	awaitIdle(t, followed(sleeper, other))
	tests := []struct {
		name   string
		before []process
		after  func(*workload)
		want   work
	}{
		{"none", nil, func(*workload) {}, unseen},
		{"a process that is gone", []process{{processID: processID{pid: 1 << 22}}}, func(*workload) {}, unseen},
		{"another process was found, after a reload", []process{sleeper}, func(w *workload) { w.follow([]process{sleeper, other}) }, working},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := followed(tt.before...)
			since := w.observe()
			tt.after(w)
			if got := since(); got != tt.want {
				t.Errorf("work = %v, want %v", got, tt.want)
			}
			if len(w.stale) != 0 {
				t.Error("the process check was asked to look again")
			}
		})
	}
}

// TestIdleAsksForANewLook, and does not wait for it.
func TestIdleAsksForANewLook(t *testing.T) {
	w := followed(startProcess(t, "/bin/sleep", "60"))
	awaitIdle(t, w)
	awaitIdle(t, w)
	if len(w.stale) != 1 {
		t.Errorf("%d requests, want one", len(w.stale))
	}
}

// TestAsleep reads the states of a process's threads as proc(5) writes them.
func TestAsleep(t *testing.T) {
	tests := []struct {
		states string // of its threads
		want   bool
	}{
		{"S", true}, {"T", true}, {"t", true}, {"D", true}, {"SSTD", true},
		{"R", false}, {"SSR", false}, {"", false},
	}
	for _, tt := range tests {
		t.Run(tt.states, func(t *testing.T) {
			root := t.TempDir()
			for i, state := range tt.states {
				dir := filepath.Join(root, "7", "task", fmt.Sprint(7+i))
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "stat"), fmt.Appendf(nil, "%d (ha) R (proxy) %c 1 7 7", 7+i, state), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := (procfs{root: root}).asleep(7); got != tt.want {
				t.Errorf("threads %q: asleep = %v, want %v", tt.states, got, tt.want)
			}
		})
	}
}
