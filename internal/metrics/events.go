package metrics

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
)

// events counts what happens where it happens.
type events struct {
	entered     *prometheus.CounterVec
	changes     *prometheus.CounterVec
	calls       *prometheus.CounterVec
	callTime    *prometheus.HistogramVec
	refused     *prometheus.CounterVec
	claims      *prometheus.CounterVec
	denied      *prometheus.CounterVec
	apply       *prometheus.HistogramVec
	applyFailed *prometheus.CounterVec
}

// newEvents starts every series at 0 whose labels are known beforehand, so that its first event is an increase and can be alerted on.
func newEvents() *events {
	known := families()
	count := func(name string) *prometheus.CounterVec {
		f := known[name]
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: f.name, Help: f.help}, f.labels)
	}
	spread := func(name string, buckets []float64) *prometheus.HistogramVec {
		f := known[name]
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: f.name, Help: f.help, Buckets: buckets}, f.labels)
	}
	e := &events{
		entered: count(nameEntered), changes: count(nameChanges),
		calls: count(nameCalls), callTime: spread(nameCallTime, callBuckets()), refused: count(nameCallsRefused),
		claims: count(nameClaims), denied: count(nameDenied),
		apply: spread(nameApply, applyBuckets()), applyFailed: count(nameApplyFailed),
	}
	for _, s := range states() {
		e.entered.WithLabelValues(string(s))
	}
	for _, api := range []string{apiDescribe, apiAssociate, apiDisassociate} {
		e.callTime.WithLabelValues(api)
		for class := eip.Unknown; class <= eip.Denied; class++ {
			e.calls.WithLabelValues(api, word(class.String()))
		}
	}
	for _, reason := range controller.RefusalWords() {
		e.refused.WithLabelValues(reason)
	}
	for _, mode := range []fsm.Mode{fsm.Adopt, fsm.Handover, fsm.Takeover, fsm.Seizure} {
		e.claims.WithLabelValues(string(mode))
	}
	e.apply.WithLabelValues()
	e.applyFailed.WithLabelValues()
	return e
}

// callBuckets are those of an HTTP API within a region, which answers in tens to hundreds of milliseconds.
func callBuckets() []float64 { return []float64{.01, .025, .05, .1, .15, .2, .3, .5, 1, 2, 3, 5} }

// applyBuckets are those of a quorum's disks: a sync takes a fraction of a millisecond or, on a busy disk, very much more.
func applyBuckets() []float64 {
	return []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2}
}

func (e *events) collectors() []prometheus.Collector {
	return []prometheus.Collector{e.entered, e.changes, e.calls, e.callTime, e.refused, e.claims, e.denied, e.apply, e.applyFailed}
}

// Changed implements controller.Observer.
func (e *events) Changed(c controller.Change) {
	e.entered.WithLabelValues(string(c.To)).Inc()
	e.changes.WithLabelValues(string(c.From), string(c.To), string(c.Cause)).Inc()
}

// called takes the outcome of one call. What the final check kept in took no time of EC2's.
func (e *events) called(api string, start time.Time, err error) {
	class := eip.Classify(err)
	e.calls.WithLabelValues(api, word(class.String())).Inc()
	var refusal interface{ Reason() string }
	if class == eip.NotPermitted && errors.As(err, &refusal) {
		e.refused.WithLabelValues(refusal.Reason()).Inc()
	}
	if class != eip.NotPermitted && class != eip.NotSent {
		e.callTime.WithLabelValues(api).Observe(time.Since(start).Seconds())
	}
}

// proposed takes the answer to one entry.
func (e *events) proposed(start time.Time, response any, err error) {
	if err != nil {
		e.applyFailed.WithLabelValues().Inc()
		return
	}
	e.apply.WithLabelValues().Observe(time.Since(start).Seconds())
	switch r, _ := response.(fsm.Result); {
	case r.Denied != "":
		e.denied.WithLabelValues(word(string(r.Denied))).Inc()
	case r.Grant.Index != 0:
		e.claims.WithLabelValues(string(r.Grant.Mode)).Inc()
	}
}

// word makes a label of a short phrase.
func word(phrase string) string { return strings.ReplaceAll(phrase, " ", "_") }

// measuredEC2 stands before the controller's way to EC2.
type measuredEC2 struct {
	next   controller.EC2
	events *events
}

// Observe implements controller.EC2.
func (m measuredEC2) Observe(ctx context.Context) ([]eip.Address, error) {
	start := time.Now()
	addresses, err := m.next.Observe(ctx)
	m.events.called(apiDescribe, start, err)
	return addresses, err
}

// Associate implements controller.EC2.
func (m measuredEC2) Associate(ctx context.Context, id eip.AllocationID, allowReassociation bool, permit eip.Permit) (eip.AssociationID, error) {
	start := time.Now()
	association, err := m.next.Associate(ctx, id, allowReassociation, permit)
	m.events.called(apiAssociate, start, err)
	return association, err
}

// Disassociate implements controller.EC2.
func (m measuredEC2) Disassociate(ctx context.Context, id eip.AssociationID, permit eip.Permit) error {
	start := time.Now()
	err := m.next.Disassociate(ctx, id, permit)
	m.events.called(apiDisassociate, start, err)
	return err
}

// measuredRaft stands before the controller's Raft.
type measuredRaft struct {
	controller.Raft
	events *events
}

// Apply implements controller.Raft.
func (m measuredRaft) Apply(ctx context.Context, term uint64, command []byte) (index uint64, response any, err error) {
	start := time.Now()
	index, response, err = m.Raft.Apply(ctx, term, command)
	m.events.proposed(start, response, err)
	return index, response, err
}
