package eip

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Contact is what the newest answer of EC2 tells about the way there and about the clocks.
type Contact struct {
	Local, Remote netip.AddrPort // the ends of the connection; Remote is a proxy's if Proxied
	Proxied       bool
	Sent          time.Time // when the request was begun; the connection may have had to be made first
	Answered      time.Time // when the headers of the answer were there
	Date          time.Time // the answer's own, in whole seconds; zero: it had none
}

// Contact returns that of the newest answer, of whatever status; false if there was none.
func (c *Client) Contact() (Contact, bool) { return c.transport.contacts.newest() }

// ClockOffset says by how much this machine's clock is ahead of EC2's, at least: the answer's date has whole seconds and was
// written at some time while the request was on its way. 0 is all that cannot be told from no offset, or no date.
func (c Contact) ClockOffset() time.Duration {
	switch earliest, latest := c.Date, c.Date.Add(time.Second); {
	case c.Date.IsZero():
		return 0
	case c.Sent.After(latest):
		return c.Sent.Sub(latest)
	case c.Answered.Before(earliest):
		return c.Answered.Sub(earliest)
	default:
		return 0
	}
}

// contacts remembers the newest contact.
type contacts struct {
	mu   sync.Mutex
	last Contact
}

func (s *contacts) newest() (Contact, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last, !s.last.Answered.IsZero()
}

// note takes in an answer that has just come.
func (s *contacts) note(conn net.Conn, sent time.Time, resp *http.Response, proxied bool) {
	c := Contact{Proxied: proxied, Sent: sent.Round(0), Answered: time.Now().Round(0)} // wall clock only: a date is compared with it
	if conn != nil {
		c.Local, c.Remote = addrPortOf(conn.LocalAddr()), addrPortOf(conn.RemoteAddr())
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		c.Date = date
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = c
}

// addrPortOf returns the invalid AddrPort for what is no TCP address.
func addrPortOf(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		p := tcp.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}
