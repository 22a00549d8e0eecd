package fleet

import (
	"testing"
	"time"
)

// TestBucketArithmetic follows the example of "Request throttling for the Amazon EC2 API": 100 tokens, 20 a second.
func TestBucketArithmetic(t *testing.T) {
	b := newBucket(Limit{Size: 100, Refill: 20})
	steps := []struct {
		at      time.Duration
		ask     int
		granted int
		because string
	}{
		{0, 120, 100, "you can make up to 100 requests in one second"},
		{999 * time.Millisecond, 1, 0, "the remaining requests within that second fail"},
		{1 * time.Second, 25, 20, "the bucket is refilled by 20 tokens every second"},
		{2 * time.Second, 25, 20, "refill tokens are available for use as they are added"},
		{6 * time.Second, 100, 80, "four seconds after it was empty"},
		{11 * time.Second, 120, 100, "an empty bucket reaches its maximum after five seconds"},
		{time.Hour, 120, 100, "the bucket can't hold more than its maximum"},
	}
	for _, s := range steps {
		granted := 0
		for range s.ask {
			if b.take(s.at) {
				granted++
			}
		}
		if granted != s.granted {
			t.Errorf("at %v, %d requests: %d granted, want %d: %s", s.at, s.ask, granted, s.granted, s.because)
		}
	}
}

func TestDocumentedLimits(t *testing.T) {
	want := Limits{Describe: Limit{100, 20}, Associate: Limit{50, 5}, Disassociate: Limit{50, 5}}
	if got := DocumentedLimits(); got != want {
		t.Errorf("documented limits: %+v, want %+v", got, want)
	}
	if got := DocumentedLimits().Times(3).Associate; got != (Limit{150, 15}) {
		t.Errorf("three times AssociateAddress: %+v", got)
	}
}

func TestActionsHaveBucketsOfTheirOwn(t *testing.T) {
	r := newRegion(Limits{Describe: Limit{1, 1}, Associate: Limit{1, 1}, Disassociate: Limit{1, 1}})
	r.enforced = true
	for a := range actions {
		if err := r.admit(0, a); err != nil {
			t.Errorf("first request for action %d: %v", a, err)
		}
		if err := r.admit(0, a); err == nil {
			t.Errorf("second request for action %d was not throttled", a)
		}
		if r.tallies[a] != (Tally{Served: 1, Throttled: 1}) {
			t.Errorf("action %d: counted %+v", a, r.tallies[a])
		}
	}
}
