package vrrpwire

import (
	"errors"
	"sync"
	"time"
)

var errNoEvidence = errors.New("no quorum evidence that is new enough")

// evidence stands in for the quorum: it was last acknowledged by a round that started at t0.
type evidence struct {
	now func() time.Duration

	mu    sync.Mutex
	has   bool
	t0    time.Duration
	asked int // how often more was asked for
}

// fresh returns evidence as a leader has it that was just acknowledged.
func fresh(now func() time.Duration) *evidence {
	v := &evidence{now: now}
	v.renew()
	return v
}

// permit is a Permit.
func (v *evidence) permit(notBefore time.Duration) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.has || v.t0 <= notBefore {
		return errNoEvidence
	}
	return nil
}

// renew is a round of the quorum that starts and ends now.
func (v *evidence) renew() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.has, v.t0 = true, v.now()
}

func (v *evidence) lose() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.has = false
}

// need is a Config.NeedEvidence that provokes nothing.
func (v *evidence) need() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked++
}

func (v *evidence) timesAsked() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.asked
}
