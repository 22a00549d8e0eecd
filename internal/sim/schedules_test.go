package sim

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	seeds    = flag.Int("seeds", 20, "how many schedules to run")
	from     = flag.Uint64("from", 1, "seed of the first one")
	repeat   = flag.Int("repeat", 1, "run each schedule so often: Raft's own randomness is not part of the seed")
	scenario = flag.String("scenario", "", "draw tailored schedules of this name")
	first    = flag.Bool("first", false, "stop at the first violation and say how many schedules it took")
)

const (
	// traces is where the stories of failed runs go, as seen from here.
	traces = "../../build/sim"
	// hangs is when a schedule is given up: in a bubble a goroutine that waits for a mutex stops the time.
	hangs         = 2 * time.Minute
	progressEvery = 5 * time.Second
	// enough schedules put late calls on the wire; a run without any proves nothing.
	enough = 20
	// shown is how many lines of a trace a failure prints, up to the first violation.
	shown = 100
)

func TestMain(m *testing.M) {
	// The machine's own AWS configuration and proxies must not matter.
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_CA_BUNDLE", "HTTP_PROXY", "http_proxy"} {
		_ = os.Unsetenv(name)
	}
	_ = os.Setenv("AWS_CONFIG_FILE", os.DevNull)
	_ = os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	if raceDetector {
		// All timers of a bubble use one context of the race detector, and with two threads they use it at once, which it does not survive: one
		// SIGSEGV in some dozens of runs with Go 1.26 (runtime.timer.unlockAndRun). On one thread it sees the same races.
		runtime.GOMAXPROCS(1)
	}
	os.Exit(m.Run())
}

// TestSchedules: no schedule breaks an invariant.
func TestSchedules(t *testing.T) {
	c := &campaign{total: NewCoverage(), began: time.Now()}
	stop := c.reportProgress()
	t.Run("all", func(t *testing.T) { // returns when its parallel workers have ended
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint("worker ", i+1), func(t *testing.T) {
				t.Parallel()
				c.work(t)
			})
		}
	})
	stop()
	late := c.total.Count(lateChanged) + c.total.Count(lateFenced)
	if *scenario == "" && *seeds >= enough && late == 0 && !t.Failed() {
		t.Errorf("no call reached EC2 after its claim was over: %d schedules prove nothing", *seeds)
	}
	fmt.Printf("\n%s\n%d schedules in %v, %d with violations\n", c.total, c.done.Load(), time.Since(c.began).Round(time.Second), c.failed.Load())
	for _, failure := range c.failures { // once more, where a log that was cut short still has them
		fmt.Println(failure)
	}
}

// TestScenarios: each scenario can be carried out, and breaks nothing.
func TestScenarios(t *testing.T) {
	c := &campaign{total: NewCoverage()}
	for _, scenario := range scenarios() {
		t.Run(scenario, func(t *testing.T) {
			result, err := c.attempt(t, Tailor(scenario, *from))
			if err != nil {
				t.Fatal(err)
			}
			if len(result.Violations) > 0 {
				t.Errorf("%v\n%s", result.Violations, story(result))
			}
		})
	}
}

// campaign is one run of many schedules.
type campaign struct {
	total        *Coverage
	began        time.Time
	taken        atomic.Int64
	done, failed atomic.Int64
	over         atomic.Bool
	leaks        sync.Map // bubbles that ended with an answer of Raft outstanding

	mu       sync.Mutex
	failures []string // a line each
}

// work runs schedules until there are no more.
func (c *campaign) work(t *testing.T) {
	for !c.over.Load() {
		n := c.taken.Add(1) - 1
		if n >= int64(*seeds)*int64(*repeat) {
			return
		}
		s := draw(*from + uint64(n)/uint64(*repeat))
		result, err := c.attempt(t, s)
		c.done.Add(1)
		if err != nil || len(result.Violations) > 0 {
			c.failed.Add(1)
		}
		if err != nil {
			c.fail(t, fmt.Sprintf("schedule %d: %v\n%s", s.Seed, err, again(s)))
			continue
		}
		c.total.Merge(result.Coverage)
		if len(result.Violations) > 0 {
			c.report(t, result)
		}
	}
}

func draw(seed uint64) Schedule {
	if *scenario != "" {
		return Tailor(*scenario, seed)
	}
	return Draw(seed)
}

