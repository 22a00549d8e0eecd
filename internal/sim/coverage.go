package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// Coverage counts what was tried and what came of it, under names such as "fault: crash". Safe for concurrent use.
type Coverage struct {
	mu        sync.Mutex
	counts    map[string]int
	simulated time.Duration
}

// NewCoverage returns an empty one.
func NewCoverage() *Coverage { return &Coverage{counts: make(map[string]int)} }

func (c *Coverage) add(what string) { c.addTimes(what, 1) }

func (c *Coverage) addTimes(what string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[what] += n
}

// Count returns how often something happened.
func (c *Coverage) Count(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[what]
}

// Merge adds what another one counted.
func (c *Coverage) Merge(other *Coverage) {
	other.mu.Lock()
	defer other.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for what, n := range other.counts {
		c.counts[what] += n
	}
	c.simulated += other.simulated
}

// String renders a table, one group after the other.
func (c *Coverage) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%.1f\t hours simulated\n", c.simulated.Hours())
	group := ""
	for _, what := range slices.Sorted(maps.Keys(c.counts)) {
		if g, _, _ := strings.Cut(what, ":"); g != group {
			group = g
			fmt.Fprintln(w, "\t")
		}
		fmt.Fprintf(w, "%d\t %s\n", c.counts[what], what)
	}
	_ = w.Flush() // a strings.Builder takes everything
	return b.String()
}
