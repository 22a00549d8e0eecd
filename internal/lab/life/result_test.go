package life

import (
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
)

// What a step promises, and what breaks the promise.
func TestPromise(t *testing.T) {
	handOver := promise{moves: 1, associate: 1}
	good := Result{Clients: lab.Clients{Requests: 1000}, Moves: 1, Associate: 1, Wire: lab.Wire{Adverts: 500}}
	with := func(change func(*Result)) Result { r := good; change(&r); return r }
	still := promise{leaderless: true}
	timed := promise{moves: 1, associate: 1, gap: time.Second}
	tests := map[string]struct {
		promise promise
		seen    Result
		never   string // "": may be
		usually string // "": as promised
	}{
		"a hand-over":                      {handOver, good, "", ""},
		"a request in service at the move": {handOver, with(func(r *Result) { r.Clients.Failed, r.Clients.CutInFlight, r.Clients.Silence = 1, 1, 9 }), "", ""},
		"another request lost":             {handOver, with(func(r *Result) { r.Clients.Failed, r.Clients.CutInFlight = 2, 1 }), "", "1 requests failed that no move cut"},
		"no move":                          {handOver, with(func(r *Result) { r.Moves, r.Associate = 0, 0 }), "", "0 moves, not 1"},
		"two calls":                        {handOver, with(func(r *Result) { r.Disassociate = 1 }), "", "1 AssociateAddress and 1 DisassociateAddress, not 1 and 0"},
		"within the limit":                 {timed, with(func(r *Result) { r.Clients.Failed, r.Clients.SilenceBesideCut = 9, 900 }), "", ""},
		"beyond the limit":                 {timed, with(func(r *Result) { r.Clients.Failed, r.Clients.SilenceBesideCut = 9, 1100 }), "", "no answer for 1.1s, longer than 1s"},
		"two Masters":                      {handOver, with(func(r *Result) { r.Wire = lab.Wire{Adverts: 7, OverlappingReigns: 1} }), "I3: 1 overlapping reigns in 7 adverts", ""},
		"a call without quorum":            {still, with(func(r *Result) { r.Moves = 0 }), "I4: 1 calls, and no quorum", "1 AssociateAddress"},
		"no advert":                        {handOver, with(func(r *Result) { r.Wire.Adverts = 0 }), "I3: 0 overlapping reigns in 0 adverts", ""},
		"one machine, no advert":           {still, with(func(r *Result) { r.Moves, r.Associate, r.Wire.Adverts = 0, 0, 0 }), "", ""},
		"no clients":                       {handOver, with(func(r *Result) { r.Clients.Requests = 0 }), "nothing was measured", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			expect(t, tt.promise.never(tt.seen), tt.never)
			expect(t, tt.promise.usually(tt.seen), tt.usually)
		})
	}
}

func expect(t *testing.T, got error, want string) {
	t.Helper()
	if (got == nil) != (want == "") || got != nil && !strings.Contains(got.Error(), want) {
		t.Errorf("got %v, want %q", got, want)
	}
}
