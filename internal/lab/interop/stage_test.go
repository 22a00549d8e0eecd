package interop

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/capture"
	"github.com/hacluster/hacluster/internal/lab/host"
	"github.com/hacluster/hacluster/internal/lab/probe"
)

const (
	// soon is far more than anything here takes that has no timer of its own.
	soon = 30 * time.Second
	// noise is what a busy machine may add to a timer of keepalived's.
	noise        = 600 * time.Millisecond
	pollInterval = 50 * time.Millisecond

	keepalived    = "keepalived" // the name of the process on a node
	keepalivedLog = keepalived + ".log"
)

// stage is the lab as one scenario uses it. Its methods fail the test.
type stage struct {
	t         *testing.T
	ctx       context.Context
	lab       *lab.Lab
	hacluster string // the program
	dir       string // of the lab
	members   []*lab.Node
	fourth    *lab.Node

	began   time.Time
	marks   map[string]int64 // how long the logs were at boot
	retired time.Time        // when the last keepalived was stopped
	seen    []string         // for the page
	story   string           // likewise
}

func newStage(ctx context.Context, t *testing.T, l *lab.Lab, opts lab.Options) *stage {
	nodes := l.Nodes()
	s := &stage{t: t, ctx: ctx, lab: l, hacluster: opts.Hacluster, dir: opts.Dir, members: nodes[:3], fourth: nodes[3],
		began: time.Now(), marks: map[string]int64{}}
	t.Cleanup(func() {
		if t.Failed() {
			s.tellLogs()
		}
	})
	return s
}

// saw notes what was observed. Figures are told as "0.61 s" or "12 packets", which vary.
func (s *stage) saw(format string, args ...any) {
	s.seen = append(s.seen, fmt.Sprintf(format, args...))
}

// boot switches every node off and on, with these programs beside HAProxy.
func (s *stage) boot(programs func(*lab.Node) []lab.Program) {
	s.t.Helper()
	for _, n := range s.lab.Nodes() {
		s.mark(n.LogPath())
		s.mark(n.File(keepalivedLog))
	}
	err := s.lab.Reboot(func(n *lab.Node) ([]lab.Program, error) { return programs(n), nil })
	s.must(err)
}

// mark forgets what a log says so far.
func (s *stage) mark(log string) {
	if info, err := os.Stat(log); err == nil {
		s.marks[log] = info.Size()
	}
}

// log returns what a process of the node has logged since boot.
func (s *stage) log(n *lab.Node, process string) string {
	s.t.Helper()
	path := n.File(process + ".log")
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	s.must(err)
	text := string(data[s.marks[path]:])
	if process != keepalived {
		return text
	}
	// The one of before may have logged once more, between the mark and its end.
	if _, own, started := strings.Cut(text, "Starting Keepalived"); started {
		return own
	}
	return ""
}

// entering is the search that operators have for keepalived. It has to find what hacluster logs, too.
var entering = regexp.MustCompile(`\(VI_1\) Entering (\w+) STATE`)

// states returns the states that a process says it entered since boot.
func (s *stage) states(n *lab.Node, process string) []string {
	s.t.Helper()
	var found []string
	for _, match := range entering.FindAllStringSubmatch(s.log(n, process), -1) {
		found = append(found, match[1])
	}
	return found
}

func (s *stage) state(n *lab.Node, process string) string {
	s.t.Helper()
	states := s.states(n, process)
	if len(states) == 0 {
		return ""
	}
	return states[len(states)-1]
}

// awaitState waits until the newest state that a process says it entered is this one.
func (s *stage) awaitState(n *lab.Node, process, state string) {
	s.t.Helper()
	s.until(func() error {
		if now := s.state(n, process); now != state {
			return fmt.Errorf("%s on %s is %q, want %s", process, n.Name, now, state)
		}
		return nil
	})
}

// settle waits until the cluster serves from the first node and nothing is left of what happened before. It asks for a transfer if need be.
func (s *stage) settle() {
	s.t.Helper()
	first := s.members[0]
	s.until(func() error {
		master, err := s.master()
		if err == nil && master != first {
			err = errors.Join(fmt.Errorf("%s is Master", master.Name), master.Transfer(s.ctx, first.Name))
		}
		return err
	})
}

// master returns the Master of a cluster in which all is well.
func (s *stage) master() (*lab.Node, error) {
	var master *lab.Node
	for _, n := range s.members {
		status, err := n.Status(s.ctx)
		switch {
		case err != nil:
			return nil, err
		case !status.Ready:
			return nil, fmt.Errorf("%s is not ready: %+v", n.Name, status)
		case status.State == "Master":
			master = n
		}
	}
	switch {
	case master == nil:
		return nil, errors.New("nobody is Master")
	case s.lab.Holder() != master.Name:
		return nil, fmt.Errorf("%s is Master, the address is with %q", master.Name, s.lab.Holder())
	case !s.lab.Served():
		return nil, errors.New("clients are not served")
	}
	return master, nil
}

