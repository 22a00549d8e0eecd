package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// maxResults bounds what a Log remembers: a quarter of an hour. The oldest results are dropped first.
const maxResults = 180_000

// Log collects the results of a Client.
type Log struct {
	mu      sync.Mutex
	results []Result // in order of completion
	out     *json.Encoder
}

// Save writes each result, as it comes, to w as a line of JSON. Call it before Run.
func (l *Log) Save(w io.Writer) { l.out = json.NewEncoder(w) }

// Run reads results from the client's line until ctx ends.
func (l *Log) Run(ctx context.Context, line net.Conn) error {
	stop := context.AfterFunc(ctx, func() { _ = line.SetReadDeadline(time.Now()) })
	defer stop()
	dec := json.NewDecoder(line)
	for {
		var r Result
		switch err := dec.Decode(&r); {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("the client host died")
		case err != nil:
			return fmt.Errorf("read probe result: %w", err)
		}
		if err := l.add(r); err != nil {
			return err
		}
	}
}

func (l *Log) add(r Result) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.results) == maxResults {
		l.results = slices.Delete(l.results, 0, maxResults/10)
	}
	l.results = append(l.results, r)
	if l.out == nil {
		return nil
	}
	if err := l.out.Encode(r); err != nil {
		return fmt.Errorf("save probe result: %w", err)
	}
	return nil
}

// Between returns the results of the requests that started from from to to. Requests that are still in flight are
// missing: wait for Timeout after to.
func (l *Log) Between(from, to time.Time) []Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []Result
	for _, r := range l.results {
		if !r.Start.Before(from) && !r.Start.After(to) {
			found = append(found, r)
		}
	}
	return found
}

// Clean reports whether clients have been served for at least d without a single failure: the last d has results, all
// good.
func (l *Log) Clean(d time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	since := time.Now().Add(-d)
	served := 0
	for _, r := range slices.Backward(l.results) {
		if r.Start.Add(r.Took).Before(since) {
			break
		}
		if !r.OK() {
			return false
		}
		served++
	}
	return served >= int(d/Every)/2
}
