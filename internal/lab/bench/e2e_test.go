package bench

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { sandboxtest.Main(m, lab.Roles()) }

// Real keepalived and the built hacluster, in turns on the same nodes: each notices that HAProxy died and moves the address.
func TestBench(t *testing.T) {
	sandboxtest.Need(t)
	tools, err := BuildTools(t.Context(), t.TempDir())
	if err != nil {
		need(t, err)
	}
	plan, err := New(Options{
		Faults: []string{"haproxy-kill"}, Systems: []string{Default, Tuned}, Latencies: []time.Duration{0}, Repetitions: 1,
		Seed: 1, TLS: true, Tools: tools,
	})
	if err != nil {
		t.Fatal(err)
	}
	opts := lab.Options{Hacluster: sandboxtest.Build(t), Dir: filepath.Join(sandboxtest.MemoryDir(t), "lab")}
	moved := map[string]Repetition{}
	err = lab.Run(t.Context(), opts, func(ctx context.Context, l *lab.Lab) error {
		return plan.Run(ctx, l, func(r Repetition) error { moved[r.System] = r; return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, system := range []string{Default, Tuned} {
		r := moved[system]
		if r.NotSteady != "" || r.Problem != "" || r.Moved == nil || r.HolderAfter == r.HolderBefore || !r.Right || r.Silence == 0 {
			t.Errorf("%s did not move the address from %q in order: %+v", system, r.HolderBefore, r)
		}
		t.Logf("%s: gap %.1f ms, booted in %.0f ms", system, r.Silence, r.Booted)
	}
}

// need skips what cannot run here. In CI that is a failure: a check that nobody runs is none.
func need(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	t.Skipf("NOT TESTED: %v", err)
}
