package hooks

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/controller"
)

// pid reads the number that a script has written.
func (s *stage) pid(name string) int {
	s.t.Helper()
	text, err := os.ReadFile(s.path(name))
	must(s.t, err)
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(s.t, err)
	return n
}

// gone reports whether a process has ended: it is no more, or only waits to be reaped by init.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// TestTimeout: a hook that hangs, and ignores SIGTERM together with what it started, is killed with all of it. The next state waits no
// longer.
func TestTimeout(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	hang := s.script("hang", `trap '' TERM
sh -c 'echo $$ > $0/grandchild; while :; do sleep 1; done' $stage &
echo $$ > $stage/child
while :; do sleep 1; done`)
	r, end := s.runner(Config{NotifyMaster: []string{hang}, NotifyBackup: s.noting("backup"), Timeout: 3 * time.Second})
	began := time.Now()
	r.Changed(to(controller.Backup, controller.Master))
	s.waitFor("child and grandchild", func() bool {
		_, err := os.Stat(s.path("grandchild"))
		return err == nil && r.Stats().Runs == 1
	})
	s.becomes(r, to(controller.Master, controller.Backup), "backup")
	if took := time.Since(began); took < killAfter {
		t.Errorf("the next hook ran after %v, want more than %v", took, killAfter)
	}
	for _, name := range []string{"child", "grandchild"} {
		s.waitFor("end of the "+name, func() bool { return gone(s.pid(name)) }) // a killed process takes a moment
	}
	end()
	if got, want := r.Stats(), (Stats{Runs: 2, Failures: 1, Timeouts: 1}); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
	s.wantLogged("hook failed hook=notify_master error=its time was over: signal: killed")
}

// TestTerm: a hook that listens to SIGTERM may clean up.
func TestTerm(t *testing.T) {
	s := newStage(t)
	tidy := s.script("tidy", `trap 'echo cleaned up >> $stage/diary; exit 0' TERM
sleep 1000 &
wait`)
	r, end := s.runner(Config{NotifyMaster: []string{tidy}, Timeout: 3 * time.Second})
	s.becomes(r, to(controller.Backup, controller.Master), "cleaned up")
	end()
	if got, want := r.Stats(), (Stats{Runs: 1, Failures: 1, Timeouts: 1}); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
	s.wantLogged("hook failed hook=notify_master error=its time was over: exit status 0") // and not killed
}

// TestLeftBehind: what a hook leaves in the background, with the output open, is not waited for, and does not outlive the hook to act
// for a state that is over.
func TestLeftBehind(t *testing.T) {
	s := newStage(t)
	fork := s.script("fork", `(sleep 1; echo too late >> $stage/diary; sleep 1000) &
echo $! > $stage/left
echo forked`)
	r, end := s.runner(Config{NotifyMaster: []string{fork}, NotifyBackup: s.noting("backup")})
	r.Changed(to(controller.Backup, controller.Master))
	s.waitFor("end of the first hook", func() bool { return strings.Contains(s.logged(), "hook ended") })
	s.becomes(r, to(controller.Master, controller.Backup), "backup")
	s.waitFor("end of what was left", func() bool { return gone(s.pid("left")) })
	end()
	s.wantLogged("hook left processes behind; they were killed hook=notify_master")
}

// TestDaemonKeepsTheOutput: a process that left the group is none of ours, and the output that it holds is not waited for.
func TestDaemonKeepsTheOutput(t *testing.T) {
	s := newStage(t)
	daemon := s.script("daemon", `setsid sh -c 'echo $$ > $0/pid; exec sleep 1000' $stage &
while [ ! -s $stage/pid ]; do sleep 0.01; done`)
	r, end := s.runner(Config{NotifyMaster: []string{daemon}})
	r.Changed(to(controller.Backup, controller.Master))
	s.waitFor("end of the hook", func() bool { return strings.Contains(s.logged(), "hook ended") })
	end()
	pid := s.pid("pid")
	if gone(pid) {
		t.Error("the daemon was killed")
	}
	must(t, syscall.Kill(pid, syscall.SIGKILL))
}

// TestExitStatus: what a hook ended with is logged.
func TestExitStatus(t *testing.T) {
	s := newStage(t)
	fail := s.script("fail", `echo "no such thing" >&2; exit 3`)
	broken := s.path("broken")
	must(t, os.WriteFile(broken, []byte("\x7fELF, but not really"), 0o700))
	r, end := s.runner(Config{NotifyMaster: []string{fail}, NotifyBackup: []string{broken}})
	r.Changed(to(controller.Backup, controller.Master))
	s.waitFor("failure", func() bool { return r.Stats().Failures == 1 })
	r.Changed(to(controller.Master, controller.Backup))
	s.waitFor("second failure", func() bool { return r.Stats().Failures == 2 })
	end()
	if got, want := r.Stats(), (Stats{Runs: 1, Failures: 2}); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
	want := "hook output hook=notify_master state=MASTER line=no such thing\n" +
		"hook failed hook=notify_master state=MASTER error=exit status 3\n" +
		"hook failed hook=notify_backup state=BACKUP error=start: fork/exec " + broken + ": exec format error"
	if got := s.logged("hook", "state", "line", "error"); got != want {
		t.Errorf("the log:\n%s\nwant\n%s", got, want)
	}
}

// TestFlood: a hook that never stops writing is logged a little, read slowly, and ended by the time-out.
func TestFlood(t *testing.T) {
	const limit = 3 * time.Second
	s := newStage(t)
	flood := s.script("flood", "exec yes flood")
	r, end := s.runner(Config{NotifyMaster: []string{flood}, NotifyBackup: s.noting("backup"), Timeout: limit})
	r.Changed(to(controller.Backup, controller.Master))
	s.waitFor("start", func() bool { return r.Stats().Runs == 1 })
	s.becomes(r, to(controller.Master, controller.Backup), "backup")
	end()
	lines := strings.Count(s.logged("line"), "hook output line=flood\n")
	if lines != maxLines {
		t.Errorf("%d lines were logged, want %d", lines, maxLines)
	}
	cut := s.logs.FilterMessage("hook output cut").All()
	if len(cut) != 1 {
		t.Fatalf("the log:\n%s", s.logged())
	}
	const most = int64(limit/time.Millisecond)*discardStep/10 + 10*discardStep // what the pace allows in that time, and a little
	if dropped := cut[0].ContextMap()["bytes_dropped"].(int64); dropped < discardStep || dropped > most {
		t.Errorf("%d bytes were read and dropped, want at most %d", dropped, most)
	}
}
