package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// kind says what a run is to show.
type kind int

const (
	// safety: I1 and I2 hold in every state, and every run that comes to an end has converged (I6).
	safety kind = iota
	// convergence: as safety, and no run goes on for ever.
	convergence
	// mutant: a protection is taken out, and a promise breaks.
	mutant
)

// run is one configuration of the model: its -D flags say which.
type run struct {
	name    string
	kind    kind
	defines []string
}

// runs lists what `make model` checks, or the larger bounds.
func runs(deep bool) []run {
	if deep {
		return deepRuns()
	}
	var all []run
	for _, mode := range []string{"strict", "balanced", "fast"} {
		all = append(all,
			run{mode + ", 4 terms", safety, bounds(mode, "TERMS=4", "STALE=1", "CRASHES=0")},
			run{mode + ", 3 nodes", safety, bounds(mode, "NODES=3", "STALE=1")},
			run{mode + ", any past read", safety, bounds(mode, "ANY_READ", "IDS=4")},
			run{mode + ", a person", safety, bounds(mode, "FOREIGN=1", "STALE=0", "CRASHES=0")},
			run{mode + ", ends converged", convergence, bounds(mode)},
		)
	}
	return append(all, mutants()...)
}

func deepRuns() []run {
	var all []run
	for _, mode := range []string{"strict", "balanced", "fast"} {
		all = append(all,
			run{mode + ", 4 terms", safety, bounds(mode, "TERMS=4", "CRASHES=0")},
			run{mode + ", 3 nodes", safety, bounds(mode, "NODES=3")},
			run{mode + ", more faults", safety, bounds(mode, "LOST=2", "CRASHES=2", "STALE=1")},
			run{mode + ", a person, ends converged", convergence, bounds(mode, "FOREIGN=1", "STALE=0")},
		)
	}
	return all
}

// mutants each lack one protection. The last ones show what the product's second nets are worth.
func mutants() []run {
	list := []struct{ name, mode, without string }{
		{"no-quorum-round", "strict", "NO_QUORUM_ROUND"},
		{"atomic-takeover", "strict", "ATOMIC_TAKEOVER"},
		{"adopt-contested", "strict", "ADOPT_CONTESTED"},
		{"boolean-set", "strict", "BOOLEAN_SET"},
		{"forget-attempts", "balanced", "FORGET_ATTEMPTS"},
		{"no-term-check", "strict", "NO_TERM_CHECK"},
		{"release-in-flight", "balanced", "RELEASE_IN_FLIGHT"},
		{"guard-too-short", "balanced", "GUARD_TOO_SHORT"},
		{"contested-outlives", "balanced", "CONTESTED_OUTLIVES"},
		{"no-repair", "balanced", "NO_REPAIR"},
	}
	all := make([]run, 0, len(list)+1)
	for _, m := range list {
		all = append(all, run{m.name, mutant, bounds(m.mode, m.without)})
	}
	return append(all, run{"no-term-check-final-check", mutant, bounds("strict", "NO_TERM_CHECK", "FINAL_CHECK")})
}

// bounds are those that claim.pml sets, but for the given ones. Association ids are enough for every run, and the model fails
// if they are not; only reads of the past without end use up any number of them.
func bounds(mode string, defines ...string) []string {
	all := []string{strings.ToUpper(mode)}
	if !slices.Contains(defines, "ANY_READ") {
		all = append(all, "IDS=14", "ENOUGH_IDS")
	}
	return append(all, defines...)
}

var bound = regexp.MustCompile(`(?m)^#ifndef (\w+)\n#define \w+ (\d+)`)

// defaults returns the bounds that the model sets, as "NODES=2 TERMS=3".
func defaults(model string) string {
	var all []string
	for _, m := range bound.FindAllStringSubmatch(model, -1) {
		all = append(all, m[1]+"="+m[2])
	}
	return strings.Join(all, " ")
}

// fulfilled reports whether v is what the run had to show.
func (r run) fulfilled(v verdict) bool {
	if r.kind == mutant {
		return v.errors > 0 && v.broken != ""
	}
	return v.errors == 0 && v.complete
}

const header = "run                                  states transitions    depth       MB  seconds  result"

func row(r run, v verdict) string {
	return fmt.Sprintf("%-32s %10d %11d %8d %8.0f %8.1f  %s", r.name, v.states, v.transitions, v.depth, v.megabytes, v.seconds, result(r, v))
}

func result(r run, v verdict) string {
	switch {
	case r.kind == mutant && r.fulfilled(v):
		return "found: " + v.broken
	case r.kind == mutant:
		return "FAILED: no counterexample"
	case v.errors > 0:
		return "FAILED: " + v.broken
	case !v.complete:
		return "FAILED: not exhaustive"
	default:
		return "0 errors, exhaustive: " + strings.Join(r.defines, " ")
	}
}
