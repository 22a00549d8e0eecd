package costs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU time in /proc/PID/stat: USER_HZ is 100 on every architecture that Go runs on (proc(5)).
const tick = 10 * time.Millisecond

// process is what the kernel has counted of one process since it started, and its size now.
type process struct {
	CPU     time.Duration // user and system
	Threads int
	RSS     int64 // resident memory in bytes, the program's own pages included
	Peak    int64 // the most that RSS has been
	Anon    int64 // of RSS: heap and stacks
	Written int64 // bytes that it made the file system write
	Wakeups int64 // times that a thread slept and was woken: voluntary context switches
}

// findProcess returns the id of the process with exactly these words in its command line, in any order.
func findProcess(proc string, words ...string) (int, error) {
	files, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "cmdline"))
	if err != nil {
		return 0, fmt.Errorf("list processes: %w", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended since
		}
		argv := strings.Split(string(text), "\x00")
		missing := slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(argv, w) })
		if !missing {
			return strconv.Atoi(filepath.Base(filepath.Dir(file)))
		}
	}
	return 0, fmt.Errorf("find process %q: %w", words, fs.ErrNotExist)
}

// readProcess reads the counters of a process.
func readProcess(proc string, pid int) (process, error) {
	dir := filepath.Join(proc, strconv.Itoa(pid))
	p, err := readStat(filepath.Join(dir, "stat"))
	if err == nil {
		err = readFields(filepath.Join(dir, "status"), map[string]*int64{"VmRSS": &p.RSS, "VmHWM": &p.Peak, "RssAnon": &p.Anon})
	}
	if err == nil {
		err = readFields(filepath.Join(dir, "io"), map[string]*int64{"write_bytes": &p.Written})
	}
	if err == nil {
		p.Wakeups, err = readWakeups(dir)
	}
	if err != nil {
		return process{}, fmt.Errorf("read counters of process %d: %w", pid, err)
	}
	return p, nil
}

// readStat reads CPU time and threads: fields 14, 15 and 20 of proc(5).
func readStat(path string) (process, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return process{}, err
	}
	// The name, field 2, is in parentheses and may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 18 {
		return process{}, fmt.Errorf("%s: %d fields after the name", path, len(fields))
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	threads, err3 := strconv.Atoi(fields[17])
	return process{CPU: time.Duration(user+system) * tick, Threads: threads}, errors.Join(err1, err2, err3)
}

// readWakeups adds up the threads that there are. A Go program keeps its threads.
func readWakeups(dir string) (int64, error) {
	files, err := filepath.Glob(filepath.Join(dir, "task", "*", "status"))
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, file := range files {
		var n int64
		err := readFields(file, map[string]*int64{"voluntary_ctxt_switches": &n})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// readFields reads numbers from a file of lines "name: number unit". kB become bytes.
func readFields(path string, want map[string]*int64) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	found := 0
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		into := want[name]
		if into == nil {
			continue
		}
		words := strings.Fields(value)
		if len(words) == 0 {
			return fmt.Errorf("%s: no number in %q", path, line)
		}
		if *into, err = strconv.ParseInt(words[0], 10, 64); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if len(words) > 1 && words[1] == "kB" {
			*into <<= 10
		}
		found++
	}
	if found < len(want) {
		return fmt.Errorf("%s: %d of %d fields", path, found, len(want))
	}
	return nil
}

// machineTime is the CPU time of the whole machine: all of it, what it had nothing to do in, and what the hypervisor gave to
// others.
type machineTime struct{ total, idle, stolen int64 }

// readMachine reads the first line of /proc/stat: user nice system idle iowait irq softirq steal, in ticks (proc(5)). What
// guests took is in user already.
func readMachine(proc string) (machineTime, error) {
	text, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return machineTime{}, fmt.Errorf("read CPU time of the machine: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return machineTime{}, fmt.Errorf("read CPU time of the machine: line %q", line)
	}
	var m machineTime
	var times [8]int64
	for i := range times {
		if times[i], err = strconv.ParseInt(fields[1+i], 10, 64); err != nil {
			return machineTime{}, fmt.Errorf("read CPU time of the machine: %w", err)
		}
		m.total += times[i]
	}
	m.idle, m.stolen = times[3]+times[4], times[7]
	return m, nil
}
