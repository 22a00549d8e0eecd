package controller

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
)

// Log keys, the same everywhere.
const (
	keyTerm        = "term"
	keyFrom        = "from"
	keyTo          = "to"
	keyReason      = "reason"
	keyKeepalived  = "keepalived"
	keyCall        = "call"
	keyClass       = "class"
	keyAssociation = "association_id"
	keyTook        = "took"
)

// perform does one action. What waits for anything runs in a task of its own and comes back as an event.
func (d *Driver) perform(work context.Context, a Action) {
	switch a := a.(type) {
	case Propose:
		d.async(work, func(ctx context.Context) Event { return d.propose(ctx, a) })
	case Observe:
		d.async(work, func(ctx context.Context) Event { return d.observe(ctx, a) })
	case Associate:
		d.async(d.lead.ctx, func(ctx context.Context) Event { return d.associate(ctx, a) })
	case Disassociate:
		d.async(d.lead.ctx, func(ctx context.Context) Event { return d.disassociate(ctx, a) })
	case AskRelease:
		d.async(work, func(ctx context.Context) Event { return d.askRelease(ctx, a) })
	case Transfer:
		d.async(work, func(ctx context.Context) Event { return d.transfer(ctx, a) })
	case Report:
		d.async(work, func(ctx context.Context) Event { return d.deliver(ctx, a) })
	case Poll:
		d.async(work, func(ctx context.Context) Event { return d.poll(ctx, a) })
	case Hint:
		d.async(work, func(ctx context.Context) Event { return d.hint(ctx, a) })
	case Reply:
		d.reply(a)
	case Rewire:
		d.rewire(a.Wiring)
	case Reign:
		d.reigning.Store(a.Term)
		d.ports.Wire.Reign(a.NotBefore)
	case Resign:
		d.ports.Wire.Resign(a.Reason)
		d.reigning.Store(0)
	case Transition:
		d.logTransition(a)
	case Note:
		d.logNote(a)
	}
}

// async runs task under ctx and hands its event to the core, however ctx ended: a cancelled call still has an outcome.
func (d *Driver) async(ctx context.Context, task func(context.Context) Event) {
	d.tasks.Go(func() error {
		e := task(ctx)
		select {
		case d.results <- e:
		case <-d.ended:
		}
		return nil
	})
}

func (d *Driver) propose(ctx context.Context, a Propose) Event {
	ctx, cancel := context.WithTimeout(ctx, proposeWithin)
	defer cancel()
	entry, err := fsm.Encode(a.Command)
	if err != nil {
		return Proposed{Op: a.Op, Err: err}
	}
	_, response, err := d.ports.Raft.Apply(ctx, a.Term, entry)
	if err != nil {
		return Proposed{Op: a.Op, Err: err}
	}
	result, ok := response.(fsm.Result)
	if !ok {
		return Proposed{Op: a.Op, Err: fmt.Errorf("apply answered %T", response)}
	}
	return Proposed{Op: a.Op, Result: result}
}

func (d *Driver) observe(ctx context.Context, a Observe) Event {
	addresses, err := d.ports.EC2.Observe(ctx)
	return Observed{Op: a.Op, Addresses: addresses, Err: err}
}

func (d *Driver) associate(ctx context.Context, a Associate) Event {
	d.freshen(ctx, a.Term)
	start := d.clock()
	id, err := d.ports.EC2.Associate(ctx, eip.AllocationID(a.Address), a.AllowReassociation, d.permit(a.Address, a.Term, a.Claim))
	d.logCall("AssociateAddress", a.Term, id, start, err)
	return Called{Op: a.Op, Association: id, Class: eip.Classify(err), Err: err}
}

func (d *Driver) disassociate(ctx context.Context, a Disassociate) Event {
	d.freshen(ctx, a.Term)
	start := d.clock()
	err := d.ports.EC2.Disassociate(ctx, a.Association, d.permit(a.Address, a.Term, a.Claim))
	d.logCall("DisassociateAddress", a.Term, a.Association, start, err)
	return Called{Op: a.Op, Class: eip.Classify(err), Err: err}
}

func (d *Driver) askRelease(ctx context.Context, a AskRelease) Event {
	ctx, cancel := context.WithTimeout(ctx, a.Within)
	defer cancel()
	var answer releaseAnswer
	err := d.ports.Peers.Call(ctx, string(a.Holder), releasePath, releaseRequest{Address: a.Address, Term: a.Term, Ends: a.Ends}, &answer)
	return ReleaseAnswered{Op: a.Op, Settled: answer.Settled, Alone: answer.Alone, Err: err}
}

func (d *Driver) transfer(ctx context.Context, a Transfer) Event {
	ctx, cancel := context.WithTimeout(ctx, transferWithin)
	defer cancel()
	return Transferred{Op: a.Op, Err: d.ports.Raft.Transfer(ctx, string(a.To))}
}

func (d *Driver) deliver(ctx context.Context, a Report) Event {
	ctx, cancel := context.WithTimeout(ctx, reportWithin)
	defer cancel()
	return ReportDelivered{Op: a.Op, Err: d.ports.Peers.Call(ctx, string(a.Leader), reportPath, a.Facts, nil)}
}

func (d *Driver) reply(a Reply) {
	if waiting, ok := d.replies[a.Op]; ok {
		delete(d.replies, a.Op)
		waiting <- a // one slot, one reply
	}
}

func (d *Driver) logTransition(a Transition) {
	d.log.Info("state transition",
		zap.String(keyFrom, string(a.From)), zap.String(keyTo, string(a.To)), zap.String(keyReason, a.Reason),
		zap.Uint64(keyTerm, a.Term), zap.String(keyKeepalived, keepalivedPhrase(a.To)))
}

// keepalivedPhrase is what keepalived would log, so that existing searches go on working.
func keepalivedPhrase(s State) string {
	return fmt.Sprintf("(VI_1) Entering %s STATE", strings.ToUpper(string(s)))
}

func (d *Driver) logNote(a Note) {
	if a.Err != nil {
		d.log.Warn(a.Text, zap.Uint64(keyTerm, a.Term), zap.Error(a.Err))
		return
	}
	d.log.Info(a.Text, zap.Uint64(keyTerm, a.Term))
}

func (d *Driver) logCall(call string, term uint64, id eip.AssociationID, start time.Duration, err error) {
	d.log.Info("EC2 call", zap.String(keyCall, call), zap.Uint64(keyTerm, term), zap.String(keyAssociation, string(id)),
		zap.Stringer(keyClass, eip.Classify(err)), zap.Duration(keyTook, d.clock()-start), zap.Error(err))
}
