package sim

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/fsm"
)

// TestSeveralAddressesMoveTogether: one step in peace moves 1, 5 or 20 addresses with no more calls than they need: one each where the
// predecessor released, two each where it died. Each had its first call when the cluster was formed. Twenty at once are more than EC2
// takes from one account; what it refuses is asked again, and counts as no call that was carried out.
func TestSeveralAddressesMoveTogether(t *testing.T) {
	for _, tt := range []struct {
		what  Kind
		calls int // for each address, the first one included
	}{{Stop, 2}, {Die, 2}, {PowerCut, 3}} {
		for _, addresses := range []int{1, 5, 20} {
			t.Run(fmt.Sprintf("%s, %d addresses", tt.what, addresses), func(t *testing.T) {
				r := several(t, addresses, Step{At: 5 * time.Second, Kind: tt.what, Aim: Leader, For: 20 * time.Second, Dice: 1}, Temper{Longest: time.Second})
				done, out := r.Coverage.Count("calls: done"), r.Coverage.Count("calls: let out by the final check")
				if done != tt.calls*addresses || addresses < 10 && out != done {
					t.Errorf("%d calls were carried out of %d that were made, want %d for each of %d addresses:\n%s", done, out, tt.calls, addresses, r.Trace)
				}
			})
		}
	}
}

// TestSeveralAddressesUnderThrottling: EC2 refuses half of all calls for being too many; the addresses arrive all the same, and what is
// refused is asked again for that address alone.
func TestSeveralAddressesUnderThrottling(t *testing.T) {
	for _, addresses := range []int{1, 5, 20} {
		t.Run(fmt.Sprintf("%d addresses", addresses), func(t *testing.T) {
			r := several(t, addresses, Step{At: 5 * time.Second, Kind: PowerCut, Aim: Leader, For: 40 * time.Second, Dice: 1},
				Temper{Longest: time.Second, Throttled: 0.5})
			refused, done := r.Coverage.Count("calls: throttled"), r.Coverage.Count("calls: done")
			if addresses > 1 && refused == 0 {
				t.Error("nothing was throttled")
			}
			if done > 3*addresses {
				t.Errorf("%d calls were carried out for %d addresses: what was not refused was repeated\n%s", done, addresses, r.Trace)
			}
		})
	}
}

// TestOneOfSeveralIsTakenByAPerson: that one comes back, and no call is made for the others.
func TestOneOfSeveralIsTakenByAPerson(t *testing.T) {
	r := several(t, 5, Step{At: 5 * time.Second, Kind: Person, Aim: Anybody, Dice: 7}, Temper{Longest: time.Second})
	if calls := r.Coverage.Count("calls: let out by the final check"); calls != 5+2 {
		t.Errorf("%d calls, want the first 5 and 2 for the repair:\n%s", calls, r.Trace)
	}
}

// several runs a schedule of one step, and fails at the first violation: the judge wants every address at the one Master in the end.
func several(t *testing.T, addresses int, step Step, temper Temper) Result {
	t.Helper()
	dir := t.TempDir()
	s := Schedule{Seed: 2, Nodes: 3, Several: addresses - 1, Temper: temper, Horizon: time.Minute, Steps: []Step{step},
		Settings: Settings{Fencing: fsm.Balanced, Drift: "repair", Guard: 20 * time.Second, Hints: true, Advert: 100 * time.Millisecond}}
	var r Result
	synctest.Test(t, func(t *testing.T) {
		var err error
		if r, err = Run(s, dir); err != nil {
			t.Fatal(err)
		}
	})
	if len(r.Violations) > 0 {
		t.Fatalf("violations: %v\n%s", r.Violations, r.Trace)
	}
	return r
}
