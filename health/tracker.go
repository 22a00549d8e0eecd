package health

import (
	"fmt"
	"slices"
	"time"
)

const (
	// forkAge is how old a process may be that seems to have only just started. A main process may still fork its first
	// worker. An orphan counts as a daemon that was just forked, before it has left its parent's process group; it may be
	// a young worker instead, whose master has died: then its own exit, which follows within milliseconds, is what is
	// noticed.
	forkAge = time.Second
	// reloadGrace is how long a master may be without a worker once its last one was told to leave. HAProxy 2.6 forks
	// the next one 1 ms after that.
	reloadGrace = time.Second
)

// tracker decides from successive snapshots whether HAProxy runs. It does no I/O.
//
// It follows one process, the main one: the master of a master-worker HAProxy, or the only process of another. An exit
// is a fault unless another HAProxy has taken over (haproxy -sf); workers that the main process leaves behind are no
// takeover, they die with it.
type tracker struct {
	name       string // of the process
	usePIDFile bool
	main       process
	hasMain    bool // main was found and has not been seen to be gone
	workers    []process
	children   map[processID]bool // live processes that were children of the main one at some time
	manages    bool               // main is a master that has had a worker: without one it is at fault
	workerless time.Duration      // boottime since which a master has been without a worker, or 0
}

// snapshot is what a scan saw.
type snapshot struct {
	now       time.Duration // boottime
	processes []process
	filePID   int // what the pidfile says, or 0
}

// verdict is what a snapshot means.
type verdict struct {
	running   bool
	detail    string
	watch     []process // whose exit calls for the next snapshot at once
	unsettled bool      // look again soon
}

func (t *tracker) judge(s snapshot) verdict {
	t.prune(s)
	main, ok := t.choose(s)
	if !ok {
		return t.gone(s)
	}
	if !t.hasMain || main.processID != t.main.processID {
		t.workers, t.manages, t.workerless = nil, false, 0
	} else {
		main.isMaster = main.isMaster || t.main.isMaster // the command line is empty while a master executes itself anew
	}
	t.main, t.hasMain = main, true
	return t.judgeWorkers(s)
}

// prune forgets children that are gone.
func (t *tracker) prune(s snapshot) {
	alive := map[processID]bool{}
	for _, p := range s.processes {
		if t.children[p.processID] {
			alive[p.processID] = true
		}
	}
	t.children = alive
}

// choose returns the main process: the one in the pidfile, the one we know, or the newest that may take over.
func (t *tracker) choose(s snapshot) (process, bool) {
	trusted := t.trusted(s.processes)
	meant := func(p process) bool { return s.filePID != 0 && p.innerPID == s.filePID }
	known := slices.IndexFunc(s.processes, func(p process) bool { return t.hasMain && p.processID == t.main.processID })
	if known >= 0 && meant(s.processes[known]) {
		return s.processes[known], true // others may have that number in their PID namespaces
	}
	if i := slices.IndexFunc(trusted, meant); i >= 0 {
		return trusted[i], true
	}
	if known >= 0 {
		return s.processes[known], true
	}
	var newest process
	for _, p := range trusted {
		if t.mayTakeOver(p, s) && p.start >= newest.start {
			newest = p
		}
	}
	return newest, newest.pid != 0
}

// trusted leaves out what any user of the machine can start under HAProxy's name, to be watched in its place, or to die for it. Even the
// number in the pidfile can be had, in a PID namespace. Where HAProxy itself runs as such a user, its own processes count.
func (t *tracker) trusted(all []process) []process {
	known := t.main.pid != 0
	service := slices.ContainsFunc(all, func(p process) bool { return !isPerson(p.uid) })
	return slices.DeleteFunc(slices.Clone(all), func(p process) bool {
		return isPerson(p.uid) && (known && p.uid != t.main.uid || !known && service)
	})
}

