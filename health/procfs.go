package health

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// clockTick is the unit of times in /proc/PID/stat: USER_HZ, which is 100 on every architecture of ours.
	clockTick = 10 * time.Millisecond
	// flagExiting is PF_EXITING of include/linux/sched.h: the process has begun to exit but is no zombie yet.
	flagExiting = 0x4
	// maxListings bounds how often a scan looks for processes that appeared while it read the others.
	maxListings = 3
	// maxComm is the size of /proc/PID/comm with its newline (TASK_COMM_LEN).
	maxComm = 16
)

// processID identifies a process for ever: the kernel reuses numbers, but not within one clock tick.
type processID struct {
	pid   int           // in our own PID namespace
	start time.Duration // boottime
}

// process is one live process of the watched name.
type process struct {
	processID
	parent   int
	group    int   // process group
	innerPID int   // its number in its own PID namespace; what it writes to pidfiles and command lines
	uid      int   // of its owner
	replaces []int // inner numbers of the processes that it was started to replace (haproxy -sf, -st)
	isMaster bool  // haproxy -W, -Ws; false says nothing, as the configuration can ask for a master too
	onlyTest bool  // haproxy -c: checks a configuration and exits
}

// procfs reads proc(5).
type procfs struct{ root string }

// scan returns the live processes whose comm is name, as pidof means it: zombies and the exiting are not alive.
func (fs procfs) scan(name string) ([]process, error) {
	var found []process
	seen := map[int]bool{}
	// A process may fork and exit between the listing and its turn to be read; only its child is left then, and it is
	// not in the listing.
	for range maxListings {
		pids, err := fs.list()
		if err != nil {
			return nil, err
		}
		fresh := slices.DeleteFunc(pids, func(pid int) bool { return seen[pid] })
		if len(fresh) == 0 {
			break
		}
		for _, pid := range fresh {
			seen[pid] = true
			if p, ok := fs.read(pid, name); ok {
				found = append(found, p)
			}
		}
	}
	return found, nil
}

func (fs procfs) list() ([]int, error) {
	dir, err := os.Open(fs.root)
	if err != nil {
		return nil, fmt.Errorf("open process list: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("read process list: %w", err)
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// hidden reports whether /proc shows less than all processes (mount option hidepid): the first one always exists.
func (fs procfs) hidden() bool {
	_, err := os.ReadFile(fs.file(1, "stat"))
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission)
}

func (fs procfs) file(pid int, name string) string {
	return filepath.Join(fs.root, strconv.Itoa(pid), name)
}

// named reports whether the process has that name. All processes of the machine are asked this while a failover waits:
// comm is cheaper for the kernel than stat, and bare system calls cost half of os.ReadFile.
func (fs procfs) named(pid int, name string) bool {
	fd, err := unix.Open(fs.file(pid, "comm"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	comm := make([]byte, maxComm)
	n, err := unix.Read(fd, comm)
	return err == nil && strings.TrimSuffix(string(comm[:n]), "\n") == name
}

// read returns the process if it is alive and has that name. That it vanishes meanwhile is normal.
func (fs procfs) read(pid int, name string) (process, bool) {
	if !fs.named(pid, name) {
		return process{}, false
	}
	stat, err := os.ReadFile(fs.file(pid, "stat"))
	if err != nil {
		return process{}, false
	}
	p, err := parseStat(stat)
	if err != nil {
		return process{}, false
	}
	status, err := os.ReadFile(fs.file(pid, "status"))
	if err != nil {
		return process{}, false
	}
	cmdline, err := os.ReadFile(fs.file(pid, "cmdline"))
	if err != nil {
		return process{}, false
	}
	p.innerPID, p.uid = parseInnerPID(status, p.pid), parseUID(status)
	p.parseCommandLine(cmdline)
	return p, true
}

// isAlive reports whether the very process still exists; a zombie does not.
func (fs procfs) isAlive(id processID) bool {
	stat, err := os.ReadFile(fs.file(id.pid, "stat"))
	if err != nil {
		return false
	}
	p, err := parseStat(stat)
	return err == nil && p.processID == id
}

var errNotAlive = errors.New("zombie or exiting")

// parseStat reads /proc/PID/stat but for the name, which stands in parentheses and may contain any character, even ')'.
func parseStat(stat []byte) (p process, err error) {
	open, shut := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 1 || shut < open {
		return process{}, errors.New("no process name in stat")
	}
	// proc(5) counts from 1 and has the state as number 3: these are its numbers less 3.
	fields := strings.Fields(string(stat[shut+1:]))
	const state, ppid, pgrp, flags, starttime = 0, 1, 2, 6, 19
	if len(fields) <= starttime {
		return process{}, errors.New("stat is too short")
	}
	var number [5]int
	for i, text := range []string{strings.TrimSpace(string(stat[:open])), fields[ppid], fields[pgrp], fields[flags], fields[starttime]} {
		if number[i], err = strconv.Atoi(text); err != nil {
			return process{}, fmt.Errorf("parse stat: %w", err)
		}
	}
	if strings.Contains("ZXx", fields[state]) || number[3]&flagExiting != 0 {
		return process{}, errNotAlive
	}
	p.pid, p.parent, p.group = number[0], number[1], number[2]
	p.start = time.Duration(number[4]) * clockTick
	return p, nil
}

// threadState returns the letter for the state in a stat file, or 0.
func threadState(stat []byte) byte {
	_, rest, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	if len(rest) == 0 {
		return 0
	}
	return rest[0]
}

// parseInnerPID returns the last number of the NSpid line of /proc/PID/status: the one in the innermost namespace.
func parseInnerPID(status []byte, pid int) int {
	for line := range strings.Lines(string(status)) {
		numbers, ok := strings.CutPrefix(line, "NSpid:")
		if !ok {
			continue
		}
		fields := strings.Fields(numbers)
		if len(fields) == 0 {
			break
		}
		if inner, err := strconv.Atoi(fields[len(fields)-1]); err == nil {
			return inner
		}
	}
	return pid // kernels before 4.1 do not tell
}

// parseUID returns the real user of /proc/PID/status. Every kernel tells it.
func parseUID(status []byte) int {
	for line := range strings.Lines(string(status)) {
		if ids, ok := strings.CutPrefix(line, "Uid:"); ok {
			uid, _, _ := strings.Cut(strings.TrimSpace(ids), "\t")
			n, err := strconv.Atoi(uid)
			if err != nil {
				break
			}
			return n
		}
	}
	return 0
}

// firstPerson is the first user id that is a person's, not a service's (login.defs(5), UID_MIN).
const firstPerson = 1000

// isPerson reports whether the user is anybody on this machine: no service, and not the user that the agent runs as.
func isPerson(uid int) bool { return uid >= firstPerson && uid != os.Geteuid() }

// parseCommandLine reads the HAProxy options that say what the process is for (management.txt section 3).
func (p *process) parseCommandLine(cmdline []byte) {
	inList := false
	for arg := range strings.SplitSeq(string(cmdline), "\x00") {
		switch arg {
		case "-sf", "-st":
			inList = true
			continue
		case "-W", "-Ws":
			p.isMaster = true
		case "-c":
			p.onlyTest = true
		}
		pid, err := strconv.Atoi(arg)
		if inList = inList && err == nil; inList {
			p.replaces = append(p.replaces, pid)
		}
	}
}

// readPIDFile returns the first number in the file, or 0: an absent or empty file names nobody.
func readPIDFile(path string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(bytes.TrimSpace(data)), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0
	}
	return pid
}
