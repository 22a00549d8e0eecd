package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// keepalived reads the file whenever it is written: it must never be empty, which keepalived takes for 0, and is not touched
// while there is no news.
func TestTellWritesInPlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gone")
	long := time.Now().Add(-time.Hour).Truncate(time.Second)
	for i, step := range []struct{ well, news bool }{{true, true}, {false, true}, {false, false}, {true, true}} {
		before, _ := os.Stat(file)
		if err := tell(file, step.well); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]string{true: "0\n", false: "1\n"}[step.well]; string(text) != want {
			t.Errorf("step %d: %q, want %q", i, text, want)
		}
		after, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if before != nil && !os.SameFile(before, after) {
			t.Errorf("step %d: the file was replaced", i)
		}
		if written := !after.ModTime().Equal(long); written != step.news {
			t.Errorf("step %d: written: %t", i, written)
		}
		if err := os.Chtimes(file, long, long); err != nil {
			t.Fatal(err)
		}
	}
}

func TestExitIsAnEvent(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	haproxy := filepath.Join(t.TempDir(), process)
	program, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(haproxy, program, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(haproxy, "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // it was killed
	pid := cmd.Process.Pid
	if pids, err := find(); err != nil || !slices.Contains(pids, pid) {
		t.Fatalf("%d is not among %v: %v", pid, pids, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- await([]int{pid}) }()
	select {
	case <-ended:
		t.Fatal("told before the end")
	case <-time.After(2 * rescan):
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	// Not waited for yet: a zombie is not alive.
	if pids, err := find(); err != nil || slices.Contains(pids, pid) {
		t.Errorf("%d is still among %v: %v", pid, pids, err)
	}
}

func TestAsk(t *testing.T) {
	status, hang := http.StatusOK, make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			<-hang
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	defer close(hang)
	if err := ask(server.URL, time.Second); err != nil {
		t.Error(err)
	}
	if err := ask(server.URL+"/hang", 20*time.Millisecond); err == nil {
		t.Error("no answer was taken for one")
	}
	status = http.StatusServiceUnavailable
	if err := ask(server.URL, time.Second); err == nil {
		t.Error("503 was taken for health")
	}
}