// stopHAProxy stops HAProxy as systemctl does and waits for its end.
func (s *stage) stopHAProxy(n *lab.Node) {
	s.t.Helper()
	s.stop(n, lab.HAProxy)
}

// stop asks a process to end, and waits until it has.
func (s *stage) stop(n *lab.Node, process string) {
	s.t.Helper()
	_, err := n.Signal(process, host.Leader, syscall.SIGTERM)
	s.must(err)
	s.awaitEnd(n, process)
}

func (s *stage) awaitEnd(n *lab.Node, process string) {
	s.t.Helper()
	s.until(func() error {
		running, err := n.Running(process)
		if running {
			err = fmt.Errorf("%s still runs on %s", process, n.Name)
		}
		return err
	})
}

// firstAdvert waits for the first advert of a node after a time that says that it is Master.
func (s *stage) firstAdvert(n *lab.Node, after time.Time) capture.Advert {
	s.t.Helper()
	var first capture.Advert
	s.until(func() error {
		adverts := s.adverts(n, after, time.Now())
		i := slices.IndexFunc(adverts, func(a capture.Advert) bool { return a.Priority > 0 })
		if i < 0 {
			return fmt.Errorf("no advert of %s", n.Name)
		}
		first = adverts[i]
		return nil
	})
	return first
}

// adverts returns those of one node.
func (s *stage) adverts(n *lab.Node, from, to time.Time) []capture.Advert {
	return slices.DeleteFunc(s.lab.Adverts(from, to), func(a capture.Advert) bool { return a.Src != address(n) })
}

// since returns all evidence from a time to now.
func (s *stage) since(from time.Time) lab.Evidence {
	s.t.Helper()
	e := lab.Evidence{Injected: from, End: time.Now()}
	s.watch(probe.Timeout) // requests that began before the end are known by then
	s.must(s.lab.Collect(&e))
	return e
}

// calls returns the calls that meant to change the association.
func calls(e lab.Evidence) []lab.Call {
	return slices.DeleteFunc(slices.Clone(e.Calls), func(c lab.Call) bool { return !c.Mutating })
}

// failed returns the requests of clients that were not served.
func failed(e lab.Evidence) []probe.Result {
	return slices.DeleteFunc(slices.Clone(e.Requests), func(r probe.Result) bool { return r.OK() })
}

// undisturbed fails the test unless the address stayed where it was, without a call, and every client was served.
func (s *stage) undisturbed(e lab.Evidence) {
	s.t.Helper()
	if c, m, f := calls(e), e.Moves, failed(e); len(c)+len(m)+len(f) > 0 {
		s.t.Errorf("disturbed: %d calls %+v, %d moves %+v, %d requests failed %+v", len(c), c, len(m), m, len(f), f)
	}
	if len(e.Requests) == 0 {
		s.t.Error("no request was made: nothing was tested")
	}
}

// watch lets time pass in which nothing may happen.
func (s *stage) watch(d time.Duration) {
	s.t.Helper()
	select {
	case <-s.ctx.Done():
		s.t.Fatal(s.ctx.Err())
	case <-time.After(d):
	}
}

// until polls check, and fails the test with its last word if it does not succeed soon.
func (s *stage) until(check func() error) {
	s.t.Helper()
	var err error
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); s.watch(pollInterval) {
		if err = check(); err == nil {
			return
		}
	}
	s.t.Fatal(err)
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// write makes a file in the node's directory and returns its path.
func (s *stage) write(n *lab.Node, name, text string, mode os.FileMode) string {
	s.t.Helper()
	path := n.File(name)
	s.must(os.WriteFile(path, []byte(text), mode))
	return path
}

// tellLogs shows what the programs said since boot, which is gone after the test.
func (s *stage) tellLogs() {
	for _, n := range s.lab.Nodes() {
		for _, process := range []string{lab.Agent, keepalived} {
			if text := s.log(n, process); text != "" {
				lines := strings.Split(text, "\n")
				s.t.Logf("%s on %s:\n%s", process, n.Name, strings.Join(lines[max(0, len(lines)-40):], "\n"))
			}
		}
	}
}

// address returns a node's address.
func address(n *lab.Node) netip.Addr { return n.Address.Addr() }

// checkCapture has others read every packet of the scenario.
func (s *stage) checkCapture(name string) {
	s.t.Helper()
	s.must(s.lab.SaveEvidence(name, lab.Evidence{Injected: s.began, End: time.Now()}))
	packets := decodeAll(s.t, filepath.Join(s.dir, "captures", name+".pcap"))
	s.saw("tshark and tcpdump decode all %d packets without a complaint", packets)
}
