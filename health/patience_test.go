package health

import (
	"testing"
	"time"
	"unicode"
)

// TestPatience shows one probe what HAProxy did slice by slice, and when it is given up.
func TestPatience(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name    string
		timeout time.Duration
		slices  string // i idle, w working, u unseen, x irrelevant; a capital: this process came late
		want    time.Duration
	}{
		{"fast: a HAProxy that does nothing", 50 * ms, "i", 50 * ms},
		{"fast: a HAProxy that stops while it works on the request", 50 * ms, "wi", 100 * ms},
		{"fast: a HAProxy that works, and works", 50 * ms, "wwwwwwwwwwwwwwwwwwww", time.Second},
		{"fast: a HAProxy that nobody sees", 50 * ms, "uuuuuu", 300 * ms},
		{"fast: seen in the end", 50 * ms, "uui", 150 * ms},
		{"fast: the whole machine was paused", 50 * ms, "Ii", 100 * ms},
		{"fast: a machine that stalls for ever hides no hang", 50 * ms, "IIIIII", 300 * ms},
		{"default: a HAProxy that does nothing", 300 * ms, "iiiiii", 300 * ms},
		{"default: a HAProxy that nobody sees", 300 * ms, "uuuuuu", 300 * ms},
		{"default: a HAProxy that has stopped in time", 300 * ms, "wwwwwi", 300 * ms},
		{"default: a HAProxy that works, and stops later", 300 * ms, "wwwwwwwi", 400 * ms},
		{"default: this process was paused", 300 * ms, "iIIiii", 300 * ms},
		{"a time-out that is no multiple of a slice", 120 * ms, "iii", 120 * ms},
		{"a script", 60 * ms, "xx", 60 * ms},
		{"a slow probe", 1100 * ms, "wwwwwwwwwwwwwwwwwwwwww", 1100 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := patience{timeout: tt.timeout}
			for i, s := range tt.slices {
				late := p.next() / 2 // is normal
				if unicode.IsUpper(s) {
					late = 5 * time.Second
				}
				did := map[rune]work{'i': idle, 'w': working, 'u': unseen, 'x': irrelevant}[unicode.ToLower(s)]
				if got, want := p.exhausted(did, late), i == len(tt.slices)-1; got != want {
					t.Fatalf("after slice %d, %v: given up = %v, want %v", i+1, p.waited, got, want)
				}
			}
			if p.waited != tt.want {
				t.Errorf("given up after %v, want %v", p.waited, tt.want)
			}
		})
	}
}
