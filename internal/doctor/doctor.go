// Package doctor examines a node: everything that a failover will need and that can be tried without one. It is for a machine on which
// nothing runs yet as well as beside a running agent, which it asks and does not disturb. It changes nothing: its EC2 calls are reads and
// DryRuns.
//
// Each check has a name, a deadline, and findings of its own; docs/DOCTOR.md has a section for each. What several of them need is found out
// once (facts). A check that cannot know something says skip, never pass.
package doctor

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Status says how serious a Finding is.
type Status string

// The statuses.
const (
	Pass Status = "pass"
	Warn Status = "warn" // it works, and there is something to know or to improve
	Fail Status = "fail" // a failover to this node, or from it, will not work as it should
	Skip Status = "skip" // not known, or not applicable here
)

// Finding is one line of a Report.
type Finding struct {
	Check  string `json:"check"`           // the name of the check
	About  string `json:"about,omitempty"` // which of several things that the check looks at: a peer, an action
	Status Status `json:"status"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"` // what to do about it
}

// Report is what an examination found.
type Report struct {
	Cluster  string    `json:"cluster"`
	Node     string    `json:"node"`
	Findings []Finding `json:"findings"` // in the order of the checks
}

// Count returns how many findings have a status.
func (r Report) Count(status Status) int {
	n := 0
	for _, f := range r.Findings {
		if f.Status == status {
			n++
		}
	}
	return n
}

// Failed reports whether anything failed.
func (r Report) Failed() bool { return r.Count(Fail) > 0 }

const (
	// factsWithin bounds everything that checks wait for together, lateAfter everything: no examination takes longer.
	factsWithin = 11 * time.Second
	lateAfter   = 13 * time.Second
)

// check is one examination. run returns at least one finding; their Check is filled in afterwards.
type check struct {
	name string
	run  func(ctx context.Context) []Finding
}

// Examine runs all checks at once and returns when all have ended, or are late. A check that is late goes on until this process ends.
func Examine(ctx context.Context, cfg Config) Report {
	ctx, cancel := context.WithTimeout(ctx, factsWithin)
	defer cancel()
	f := newFacts(ctx, cfg)
	defer f.close()
	return Report{Cluster: cfg.File.Cluster.Name, Node: cfg.File.Node, Findings: runAll(ctx, lateAfter, f.checks())}
}

// runAll returns the findings of all checks, in their order.
func runAll(ctx context.Context, limit time.Duration, checks []check) []Finding {
	late := time.NewTimer(limit)
	defer late.Stop()
	var mu sync.Mutex
	found := make([][]Finding, len(checks))
	var running sync.WaitGroup
	for i, c := range checks {
		running.Go(func() {
			out := c.run(ctx)
			mu.Lock()
			defer mu.Unlock()
			found[i] = out
		})
	}
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	select {
	case <-done:
	case <-late.C:
	}
	mu.Lock()
	defer mu.Unlock()
	var all []Finding
	for i, c := range checks {
		if found[i] == nil {
			found[i] = []Finding{fail("it has not ended after "+limit.String(), "look for a disk, a file server or a name server that does not answer")}
		}
		for _, f := range found[i] {
			f.Check = c.name
			all = append(all, f)
		}
	}
	return all
}

func pass(format string, args ...any) Finding {
	return Finding{Status: Pass, Text: fmt.Sprintf(format, args...)}
}

func skip(format string, args ...any) Finding {
	return Finding{Status: Skip, Text: fmt.Sprintf(format, args...)}
}

func warn(text, remedy string) Finding { return Finding{Status: Warn, Text: text, Remedy: remedy} }

func fail(text, remedy string) Finding { return Finding{Status: Fail, Text: text, Remedy: remedy} }

// about names what the finding is about.
func (f Finding) about(what string) Finding {
	f.About = what
	return f
}

// one makes a check of something that has one finding.
func one(run func(ctx context.Context) Finding) func(context.Context) []Finding {
	return func(ctx context.Context) []Finding { return []Finding{run(ctx)} }
}

// Names returns the names of all checks, in order.
func Names() []string {
	var names []string
	for _, c := range new(facts).checks() {
		names = append(names, c.name)
	}
	return slices.Clip(names)
}
