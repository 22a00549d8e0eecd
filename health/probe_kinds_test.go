package health

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// probeOnce runs a prober as its check would and returns what the operator reads.
func probeOnce(t *testing.T, p prober, timeout time.Duration) string {
	t.Helper()
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	defer time.AfterFunc(timeout, giveUp).Stop()
	detail, err := p.probe(ctx, func() {})
	switch {
	case err == nil:
		return detail
	case ctx.Err() != nil:
		return explain(err, timeout).Error()
	}
	return explain(err, 0).Error()
}

func TestHTTPProbe(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.PathValue("code"))
		w.Header().Set("Location", "/status/500")
		w.WriteHeader(code)
	})
	mux.HandleFunc("/host", func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "www.example.com" {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/never", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/half", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	tests := []struct {
		name, path, host string
		status           []StatusRange
		want             string
	}{
		{name: "ok", path: "/status/200", want: "answered 200"},
		{name: "a redirect is an answer and is not followed", path: "/status/302", want: "answered 302"},
		{name: "server error", path: "/status/503", want: "failed: answered 503, not 200-399"},
		{name: "chosen statuses", path: "/status/401", status: []StatusRange{{200, 299}, {401, 401}}, want: "answered 401"},
		{name: "outside the chosen statuses", path: "/status/302", status: []StatusRange{{200, 299}, {401, 401}}, want: "failed: answered 302, not 200-299 or 401"},
		{name: "host header", path: "/host", host: "www.example.com", want: "answered 200"},
		{name: "a body without end is not read to its end", path: "/endless", want: "answered 200"},
		{name: "no answer", path: "/never", want: "timed out after 200ms"},
		{name: "half an answer", path: "/half", want: "timed out after 200ms"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newHTTPProber(HTTPConfig{URL: server.URL + tt.path, Host: tt.host, Status: tt.status})
			if got := probeOnce(t, p, deadlineFor(tt.want)); got != tt.want {
				t.Errorf("probe says %q, want %q", got, tt.want)
			}
		})
	}
}

// TestHTTPProbeUsesAConnectionOfItsOwn: a kept one would stay with the old worker after a reload.
func TestHTTPProbeUsesAConnectionOfItsOwn(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	p := newHTTPProber(HTTPConfig{URL: server.URL})
	for range 3 {
		if got := probeOnce(t, p, time.Second); got != "answered 200" {
			t.Fatal(got)
		}
	}
	if n := connections.Load(); n != 3 {
		t.Errorf("3 probes used %d connections", n)
	}
}

func TestTCPProbe(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := tcpProber{address: listener.Addr().String()}
	if got, want := probeOnce(t, p, time.Second), "accepted a connection"; got != want {
		t.Errorf("open port: %q, want %q", got, want)
	}
	listener.Close()
	if got := probeOnce(t, p, time.Second); !strings.HasPrefix(got, "failed: ") || !strings.HasSuffix(got, "connection refused") {
		t.Errorf("closed port: %q, want a refused connection", got)
	}
}

// deadlineFor is short where a time-out is wanted, and otherwise enough for a busy machine.
func deadlineFor(want string) time.Duration {
	if strings.Contains(want, "timed out after 200ms") {
		return 200 * time.Millisecond
	}
	return time.Second
}

// statsServer answers each connection with the next of the answers, the last one for ever.
func statsServer(t *testing.T, answers ...string) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "stats.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			answerStats(conn, answers[0])
			if len(answers) > 1 {
				answers = answers[1:]
			}
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	return socket
}

