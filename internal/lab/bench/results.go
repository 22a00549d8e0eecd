package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/lab/show"
)

// maxStolen is the share of CPU time that the hypervisor may take during a repetition before it is listed apart.
const maxStolen = 0.05

// Results are what a run measured and under which conditions, as they are written to bench.json.
type Results struct {
	Machine  show.Machine      `json:"machine"`
	Versions map[string]string `json:"versions"`
	Command  string            `json:"command"`
	Date     time.Time         `json:"date"`
	Seed     uint64            `json:"seed"`
	TLS      bool              `json:"tls"`
	// Sittings are when the run was begun and when it was resumed.
	Sittings []time.Time `json:"sittings"`

	Repetitions []Repetition `json:"repetitions"`
}

// NewResults describes this machine and the programs that are compared.
func NewResults(ctx context.Context, hacluster string, opts Options) *Results {
	now := time.Now().UTC().Truncate(time.Second)
	return &Results{
		Machine: show.ThisMachine(),
		Versions: map[string]string{
			"hacluster":  show.FirstLine(ctx, hacluster, "version"),
			"haproxy":    show.FirstLine(ctx, "haproxy", "-v"),
			"keepalived": keepalivedVersion(ctx, opts.Tools.Keepalived),
			"aws":        show.FirstLine(ctx, awsCommand, "--version"),
			"go":         runtime.Version(),
		},
		Command: "hacluster-lab " + strings.Join(os.Args[1:], " "),
		Date:    now, Sittings: []time.Time{now},
		Seed: opts.Seed, TLS: opts.TLS,
	}
}

// ReadResults reads a file that Results.WriteFile wrote.
func ReadResults(path string) (*Results, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	var r Results
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("read results %s: %w", path, err)
	}
	return &r, nil
}

// ResumeResults returns those in a file, for a run like fresh to go on with. Figures of another program are not comparable.
func ResumeResults(path string, fresh *Results) (*Results, error) {
	r, err := ReadResults(path)
	if err != nil {
		return nil, err
	}
	if !maps.Equal(r.Versions, fresh.Versions) || r.Seed != fresh.Seed || r.TLS != fresh.TLS {
		return nil, fmt.Errorf("resume %s: it was made with %v, seed %d, TLS %v, and now there is %v, seed %d, TLS %v: run anew, without --resume",
			path, r.Versions, r.Seed, r.TLS, fresh.Versions, fresh.Seed, fresh.TLS)
	}
	r.Repetitions = slices.DeleteFunc(r.Repetitions, func(rep Repetition) bool { return rep.NotSteady != "" })
	r.Sittings = append(r.Sittings, fresh.Sittings...)
	return r, nil
}

// WriteFile writes everything as JSON. What was there is replaced when all is written.
func (r *Results) WriteFile(path string) error {
	data, err := json.MarshalIndent(r, "", " ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err == nil {
		err = os.WriteFile(path+".new", append(data, '\n'), 0o644)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

// Measured returns the number of repetitions that measured something.
func (r *Results) Measured() int {
	n := 0
	for _, rep := range r.Repetitions {
		if rep.NotSteady == "" {
			n++
		}
	}
	return n
}

// stolen reports whether the machine was too busy with others for the repetition to say much.
func (r *Repetition) stolen() bool { return r.Stolen > maxStolen }

// cell is a fault at one EC2 latency, in milliseconds.
type cell struct {
	fault   string
	latency float64
}

// cells returns those that were measured, in the order of the report.
func (r *Results) cells() []cell {
	var found []cell
	for _, rep := range r.Repetitions {
		if c := (cell{rep.Fault, rep.Latency}); !slices.Contains(found, c) {
			found = append(found, c)
		}
	}
	order := map[string]int{}
	for i, row := range rows() {
		order[row.fault.Name] = i
	}
	slices.SortStableFunc(found, func(a, b cell) int {
		if a.latency != b.latency {
			return int(a.latency - b.latency)
		}
		return order[a.fault] - order[b.fault]
	})
	return found
}

// of returns the repetitions of a cell by a system that count: measured, and on a machine that was ours.
func (r *Results) of(c cell, system string) []Repetition {
	var found []Repetition
	for _, rep := range r.Repetitions {
		if rep.Fault == c.fault && rep.Latency == c.latency && rep.System == system && rep.NotSteady == "" && !rep.stolen() {
			found = append(found, rep)
		}
	}
	return found
}

// systemsOf returns the names of the systems in a cell, in the order of the report.
func (r *Results) systemsOf(c cell) []string {
	var found []string
	for _, s := range systems(Tools{}, false) {
		if len(r.of(c, s.Name())) > 0 {
			found = append(found, s.Name())
		}
	}
	return found
}

// metric is one number of a repetition; nil: it has none.
type metric func(Repetition) *float64

func gap(r Repetition) *float64          { return &r.Silence }
func nowhere(r Repetition) *float64      { return &r.Nowhere }
func gapBesideCut(r Repetition) *float64 { return &r.SilenceBesideCut }
func firstCall(r Repetition) *float64    { return r.FirstCall }
func moved(r Repetition) *float64        { return r.Moved }
func moves(r Repetition) *float64        { return count(r.Moves) }
func calls(r Repetition) *float64        { return count(r.Mutating) }
func tornWire(r Repetition) *float64     { return count(r.Torn) }
func afterWake(r Repetition) *float64    { return count(r.AfterWake) }

func wrong(r Repetition) *float64 {
	if r.Right {
		return count(0)
	}
	return count(1)
}

func count(n int) *float64 {
	f := float64(n)
	return &f
}

// spread summarises a metric; ok is false if no repetition has it.
func spread(reps []Repetition, m metric) (s show.Spread, ok bool) {
	var values []float64
	for _, r := range reps {
		if v := m(r); v != nil {
			values = append(values, *v)
		}
	}
	if len(values) == 0 {
		return s, false
	}
	return show.SpreadOf(values), true
}

// keepalivedVersion asks keepalived, which answers on the standard error.
func keepalivedVersion(ctx context.Context, path string) string {
	return show.FirstLine(ctx, "/bin/sh", "-c", `"$0" --version 2>&1`, path)
}
