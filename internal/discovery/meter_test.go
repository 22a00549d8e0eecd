package discovery

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"
)

// TestMeter: failed reads leave the number of instances as it was, and waiting ends with the leadership.
func TestMeter(t *testing.T) {
	meter := new(Meter)
	ec2, members := &account{letters: "abcde"}, &roster{letters: "abcd", refuse: errors.New("a change is on its way")}
	k := NewKeeper(KeeperConfig{Self: "i-a", Layout: Layout{Port: 7400}, Now: func() time.Duration { return 0 }, Meter: meter}, meter.Measure(ec2), members, zap.NewNop())
	for _, step := range []struct {
		what string
		do   func()
		want Reading
	}{
		{"one is new", func() {}, Reading{Reads: 1, Instances: 5, Waits: 1}},
		{"EC2 refuses", func() { ec2.shows("", errors.New("UnauthorizedOperation")) }, Reading{Reads: 2, Failures: 1, Instances: 5, Waits: 1}},
		{"this node is not shown", func() { ec2.shows("bcd", nil) }, Reading{Reads: 3, Failures: 1, Instances: 3, Waits: 1}},
		{"all is as it should be", func() { ec2.shows("abcd", nil) }, Reading{Reads: 4, Failures: 1, Instances: 4}},
		{"one is gone", func() { ec2.shows("abc", nil) }, Reading{Reads: 5, Failures: 1, Instances: 3, Waits: 1}},
		{"another node leads", func() { members.now(func(r *roster) { r.follows = true }) }, Reading{Reads: 5, Failures: 1, Instances: 3}},
	} {
		step.do()
		k.round(t.Context())
		if got := meter.Reading(); got != step.want {
			t.Errorf("%s: %+v, want %+v", step.what, got, step.want)
		}
	}
}