// attempt runs one schedule in a bubble of its own.
func (c *campaign) attempt(t *testing.T, s Schedule) (result Result, err error) {
	dir, err := workDir()
	if err != nil {
		return Result{}, err
	}
	watchdog := time.AfterFunc(hangs, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("schedule %d hangs for %v of real time: in its bubble a goroutine waits for a mutex that is held by one that waits for time to pass", s.Seed, hangs))
	})
	defer watchdog.Stop()
	defer func() {
		if p := recover(); p != nil && !c.abandoned(p, bubbled()) {
			err = fmt.Errorf("the bubble ended with: %v\n%s", p, strings.Join(bubbled(), "\n\n"))
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	synctest.Test(t, func(*testing.T) { result, err = Run(s, dir) })
	return result, err
}

// bubbled lists the goroutines in bubbles, those of other schedules included.
func bubbled() []string {
	const enough = 4 << 20
	all := make([]byte, enough)
	var in []string
	for g := range strings.SplitSeq(string(all[:runtime.Stack(all, true)]), "\n\n") {
		if head, _, _ := strings.Cut(g, "\n"); strings.Contains(head, "synctest bubble") {
			in = append(in, g)
		}
	}
	return in
}

// abandoned reports whether a bubble ended with nothing left but goroutines that wait for Raft's answer to a command. Once in some
// thousand runs hashicorp/raft shuts down without it; a process that ends does not mind, nor does the result, which has been
// judged by then.
func (c *campaign) abandoned(reason any, goroutines []string) bool {
	if !strings.Contains(fmt.Sprint(reason), "blocked goroutines remain") {
		return false
	}
	for _, bubble := range onlyAwaitRaft(goroutines) {
		if _, known := c.leaks.LoadOrStore(bubble, true); !known {
			c.total.add("bubbles: left with a command that Raft never answered")
			return true
		}
	}
	return false
}

// onlyAwaitRaft returns the bubbles of which nothing else is left.
func onlyAwaitRaft(goroutines []string) []string {
	only := map[string]bool{}
	for _, g := range goroutines {
		head, stack, _ := strings.Cut(g, "\n")
		_, bubble, _ := strings.Cut(head, "synctest bubble ")
		so, seen := only[bubble]
		only[bubble] = (so || !seen) && strings.Contains(stack, "election.wait.func1")
	}
	maps.DeleteFunc(only, func(_ string, so bool) bool { return !so })
	return slices.Sorted(maps.Keys(only))
}

func again(s Schedule) string {
	return fmt.Sprintf("replay it with: make sim SEEDS=1 FROM=%d\nwhere that passes, Raft's own randomness matters: make sim SEEDS=1 FROM=%[1]d REPEAT=1000", s.Seed)
}

// report tells of violations: in the first mode in the form that the mutants look for.
func (c *campaign) report(t *testing.T, r Result) {
	if *first {
		if !c.over.Swap(true) {
			fmt.Printf("found in schedule %d: seed %d: %s\n", c.done.Load(), r.Schedule.Seed, firstLine(r.Violations[0].String()))
			t.Fail()
		}
		return
	}
	file := filepath.Join(traces, fmt.Sprintf("%d.txt", r.Schedule.Seed))
	head := fmt.Sprintf("schedule %d: %+v\n\n", r.Schedule.Seed, r.Schedule)
	err := errors.Join(os.MkdirAll(traces, 0o755), os.WriteFile(file, []byte(head+r.Trace), 0o644))
	if err != nil {
		t.Errorf("save the story: %v", err)
	}
	c.fail(t, fmt.Sprintf("schedule %d: %d violations, the first: %s\n%s\nits whole story is in build/sim/%[1]d.txt; up to there:\n%[5]s", r.Schedule.Seed,
		len(r.Violations), r.Violations[0], again(r.Schedule), story(r)))
}

// fail tells the story of a schedule that failed, and keeps the first line for the end.
func (c *campaign) fail(t *testing.T, story string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.Error(story)
	c.failures = append(c.failures, firstLine(story))
}

// story is what led to the first violation.
func story(r Result) string {
	lines := strings.Split(r.Trace, "\n")
	end := len(lines)
	for i, line := range lines {
		if strings.Contains(line, "VIOLATED") {
			end = i + 1
			break
		}
	}
	return strings.Join(lines[max(0, end-shown):end], "\n")
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// reportProgress prints how far the campaign is, until the returned function is called.
func (c *campaign) reportProgress() (stop func()) {
	ended := make(chan struct{})
	var printer sync.WaitGroup
	printer.Go(func() {
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				fmt.Printf("%4.0f s: %d of %d schedules, %d with violations, %d late calls\n", time.Since(c.began).Seconds(), c.done.Load(),
					*seeds**repeat, c.failed.Load(), c.total.Count(lateChanged)+c.total.Count(lateFenced))
			case <-ended:
				return
			}
		}
	})
	return func() { close(ended); printer.Wait() }
}

func TestOnlyAwaitRaft(t *testing.T) {
	const (
		waiting = "goroutine 7 [select (durable), synctest bubble 3]:\nraft.(*deferError).Error(...)\nhacluster/election.wait.func1()"
		working = "goroutine 8 [select (durable), synctest bubble 3]:\nhacluster/internal/controller.(*Driver).loop()"
		other   = "goroutine 9 [select (durable), synctest bubble 4]:\nhacluster/internal/controller.(*Driver).loop()"
	)
	tests := []struct {
		name string
		left []string
		want int
	}{
		{"nothing but an answer that never comes", []string{other, waiting}, 1},
		{"something else as well", []string{waiting, working}, 0},
		{"something else first", []string{working, waiting}, 0},
		{"another schedule's", []string{other}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := onlyAwaitRaft(tt.left); len(got) != tt.want {
				t.Errorf("found %v, want %d", got, tt.want)
			}
		})
	}
	c := &campaign{total: NewCoverage()}
	deadlock := "deadlock: main bubble goroutine has exited but blocked goroutines remain"
	if c.abandoned("nil map", []string{waiting}) || !c.abandoned(deadlock, []string{waiting}) || c.abandoned(deadlock, []string{waiting}) {
		t.Error("a leak excuses one schedule, its own")
	}
}
