package health

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/hacluster/hacluster/internal/boottime"
)

// board collects the results of all checks, applies rise and fall, and publishes what changed.
type board struct {
	log     *zap.Logger
	newest  atomic.Pointer[Status]
	updates chan Status // one slot, latest wins; written only under mu

	mu     sync.Mutex
	checks []*checkState
	life   uint64 // counts the losses of the HAProxy process; see lost
}

// checkState is a check with its hysteresis.
type checkState struct {
	CheckStatus
	rise, fall     int
	passed, failed int  // results in a row
	decided        bool // it has passed or failed often enough for a first verdict
}

func newBoard(log *zap.Logger) *board {
	b := &board{log: log, updates: make(chan Status, 1)}
	b.newest.Store(&Status{Reason: "not checked yet", At: boottime.Now()})
	return b
}

// add registers a check and returns its number. Only before the first result.
func (b *board) add(name, detail string, rise, fall int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := boottime.Now()
	b.checks = append(b.checks, &checkState{
		CheckStatus: CheckStatus{Name: name, Detail: detail, Since: now},
		rise:        rise, fall: fall,
	})
	b.newest.Store(b.summary(now))
	return len(b.checks) - 1
}

// currentLife is to be read before a probe starts and handed in with its result.
func (b *board) currentLife() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.life
}

// probed takes the result of one probe: detail is what it saw, err why it failed. A success that began in an earlier
// life of HAProxy says nothing about this one and is dropped.
func (b *board) probed(check int, life uint64, detail string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil && life != b.life {
		return
	}
	c := b.checks[check]
	was := *c
	c.count(detail, err)
	b.publish(c, was)
}

// count applies rise and fall.
func (c *checkState) count(detail string, err error) {
	if err != nil {
		c.passed = 0
		c.failed++
		c.Detail = fmt.Sprintf("%v (%d of %d)", err, min(c.failed, c.fall), c.fall)
		if c.failed >= c.fall {
			c.Healthy, c.decided = false, true
		}
		return
	}
	c.failed = 0
	c.passed++
	c.Detail = detail
	if c.passed >= c.rise {
		c.Healthy, c.decided = true, true
	} else if !c.Healthy {
		c.Detail = fmt.Sprintf("has passed %d of %d times", c.passed, c.rise)
	}
}

// found takes the verdict of the process check, which needs no hysteresis: an exit is certain.
func (b *board) found(check int, detail string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.checks[check]
	was := *c
	c.Healthy, c.decided, c.Detail = true, true, detail
	b.publish(c, was)
}

// lost is the opposite of found. The other checks have to rise anew: they have not seen the next HAProxy yet.
func (b *board) lost(check int, detail string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.checks[check]
	was := *c
	c.Healthy, c.decided, c.Detail = false, true, detail
	if was.Healthy {
		b.life++
		for _, other := range b.checks {
			other.forget(c)
		}
	}
	b.publish(c, was)
}

// forget takes back what the check has seen of a HAProxy that is gone.
func (c *checkState) forget(process *checkState) {
	if c == process {
		return
	}
	c.passed, c.failed = 0, 0
	if c.Healthy {
		c.Healthy = false
		c.Since = boottime.Now()
		c.Detail = "has not passed since " + process.Detail
	}
}

// stop makes the final status unhealthy. Nobody needs to be told: whoever ended Run knows.
func (b *board) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.summary(boottime.Now())
	s.Healthy, s.Reason = false, "health checks have stopped"
	b.newest.Store(s)
}

// publish stores the new status, and delivers it if c changed and a verdict on the whole is possible: the first results of a start are
// waited for, as keepalived does in Init.
func (b *board) publish(c *checkState, was checkState) {
	now := boottime.Now()
	if c.Healthy != was.Healthy {
		c.Since = now
	}
	s := b.summary(now)
	b.newest.Store(s)
	if c.Healthy == was.Healthy && c.decided == was.decided || !b.decided() {
		return
	}
	select { // take back what was not read
	case <-b.updates:
	default:
	}
	b.updates <- *s // cannot block: the slot is free and mu keeps other writers out
	b.log.Info("check changed", zap.String("check", c.Name), zap.Bool("healthy", c.Healthy), zap.String("detail", c.Detail))
}

// decided reports whether the whole is known to be healthy or unhealthy: no check is open, or one has failed for certain.
func (b *board) decided() bool {
	return !slices.ContainsFunc(b.checks, func(c *checkState) bool { return !c.decided }) ||
		slices.ContainsFunc(b.checks, func(c *checkState) bool { return c.decided && !c.Healthy })
}

// summary blames the first unhealthy check, those without a verdict last: a dead process explains what the probes then say.
func (b *board) summary(now time.Duration) *Status {
	s := &Status{Healthy: true, Reason: "all checks pass", At: now}
	for _, c := range b.checks {
		s.Checks = append(s.Checks, c.CheckStatus)
	}
	i := slices.IndexFunc(b.checks, func(c *checkState) bool { return c.decided && !c.Healthy })
	if i < 0 {
		i = slices.IndexFunc(b.checks, func(c *checkState) bool { return !c.Healthy })
	}
	if i >= 0 {
		s.Healthy, s.Reason = false, s.Checks[i].reason()
	}
	return s
}

// reason turns the detail into a clause that stands alone; that of the process check already does.
func (c CheckStatus) reason() string {
	if c.Name == checkProcess {
		return c.Detail
	}
	return c.Name + " check " + c.Detail
}
