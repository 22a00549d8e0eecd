package hooks

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/controller"
)

// start runs a runner. end is the end of the agent; it returns when the last hook is done.
func start(r *Runner) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Run(ctx) // never fails
	}()
	return func() {
		cancel()
		<-done
	}
}

// TestOrderAndArguments: as keepalived: first the hook for the state, with its own arguments; then notify, with four more.
func TestOrderAndArguments(t *testing.T) {
	s := newStage(t)
	note := s.noting("note")[0]
	r, end := s.runner(Config{NotifyMaster: []string{note, "m"}, NotifyBackup: []string{note, "b", "two words"},
		NotifyFault: []string{note, "f"},
		NotifyStop:  []string{note, "s"}, Notify: []string{note, "any"}})
	s.becomes(r, to(controller.Init, controller.Backup), "BACKUP 103")
	s.becomes(r, to(controller.Backup, controller.Master), "MASTER 103")
	s.becomes(r, to(controller.Master, controller.Fault), "FAULT 103")
	end()
	want := `note b two words
note any INSTANCE edge BACKUP 103
note m
note any INSTANCE edge MASTER 103
note f
note any INSTANCE edge FAULT 103
note s
note any INSTANCE edge STOP 103`
	if diff := cmp.Diff(want, s.diary()); diff != "" {
		t.Errorf("what ran (-want +got):\n%s", diff)
	}
	if got, want := r.Stats(), (Stats{Runs: 8}); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
}

// TestSurroundings: what a hook finds: its environment and nothing of the agent's, no input, the root directory.
func TestSurroundings(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "of the agent")
	s := newStage(t)
	look := s.script("look", `{
		env | grep -v '^PWD=' | sort
		echo "arguments: $*"
		echo "directory: $(pwd)"
		echo "input: $(readlink /proc/self/fd/0)"
		[ "$(ps -o pgid= -p $$ | tr -d ' ')" = $$ ] && echo "a process group of its own"
	} > $stage/diary.new; mv $stage/diary.new $stage/diary`)
	r, end := s.runner(Config{NotifyMaster: []string{look}})
	change := to(controller.Backup, controller.Master)
	change.Reason = "takeover\nfrom lb-2"
	change.Addresses = []controller.Whereabouts{{Holder: "lb-1", Association: "eipassoc-1", PublicIP: netip.MustParseAddr("203.0.113.10")}}
	s.becomes(r, change, "of its own")
	end()
	golden(t, "testdata/surroundings.txt", s.diary()+"\n")
}

