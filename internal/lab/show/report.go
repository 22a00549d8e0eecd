// Package show makes what the lab measured readable: as JSON, as a table, as a live story, and as a page with pictures.
package show

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/lab"
)

// Report is the result of a run of the lab, as it is written to a JSON file.
type Report struct {
	Machine  Machine           `json:"machine"`
	Versions map[string]string `json:"versions"`
	Command  string            `json:"command"`
	Date     time.Time         `json:"date"`
	Results  []Result          `json:"results"`
}

// Machine is where a report was made: numbers from different machines do not compare.
type Machine struct {
	CPU      string `json:"cpu"`
	CPUs     int    `json:"cpus"`
	MemoryMB uint64 `json:"memory_mb"`
	Kernel   string `json:"kernel"`
}

// Result is everything about one fault.
type Result struct {
	Fault string `json:"fault"`
	// Summary has the metrics of Repetition by their JSON names.
	Summary     map[string]Spread `json:"summary"`
	Repetitions []lab.Repetition  `json:"repetitions"`
}

// Spread summarises one metric over the repetitions in which it had a value.
type Spread struct {
	N      int     `json:"n"`
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

// NewReport describes this machine and the programs under test.
func NewReport(ctx context.Context, hacluster string) Report {
	return Report{
		Machine: ThisMachine(),
		Versions: map[string]string{
			"hacluster": FirstLine(ctx, hacluster, "version"),
			"haproxy":   FirstLine(ctx, "haproxy", "-v"),
			"nft":       FirstLine(ctx, "nft", "--version"),
			"go":        runtime.Version(),
		},
		Command: strings.Join(os.Args, " "),
		Date:    time.Now().UTC().Truncate(time.Second),
	}
}

// Add files a repetition under its fault.
func (r *Report) Add(rep lab.Repetition) {
	i := slices.IndexFunc(r.Results, func(res Result) bool { return res.Fault == rep.Fault })
	if i < 0 {
		i = len(r.Results)
		r.Results = append(r.Results, Result{Fault: rep.Fault})
	}
	r.Results[i].Repetitions = append(r.Results[i].Repetitions, rep)
	r.Results[i].Summary = summarise(r.Results[i].Repetitions)
}

// WriteFile writes the report as JSON.
func (r *Report) WriteFile(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(data, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// summarise computes the spread of every number in the repetitions' JSON form; so no metric can be forgotten.
func summarise(reps []lab.Repetition) map[string]Spread {
	values := make(map[string][]float64)
	for _, rep := range reps {
		data, err := json.Marshal(rep)
		if err != nil {
			panic("marshal repetition: " + err.Error()) // a struct of numbers, strings and times
		}
		var fields map[string]any
		if err := json.Unmarshal(data, &fields); err != nil {
			panic("unmarshal repetition: " + err.Error())
		}
		for name, value := range fields {
			if number, ok := value.(float64); ok && !strings.HasPrefix(name, "term_") {
				values[name] = append(values[name], number)
			}
		}
	}
	spreads := make(map[string]Spread)
	for name, v := range values {
		spreads[name] = SpreadOf(v)
	}
	return spreads
}

// SpreadOf summarises values, of which there must be at least one.
func SpreadOf(values []float64) Spread {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return Spread{N: n, Min: v[0], Median: (v[(n-1)/2] + v[n/2]) / 2, Max: v[n-1]}
}

// ThisMachine describes the machine that this program runs on.
func ThisMachine() Machine {
	m := Machine{CPUs: runtime.NumCPU(), CPU: runtime.GOARCH}
	if file, err := os.Open("/proc/cpuinfo"); err == nil {
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.MemoryMB = uint64(info.Totalram) * uint64(info.Unit) >> 20
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	return m
}

// FirstLine returns the first line that a program prints about itself, or why it cannot.
func FirstLine(ctx context.Context, program string, args ...string) string {
	out, err := exec.CommandContext(ctx, program, args...).Output()
	if err != nil {
		return err.Error()
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}
