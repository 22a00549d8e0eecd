package controller

import (
	"context"
	"fmt"
	"time"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
)

// The refusals of the final checks.
var (
	errNotLeading  = refusal{"not_leading", "not the leader of that term any more"}
	errNotGranted  = refusal{"not_granted", "the claim is not the granted one any more"}
	errUnhealthy   = refusal{"unhealthy", "HAProxy is unhealthy"}
	errNoEvidence  = refusal{"no_evidence", "no fresh acknowledgement by a quorum"}
	errNotReigning = refusal{"not_reigning", "not Master"}
)

// freshenWithin bounds the wait for a fresh acknowledgement before a call. The permit decides, not this.
const freshenWithin = 100 * time.Millisecond

// permit is the final check of invariants I1 and I4, run after the request is signed and before it is written: leader of the
// claim's term, the claim granted and standing, own HAProxy healthy, and a quorum round that began lately.
func (d *Driver) permit(address fsm.AllocationID, term, claim uint64) eip.Permit {
	return func() error {
		switch {
		case !d.ports.Raft.Leading(term):
			return errNotLeading
		case !d.ports.Replica.granted(address, d.cfg.Self.Name, term, claim):
			return errNotGranted
		case d.ports.Health == nil || !d.ports.Health.Status().Healthy:
			return errUnhealthy
		}
		return d.evidence(term, 0)
	}
}

// WirePermit is the check before each advert (invariant I3): evidence must have begun after notBefore.
func (d *Driver) WirePermit(notBefore time.Duration) error {
	term := d.reigning.Load()
	if term == 0 || !d.ports.Raft.Leading(term) {
		return errNotReigning
	}
	return d.evidence(term, notBefore)
}

func (d *Driver) evidence(term uint64, notBefore time.Duration) error {
	t0, ok := d.ports.Quorum.Evidence(term)
	switch age := d.clock() - t0; {
	case !ok || t0 <= notBefore:
		return errNoEvidence
	case age >= d.cfg.Timing.EvidenceMaxAge:
		return fmt.Errorf("%w: the last began %v ago", errNoEvidence, age)
	}
	return nil
}

// freshen provokes a round of acknowledgements where the last one is getting old.
func (d *Driver) freshen(ctx context.Context, term uint64) {
	now := d.clock()
	if t0, ok := d.ports.Quorum.Evidence(term); ok && now-t0 < d.cfg.Timing.EvidenceMaxAge/2 {
		return
	}
	d.refresh(ctx, term, now-d.cfg.Timing.EvidenceMaxAge/2)
}

// NeedEvidence asks for a round of acknowledgements, for the wire. It does not block; requests while one is under way are one.
func (d *Driver) NeedEvidence() {
	select {
	case d.nudge <- struct{}{}:
	default:
	}
}

func (d *Driver) serveNudges(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.nudge:
			if term := d.reigning.Load(); term != 0 {
				d.refresh(ctx, term, d.clock())
			}
		}
	}
}

// refresh waits for a round that began after notBefore. Its failure is seen by the permit, which finds no evidence.
func (d *Driver) refresh(ctx context.Context, term uint64, notBefore time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, freshenWithin)
	defer cancel()
	_ = d.ports.Quorum.Refresh(ctx, term, notBefore)
}
