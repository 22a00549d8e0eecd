package health

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFindProcesses(t *testing.T) {
	haproxyOf := func(parent int, cmdline string) fakeProcess {
		return fakeProcess{comm: "haproxy", state: "S", parent: parent, cmdline: cmdline}
	}
	first := fakeProcess{comm: "systemd", state: "S"}
	for _, tc := range []struct {
		name         string
		processes    map[int]fakeProcess
		main         int
		workers      []int
		masterWorker bool
		detail       string
	}{
		{"none", map[int]fakeProcess{1: first}, 0, nil, false, "no haproxy process found"},
		{"a master by its command line", map[int]fakeProcess{1: first, 20: haproxyOf(1, "haproxy -Ws -f x.cfg"), 21: haproxyOf(20, "haproxy -sf 7 -Ws")},
			20, []int{21}, true, "haproxy master process 20, worker 21"},
		{"a master by its configuration", map[int]fakeProcess{1: first, 20: haproxyOf(1, "haproxy -f x.cfg"), 21: haproxyOf(20, "haproxy -f x.cfg")},
			20, []int{21}, true, "haproxy master process 20, worker 21"},
		{"one alone", map[int]fakeProcess{1: first, 20: haproxyOf(1, "haproxy -db -f x.cfg")}, 20, nil, false, "haproxy process 20"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := FindProcesses(ProcessConfig{ProcRoot: writeProc(t, tc.processes).root})
			if err != nil {
				t.Fatal(err)
			}
			if got.Main != tc.main || !slices.Equal(got.Workers, tc.workers) || got.MasterWorker != tc.masterWorker || got.Detail != tc.detail {
				t.Errorf("%+v", got)
			}
		})
	}
}

// Ask waits for all to be well, whatever was wrong at first, and otherwise tells what is wrong at the end.
func TestAsk(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	quick := Probe{Interval: 10 * time.Millisecond, Timeout: time.Second, Rise: 3, Fall: 2}
	once := Probe{Interval: 10 * time.Millisecond, Timeout: 10 * time.Second, Rise: 1, Fall: 1}
	seen := filepath.Join(t.TempDir(), "seen")
	recovers := fmt.Sprintf("test -e %s || { touch %s; exit 1; }", seen, seen) // fails when it runs first
	cfg := Config{TCP: &TCPConfig{Address: l.Addr().String(), Probe: quick}, Script: &ScriptConfig{Command: []string{"/bin/sh", "-c", recovers}, Probe: once}}
	status, err := Ask(t.Context(), cfg)
	if err != nil || !status.Healthy || len(status.Checks) != 2 || status.Checks[0].Detail != "accepted a connection" {
		t.Errorf("%+v, %v", status, err)
	}
	cfg.Script = nil
	cfg.Stats = &StatsConfig{Socket: "/nonexistent/haproxy.sock", Probe: quick}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	status, err = Ask(ctx, cfg)
	if err != nil || status.Healthy || len(status.Checks) != 2 || !strings.Contains(status.Checks[0].Detail, "no such file") {
		t.Errorf("%+v, %v", status, err)
	}
	if _, err := Ask(t.Context(), Config{}); err == nil {
		t.Error("no check at all is a configuration")
	}
}
