package judge

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/capture"
	"github.com/hacluster/hacluster/internal/lab/probe"
)

// Files of a run beside those of package lab.
const (
	RunFile       = "run.json"
	FaultsFile    = "faults.jsonl"    // one Fault a line
	AbsencesFile  = "absences.jsonl"  // one Absence a line
	StallsFile    = "stalls.jsonl"    // one Span a line: when this machine did not run the lab
	SightingsFile = "sightings.jsonl" // one Sighting a line
	SettlesFile   = "settles.jsonl"   // one Settle a line
)

// maxLine bounds one line of evidence. A status with its history has a few kilobytes.
const maxLine = 1 << 20

// maxClockStep is how much the wall clock may be set while a run lasts. Agents' logs and packets carry wall-clock times.
const maxClockStep = 20 * time.Millisecond

// Load reads the evidence of a run from its directory.
func Load(dir string) (Evidence, error) {
	e := Evidence{Logs: make(map[string]Log)}
	data, err := os.ReadFile(filepath.Join(dir, RunFile))
	if err == nil {
		err = json.Unmarshal(data, &e.Run)
	}
	if err != nil {
		return Evidence{}, fmt.Errorf("read %s: %w", RunFile, err)
	}
	if step := e.Run.clockStep(); step.Abs() > maxClockStep {
		return Evidence{}, fmt.Errorf("read %s: the wall clock was set by %v during the run, so its logs cannot be compared: run it again", RunFile, step)
	}
	err = errors.Join(
		readLines(dir, FaultsFile, func(f Fault) { e.Faults = append(e.Faults, f) }),
		readLines(dir, AbsencesFile, func(a Absence) { e.Absences = append(e.Absences, a) }),
		readLines(dir, StallsFile, func(s Span) { e.Stalls = append(e.Stalls, s) }),
		readLines(dir, SettlesFile, func(s Settle) { e.Settles = append(e.Settles, s) }),
		readLines(dir, SightingsFile, func(s Sighting) { e.Sightings = append(e.Sightings, s) }),
		readLines(dir, lab.CallsFile, e.addCall),
		readLines(dir, lab.RequestsFile, e.addRequest),
		e.loadAdverts(dir),
		e.loadLogs(dir))
	// Files are written when things are over, not when they begin.
	slices.SortFunc(e.Calls, func(a, b Call) int { return int(a.Seq - b.Seq) })
	slices.SortFunc(e.Requests, func(a, b Request) int { return int(a.At - b.At) })
	slices.SortStableFunc(e.Sightings, func(a, b Sighting) int { return int(a.Answered - b.Answered) })
	slices.SortFunc(e.Faults, func(a, b Fault) int { return a.Seq - b.Seq })
	return e, err
}

// clockStep returns by how much the two clocks drifted apart during the run.
func (r Run) clockStep() time.Duration {
	return time.Duration(r.Ended.Wall-r.Began.Wall) - (r.Ended.Boot - r.Began.Boot)
}

// boot translates a wall-clock time.
func (r Run) boot(at time.Time) time.Duration {
	return r.Began.Boot + time.Duration(at.UnixNano()-r.Began.Wall)
}

// readLines reads a file with one JSON value a line.
func readLines[T any](dir, name string, add func(T)) error {
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return fmt.Errorf("read evidence: %w", err)
	}
	defer file.Close()
	dec := json.NewDecoder(bufio.NewReaderSize(file, maxLine))
	for {
		var value T
		switch err := dec.Decode(&value); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read %s: %w", name, err)
		}
		add(value)
	}
}

func (e *Evidence) addCall(c ec2fake.Call) {
	call := Call{Call: c}
	for _, n := range e.Run.Nodes {
		if n.Instance == c.Instance {
			call.Node = n.Name
		}
	}
	e.Calls = append(e.Calls, call)
}

func (e *Evidence) addRequest(r probe.Result) {
	e.Requests = append(e.Requests, Request{At: e.Run.boot(r.Start), OK: r.OK()})
}

func (e *Evidence) loadAdverts(dir string) error {
	file, err := os.Open(filepath.Join(dir, lab.PacketsFile))
	if err != nil {
		return fmt.Errorf("read packets: %w", err)
	}
	defer file.Close()
	e.Adverts, err = capture.ReadPCAP(bufio.NewReader(file))
	return err
}

func (e *Evidence) loadLogs(dir string) error {
	for _, n := range e.Run.Nodes {
		file, err := os.Open(filepath.Join(dir, n.Name, lab.Agent+".log"))
		if err != nil {
			return fmt.Errorf("read agent's log: %w", err)
		}
		log, err := ReadLog(file, e.Run.boot)
		file.Close()
		if err != nil {
			return fmt.Errorf("read log of %s: %w", n.Name, err)
		}
		e.Logs[n.Name] = log
	}
	return nil
}
