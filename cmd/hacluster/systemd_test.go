package main_test

import (
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// systemd stands in for it: it listens to what an agent tells its service manager.
type systemd struct {
	conn *net.UnixConn

	mu    sync.Mutex
	heard []string
}

// listen makes the member's agent tell a systemd that has a watchdog.
func (m *member) listen() *systemd {
	m.t.Helper()
	name := filepath.Join(m.dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	must(m.t, err)
	s := &systemd{conn: conn}
	var reading sync.WaitGroup
	reading.Go(s.read)
	m.t.Cleanup(func() {
		_ = conn.Close()
		reading.Wait()
	})
	m.env = append(m.env, "NOTIFY_SOCKET="+name, "WATCHDOG_USEC=1000000")
	return s
}

func (s *systemd) read() {
	text := make([]byte, 64)
	for {
		n, err := s.conn.Read(text)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.heard = append(s.heard, string(text[:n]))
		s.mu.Unlock()
	}
}

// count returns how often something was said.
func (s *systemd) count(state string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(s.heard), func(heard string) bool { return heard != state }))
}

// expectAlive: an agent that is well says so again and again, and never that it ends.
func (s *systemd) expectAlive(t *testing.T) {
	t.Helper()
	before := s.count("WATCHDOG=1")
	waitFor(t, "sign of life for the watchdog", func() bool { return s.count("WATCHDOG=1") >= before+2 })
	if began, ends := s.count("READY=1"), s.count("STOPPING=1"); began == 0 || ends > 0 {
		t.Errorf("systemd has heard READY=1 %d times, and STOPPING=1 %d times: it would end this agent", began, ends)
	}
}
