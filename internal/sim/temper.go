package sim

import (
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

// setTemper changes how EC2 behaves towards requests that arrive from now on.
func (c *cloud) setTemper(t Temper) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.temper = t
}

func (c *cloud) mood() Temper {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.temper
}

// bad is the temper of an EC2 that misbehaves with almost every call.
func (t Temper) bad() Temper {
	for _, share := range []*float64{&t.Slow, &t.Late, &t.LostAnswer, &t.ErrorBefore, &t.ErrorAfter, &t.Throttled, &t.Stale, &t.Held} {
		*share = max(*share, 0.3)
	}
	return t
}

// calm is the temper of an EC2 that only takes its time.
func (t Temper) calm() Temper { return Temper{Longest: t.Longest} }

// drawMutating draws what happens to one AssociateAddress or DisassociateAddress.
func (c *cloud) drawMutating() []ec2fake.Fault {
	t := c.mood()
	faults := c.drawBoth(t)
	switch {
	case c.struck(t.Late, "late effect"):
		faults = append(faults, ec2fake.Fault{Kind: ec2fake.LateEffect, Delay: c.delay(t)})
	case c.struck(t.LostAnswer, "answer lost"):
		faults = append(faults, ec2fake.Fault{Kind: ec2fake.LostAnswer})
	case c.struck(t.ErrorAfter, "5xx after the effect"):
		faults = append(faults, ec2fake.Fault{Kind: ec2fake.ErrorAfter})
	}
	return faults
}

// drawRead draws what happens to a DescribeAddresses or a DryRun.
func (c *cloud) drawRead() []ec2fake.Fault {
	t := c.mood()
	faults := c.drawBoth(t)
	if c.struck(t.Stale, "stale read") {
		faults = append(faults, ec2fake.Fault{Kind: ec2fake.StaleRead, Delay: c.delay(t)})
	}
	return faults
}

// drawBoth draws what happens to any call.
func (c *cloud) drawBoth(t Temper) []ec2fake.Fault {
	faults := []ec2fake.Fault{{Kind: ec2fake.Latency, Delay: ec2fake.Duration(5*time.Millisecond + c.world.dice.upTo(45*time.Millisecond))}}
	if c.struck(t.Slow, "slow") {
		faults[0].Delay = c.delay(t)
	}
	switch {
	case c.struck(t.Dropped, "request dropped"):
		faults = append(faults, ec2fake.Fault{Kind: ec2fake.Drop})
	case c.struck(t.ErrorBefore, "5xx before the effect"):
		faults = append(faults, ec2fake.Fault{Kind: ec2fake.ErrorBefore})
	case c.struck(t.Throttled, "throttled"):
		faults = append(faults, ec2fake.Fault{Kind: ec2fake.Throttle})
	}
	if c.struck(t.Slow, "answer slow") {
		faults = append(faults, ec2fake.Fault{Kind: ec2fake.AnswerDelay, Delay: c.delay(t)})
	}
	return faults
}

func (c *cloud) struck(share float64, what string) bool {
	if share == 0 || !c.world.dice.chance(share) {
		return false
	}
	c.world.coverage.add("EC2 faults: " + what)
	return true
}

// delay is short more often than long.
func (c *cloud) delay(t Temper) ec2fake.Duration {
	longest := t.Longest
	if c.world.dice.chance(0.6) {
		longest /= 4
	}
	return ec2fake.Duration(c.world.dice.upTo(longest))
}
