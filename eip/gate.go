package eip

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Permit is the final check of invariant I1: nil lets the request out, an error keeps it in. It is called on a goroutine of
// net/http directly before the write, at most once per request, so it must be quick, safe for concurrent use and must not
// block. A nil Permit permits.
type Permit func() error

var (
	// ErrNotPermitted is in the chain of an error if the Permit refused. The request was certainly not made.
	ErrNotPermitted = errors.New("not permitted by the final check")

	// ErrNotSent is in the chain of an error if no byte of the request left this process, and none will.
	ErrNotSent = errors.New("request not sent")
)

// errSealed answers a write that comes after the call has returned.
var errSealed = errors.New("write after the end of the call")

// gate stands between one request and the connection that carries it. Two things hold whatever the interleaving of
// net/http's goroutines: the permit was asked directly before the write, and after seal nothing is written any more.
// Without the second, a call that was cancelled could return "not sent" and be written a moment later.
//
// The request is the first write and the only one (see writeBuffer). A later one is TLS closing the connection; the permit
// is not asked for that, because a refusal then would claim that a request was not made which has long gone out.
type gate struct {
	permit Permit
	last   bool // the connection is not to be used again afterwards

	mu      sync.Mutex
	begun   bool  // a write was let through
	sealed  bool  // the call has returned
	refusal error // the first refusal
}

// enter asks whether a write may go out now.
func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.sealed:
		return errSealed
	case g.refusal != nil:
		return g.refusal
	case g.begun:
		return nil
	}
	if g.permit != nil {
		if err := g.permit(); err != nil {
			g.refusal = fmt.Errorf("%w: %w", ErrNotPermitted, err)
			return g.refusal
		}
	}
	g.begun = true
	return nil
}

// carrier returns the gate to put before a connection: this one, or a closed one if the request has been written already. So
// it is never written twice, whatever net/http thinks may be repeated.
func (g *gate) carrier() *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.begun {
		return &gate{sealed: true}
	}
	return g
}

// lost records that a connection which obeys no gate was handed out: what it writes is out of control.
func (g *gate) lost() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.begun = true
}

// seal ends the call and gives its error the meaning that only the gate knows.
func (g *gate) seal(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sealed = true
	switch {
	case err == nil:
		return nil
	case g.refusal != nil:
		return g.refusal // the SDK's error may have lost it behind a cancelled context
	case !g.begun:
		return fmt.Errorf("%w: %w", ErrNotSent, err)
	default:
		return err
	}
}

type gateKey struct{}

func withGate(ctx context.Context, g *gate) context.Context {
	return context.WithValue(ctx, gateKey{}, g)
}

func gateOf(ctx context.Context) *gate {
	g, _ := ctx.Value(gateKey{}).(*gate)
	return g
}
