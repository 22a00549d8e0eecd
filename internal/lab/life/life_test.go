package life

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
)

// TestLife leads a cluster through its whole life, as 'make life' does. What must be so is an error at once. A promise to clients that was
// not kept is looked at once more, in another life: a busy machine loses requests of its own, but not in the same step twice.
func TestLife(t *testing.T) {
	sandboxtest.Need(t)
	opts := Options{
		Older: sandboxtest.Build(t, "-tags", "hacluster_level1", "-ldflags", "-X main.version=v1.0.0"),
		Newer: sandboxtest.Build(t, "-ldflags", "-X main.version=v1.1.0"),
		Say:   func(line string) { t.Log(line) },
	}
	unusual := map[string]int{}
	for range 2 {
		opts.Dir = filepath.Join(sandboxtest.MemoryDir(t), "lab")
		results, err := Run(t.Context(), opts)
		if err != nil {
			tellLogs(t, opts.Dir)
			t.Fatal(err)
		}
		if len(results) != len(steps()) {
			t.Fatalf("%d of %d steps", len(results), len(steps()))
		}
		kept := true
		for _, r := range results {
			if r.Unusual != "" {
				kept = false
				unusual[r.Name]++
			}
			if unusual[r.Name] > 1 {
				t.Errorf("%s: not as promised for the second time: %s", r.Name, r.Unusual)
			}
		}
		if kept {
			return
		}
	}
}

// tellLogs shows the end of the agents' logs, which are gone after the test.
func tellLogs(t *testing.T, dir string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*", "agent.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		log, err := os.ReadFile(path)
		if err != nil {
			t.Log(err)
			continue
		}
		lines := strings.Split(string(log), "\n")
		t.Logf("%s:\n%s", path, strings.Join(lines[max(len(lines)-40, 0):], "\n"))
	}
}
