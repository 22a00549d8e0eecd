package ec2fake_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

// The documented buckets: DescribeAddresses 100, refilled with 20 a second; DisassociateAddress 50, with 5. Each action has
// its own.
func TestBuckets(t *testing.T) {
	now := newClock()
	w := newWorld(t, func(c *ec2fake.Config) { c.Now = now.Now })
	read := func() error {
		_, err := w.sdk().DescribeAddresses(t.Context(), &ec2.DescribeAddressesInput{})
		return err
	}
	write := func() error { return w.disassociate("eipassoc-none") }

	granted := func(call func() error) int {
		for n := range 200 {
			switch got := code(call()); got {
			case "RequestLimitExceeded":
				return n
			case "", "InvalidAssociationID.NotFound":
			default:
				t.Fatalf("call %d: %s", n, got)
			}
		}
		t.Fatal("200 calls granted")
		return 0
	}
	for _, step := range []struct {
		after       time.Duration
		read, write int
	}{
		{0, 100, 50},
		{0, 0, 0},
		{time.Second, 20, 5},
		{500 * time.Millisecond, 10, 2},
		{time.Minute, 100, 50}, // never more than the bucket holds
	} {
		now.advance(step.after)
		if r, wr := granted(read), granted(write); r != step.read || wr != step.write {
			t.Errorf("after %s: %d reads and %d writes granted, want %d and %d", step.after, r, wr, step.read, step.write)
		}
	}
}
