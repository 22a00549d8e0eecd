package eip

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
)

// shelf is a keeper of spares without any client, over pipes in virtual time.
type shelf struct {
	*testing.T
	*spares
	opened chan pipe
	block  chan struct{} // what an opening waits for
}

type pipe struct{ near, far net.Conn }

func onShelf(t *testing.T, test func(*shelf)) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{T: t, opened: make(chan pipe, 16), block: make(chan struct{})}
		close(s.block)
		s.spares = newSpares(func(context.Context, way) (net.Conn, error) {
			<-s.block
			near, far := net.Pipe()
			s.opened <- pipe{near, far}
			return near, nil
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.run(ctx); close(ended) }()
		defer func() { stop(); <-ended }()
		test(s)
	})
}

// connect takes a connection as a request does, and lets the keeper do what follows from it.
func (s *shelf) connect() net.Conn {
	s.Helper()
	conn, err := s.spares.connect(s.Context(), way{addr: "ec2:80"})
	if err != nil {
		s.Fatal(err)
	}
	synctest.Wait()
	return conn
}

// stocked returns the spare, after a first request that had to dial.
func (s *shelf) stocked() pipe {
	s.connect()
	return s.newest()
}

// newest returns the spare, after a request that dialled at the same time.
func (s *shelf) newest() pipe {
	for _, p := range []pipe{<-s.opened, <-s.opened} {
		if p.near == s.ready.Conn {
			return p
		}
	}
	s.Fatal("the spare is none of the two")
	return pipe{}
}

// A connection is given to one request only.
func TestSpareIsHandedOutOnce(t *testing.T) {
	onShelf(t, func(s *shelf) {
		spare := s.stocked()
		if first, second := s.connect(), s.connect(); first != spare.near || second == first {
			s.Errorf("first the spare: %v; the same again: %v", first == spare.near, second == first)
		}
	})
}

// A spare leads to one place; a request to another one dials, and the next spare leads there.
func TestSpareForAnotherPlace(t *testing.T) {
	onShelf(t, func(s *shelf) {
		spare := s.stocked()
		conn, err := s.spares.connect(s.Context(), way{tls: true, addr: "ec2:80"})
		if err != nil || conn == spare.near {
			s.Errorf("a TLS connection over one without: %v, %v", conn == spare.near, err)
		}
		synctest.Wait()
		if s.newest(); s.ready.to != (way{tls: true, addr: "ec2:80"}) {
			s.Error("the spare was not replaced")
		}
	})
}

// One that has ended, or says something before it was asked anything (that would be taken for the answer), is not handed out:
// neither after the keeper has noticed, nor if it is taken at that very moment.
func TestSpareThatEndedOrSpoke(t *testing.T) {
	for name, act := range map[string]func(net.Conn){
		"ended": func(c net.Conn) { c.Close() },
		"spoke": func(c net.Conn) { _, _ = c.Write([]byte("H")) }, // HTTP/1.1 408 Request Timeout
	} {
		t.Run(name, func(t *testing.T) {
			onShelf(t, func(s *shelf) {
				spare := s.stocked()
				act(spare.far)
				synctest.Wait()
				if s.connect() == spare.near {
					s.Error("handed out")
				}
			})
			onShelf(t, func(s *shelf) {
				spare := s.stocked()
				taken := s.take(way{addr: "ec2:80"})
				act(spare.far)
				synctest.Wait()
				if taken.release() {
					s.Error("handed out, although it was taken as that happened")
				}
			})
		})
	}
}

// What is being opened when the others are given up is no better than they are.
func TestDropWhileOpening(t *testing.T) {
	onShelf(t, func(s *shelf) {
		spare := s.stocked()
		s.block = make(chan struct{})
		if s.connect() != spare.near { // makes the keeper open another one
			s.Fatal("the spare was not used")
		}
		s.drop()
		close(s.block)
		synctest.Wait()
		old := <-s.opened
		if s.ready == nil || s.ready.Conn == old.near {
			s.Error("the connection from before the drop is the spare")
		}
	})
}