func (t *tracker) mayTakeOver(p process, s snapshot) bool {
	if p.onlyTest || slices.ContainsFunc(s.processes, func(q process) bool { return q.pid == p.parent }) {
		return false
	}
	if t.children[p.processID] {
		return p.group == p.pid || s.now-p.start < forkAge // a daemon leads a group of its own, a worker never does
	}
	// With a pidfile, other HAProxys are none of ours; but a new one replaces ours before it writes the file.
	return !t.usePIDFile || slices.Contains(p.replaces, t.main.innerPID)
}

// gone is the verdict without a main process.
func (t *tracker) gone(s snapshot) verdict {
	t.hasMain = false
	v := verdict{unsettled: true}
	switch {
	case t.main.pid != 0:
		v.detail = fmt.Sprintf("%s %d exited", t.role(), t.main.pid) + t.explainPassedOver(s)
	case t.usePIDFile && s.filePID == 0:
		v.detail = fmt.Sprintf("no %s process found: its pidfile names none", t.name)
	case t.usePIDFile:
		v.detail = fmt.Sprintf("no %s process found: there is none with the number in its pidfile, %d", t.name, s.filePID)
	default:
		v.detail = fmt.Sprintf("no %s process found", t.name)
	}
	return v
}

// explainPassedOver names a process that runs, and is not trusted.
func (t *tracker) explainPassedOver(s snapshot) string {
	trusted := t.trusted(s.processes)
	for _, p := range s.processes {
		if !slices.ContainsFunc(trusted, func(q process) bool { return q.processID == p.processID }) && !t.children[p.processID] {
			return fmt.Sprintf("; process %d is user %d's and does not count: restart hacluster if HAProxy runs as that user now", p.pid, p.uid)
		}
	}
	return ""
}

// role names the main process for people.
func (t *tracker) role() string {
	if t.manages || t.main.isMaster {
		return t.name + " master process"
	}
	return t.name + " process"
}

func (t *tracker) judgeWorkers(s snapshot) verdict {
	last := t.workers
	t.workers = nil
	for _, p := range s.processes {
		if p.parent == t.main.pid {
			t.workers = append(t.workers, p)
			t.children[p.processID] = true
			// Any HAProxy may fork for a moment to run an external check; a worker stays.
			t.manages = t.manages || s.now-p.start >= forkAge
		}
	}
	t.manages = t.manages || t.main.isMaster && len(last)+len(t.workers) > 0
	v := verdict{running: true, watch: append([]process{t.main}, t.workers...)}
	if len(t.workers) > 0 || !t.manages {
		t.workerless = 0
		v.detail = t.describe()
		v.unsettled = len(t.workers) == 0 && t.mayForkSoon(s.now)
		return v
	}
	return t.judgeWorkerless(s, last, v)
}

// mayForkSoon reports whether the main process may be about to fork its first worker. A young one may be a master even if
// its command line does not say so: it is empty while the process starts, and the configuration can ask for a master too.
func (t *tracker) mayForkSoon(now time.Duration) bool {
	return t.main.isMaster || now-t.main.start < forkAge
}

// judgeWorkerless is about a master without a worker: a reload between two workers, or a fault.
func (t *tracker) judgeWorkerless(s snapshot, last []process, v verdict) verdict {
	v.unsettled = true
	t.workers = last // still those whose end is to be explained
	if t.workerless == 0 {
		t.workerless = s.now
	}
	replaced := !slices.ContainsFunc(last, func(w process) bool { return !s.replaces(w) })
	if replaced && s.now-t.workerless < reloadGrace {
		v.detail = t.describe() + " is being replaced"
		return v
	}
	v.running = false
	v.detail = fmt.Sprintf("%s worker process %d exited and master process %d has no other", t.name, last[len(last)-1].pid, t.main.pid)
	return v
}

// replaces reports whether a live process was started to replace p.
func (s snapshot) replaces(p process) bool {
	return slices.ContainsFunc(s.processes, func(q process) bool { return slices.Contains(q.replaces, p.innerPID) })
}

func (t *tracker) describe() string {
	text := fmt.Sprintf("%s %d", t.role(), t.main.pid)
	for _, w := range t.workers {
		text += fmt.Sprintf(", worker %d", w.pid)
	}
	return text
}
