package main_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTheQuorumIsLostForGood is docs/RECOVERY.md as an operator follows it: the holder survives, the disks of the two others do not.
func TestTheQuorumIsLostForGood(t *testing.T) {
	needRoot(t)
	t.Parallel()
	haproxy, err := net.Listen("tcp", "127.0.0.1:0") // as far as the tcp check can tell
	must(t, err)
	t.Cleanup(func() { _ = haproxy.Close() })
	endpoint, calls := emulator(t)
	port, work := freePort(t), t.TempDir()
	mustRun(t, work, "tls", "ca", "create", "--cluster", "test", "--out", "ca")
	members := map[string]*member{}
	for i, name := range []string{"node-a", "node-b", "node-c"} {
		mustRun(t, work, "tls", "cert", "create", "--node", name, "--ca", "ca")
		files := install(t, filepath.Join(work, name), "", name)
		members[name] = startMember(t, name, i+1, port, endpoint, haproxy.Addr().String(),
			fmt.Sprintf("tls: {ca: %[1]s/ca.crt, cert: %[1]s/node.crt, key: %[1]s/node.key}", files))
	}
	holder := ""
	waitFor(t, "an agreed holder and another candidate", func() bool {
		s, err := members["node-c"].status()
		holder = s.Holder
		return err == nil && s.Held() && s.Leader == holder && candidates(s) == 2
	})
	survivor := members[holder]
	for name, m := range members {
		if name != holder {
			m.kill()
			must(t, os.RemoveAll(m.data()))
		}
	}

	t.Run("not while the agent runs", func(t *testing.T) {
		out, err := survivor.recover("", "--yes-i-know", "test")
		if err == nil || !strings.Contains(out, "is another agent running on this data dir? stop it first") {
			t.Errorf("%v: %s", err, out)
		}
	})
	must(t, survivor.cmd.Process.Signal(syscall.SIGTERM))
	_ = survivor.cmd.Wait() // without a quorum it cannot hand over
	before := calls()
	t.Run("a look changes nothing", func(t *testing.T) {
		out, err := survivor.recover("", "--show")
		for _, w := range []string{"node " + holder + " of cluster test", "voters      node-a, node-b, node-c", allocation + " was held by " + holder,
			"silent: connection refused"} {
			if err != nil || !strings.Contains(out, w) {
				t.Errorf("%v: %q is not in\n%s", err, w, out)
			}
		}
		if strings.Contains(out, "What will happen") {
			t.Errorf("asks, although nobody wanted anything:\n%s", out)
		}
	})
	t.Run("killed at any moment it leaves the old store or the new one", survivor.killedInTheMiddle)
	t.Run("a wrong name changes nothing", func(t *testing.T) {
		out, err := survivor.recover("yes\n")
		if err == nil || !strings.Contains(out, `nothing was changed: the cluster's name is "test", not "yes"`) {
			t.Errorf("%v: %s", err, out)
		}
	})
	out, err := survivor.recover("test\n")
	if err != nil || !strings.Contains(out, "Done. The old store is in "+survivor.data()+"/raft.before-") {
		t.Fatalf("%v: %s", err, out)
	}
	t.Log(out)

	survivor.restart()
	waitFor(t, "the address at "+holder+" as before", func() bool {
		s, err := survivor.status()
		return err == nil && s.Holder == holder && s.Held() && s.State == "Master" && s.Addresses[0].Guarded
	})
	if after := calls(); after != before {
		t.Errorf("%d calls to EC2 moved an address that was in its place", after-before)
	}
	for name, m := range members {
		if name != holder {
			m.restart()
		}
	}
	waitFor(t, "three nodes and two candidates", func() bool {
		s, err := members["node-c"].status()
		return err == nil && s.Leader == holder && s.Phase == "running" && candidates(s) == 2
	})
	out, err = survivor.hacluster("transfer")
	if err != nil || !strings.Contains(out, "holds the address") {
		t.Errorf("a transfer in the recovered cluster: %v: %s", err, out)
	}
}

// TestAQuorumThatComesBackIsLeftAlone: while the question waits for its answer, somebody mends the others.
func TestAQuorumThatComesBackIsLeftAlone(t *testing.T) {
	needRoot(t)
	t.Parallel()
	haproxy, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = haproxy.Close() })
	endpoint, _ := emulator(t)
	port := freePort(t)
	members := map[string]*member{}
	for i, name := range []string{"node-a", "node-b", "node-c"} {
		members[name] = startMember(t, name, i+1, port, endpoint, haproxy.Addr().String())
	}
	survivor := members["node-a"]
	waitFor(t, "a leader", func() bool {
		s, err := survivor.status()
		return err == nil && s.Leader != "" && s.Phase == "running"
	})
	for _, m := range members {
		m.kill()
	}
	cmd := survivor.command("recover", "--config", filepath.Join(survivor.dir, "hacluster.yaml"))
	typed, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	must(t, cmd.Start())
	for text := ""; !strings.Contains(text, "Type the name"); {
		more := make([]byte, 4096)
		n, err := out.Read(more)
		must(t, err)
		text += string(more[:n])
	}
	members["node-b"].restart()
	members["node-c"].restart()
	waitFor(t, "a leader without node-a", func() bool {
		s, err := members["node-b"].status()
		return err == nil && s.Leader != ""
	})
	_, err = typed.Write([]byte("test\n"))
	must(t, err)
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err == nil || !strings.Contains(complaint.String(), "nothing was changed: the quorum is not lost") {
		t.Errorf("%v: %s", err, complaint.String())
	}
	survivor.restart()
	waitFor(t, "the leader at node-a", func() bool {
		s, err := survivor.status()
		return err == nil && s.Leader != "" && s.Phase == "running"
	})
}

// recover runs the command on the member's configuration, with what is typed.
func (m *member) recover(typed string, args ...string) (string, error) {
	cmd := m.command(append([]string{"recover", "--config", filepath.Join(m.dir, "hacluster.yaml")}, args...)...)
	cmd.Stdin = strings.NewReader(typed)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// killedInTheMiddle recovers copies of the data dir, and kills the command sooner or later.
func (m *member) killedInTheMiddle(t *testing.T) {
	const rounds, longest = 12, 120 * time.Millisecond
	outcomes := map[string]int{}
	for range rounds {
		dir := filepath.Join(t.TempDir(), "data")
		must(t, os.CopyFS(dir, os.DirFS(m.data())))
		cmd := m.command("recover", "--config", filepath.Join(m.dir, "hacluster.yaml"), "--data-dir", dir, "--yes-i-know", "test")
		must(t, cmd.Start())
		kill := time.AfterFunc(rand.N(longest), func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
		out, err := m.recover("", "--show", "--data-dir", dir)
		switch {
		case strings.Contains(out, "voters      node-a, node-b, node-c\n"):
			outcomes["old"]++
		case strings.Contains(out, "voters      "+m.name+"\n") && strings.Contains(out, m.name+" is the only voter already: start the agent here"):
			outcomes["new"]++
		default:
			t.Errorf("neither the old store nor the new one: %v: %s", err, out)
		}
	}
	t.Log(outcomes)
}

func (m *member) kill() {
	m.t.Helper()
	must(m.t, m.cmd.Process.Kill())
	_ = m.cmd.Wait() // killed
}

// restart starts the agent once more, on whatever is left of its data dir.
func (m *member) restart() {
	m.t.Helper()
	m.cmd = m.command("agent", "--config", filepath.Join(m.dir, "hacluster.yaml"))
	m.cmd.Stderr = &m.log
	must(m.t, m.cmd.Start())
}
