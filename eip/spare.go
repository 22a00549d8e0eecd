package eip

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// spareAge is how old a spare may become. AWS documents no idle limit of the EC2 endpoints; in the field its services
	// close after 5 to 60 s, and NAT gateways and VPC endpoints forget a connection after 350 s. A fresh one also follows DNS.
	spareAge = 20 * time.Second
	// sparePause is the least time between two spares that nobody used, whatever the endpoint does to them.
	sparePause = 2 * time.Second
)

// errUnsolicited means that the peer spoke on a connection on which nobody had asked anything.
var errUnsolicited = errors.New("bytes from the endpoint before any request")

// way is where a connection leads to, as net/http names it.
type way struct {
	tls  bool
	addr string // host:port; empty: nowhere
}

// spares keeps one connection ready to the place that requests go to: dialled, TLS done, and never used, so that the next
// request that needs a new connection takes it instead of waiting for DNS and two round trips. net/http cannot connect in
// advance by itself, and what it keeps from earlier requests is lost whenever a call fails or moves our public address.
//
// A spare lies below the gate like any other connection: it is a gatedConn (inside TLS) without a gate, and net/http puts
// the gate of the request before it when it has got it. Handing it out takes it off the shelf under mu, so it carries
// the requests of one owner only. A request never waits for a spare: if none is ready it dials.
type spares struct {
	open func(context.Context, way) (net.Conn, error)
	wake chan struct{} // one slot: look again; a second reason to look adds nothing

	mu       sync.Mutex
	to       way    // where the last request went
	off      bool   // requests go by a proxy: a connection to it is not one to EC2
	ready    *spare // nil: none
	notUntil time.Time
	dropped  uint64 // how often drop was called
	opened   uint64
	taken    uint64
	err      error // of the last attempt to open one
}

// spare is one idle connection. A read is blocked on it all the time: that is how a close by the peer is noticed at once.
type spare struct {
	net.Conn
	to      way
	since   time.Time
	watched chan struct{} // closed at the end of that read
	end     error         // of that read; to be read after watched is closed
}

func newSpares(open func(context.Context, way) (net.Conn, error)) *spares {
	return &spares{open: open, wake: make(chan struct{}, 1)}
}

// connect returns a connection for a request: the spare, or a fresh one.
func (s *spares) connect(ctx context.Context, to way) (net.Conn, error) {
	if sp := s.take(to); sp != nil && sp.release() {
		return sp.Conn, nil
	}
	return s.open(ctx, to)
}

func (s *spares) take(to way) *spare {
	defer s.nudge()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.off {
		return nil
	}
	s.to = to
	sp := s.ready
	if sp == nil || sp.to != to {
		return nil
	}
	s.ready, s.notUntil = nil, time.Time{}
	s.taken++
	return sp
}

// proxied notes whether requests go by a proxy.
func (s *spares) proxied(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = yes
}

func (s *spares) isProxied() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.off
}

// drop closes the spare: the reason to distrust other connections is a reason to distrust this one, and one just being opened.
func (s *spares) drop() {
	s.mu.Lock()
	sp := s.ready
	s.ready = nil
	s.dropped++
	s.mu.Unlock()
	if sp != nil {
		sp.Close()
	}
	s.nudge()
}

func (s *spares) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run keeps a spare ready until ctx ends.
func (s *spares) run(ctx context.Context) {
	var watches sync.WaitGroup
	defer watches.Wait()
	defer s.drop()
	for {
		timer := time.NewTimer(s.tend(ctx, &watches))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// tend opens a spare if one is due, and returns when to look again. The old one stays until the new one is there, so that a
// resolver or an endpoint that fails for a while takes nothing away.
func (s *spares) tend(ctx context.Context, watches *sync.WaitGroup) time.Duration {
	to, dropped, due := s.due(time.Now())
	if due > 0 {
		return due
	}
	conn, err := s.open(ctx, to)
	sp := &spare{Conn: conn, to: to, since: time.Now(), watched: make(chan struct{})}
	old, kept := s.put(sp, dropped, err)
	if old != nil {
		old.Close()
	}
	if kept {
		watches.Go(func() { s.watch(sp) })
	}
	return 0 // due says when
}

// due returns where a spare is wanted to, and in what time.
func (s *spares) due(now time.Time) (to way, dropped uint64, in time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.off || s.to.addr == "":
		return way{}, 0, spareAge
	case s.ready != nil && s.ready.to == s.to:
		in = s.ready.since.Add(spareAge).Sub(now)
	}
	return s.to, s.dropped, max(in, s.notUntil.Sub(now))
}

// put takes in what open returned. It returns the connection to be closed, if any, and whether sp is the spare now.
func (s *spares) put(sp *spare, dropped uint64, err error) (old net.Conn, kept bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err = err; err != nil {
		s.notUntil = time.Now().Add(sparePause)
		return nil, false
	}
	s.opened++
	if dropped != s.dropped {
		return sp.Conn, false
	}
	if s.ready != nil {
		old = s.ready.Conn
	}
	s.ready = sp
	return old, true
}

// watch blocks in a read until the peer ends the connection, speaks, or somebody takes or closes the spare.
func (s *spares) watch(sp *spare) {
	_, err := sp.Read(make([]byte, 1))
	if err == nil {
		err = errUnsolicited
	}
	sp.end = err
	close(sp.watched)
	if s.lost(sp) {
		sp.Close()
		s.nudge()
	}
}

// lost takes a spare that has ended off the shelf, unless it has been taken already.
func (s *spares) lost(sp *spare) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready != sp {
		return false
	}
	s.ready, s.err = nil, sp.end
	s.notUntil = sp.since.Add(sparePause) // an endpoint that hangs up at once is not to be dialled in a loop
	return true
}

// release ends the watch of a spare that was taken. It closes it and returns false if the peer has ended it.
func (sp *spare) release() bool {
	_ = sp.SetReadDeadline(time.Unix(1, 0)) // what is wrong shows in end
	<-sp.watched
	if !errors.Is(sp.end, os.ErrDeadlineExceeded) || sp.SetReadDeadline(time.Time{}) != nil {
		sp.Close()
		return false
	}
	return true
}
