package main_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestHangingHooksDelayNobody: the hooks of all nodes hang from the first state on. The address is claimed and moved as ever, and the
// agents end in good order: what hangs has five seconds, then the hooks for the end run.
func TestHangingHooksDelayNobody(t *testing.T) {
	needRoot(t)
	haproxy, err := net.Listen("tcp", "127.0.0.1:0") // as far as the tcp check can tell
	must(t, err)
	t.Cleanup(func() { _ = haproxy.Close() })
	endpoint, _ := emulator(t)
	port, dir := freePort(t), t.TempDir()
	must(t, os.Chmod(dir, 0o777)) // node-c runs as nobody
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	var members []*member
	for i, name := range []string{"node-a", "node-b", "node-c"} {
		diary := filepath.Join(dir, name)
		members = append(members, startMember(t, name, i+1, port, endpoint, haproxy.Addr().String(), fmt.Sprintf(`hooks:
  notify: [/bin/sh, -c, 'echo "$3 $HACLUSTER_NODE" >> %s; [ $3 = STOP ] || exec sleep 1000', notify]
  timeout: 10m`, diary)))
	}
	holder := ""
	waitFor(t, "an agreed holder and another candidate", func() bool {
		s, err := members[2].status()
		holder = s.Holder
		return err == nil && s.Held() && s.Leader == holder && candidates(s) == 2
	})
	began := time.Now()
	out, err := members[2].hacluster("transfer")
	if took := time.Since(began); err != nil || took >= 5*time.Second || strings.HasPrefix(out, holder) {
		t.Errorf("transfer from %s after %v: %v: %s", holder, took, err, out)
	}
	for _, m := range members {
		must(t, m.cmd.Process.Signal(syscall.SIGTERM))
	}
	for _, m := range members {
		if err := m.cmd.Wait(); err != nil {
			t.Errorf("%s after SIGTERM: %v", m.name, err)
		}
		diary, err := os.ReadFile(filepath.Join(dir, m.name))
		if want := fmt.Sprintf("BACKUP %[1]s\nSTOP %[1]s\n", m.name); err != nil || string(diary) != want {
			t.Errorf("hooks of %s: %q, %v; want %q", m.name, diary, err, want)
		}
	}
}

// TestUnsafeHookIsRefused: what anybody could change is not run: the agent does not start, and a check beforehand says so.
func TestUnsafeHookIsRefused(t *testing.T) {
	n := newNode(t)
	n.replace = []string{"health:", "hooks: {notify_master: [/tmp/master.sh]}\nhealth:"}
	const want = "hooks.notify_master: /tmp is writable by others; move the program, for example to /etc/hacluster"
	if last, code := n.end(); code == 0 || !strings.HasSuffix(last, want) {
		t.Errorf("agent: exit code %d: %s", code, last)
	}
	if _, err := os.Stat(n.data()); err == nil {
		t.Error("the agent has begun all the same: there is a data directory")
	}
	for _, flags := range [][]string{{}, {"--hooks"}} {
		out, err := n.command(append([]string{"config", "check", n.config()}, flags...)...).CombinedOutput()
		if refused := strings.Contains(string(out), want); refused != (len(flags) > 0) || refused != (err != nil) {
			t.Errorf("config check %v: %v: %s", flags, err, out)
		}
	}
}
