// Package mutants shows that the simulator is able to fail: each protection of the product is taken out in turn, in a copy of
// its source that only the compiler sees, and the simulator must find a violation.
package mutants

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var run = flag.Bool("run", false, "build each mutant and let the simulator find it; takes minutes")

// root of the module, as seen from here.
const root = "../../.."

// TestMutantsApply: the texts that the mutants replace are in the product, once each.
func TestMutantsApply(t *testing.T) {
	for _, m := range mutants() {
		if _, err := m.sources(); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}

// TestMutants: each mutant is found, and by the invariant that it breaks.
func TestMutants(t *testing.T) {
	if !*run {
		t.Skip("not asked for: make sim-mutants")
	}
	for _, m := range mutants() {
		t.Run(m.name, func(t *testing.T) {
			found, err := m.hunt(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(strings.Fields(m.breaks), found.invariant) {
				t.Errorf("found by %s, want %s: %s", found.invariant, m.breaks, found.text)
			}
			fmt.Printf("%-62s found in schedule %4d of %-14s %s\n", m.name, found.schedule, m.kind(), found.text)
		})
	}
}

// kind names the schedules that the mutant is hunted with.
func (m mutant) kind() string {
	if m.scenario == "" {
		return "random"
	}
	return m.scenario
}

// sources returns the changed files by path.
func (m mutant) sources() (map[string]string, error) {
	changed := map[string]string{}
	for _, e := range m.edits {
		path, err := filepath.Abs(filepath.Join(root, e.file))
		if err != nil {
			return nil, err
		}
		if changed[path] == "" {
			b, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			changed[path] = string(b)
		}
		if n := strings.Count(changed[path], e.old); n != 1 {
			return nil, fmt.Errorf("%s contains this text %d times, want once; adapt the mutant:\n%s", e.file, n, e.old)
		}
		changed[path] = strings.Replace(changed[path], e.old, e.new, 1)
	}
	return changed, nil
}

// build compiles the simulator against the changed files and returns the path of its test binary.
func (m mutant) build(dir string) (string, error) {
	changed, err := m.sources()
	if err != nil {
		return "", err
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for path, source := range changed {
		file := filepath.Join(dir, strconv.Itoa(len(overlay.Replace))+".go")
		if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
			return "", err
		}
		overlay.Replace[path] = file
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	file, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "sim.test")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "test", "-c", "-vet=off", "-overlay", file, "-o", binary, "./internal/sim")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the mutant: %w\n%s", err, out)
	}
	return binary, nil
}

// finding is the first violation.
type finding struct {
	schedule        int // how many schedules it took
	invariant, text string
}

// hunt runs schedules until a violation is found.
func (m mutant) hunt(dir string) (finding, error) {
	binary, err := m.build(dir)
	if err != nil {
		return finding{}, err
	}
	cmd := exec.Command(binary, "-test.run=^TestSchedules$", "-test.timeout=20m", "-first",
		"-seeds", strconv.Itoa(m.atMost), "-scenario", m.scenario)
	cmd.Dir = filepath.Join(root, "internal", "sim")
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return finding{}, fmt.Errorf("run the simulator: %w", err)
	}
	return parse(string(out), m.atMost)
}

// verdict is the line that the simulator ends with under -first.
var verdict = regexp.MustCompile(`(?m)^\s*found in schedule (\d+): .*?(I\d|calm) VIOLATED: (.*)$`)

func parse(output string, limit int) (finding, error) {
	match := verdict.FindStringSubmatch(output)
	if match == nil {
		return finding{}, fmt.Errorf("not found in %d schedules: the simulator cannot see this protection fail\n%s", limit, tail(output))
	}
	n, err := strconv.Atoi(match[1])
	return finding{schedule: n, invariant: match[2], text: match[3]}, err
}

func tail(output string) string {
	const last = 4000
	return output[max(0, len(output)-last):]
}
