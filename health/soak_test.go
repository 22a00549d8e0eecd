package health

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// soakFor is short in ordinary tests; "make soak-hang" takes ten minutes.
var soakFor = flag.Duration("soak", 4*time.Second, "how long TestSoakUnderLoad keeps HAProxy busy")

// soakStops is how often the busy HAProxy is stopped at the end.
const soakStops = 5

// heavyAnswer makes HAProxy, not wrk, the one that needs a whole core.
func heavyAnswer() string {
	return "  http-request return status 200 content-type text/plain lf-string %[rand" + strings.Repeat(",sha2(512)", 40) + ",hex]\n"
}

// TestSoakUnderLoad: a HAProxy that has one thread and a whole core's worth of requests is never called hung by the
// probes of profile fast; when it is then stopped under the same load, that is noticed each time.
func TestSoakUnderLoad(t *testing.T) {
	h := newHAProxy(t)
	config := strings.Replace(fmt.Sprintf(haproxyConfig, h.socket, h.address), "nbthread 2", "nbthread 1", 1) + heavyAnswer()
	if err := os.WriteFile(h.config, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	h.start(h.binary, "-W")
	s := newSoak(h)
	run(t, s.monitor)
	h.awaitHealth(s.monitor, true, 10*time.Second)

	loads := []load{
		{connections: 50},
		{connections: 200, closing: true},
		{connections: 200, burnt: true},
		{connections: 50, closing: true, burnt: true},
	}
	for _, l := range loads {
		s.keepBusy(t, l, *soakFor/time.Duration(len(loads)))
	}
	s.report(t)
	h.burden(t, loads[1])
	s.stopAgainAndAgain(t)
}

// soak is a monitor whose probes and whose looks at HAProxy's work are counted.
type soak struct {
	h       *haproxy
	monitor *Monitor

	mu        sync.Mutex
	latencies map[string][]time.Duration // by check
	idle      int                        // how often HAProxy was thought to do nothing
}

func newSoak(h *haproxy) *soak {
	s := &soak{h: h, latencies: map[string][]time.Duration{}}
	b := newBoard(zap.NewNop())
	process := newProcessCheck(ProcessConfig{Name: h.name}, b, zap.NewNop())
	s.monitor = &Monitor{board: b, tasks: []func(context.Context) error{process.run}}
	for name, p := range map[string]prober{
		checkStats: statsProber{socket: h.socket},
		checkHTTP:  newHTTPProber(HTTPConfig{URL: "http://" + h.address + "/healthz"}),
	} {
		check := newProbeCheck(name, fastProbe(), timedProber{prober: p, name: name, soak: s}, b)
		check.observe = s.countIdle(process.work.observe)
		s.monitor.tasks = append(s.monitor.tasks, check.run)
	}
	return s
}

// timedProber notes how long each probe took.
type timedProber struct {
	prober
	name string
	soak *soak
}

func (p timedProber) probe(ctx context.Context, asked func()) (string, error) {
	begin := time.Now()
	detail, err := p.prober.probe(ctx, asked)
	p.soak.mu.Lock()
	defer p.soak.mu.Unlock()
	p.soak.latencies[p.name] = append(p.soak.latencies[p.name], time.Since(begin))
	return detail, err
}

func (s *soak) countIdle(observe func() func() work) func() func() work {
	return func() func() work {
		since := observe()
		return func() work {
			done := since()
			if done == idle {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.idle++
			}
			return done
		}
	}
}

// load is what keeps HAProxy, or the whole machine, busy.
type load struct {
	connections int
	closing     bool // one connection for each request
	burnt       bool // all cores are wanted by other processes too
}

func (l load) String() string {
	text := fmt.Sprintf("wrk, %d connections", l.connections)
	if l.closing {
		text += ", closed after each request"
	}
	if l.burnt {
		text += ", all cores burnt"
	}
	return text
}

// commands lists the processes that make up the load.
func (l load) commands(wrk, address string) [][]string {
	requests := []string{wrk, "-t1", "-d1h", fmt.Sprintf("-c%d", l.connections), "http://" + address + "/"}
	if l.closing {
		requests = append(requests, "-H", "Connection: close")
	}
	all := [][]string{requests}
	if l.burnt {
		for range runtime.NumCPU() {
			all = append(all, []string{"/bin/sh", "-c", "while :; do :; done"})
		}
	}
	return all
}

// burden starts a load, which ends with the test or when stop is called.
func (h *haproxy) burden(t *testing.T, l load) (stop func()) {
	t.Helper()
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		missing(t, "wrk is not installed: apt-get install wrk")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var g errgroup.Group
	stop = sync.OnceFunc(func() {
		cancel()
		_ = g.Wait() // they were killed
	})
	t.Cleanup(stop)
	for _, command := range l.commands(wrk, h.address) {
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		g.Go(cmd.Wait)
	}
	return stop
}

// keepBusy runs one load and fails at the first word that HAProxy is not healthy.
func (s *soak) keepBusy(t *testing.T, l load, length time.Duration) {
	t.Helper()
	worker := s.h.worker()
	usedBefore, waitedBefore := schedule(t, worker)
	begin := time.Now()
	stop := s.h.burden(t, l)
	defer stop()
	select {
	case status := <-s.monitor.Updates():
		t.Fatalf("false alarm after %v under %v: %+v", time.Since(begin), l, status)
	case <-time.After(length):
	}
	used, waited := schedule(t, worker)
	percent := func(d time.Duration) float64 { return 100 * float64(d) / float64(time.Since(begin)) }
	t.Logf("%v: HAProxy ran for %.0f %% of the time and waited for a CPU for %.0f %%", l, percent(used-usedBefore), percent(waited-waitedBefore))
	if percent(used-usedBefore+waited-waitedBefore) < 20 {
		t.Errorf("HAProxy was hardly busy: this tests nothing")
	}
}

// schedule returns how long the only thread of a process has run, and has waited to run.
func schedule(t *testing.T, pid int) (ran, waited time.Duration) {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(data), &ran, &waited); err != nil {
		t.Fatal(err)
	}
	return ran, waited
}

