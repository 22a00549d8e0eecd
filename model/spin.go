package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// trail is the file that Spin writes a counterexample to.
const trail = "claim.pml.trail"

const (
	// memoryLimit of one verifier, in MB. Beyond it the search stops and counts as not exhaustive.
	memoryLimit = 3500
	// depthLimit of the search, in steps. Beyond it the search is cut and counts as not exhaustive.
	depthLimit = 1_000_000
)

// verdict is what a verifier said.
type verdict struct {
	errors      int
	complete    bool // every reachable state was visited
	states      int
	transitions int
	depth       int
	megabytes   float64
	seconds     float64
	broken      string // the broken promise
}

// verify makes the verifier of one run below out, runs it, and writes the message chart of what it finds.
func (r run) verify(ctx context.Context, model, out string) (verdict, error) {
	dir := filepath.Join(out, strings.NewReplacer(", ", "-", " ", "-").Replace(r.name))
	if err := os.RemoveAll(dir); err != nil {
		return verdict{}, fmt.Errorf("clear the last run: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return verdict{}, fmt.Errorf("make the run's directory: %w", err)
	}
	if err := r.compile(ctx, model, dir); err != nil {
		return verdict{}, err
	}
	start := time.Now()
	printed, err := output(ctx, dir, "./pan", r.panFlags()...)
	if err != nil {
		return verdict{}, err
	}
	v, err := parseVerdict(printed)
	if err != nil {
		return verdict{}, err
	}
	v.seconds = time.Since(start).Seconds()
	if v.errors > 0 {
		v.broken, err = r.explain(ctx, dir)
	}
	return v, err
}

// compile turns the model into the program ./pan in dir.
func (r run) compile(ctx context.Context, model, dir string) error {
	spin := []string{"-a"}
	for _, d := range r.defines {
		spin = append(spin, "-D"+d)
	}
	if _, err := output(ctx, dir, "spin", append(spin, model)...); err != nil {
		return err
	}
	// Every step is atomic and touches what others read, so partial order reduction finds nothing to reduce.
	gcc := []string{"-O2", "-w", "-o", "pan", "-DNOREDUCE", "-DNOFAIR", fmt.Sprintf("-DMEMLIM=%d", memoryLimit)}
	switch r.kind {
	case safety:
		gcc = append(gcc, "-DSAFETY", "-DCOLLAPSE")
	case convergence:
		gcc = append(gcc, "-DNP", "-DCOLLAPSE")
	case mutant:
		gcc = append(gcc, "-O1", "-DSAFETY", "-DBFS") // breadth first: the shortest counterexample
	}
	_, err := output(ctx, dir, "gcc", append(gcc, "pan.c")...)
	return err
}

func (r run) panFlags() []string {
	flags := []string{fmt.Sprintf("-m%d", depthLimit), "-w22"}
	if r.kind == convergence {
		flags = append(flags, "-l") // any cycle at all: the model has no progress label
	}
	return flags
}

// explain replays the counterexample, writes it as a message chart beside dir, and returns the broken promise.
func (r run) explain(ctx context.Context, dir string) (string, error) {
	replay, err := output(ctx, dir, "./pan", "-r", trail, "-S")
	if err != nil {
		return "", err
	}
	c := parseChart(replay)
	switch {
	case len(c.steps) == 0:
		return "", fmt.Errorf("replay the counterexample: no steps in %q", tail(replay))
	case c.broken == "" && r.kind == convergence:
		c.broken = "a run without end"
	}
	path := dir + ".txt"
	text := fmt.Sprintf("%s: %s\n\n%s", r.name, strings.Join(r.defines, " "), c)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return "", fmt.Errorf("write the message chart: %w", err)
	}
	return c.broken + " (" + path + ")", nil
}

// output runs a program in dir and returns what it printed. Spin's verifiers end with a status that says nothing.
func output(ctx context.Context, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	printed, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("run %s: install Debian's packages spin and gcc: %w", program, err)
	case errors.As(err, &exit) && program == "./pan" && exit.Exited():
	case err != nil:
		return "", fmt.Errorf("run %s: %w: %s", program, err, printed)
	}
	return string(printed), nil
}

var (
	lineErrors      = regexp.MustCompile(`State-vector \d+ byte, depth reached (\d+), errors: (\d+)`)
	lineStates      = regexp.MustCompile(`(?m)^ *(\d+) states, stored`)
	lineTransitions = regexp.MustCompile(`(?m)^ *(\d+) transitions`)
	lineMemory      = regexp.MustCompile(`(?m)^ *([\d.]+)\s+total actual memory usage`)
	incomplete      = regexp.MustCompile(`max search depth too small|Search not completed|out of memory|Bit statespace|hash-compact`)
)

// parseVerdict reads what pan prints at its end.
func parseVerdict(printed string) (verdict, error) {
	end := lineErrors.FindStringSubmatch(printed)
	if end == nil {
		return verdict{}, fmt.Errorf("read the verifier's output: no result in %q", tail(printed))
	}
	v := verdict{complete: !incomplete.MatchString(printed)}
	for _, field := range []struct {
		text string
		into *int
	}{
		{end[1], &v.depth}, {end[2], &v.errors},
		{first(lineStates, printed), &v.states}, {first(lineTransitions, printed), &v.transitions},
	} {
		n, err := strconv.Atoi(field.text)
		if err != nil {
			return verdict{}, fmt.Errorf("read the verifier's output: %w", err)
		}
		*field.into = n
	}
	var err error
	if v.megabytes, err = strconv.ParseFloat(first(lineMemory, printed), 64); err != nil {
		return verdict{}, fmt.Errorf("read the verifier's output: %w", err)
	}
	return v, nil
}

func first(re *regexp.Regexp, text string) string {
	if m := re.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

func tail(text string) string {
	const enough = 400
	return text[max(0, len(text)-enough):]
}
