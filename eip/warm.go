package eip

import (
	"context"
	"sync"
	"time"
)

// Warmth says how far a Client is ready to make its next call in one round trip.
type Warmth struct {
	// ConnectedSince is when the spare connection was opened (TLS included). Zero: there is none.
	ConnectedSince time.Time
	// ConnectErr is why the last spare was not opened, or was lost. Nil: it was opened.
	ConnectErr error
	// Opened and Taken count the spare connections that were opened, and those that went to a request, since New.
	Opened, Taken uint64
	// CredentialsExpire is when the credentials held expire, as the SDK sees it: early. Zero: never, or none are held yet.
	CredentialsExpire time.Time
	// CredentialsErr is why the last fetch of credentials failed. Nil: it did not.
	CredentialsErr error
}

// Run keeps what the next call needs ready until ctx ends, then returns nil: a spare connection to where the last call went,
// and credentials that do not expire soon. It sends EC2 no request. Without Run all calls work, but may have to dial and to
// ask IMDS first. Call it once.
func (w *access) Run(ctx context.Context) error {
	var tasks sync.WaitGroup
	tasks.Go(func() { w.transport.spares.run(ctx) })
	tasks.Go(func() { w.credentials.run(ctx) })
	tasks.Wait()
	return nil
}

// Warm returns how ready the next call is at this moment.
func (w *access) Warm() Warmth {
	warmth := w.transport.spares.warmth()
	held, err := w.credentials.newest()
	if held.CanExpire {
		warmth.CredentialsExpire = held.Expires
	}
	warmth.CredentialsErr = err
	return warmth
}

func (s *spares) warmth() Warmth {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := Warmth{ConnectErr: s.err, Opened: s.opened, Taken: s.taken}
	if s.ready != nil {
		w.ConnectedSince = s.ready.since
	}
	return w
}
