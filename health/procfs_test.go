package health

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeProcess is what a test writes below a fake /proc.
type fakeProcess struct {
	comm, state    string
	parent, flags  int
	cmdline, nspid string
}

func writeProc(t *testing.T, processes map[int]fakeProcess) procfs {
	t.Helper()
	root := t.TempDir()
	for pid, p := range processes {
		dir := filepath.Join(root, strconv.Itoa(pid))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		// Fields as in proc(5): state ppid pgrp session tty tpgid flags, 12 that do not matter, starttime.
		stat := fmt.Sprintf("%d (%s) %s %d %d 0 0 -1 %d%s %d 0 0\n", pid, p.comm, p.state, p.parent, pid, p.flags, strings.Repeat(" 0", 12), 100+pid)
		nspid := p.nspid
		if nspid == "" {
			nspid = strconv.Itoa(pid)
		}
		for name, text := range map[string]string{
			"comm":    p.comm + "\n",
			"stat":    stat,
			"status":  "Name:\tx\nPid:\t1\nNSpid:\t" + nspid + "\nThreads:\t4\n",
			"cmdline": strings.ReplaceAll(p.cmdline, " ", "\x00") + "\x00",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return procfs{root: root}
}

// TestScanMeansWhatPidofMeans: the name is that of the process, not of its file, and the dead do not count.
func TestScanMeansWhatPidofMeans(t *testing.T) {
	fs := writeProc(t, map[int]fakeProcess{
		1:  {comm: "systemd", state: "S"},
		20: {comm: "haproxy", state: "S", parent: 1, cmdline: "/usr/sbin/haproxy -Ws -f haproxy.cfg"},
		21: {comm: "haproxy", state: "R", parent: 20, cmdline: "/usr/sbin/haproxy -n 4 -sf 7 8 -x /run/s -n 9 -Ws", nspid: "21\t9"},
		22: {comm: "haproxy", state: "Z", parent: 20},
		23: {comm: "haproxy", state: "R", parent: 20, flags: 0x400000 | flagExiting},
		24: {comm: "haproxy2", state: "S", parent: 1},
		26: {comm: "haproxy", state: "D", parent: 1, cmdline: "haproxy -c -f new.cfg"},
	})
	got, err := fs.scan("haproxy")
	if err != nil {
		t.Fatal(err)
	}
	at := func(pid int) processID {
		return processID{pid: pid, start: time.Duration(100+pid) * 10 * time.Millisecond}
	}
	want := map[int]process{
		20: {processID: at(20), parent: 1, group: 20, innerPID: 20, isMaster: true},
		21: {processID: at(21), parent: 20, group: 21, innerPID: 9, isMaster: true, replaces: []int{7, 8}},
		26: {processID: at(26), parent: 1, group: 26, innerPID: 26, onlyTest: true},
	}
	byPID := map[int]process{}
	for _, p := range got {
		byPID[p.pid] = p
	}
	if diff := cmp.Diff(want, byPID, cmp.AllowUnexported(process{}, processID{})); diff != "" {
		t.Errorf("scan (-want +got):\n%s", diff)
	}
	if fs.hidden() {
		t.Error("hidden although the first process is shown")
	}
}

// TestScanOfThisProcess checks the reading of the real /proc against what the kernel tells us directly.
func TestScanOfThisProcess(t *testing.T) {
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	p, ok := procfs{root: "/proc"}.read(os.Getpid(), strings.TrimSpace(string(comm)))
	if !ok || p.pid != os.Getpid() || p.parent != os.Getppid() {
		t.Errorf("read = %+v, %v; want this process, child of %d", p, ok, os.Getppid())
	}
}

// TestHiddenProcIsSaidSo: with hidepid=2 the list is merely short, which looks like a dead HAProxy.
func TestHiddenProcIsSaidSo(t *testing.T) {
	fs := writeProc(t, map[int]fakeProcess{4711: {comm: "hacluster", state: "S"}})
	m, err := New(Config{Process: &ProcessConfig{ProcRoot: fs.root}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	run(t, m)
	want := "no haproxy process found; " + fs.root + " hides other users' processes (hidepid, or ProtectProc= of the unit): run hacluster as root or mount it with hidepid=0"
	waitFor(t, 10*time.Second, "the reason", func() bool { return m.Status().Reason == want })
}

func TestUnreadableProcIsSaidSo(t *testing.T) {
	m, err := New(Config{Process: &ProcessConfig{ProcRoot: filepath.Join(t.TempDir(), "proc")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	run(t, m)
	waitFor(t, 10*time.Second, "the reason", func() bool {
		return strings.HasPrefix(m.Status().Reason, "haproxy process cannot be looked for: open process list: ")
	})
}

func TestReadPIDFile(t *testing.T) {
	for text, want := range map[string]int{"4711\n": 4711, "  12 \n13\n": 12, "": 0, "none\n": 0} {
		file := filepath.Join(t.TempDir(), "pid")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := readPIDFile(file); got != want {
			t.Errorf("pidfile %q says %d, want %d", text, got, want)
		}
	}
	if got := readPIDFile("/no/such/file"); got != 0 {
		t.Errorf("an absent pidfile says %d", got)
	}
}

// TestOddName: everything up to the last parenthesis belongs to the name.
func TestOddName(t *testing.T) {
	fs := writeProc(t, map[int]fakeProcess{30: {comm: "a) Z 1 (b", state: "S", parent: 7}})
	if p, ok := fs.read(30, "a) Z 1 (b"); !ok || p.parent != 7 {
		t.Errorf("read = %+v, %v; want a live child of 7", p, ok)
	}
}

// FuzzParseStat: a process may call itself anything.
func FuzzParseStat(f *testing.F) {
	f.Add([]byte("1 (a) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 26 0 0"))
	f.Add([]byte("1 () ) ("))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := parseStat(data); err != nil && p.pid != 0 {
			t.Errorf("half a process, %+v, with error %v", p, err)
		}
	})
}

// TestScanFindsTheChildOfOneThatVanished: a daemon's parent forks and exits in the middle of a scan. Its child was not
// in the list, and the parent is gone when its turn comes. A FIFO in the place of its stat stops the scan there.
func TestScanFindsTheChildOfOneThatVanished(t *testing.T) {
	fs := writeProc(t, map[int]fakeProcess{20: {comm: "haproxy", state: "S"}})
	child := writeProc(t, map[int]fakeProcess{21: {comm: "haproxy", state: "S"}})
	fifo := fs.file(20, "stat")
	if err := errors.Join(os.Remove(fifo), syscall.Mkfifo(fifo, 0o600)); err != nil {
		t.Fatal(err)
	}
	forked := make(chan error)
	go func() {
		scanning, err := os.OpenFile(fifo, os.O_WRONLY, 0) // opens when the scan does
		if err == nil {
			err = errors.Join(os.Rename(filepath.Join(child.root, "21"), filepath.Join(fs.root, "21")), scanning.Close())
		}
		forked <- err
	}()
	got, err := fs.scan("haproxy")
	if err := errors.Join(err, <-forked); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].pid != 21 {
		t.Errorf("scan = %+v, want the child, 21", got)
	}
}

func BenchmarkScan(b *testing.B) {
	fs := procfs{root: "/proc"}
	pids, err := fs.list()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := fs.scan("haproxy"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(pids)), "processes")
}