func (s *soak) report(t *testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range []string{checkStats, checkHTTP} {
		all := slices.Clone(s.latencies[name])
		slices.Sort(all)
		slow := len(all) - slices.IndexFunc(append(all, time.Hour), func(d time.Duration) bool { return d > fastProbe().Timeout })
		at := func(share float64) time.Duration {
			return all[int(share*float64(len(all)-1))].Round(10 * time.Microsecond)
		}
		t.Logf("%-5s %d probes, %d later than %v; p50 %v, p99 %v, p99.9 %v, worst %v",
			name, len(all), slow, fastProbe().Timeout, at(0.5), at(0.99), at(0.999), at(1))
	}
	t.Logf("thought to do nothing: %d times; false alarms: 0", s.idle)
}

// stopAgainAndAgain is the counter-check: what never cries wolf must still see one.
func (s *soak) stopAgainAndAgain(t *testing.T) {
	t.Helper()
	var took []time.Duration
	for i := range soakStops {
		// Being healthy begins with a probe that has just passed: stops are spread over the interval to the next one.
		<-time.After(time.Duration(i) * fastProbe().Interval / soakStops)
		begin := s.h.signal(syscall.SIGSTOP)
		s.h.awaitHealth(s.monitor, false, 5*time.Second)
		took = append(took, time.Since(begin))
		s.h.signal(syscall.SIGCONT)
		s.h.awaitHealth(s.monitor, true, 5*time.Second)
	}
	slices.Sort(took)
	t.Logf("stopped %d times under load, noticed after %v (median), %v (worst)",
		soakStops, took[soakStops/2].Round(time.Millisecond), took[soakStops-1].Round(time.Millisecond))
}
