package chaos

import (
	"context"
	"sync"
	"time"

	"github.com/hacluster/hacluster/internal/boottime"
	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/chaos/judge"
)

const (
	// lookEvery is how often each node is asked for its status, lookLimit how long it may take to answer.
	lookEvery = time.Second
	lookLimit = 2 * time.Second
	// stallTick and stallOfNote: a tick that comes later than that says that this machine did not run the lab.
	stallTick   = 5 * time.Millisecond
	stallOfNote = 15 * time.Millisecond
)

// sights remembers the newest status of each node.
type sights struct {
	mu     sync.Mutex
	newest map[string]judge.Sighting
}

// watch asks a node for its status again and again, and records every answer.
func (s *sights) watch(ctx context.Context, n *lab.Node, record *recorder) error {
	for pause(ctx, lookEvery) == nil {
		sighting, err := look(ctx, n)
		if err != nil {
			continue // it is dead, frozen, or just starting
		}
		if err := s.keep(sighting, record); err != nil {
			return err
		}
	}
	return nil
}

// keep records a sighting and remembers it.
func (s *sights) keep(sighting judge.Sighting, record *recorder) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest == nil {
		s.newest = make(map[string]judge.Sighting)
	}
	s.newest[sighting.Status.Node] = sighting
	return record.sighting(sighting)
}

// leader returns the node that leads as far as was seen lately; empty: none.
func (s *sights) leader() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var newest judge.Sighting
	for _, sighting := range s.newest {
		if sighting.Status.Term > newest.Status.Term {
			newest = sighting
		}
	}
	return newest.Status.Leader
}

func look(ctx context.Context, n *lab.Node) (judge.Sighting, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	asked := boottime.Now()
	status, err := n.Status(ctx)
	return judge.Sighting{Asked: asked, Answered: boottime.Now(), Status: status}, err
}

// watchStalls records the times during which this process was not run, or not in time: what other processes did then came
// late as well.
func watchStalls(ctx context.Context, record *recorder) error {
	ticker := time.NewTicker(stallTick)
	defer ticker.Stop()
	last := boottime.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now := boottime.Now()
		if now-last > stallOfNote {
			if err := record.stall(judge.Span{From: last, To: now}); err != nil {
				return err
			}
		}
		last = now
	}
}
