package main_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestAMemberStartsThoughEC2Hangs: an EC2 that takes requests and never answers uses up the time that a start has for it. The vote must not
// depend on that.
func TestAMemberStartsThoughEC2Hangs(t *testing.T) {
	t.Parallel()
	needRoot(t)
	n := newNode(t)
	must(t, os.Mkdir(n.data(), 0o700))
	marker := `{"cluster": "test", "node": "node-a", "incarnation": "0123456789abcdef"}` // that of a member which lost its store
	must(t, os.WriteFile(filepath.Join(n.data(), "initialized"), []byte(marker), 0o600))
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the end of the connection does not show
		<-r.Context().Done()
	}))
	t.Cleanup(hanging.Close)
	n.replace = []string{n.endpoint, hanging.URL, "eip: {", "eip: {attempt_timeout: 25s, confirm_timeout: 60s, "}
	startAgent(t, n)
}

// TestAReloadRefusesAnUnsafeScript: as the start does, which would otherwise be the first to say so.
func TestAReloadRefusesAnUnsafeScript(t *testing.T) {
	t.Parallel()
	needRoot(t)
	n := newNode(t)
	startAgent(t, n)
	script := filepath.Join(n.dir, "check")
	must(t, os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755))
	must(t, os.Chmod(script, 0o777))
	n.replace = []string{`tcp: {address: "127.0.0.1:9"}`, "script: {command: [" + script + "]}"}
	n.config()
	out, err := n.command("reload", "--socket", n.socket()).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "nothing was changed: health.script: ") || !strings.Contains(string(out), "writable by others") {
		t.Errorf("%v: %s", err, out)
	}
}

// startAgent starts it and waits until it answers. It ends with the test.
func startAgent(t *testing.T, n *node) {
	t.Helper()
	log, err := os.Create(filepath.Join(n.dir, "log"))
	must(t, err)
	t.Cleanup(func() { _ = log.Close() })
	cmd := n.command("agent", "--config", n.config())
	cmd.Stderr = log
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGKILL); <-ended })
	waitFor(t, "an agent", func() bool {
		select {
		case <-ended:
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("the agent has ended:\n%s", text)
		default:
		}
		return socketAnswers(n.socket())
	})
}
