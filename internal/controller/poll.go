package controller

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/vrrpwire"
)

const (
	silencePath = "/v1/silence"
	// pollWithin bounds the question to the other voters. One that needs longer is itself no help.
	pollWithin = 100 * time.Millisecond
	// hintWithin bounds handing a hint to Raft.
	hintWithin = time.Second
)

// Why a suspicion is given up.
var (
	errSuspectAnswers = errors.New("the suspected leader answers")
	errMachineUp      = errors.New("the suspected leader's machine is up, and its agent may be late")
	errNewerLog       = errors.New("a voter has a newer log")
	errNoQuorumMisses = errors.New("no quorum of the voters misses it")
	errNoVoter        = errors.New("this node does not vote")
)

type silenceRequest struct {
	Term    uint64       `json:"term"`
	Suspect fsm.NodeName `json:"suspect"`
}

type silenceAnswer struct {
	Misses    bool   `json:"misses"`
	LastIndex uint64 `json:"last_index"`
}

// heardFrom is a voter's answer, or, after a knock, that of its machine.
type heardFrom struct {
	voter  string
	knock  bool
	answer silenceAnswer
	err    error
}

// tally counts the answers of a poll.
type tally struct {
	suspect string
	own     uint64 // this node's last index
	quorum  int
	misses  int  // this node counted
	open    int  // voters that may still miss it
	up      bool // the suspect's machine
	gone    bool // the suspect's machine says that nobody is there
}

func newTally(self, suspect string, voters []string, own uint64) (*tally, error) {
	t := &tally{suspect: suspect, own: own, quorum: len(voters)/2 + 1}
	for _, v := range voters {
		switch v {
		case self:
			t.misses++
		case suspect:
		default:
			t.open++
		}
	}
	if t.misses == 0 {
		return nil, errNoVoter
	}
	return t, nil
}

// take counts one answer and returns why the suspicion has to be given up, if it has to.
func (t *tally) take(h heardFrom) error {
	if h.voter == t.suspect {
		return t.takeSuspect(h)
	}
	t.open--
	switch {
	case h.err != nil:
	case h.answer.LastIndex > t.own:
		return errNewerLog
	case h.answer.Misses:
		t.misses++
	}
	if t.misses+t.open < t.quorum {
		return errNoQuorumMisses
	}
	return nil
}

func (t *tally) takeSuspect(h heardFrom) error {
	switch {
	case h.err == nil && !h.knock:
		return errSuspectAnswers
	case h.err == nil:
		t.up = true
	case errors.Is(h.err, syscall.ECONNREFUSED):
		t.gone = true
	}
	return nil
}

// agreed reports whether a quorum misses the suspect.
func (t *tally) agreed() bool { return t.misses >= t.quorum }

func (d *Driver) poll(ctx context.Context, a Poll) Event {
	voters := d.ports.Ballot.Voters()
	t, err := newTally(string(d.cfg.Self.Name), string(a.Suspect), voters, d.ports.Ballot.LastIndex())
	if err == nil {
		err = d.count(ctx, a, t, voters)
	}
	return Polled{Op: a.Op, Up: t != nil && t.up, Err: err}
}

// count returns nil as soon as a quorum misses the suspect and the suspect had its grace.
func (d *Driver) count(ctx context.Context, a Poll, t *tally, voters []string) error {
	var asking errgroup.Group
	defer func() { _ = asking.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, pollWithin)
	defer cancel()
	answers := make(chan heardFrom, len(voters)+1)
	asking.Go(func() error { answers <- d.knock(ctx, a); return nil })
	for _, v := range voters {
		if v != string(d.cfg.Self.Name) {
			asking.Go(func() error { answers <- d.askVoter(ctx, v, a); return nil })
		}
	}
	var grace <-chan time.Time
	for {
		if t.agreed() && t.gone {
			return nil
		}
		if t.agreed() && grace == nil {
			grace = time.After(a.Grace)
		}
		select {
		case h := <-answers:
			if err := t.take(h); err != nil {
				return fmt.Errorf("%s: %w", h.voter, err)
			}
		case <-grace:
			if t.up && a.Patient {
				return errMachineUp
			}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *Driver) askVoter(ctx context.Context, voter string, a Poll) heardFrom {
	h := heardFrom{voter: voter}
	h.err = d.ports.Peers.Call(ctx, voter, silencePath, silenceRequest{Term: a.Term, Suspect: a.Suspect}, &h.answer)
	return h
}

func (d *Driver) knock(ctx context.Context, a Poll) heardFrom {
	return heardFrom{voter: string(a.Suspect), knock: true, err: d.ports.Ballot.Knock(ctx, string(a.Suspect))}
}

func (d *Driver) hint(ctx context.Context, a Hint) Event {
	ctx, cancel := context.WithTimeout(ctx, hintWithin)
	defer cancel()
	return Hinted{Op: a.Op, Err: d.ports.Ballot.Hint(ctx, string(a.Suspect), a.Term)}
}

func (d *Driver) heard() <-chan vrrpwire.Heard {
	if !d.cfg.Hints {
		return nil
	}
	return d.ports.Wire.Heard()
}

func (d *Driver) advert(h vrrpwire.Heard) Event {
	return AdvertHeard{From: d.senders()[h.From], Priority: h.Advertisement.Priority, Interval: h.Advertisement.Interval, At: h.At}
}

// hearAll goes before every event on which silence is judged: what the network has brought is not silence.
func (d *Driver) hearAll(work context.Context, e Event) (done bool, err error) {
	switch e.(type) {
	case Tick, SilenceAsked, Polled:
	default:
		return false, nil
	}
	if !d.cfg.Hints {
		return false, nil
	}
	d.ports.Wire.Drain()
	for range len(d.ports.Wire.Heard()) { // and no more than that: under a flood there would be no end
		select {
		case h := <-d.ports.Wire.Heard():
			if done, err := d.step(work, d.advert(h)); done {
				return done, err
			}
		default:
			return false, nil
		}
	}
	return false, nil
}
