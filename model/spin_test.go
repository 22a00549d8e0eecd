package main

import (
	"os"
	"strings"
	"testing"
)

// What ./pan prints of a search that visited everything.
const whole = `(Spin Version 6.5.2 -- 6 December 2019)
	+ Compression

Full statespace search for:
	never claim         	- (none specified)
	assertion violations	+
	cycle checks       	- (disabled by -DSAFETY)
	invalid end states	+

State-vector 132 byte, depth reached 353, errors: 0
   236913 states, stored
   770541 states, matched
  1007454 transitions (= stored+matched)
  6042613 atomic steps
hash conflicts:    115862 (resolved)

Stats on memory usage (in Megabytes):
   36.150	equivalent memory usage for states (stored*(State-vector + overhead))
  210.507	total actual memory usage

pan: elapsed time 0.46 seconds
`

func TestVerdict(t *testing.T) {
	clean := verdict{complete: true, states: 236913, transitions: 1007454, depth: 353, megabytes: 210.507}
	tests := []struct {
		name    string
		printed string
		want    verdict
	}{
		{"everything visited", whole, clean},
		{"a cycle check counts its visits too", strings.Replace(whole, "states, stored", "states, stored (932890 visited)", 1), clean},
		{"an error", strings.Replace(whole, "errors: 0", "errors: 1", 1), clean.with(func(v *verdict) { v.errors = 1 })},
		{"the depth was not enough", "error: max search depth too small\n" + whole, clean.with(func(v *verdict) { v.complete = false })},
		{"the memory was not enough", "pan: reached -DMEMLIM bound\nWarning: Search not completed\n" + whole,
			clean.with(func(v *verdict) { v.complete = false })},
		{"states were left out", strings.Replace(whole, "Full statespace", "Bit statespace", 1), clean.with(func(v *verdict) { v.complete = false })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseVerdict(tt.printed)
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func (v verdict) with(change func(*verdict)) verdict {
	change(&v)
	return v
}

func TestVerdictWithoutEnd(t *testing.T) {
	if v, err := parseVerdict("Killed"); err == nil {
		t.Errorf("got %+v from a verifier that was killed", v)
	}
}

func TestFulfilled(t *testing.T) {
	tests := []struct {
		name string
		kind kind
		v    verdict
		want bool
	}{
		{"nothing found in everything", safety, verdict{complete: true}, true},
		{"nothing found, but not everything seen", safety, verdict{}, false},
		{"an error", convergence, verdict{complete: true, errors: 1}, false},
		{"a mutant that breaks a promise", mutant, verdict{errors: 1, broken: "I2"}, true},
		{"a mutant that survives", mutant, verdict{complete: true}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := (run{kind: tt.kind}).fulfilled(tt.v); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// TestEveryDefineIsInTheModel: a mutant whose flag the model does not know would be the protocol itself.
func TestEveryDefineIsInTheModel(t *testing.T) {
	model, err := os.ReadFile("claim.pml")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range append(runs(false), runs(true)...) {
		for _, d := range r.defines {
			name, _, _ := strings.Cut(d, "=")
			if !strings.Contains(string(model), "def "+name+"\n") && !strings.Contains(string(model), "defined("+name+")") {
				t.Errorf("%s sets %s, which claim.pml does not ask for", r.name, name)
			}
		}
	}
	if got := defaults(string(model)); !strings.HasPrefix(got, "NODES=2 TERMS=3 ") {
		t.Errorf("bounds read as %q", got)
	}
}
