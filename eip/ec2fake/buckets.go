package ec2fake

import (
	"sync"
	"time"
)

// buckets limits requests as documented ("Request throttling for the Amazon EC2 API"): each action of the account has
// its own bucket; reads 100 refilled with 20 a second, changes of addresses 50 refilled with 5 a second.
type buckets struct {
	mu     sync.Mutex
	levels map[string]level
}

type level struct {
	tokens float64
	at     time.Time
}

// take takes one token, or reports that there is none.
func (b *buckets) take(action string, now time.Time) bool {
	size, refill := 100.0, 20.0
	if mutates(action) {
		size, refill = 50, 5
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l, ok := b.levels[action]
	if !ok {
		l = level{tokens: size, at: now}
	}
	if elapsed := now.Sub(l.at); elapsed > 0 {
		l.tokens = min(size, l.tokens+refill*elapsed.Seconds())
		l.at = now
	}
	granted := l.tokens >= 1
	if granted {
		l.tokens--
	}
	b.levels[action] = l
	return granted
}
