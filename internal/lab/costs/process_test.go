package costs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// writeProc makes a file below a directory that stands in for /proc.
func writeProc(t *testing.T, proc, name, text string) {
	t.Helper()
	path := filepath.Join(proc, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestReadProcess(t *testing.T) {
	proc := t.TempDir()
	// The name of the program has everything in it that could confuse: spaces, a parenthesis, a number.
	writeProc(t, proc, "42/stat", "42 (ha) S 9) S 1 42 42 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 9 0 12345 1000 2000 18446744073709551615\n")
	writeProc(t, proc, "42/status", "Name:\tagent\nVmHWM:\t   21000 kB\nVmRSS:\t   20000 kB\nRssAnon:\t    8000 kB\nThreads:\t9\n")
	writeProc(t, proc, "42/io", "rchar: 1\nwchar: 2\nread_bytes: 3\nwrite_bytes: 4096\n")
	writeProc(t, proc, "42/task/42/status", "voluntary_ctxt_switches:\t100\nnonvoluntary_ctxt_switches:\t7\n")
	writeProc(t, proc, "42/task/43/status", "voluntary_ctxt_switches:\t11\nnonvoluntary_ctxt_switches:\t0\n")
	got, err := readProcess(proc, 42)
	if err != nil {
		t.Fatal(err)
	}
	want := process{
		CPU: 2 * time.Second, Threads: 9, RSS: 20000 << 10, Peak: 21000 << 10, Anon: 8000 << 10, Written: 4096, Wakeups: 111,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	writeProc(t, proc, "42/io", "rchar: 1\n")
	if got, err := readProcess(proc, 42); err == nil {
		t.Errorf("without write_bytes: %+v", got)
	}
}

func TestReadMachine(t *testing.T) {
	proc := t.TempDir()
	writeProc(t, proc, "stat", "cpu  1 2 3 400 50 6 7 8 1000 2000\ncpu0 1 2 3 4 5 6 7 8 9 10\n")
	want := machineTime{total: 477, idle: 450, stolen: 8}
	if got, err := readMachine(proc); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	writeProc(t, proc, "stat", "intr 1 2 3 400 50 6 7 8\n")
	if got, err := readMachine(proc); err == nil {
		t.Errorf("without a line for the CPU: %+v", got)
	}
}

// The kernel of this machine writes what the parsers expect.
func TestReadThisProcess(t *testing.T) {
	p, err := readProcess(procDir, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if p.Threads < 1 || p.RSS <= p.Anon || p.Anon == 0 || p.Peak < p.RSS {
		t.Errorf("this process: %+v", p)
	}
	m, err := readMachine(procDir)
	if err != nil {
		t.Fatal(err)
	}
	if m.idle <= 0 || m.total <= m.idle+m.stolen {
		t.Errorf("this machine: %+v", m)
	}
	if pid, err := findProcess(procDir, os.Args...); err != nil || pid != os.Getpid() {
		t.Errorf("found process %d, %v, want %d", pid, err, os.Getpid())
	}
}

func TestFindProcess(t *testing.T) {
	proc := t.TempDir()
	writeProc(t, proc, "7/cmdline", "")
	writeProc(t, proc, "8/cmdline", "/bin/hacluster\x00agent\x00--config\x00/lab/node-b/agent.yaml\x00")
	writeProc(t, proc, "9/cmdline", "/bin/hacluster\x00agent\x00--config\x00/lab/node-a/agent.yaml\x00")
	writeProc(t, proc, "self/cmdline", "/bin/hacluster\x00agent\x00--config\x00/lab/node-a/agent.yaml\x00")
	if pid, err := findProcess(proc, "/bin/hacluster", "agent", "--config", "/lab/node-a/agent.yaml"); err != nil || pid != 9 {
		t.Errorf("found process %d, %v, want 9", pid, err)
	}
	if pid, err := findProcess(proc, "/bin/hacluster", "agent", "--config", "/lab/node-a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("found process %d, %v by a part of a word", pid, err)
	}
}