// TestNoDescriptors: a hook inherits nothing that is open, not even what whoever started the agent left open.
func TestNoDescriptors(t *testing.T) {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY, 0) // without O_CLOEXEC
	must(t, err)
	defer unix.Close(fd)
	s := newStage(t)
	r, end := s.runner(Config{NotifyMaster: []string{"/bin/ls", "/proc/self/fd"}})
	r.Changed(to(controller.Backup, controller.Master))
	s.waitFor("end of the hook", func() bool { return strings.Contains(s.logged(), "hook ended") })
	end()
	want := "hook output line=0\nhook output line=1\nhook output line=2\nhook output line=3\nhook ended" // 3: ls reads the directory
	if diff := cmp.Diff(want, s.logged("line")); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		must(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestNewestWins: while a hook hangs, states come and go. Only the newest has its hooks run, and nobody waited to tell of any.
func TestNewestWins(t *testing.T) {
	s := newStage(t)
	must(t, syscall.Mkfifo(s.path("gate"), 0o600))
	wait := s.script("wait", `echo waiting >> $stage/diary; read _ < $stage/gate`)
	r, end := s.runner(Config{NotifyFault: []string{wait}, Notify: s.noting("notify")})
	s.becomes(r, to(controller.Backup, controller.Fault), "waiting")
	for range 1000 { // whoever waited here would wait for ever: the gate is opened behind it
		r.Changed(to(controller.Fault, controller.Backup))
		r.Changed(to(controller.Backup, controller.Master))
	}
	must(t, os.WriteFile(s.path("gate"), []byte("go\n"), 0))
	s.waitFor("hook of the newest state", func() bool { return strings.HasSuffix(s.diary(), "MASTER 103") })
	end()
	want := "waiting\nnotify INSTANCE edge MASTER 103\nnotify INSTANCE edge STOP 103"
	if diff := cmp.Diff(want, s.diary()); diff != "" {
		t.Errorf("what ran (-want +got):\n%s", diff)
	}
	// 1999 changes before the newest, and the second hook of the first.
	if got, want := r.Stats(), (Stats{Runs: 3, Superseded: 2000}); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
}

// TestStateWithoutHooksSupersedes: a state that nobody wants to hear of is the newest all the same.
func TestStateWithoutHooksSupersedes(t *testing.T) {
	s := newStage(t)
	r, err := New(Config{NotifyMaster: s.noting("master"), Timeout: time.Second}, zap.NewNop())
	must(t, err)
	r.Changed(to(controller.Backup, controller.Master))
	r.Changed(to(controller.Master, controller.Backup))
	r.Changed(to(controller.Backup, controller.Fault))
	start(r)()
	if got, want := r.Stats(), (Stats{Superseded: 1}); got != want || s.diary() != "" {
		t.Errorf("stats %+v, want %+v; what ran: %q", got, want, s.diary())
	}
}

// TestStop: at the end of the agent what runs may finish, what waits is out of date, and the hooks for the end run last.
func TestStop(t *testing.T) {
	s := newStage(t)
	slow := s.script("slow", `echo begins >> $stage/diary; sleep 0.3; echo ends >> $stage/diary`)
	r, end := s.runner(Config{NotifyMaster: []string{slow}, NotifyFault: s.noting("fault"),
		NotifyStop: s.noting("stop"), Notify: s.noting("notify")})
	s.becomes(r, to(controller.Backup, controller.Master), "begins")
	r.Changed(to(controller.Master, controller.Fault))
	end()
	want := "begins\nends\nstop \nnotify INSTANCE edge STOP 103"
	if diff := cmp.Diff(want, s.diary()); diff != "" {
		t.Errorf("what ran (-want +got):\n%s", diff)
	}
}

// TestReplaced: an agent that begins again in its own process has not ended.
func TestReplaced(t *testing.T) {
	s := newStage(t)
	r, end := s.runner(Config{NotifyStop: s.noting("stop"), Notify: s.noting("notify")})
	end() // and begins again
	ctx, replace := context.WithCancelCause(t.Context())
	replace(ErrReplaced)
	if err := r.Run(ctx); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff("stop \nnotify INSTANCE edge STOP 103", s.diary()); diff != "" {
		t.Errorf("what ran (-want +got):\n%s", diff)
	}
}

// TestStopIsBounded: neither a hook that hangs nor one that hangs at the end keeps the process.
func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	hang := s.script("hang", `echo hangs >> $stage/diary; exec sleep 1000`)
	r, end := s.runner(Config{NotifyMaster: []string{hang}, NotifyStop: []string{hang}, Notify: s.noting("notify")})
	s.becomes(r, to(controller.Backup, controller.Master), "hangs")
	began := time.Now()
	end()
	if took := time.Since(began); took < 2*stopWithin || took > time.Minute {
		t.Errorf("the end took %v, want about %v for each of the two, which would run for 1000 s", took, stopWithin)
	}
	want := "hangs\nhangs\nnotify INSTANCE edge STOP 103"
	if diff := cmp.Diff(want, s.diary()); diff != "" {
		t.Errorf("what ran (-want +got):\n%s", diff)
	}
}

// TestRefusedAtRun: a program that was safe at the start and is not any more is not run, and that is said.
func TestRefusedAtRun(t *testing.T) {
	s := newStage(t)
	r, end := s.runner(Config{NotifyMaster: s.noting("master"), NotifyBackup: s.noting("backup")})
	must(t, os.Chmod(s.path("master"), 0o720))
	r.Changed(to(controller.Backup, controller.Master))
	s.waitFor("refusal", func() bool { return r.Stats().Refused == 1 })
	s.becomes(r, to(controller.Master, controller.Backup), "backup")
	end()
	if got, want := r.Stats(), (Stats{Runs: 1, Refused: 1}); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
	s.wantLogged("hook refused hook=notify_master error=" + s.path("master") + " is writable by its group; run 'chmod g-w " + s.path("master") + "'")
}
