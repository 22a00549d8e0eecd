package chaos

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/chaos/judge"
	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
)

// A short run with the built program, one deck of two kinds of faults: what is made is written down and can be judged, and the judge
// has nothing to say.
func TestRun(t *testing.T) {
	sandboxtest.Need(t)
	dir := sandboxtest.MemoryDir(t)
	deck := map[string]int{judge.KindAllKilled: 2, "disk-zeroed": 1}
	opts := lab.Options{Hacluster: sandboxtest.Build(t), Dir: dir, Disk: DiskSize, Record: true, Tuning: Tuning()}
	var story []string
	err := lab.Run(t.Context(), opts, func(ctx context.Context, l *lab.Lab) error {
		return Run(ctx, l, Options{Seed: 1, Only: slices.Sorted(maps.Keys(deck)), Reps: 3, Dir: dir,
			Say: func(line string) { story = append(story, line) }})
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(story, "\n"))
	}
	e, err := judge.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	v := judge.Judge(e)
	for _, violation := range v.Violations {
		t.Error(violation)
	}
	f := v.Figures
	if !maps.Equal(f.Faults, deck) {
		t.Errorf("faults: %v, want %v", f.Faults, deck)
	}
	if len(e.Settles) != 3 || f.Remembered != 2 || f.Calls == 0 || f.Adverts == 0 || f.All.Answered == 0 || len(e.Absences) < 7 {
		t.Errorf("%d settles, %d absences, %+v", len(e.Settles), len(e.Absences), f)
	}
	if t.Failed() {
		t.Log(strings.Join(story, "\n"))
	}
}
