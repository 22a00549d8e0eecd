package fleet

import "time"

// Limit is the size of one request token bucket and what it gets back each second.
type Limit struct {
	Size   int
	Refill int // tokens per second
}

// Limits are an account's request limits in one region, for the three actions that hacluster calls. Each action has a bucket
// of its own.
type Limits struct {
	Describe     Limit
	Associate    Limit
	Disassociate Limit
}

// DocumentedLimits returns the defaults of "Request throttling for the Amazon EC2 API"
// (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html): DescribeAddresses is a non-mutating action and not
// one of those that are charged to a smaller bucket when they are called without a filter; AssociateAddress and
// DisassociateAddress are mutating actions without a row of their own.
func DocumentedLimits() Limits {
	mutating := Limit{Size: 50, Refill: 5}
	return Limits{Describe: Limit{Size: 100, Refill: 20}, Associate: mutating, Disassociate: mutating}
}

// Times returns limits n times as large, as after a raise of the quota.
func (l Limits) Times(n int) Limits {
	for _, one := range []*Limit{&l.Describe, &l.Associate, &l.Disassociate} {
		one.Size, one.Refill = one.Size*n, one.Refill*n
	}
	return l
}

// bucket is a token bucket as EC2 documents it: full at first, one token a request, refilled once a second. Whether a refused
// request costs anything is not documented; here it does not.
type bucket struct {
	limit  Limit
	tokens int
	second int64 // of the last refill
}

func newBucket(limit Limit) bucket { return bucket{limit: limit, tokens: limit.Size} }

// take takes one token, or reports that there is none. now never goes back.
func (b *bucket) take(now time.Duration) bool {
	if second := int64(now / time.Second); second > b.second {
		missing := int64(b.limit.Size - b.tokens)
		b.tokens += int(min(missing, (second-b.second)*int64(b.limit.Refill)))
		b.second = second
	}
	if b.tokens == 0 {
		return false
	}
	b.tokens--
	return true
}
