package hooks

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/hacluster/hacluster/internal/controller"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a directory that only this user can write to, with small scripts that note what happens in a diary.
type stage struct {
	t    *testing.T
	dir  string
	logs *observer.ObservedLogs
}

func newStage(t *testing.T) *stage {
	t.Helper()
	return &stage{t: t, dir: safeDir(t)}
}

// safeDir makes a directory where hooks may live. Those that t.TempDir makes are below one that everybody may write to.
func safeDir(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("NOT TESTED: this test needs root for a directory that nobody else can write to, and CI must run it as root")
		}
		t.Skip("NOT TESTED: this test needs root for a directory that nobody else can write to")
	}
	dir, err := os.MkdirTemp("/run", "hacluster-hooks-test-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// script writes a shell script that knows its stage as $stage, and returns its path.
func (s *stage) script(name, body string) string {
	s.t.Helper()
	text := "#!/bin/sh\nstage=" + s.dir + "\n" + body + "\n"
	must(s.t, os.WriteFile(s.path(name), []byte(text), 0o700))
	return s.path(name)
}

// noting is a script that notes its name and its arguments.
func (s *stage) noting(name string) []string {
	return []string{s.script(name, `echo "${0##*/} $*" >> $stage/diary`)}
}

func (s *stage) diary() string {
	text, err := os.ReadFile(s.path("diary"))
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// runner is one of a node called lb-1 with priority 103. end tells it to stop, and returns when it has.
func (s *stage) runner(cfg Config) (r *Runner, end func()) {
	s.t.Helper()
	cfg.Cluster, cfg.Node, cfg.Priority, cfg.AllocationIDs = "edge", "lb-1", 103, "eipalloc-0123456789abcdef0"
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	core, logs := observer.New(zapcore.DebugLevel)
	s.logs = logs
	r, err := New(cfg, zap.New(core))
	must(s.t, err)
	return r, start(r)
}

// logged returns the messages of the log, one a line, with the values of the named keys.
func (s *stage) logged(keys ...string) string {
	var lines []string
	for _, e := range s.logs.All() {
		line := e.Message
		for _, k := range keys {
			if v, ok := e.ContextMap()[k].(string); ok {
				line += " " + k + "=" + v
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// wantLogged checks for one line about a hook in the log.
func (s *stage) wantLogged(line string) {
	s.t.Helper()
	if log := s.logged("hook", "error"); !slices.Contains(strings.Split(log, "\n"), line) {
		s.t.Errorf("the log does not say %q:\n%s", line, log)
	}
}

func to(from, to controller.State) controller.Change {
	return controller.Change{Transition: controller.Transition{From: from, To: to, Term: 7, Reason: "a test"}}
}

// becomes tells of a new state and waits until something shows that its hooks have run.
func (s *stage) becomes(r *Runner, c controller.Change, shown string) {
	s.t.Helper()
	r.Changed(c)
	s.waitFor("'"+shown+"' in the diary", func() bool { return strings.HasSuffix(s.diary(), shown) })
}

// waitFor polls what real processes do; there is no event for it.
func (s *stage) waitFor(what string, is func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			s.t.Fatalf("no %s within 10 s; the diary:\n%s\nthe log:\n%s", what, s.diary(), s.logged("error", "line"))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