func answerStats(conn net.Conn, answer string) {
	defer conn.Close()
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "show info\n" {
		return
	}
	if answer == "" { // hang until the other side gives up
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	_, _ = io.WriteString(conn, answer)
}

func TestStatsProbe(t *testing.T) {
	const (
		serving  = "Name: HAProxy\nPid: 4712\nUptime: 0d 0h00m35s\nUptime_sec: 35\nStopping: 0\n\n"
		stopping = "Name: HAProxy\nPid: 4700\nUptime_sec: 99\nStopping: 1\n\n"
	)
	tests := []struct {
		name    string
		answers []string
		want    string
	}{
		{"a serving worker", []string{serving}, "answered by process 4712, up 35s"},
		{"during a reload the old worker may answer first (I5)", []string{stopping, stopping, serving}, "answered by process 4712, up 35s"},
		{"only a leaving worker", []string{stopping}, "only process 4700 answers, which is stopping"},
		{"a leaving worker, then nobody", []string{stopping, ""}, "only process 4700 answers, which is stopping"},
		{"no answer", []string{""}, "timed out after 200ms"},
		{"something else", []string{"Unknown command\n"}, "failed: parse show info: no Pid in the answer; is this HAProxy's stats socket?"},
		{"nonsense", []string{"Pid: many\n"}, `failed: parse show info: Pid is "many"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := statsProber{socket: statsServer(t, tt.answers...)}
			if got := probeOnce(t, p, deadlineFor(tt.want)); got != tt.want {
				t.Errorf("probe says %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("no socket", func(t *testing.T) {
		p := statsProber{socket: filepath.Join(t.TempDir(), "absent.sock")}
		if got := probeOnce(t, p, time.Second); !strings.Contains(got, "no such file") {
			t.Errorf("probe says %q, want that there is no such file", got)
		}
	})
}

// TestShortTimeoutsNeedTheProcessCheck: where HAProxy's processes are not seen, they end no probe of stats and http.
func TestShortTimeoutsNeedTheProcessCheck(t *testing.T) {
	const delay = 2 * 50 * time.Millisecond // twice the time-out
	socket := filepath.Join(t.TempDir(), "stats.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			<-time.After(delay)
			answerStats(conn, "Pid: 1\n")
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-time.After(delay) }))
	t.Cleanup(server.Close)

	m, err := New(Config{
		Stats: &StatsConfig{Socket: socket, Probe: fastProbe()},
		HTTP:  &HTTPConfig{URL: server.URL, Probe: fastProbe()},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	run(t, m)
	waitFor(t, 5*time.Second, "both checks to pass", func() bool { return m.Status().Healthy })
}

// FuzzParseInfo: whatever a socket answers, a parsed answer has a process.
func FuzzParseInfo(f *testing.F) {
	f.Add([]byte("Name: HAProxy\nPid: 4712\nUptime_sec: 35\nStopping: 0\n"))
	f.Add([]byte("Pid: 1\r\nStopping: 1\r\n"))
	f.Add([]byte("Pid:1\nPid: -1\n: \n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := parseInfo(data); err == nil && (got.pid <= 0 || got.uptime < 0) {
			t.Errorf("parseInfo(%q) = %+v", data, got)
		}
	})
}

func TestScriptProbe(t *testing.T) {
	t.Setenv("SECRET", "must not reach a script")
	tests := []struct {
		name    string
		command []string
		want    string
	}{
		{"success", []string{"/bin/true"}, "exited with 0"},
		{"its first line is shown", []string{"/bin/echo", "all\nwell"}, "exited with 0: all"},
		{"failure", []string{"/bin/sh", "-c", "echo no route >&2; exit 3"}, "failed: exit status 3: no route"},
		{"death by signal is a failure", []string{"/bin/sh", "-c", "kill -9 $$"}, "failed: signal: killed"},
		{"a missing program is a failure", []string{"/no/such/check"}, "failed: fork/exec /no/such/check: no such file or directory"},
		{"a program that cannot be executed is a failure", []string{"/etc/passwd"}, "failed: fork/exec /etc/passwd: permission denied"},
		{"no shell reads the arguments", []string{"/bin/echo", "$HOME;", "id"}, "exited with 0: $HOME; id"},
		{"a minimal environment", []string{"/usr/bin/env"}, "exited with 0: " + scriptPath},
		{"nothing on stdin", []string{"/bin/cat"}, "exited with 0"},
		{"control characters are not shown", []string{"/bin/echo", "a\x1b[31mb\x00c"[:7]}, "exited with 0: a[31mb"},
		{"too late", []string{"/bin/sleep", "60"}, "timed out after 300ms"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			timeout := 10 * time.Second
			if tt.name == "too late" {
				timeout = 300 * time.Millisecond
			}
			if got := probeOnce(t, scriptProber{command: tt.command}, timeout); got != tt.want {
				t.Errorf("probe says %q, want %q", got, tt.want)
			}
		})
	}
}

// TestScriptTimeoutKillsTheGroup: what a script has started must not pile up, one for each probe.
func TestScriptTimeoutKillsTheGroup(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	script := fmt.Sprintf("sleep 60 & echo $! >%s; wait", file)
	if got, want := probeOnce(t, scriptProber{command: []string{"/bin/sh", "-c", script}}, 2*time.Second), "timed out after 2s"; got != want {
		t.Fatalf("probe says %q, want %q", got, want)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, 10*time.Second, "the script's child to be dead", func() bool {
		_, alive := procfs{root: "/proc"}.read(pid, "sleep")
		return !alive
	})
}

// TestScriptThatLeavesADaemonBehind: the exit code counts, not when the output is closed.
func TestScriptThatLeavesADaemonBehind(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	script := fmt.Sprintf("setsid sleep 60 & echo $! >%s; echo fine", file)
	if got, want := probeOnce(t, scriptProber{command: []string{"/bin/sh", "-c", script}}, 5*time.Second), "exited with 0: fine"; got != want {
		t.Errorf("probe says %q, want %q", got, want)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}

func TestScriptOutputIsBounded(t *testing.T) {
	got := probeOnce(t, scriptProber{command: []string{"/bin/sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x"}}, 5*time.Second)
	if want := "exited with 0: " + strings.Repeat("x", maxScriptOutput); got != want {
		t.Errorf("probe says %d bytes, want %d", len(got), len(want))
	}
}
