package interop

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/capture"
	"github.com/hacluster/hacluster/internal/lab/host"
)

// playBackup: a keepalived that is BACKUP stays so while hacluster has a Master, and is the next one by its own timers when hacluster
// has none. It has no notify script: the address stays with the node that had it.
func (d dialect) playBackup(s *stage) {
	s.cast(d, "BACKUP", keepalivedPriority)
	first := s.members[0]
	s.must(s.fourth.Start(keepalived))
	s.watch(d.down() + 2*noise)
	s.must(first.Transfer(s.ctx, s.members[1].Name))
	s.watch(d.skew() + 2*noise)
	s.settle()
	if states := s.states(s.fourth, keepalived); !slices.Equal(states, []string{"BACKUP"}) {
		s.t.Fatalf("keepalived entered %q beside a Master, want BACKUP once", states)
	}
	s.saw("stays BACKUP while hacluster has a Master, and through a planned hand-over")

	from := time.Now()
	for _, n := range s.members[1:] {
		s.stopHAProxy(n)
	}
	s.awaitUnfit()
	d.playPriorityZero(s)
	d.playSilence(s)
	s.undisturbedAddress(from)
	if states, want := s.states(s.fourth, keepalived), []string{"BACKUP", "MASTER", "BACKUP", "MASTER", "BACKUP"}; !slices.Equal(states, want) {
		s.t.Errorf("keepalived entered %q, want %q", states, want)
	}
	s.saw("returns to BACKUP when hacluster advertises again; the Elastic IP never moved")
	s.checkAccepted()
}

// awaitUnfit waits until the cluster knows that only the first node's HAProxy is healthy.
func (s *stage) awaitUnfit() {
	s.t.Helper()
	s.until(func() error {
		status, err := s.members[0].Status(s.ctx)
		if err != nil {
			return err
		}
		for _, m := range status.Nodes {
			if m.Healthy != (m.Name == s.members[0].Name) {
				return fmt.Errorf("%s is healthy: %t", m.Name, m.Healthy)
			}
		}
		return nil
	})
}

// playPriorityZero: the Master leaves, and nobody follows it.
func (d dialect) playPriorityZero(s *stage) {
	s.t.Helper()
	first, from := s.members[0], time.Now()
	s.stopHAProxy(first)
	taken := s.firstAdvert(s.fourth, from)
	last := s.lastAdvert(first, from, taken.Time)
	if last.Priority != 0 {
		s.t.Fatalf("the last advert of the Master has priority %d, want 0", last.Priority)
	}
	s.took("priority 0", taken.Time.Sub(last.Time), d.skew())
	s.must(first.Start(lab.HAProxy))
	s.awaitState(first, lab.Agent, "MASTER")
	s.awaitState(s.fourth, keepalived, "BACKUP")
}

// playSilence: the Master's agent is killed; the others cannot follow it.
func (d dialect) playSilence(s *stage) {
	s.t.Helper()
	first := s.members[0]
	from, err := first.Signal(lab.Agent, host.Group, syscall.SIGKILL)
	s.must(err)
	taken := s.firstAdvert(s.fourth, from)
	last := s.lastAdvert(first, from.Add(-2*d.interval), taken.Time)
	if last.Priority == 0 {
		s.t.Fatal("the killed Master sent priority 0")
	}
	s.took("the last advert of a Master that was killed", taken.Time.Sub(last.Time), d.down())
	s.must(first.Start(lab.Agent))
	s.awaitState(s.fourth, keepalived, "BACKUP")
}

// took notes how long keepalived waited and fails the test if that is not what its timer says.
func (s *stage) took(after string, got, want time.Duration) {
	s.t.Helper()
	if got < want-10*time.Millisecond || got > want+noise {
		s.t.Errorf("keepalived took over %v after %s, want %v", got, after, want)
	}
	s.saw("takes over %.3f s after %s (its timer says %.3f s)", got.Seconds(), after, want.Seconds())
}

// lastAdvert returns the last advert of a node between two times.
func (s *stage) lastAdvert(n *lab.Node, from, to time.Time) capture.Advert {
	s.t.Helper()
	adverts := s.adverts(n, from, to)
	if len(adverts) == 0 {
		s.t.Fatalf("no advert of %s between %v and %v", n.Name, from, to)
	}
	return adverts[len(adverts)-1]
}

// undisturbedAddress fails the test if the address was moved, or if it was tried.
func (s *stage) undisturbedAddress(from time.Time) {
	s.t.Helper()
	e := s.since(from)
	if len(calls(e)) > 0 || len(e.Moves) > 0 {
		s.t.Errorf("the address was not left alone: calls %+v, moves %+v", calls(e), e.Moves)
	}
}
