package health

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// workload tells a HAProxy that hangs from one that is busy, which short deadlines alone cannot.
//
// A request that has arrived makes a thread of HAProxy runnable, and it stays so until it has used CPU time. So
// processes that neither run, nor want to, nor have run since are stopped, frozen or locked up, however busy the machine
// is. Those that do work may be at fault all the same: see patience.
type workload struct {
	fs    procfs
	known atomic.Pointer[[]processID] // the newest that were found, of master and workers; nil before the first
	stale chan struct{}               // asks the process check to look again; one slot: one request is as good as two
}

func newWorkload(fs procfs) *workload {
	return &workload{fs: fs, stale: make(chan struct{}, 1)}
}

// follow replaces the processes.
func (w *workload) follow(processes []process) {
	ids := make([]processID, len(processes))
	for i, p := range processes {
		ids[i] = p.processID
	}
	w.known.Store(&ids)
}

// observe begins to watch. What it returns tells what HAProxy has done since.
func (w *workload) observe() func() work {
	before := map[processID]time.Duration{}
	if ids := w.known.Load(); ids != nil {
		for _, id := range *ids {
			if used, err := cpuTime(id.pid); err == nil {
				before[id] = used
			}
		}
	}
	return func() work {
		done := w.since(before)
		if done == idle {
			select {
			case w.stale <- struct{}{}: // after a reload it may be another worker, not known yet, that works
			default:
			}
		}
		return done
	}
}

func (w *workload) since(before map[processID]time.Duration) work {
	ids := w.known.Load()
	if ids == nil || len(*ids) == 0 {
		return unseen
	}
	for _, id := range *ids {
		// In this order: a process that begins to run after it was seen asleep is seen to have used time.
		asleep := w.fs.asleep(id.pid)
		used, err := cpuTime(id.pid)
		if err != nil {
			return unseen // it has exited, which the process check is about to say
		}
		if was, known := before[id]; !asleep || !known || used != was {
			return working
		}
	}
	return idle
}

// asleep reports whether no thread of the process runs or waits for a CPU (state R of proc(5)). False if that cannot be
// told. A thread that waits for a disk is asleep: it serves nobody.
func (fs procfs) asleep(pid int) bool {
	files, err := filepath.Glob(fs.file(pid, "task/*/stat"))
	if err != nil || len(files) == 0 {
		return false
	}
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil || threadState(stat) == 'R' {
			return false
		}
	}
	return true
}

// cpuTime returns the CPU time that all threads of the process have used, to the nanosecond; /proc counts in hundredths
// of a second. The number of the clock is that of clock_getcpuclockid(3).
func cpuTime(pid int) (time.Duration, error) {
	const perProcessSched = 2 // CPUCLOCK_SCHED of linux/posix-timers.h
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|perProcessSched, &used); err != nil {
		return 0, fmt.Errorf("read cpu time of process %d: %w", pid, err)
	}
	return time.Duration(used.Nano()), nil
}
