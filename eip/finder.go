package eip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

const (
	// findPage is how many instances are asked for at once: what EC2 tells of them stays well below the limit of one answer.
	findPage = 50
	// maxPages ends a list that has no end.
	maxPages = 20
	// DefaultFindTimeout bounds one Find unless FinderConfig says otherwise.
	DefaultFindTimeout = 10 * time.Second
)

// Tag is a tag of an EC2 resource.
type Tag struct{ Key, Value string }

// Instance is a running EC2 instance.
type Instance struct {
	ID               string // i-...
	AvailabilityZone string
	Launched         time.Time
	// Addresses are its private IPv4 addresses: the primary one of the primary network interface, then the others in ascending order. EC2
	// promises none, and all nodes have to see the same.
	Addresses []netip.Addr
}

// FinderConfig tells NewFinder what to look for, and how to reach EC2. Region, Endpoint, IMDSEndpoint, Credentials and Dial are as in Config.
type FinderConfig struct {
	Region, Endpoint, IMDSEndpoint string
	Tag                            Tag
	// Timeout bounds one Find, all its pages included. Zero: DefaultFindTimeout.
	Timeout     time.Duration
	Credentials aws.CredentialsProvider
	Dial        Dial
}

// Finder lists the running instances that have a tag. It has connections of its own: the way of the Client stays as it is.
type Finder struct {
	api       calls
	transport oneShot
	tag       Tag
	timeout   time.Duration
}

// NewFinder makes a Finder. It sends nothing to EC2, but may ask IMDS for the region.
func NewFinder(ctx context.Context, cfg FinderConfig) (*Finder, error) {
	sdk, err := loadSDK(ctx, Config{Region: cfg.Region, IMDSEndpoint: cfg.IMDSEndpoint, Credentials: cfg.Credentials})
	if err != nil {
		return nil, err
	}
	api, transport := newCalls(sdk, cfg.Endpoint, cfg.Dial, sdk.Credentials)
	f := &Finder{api: api, transport: transport, tag: cfg.Tag, timeout: cfg.Timeout}
	if f.timeout == 0 {
		f.timeout = DefaultFindTimeout
	}
	return f, nil
}

// Find returns all running instances that have the tag (DescribeInstances with filters, page by page), or an error: a list of which a part is
// missing is none. EC2's reads are eventually consistent, so a new instance may be missing for a while, and one that has just ended be there.
func (f *Finder) Find(ctx context.Context) ([]Instance, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	defer f.transport.CloseIdleConnections()
	request := &ec2.DescribeInstancesInput{
		MaxResults: aws.Int32(findPage),
		Filters: []types.Filter{
			{Name: aws.String("tag:" + f.tag.Key), Values: []string{f.tag.Value}},
			{Name: aws.String("instance-state-name"), Values: []string{string(types.InstanceStateNameRunning)}},
		},
	}
	var found []Instance
	for range maxPages {
		page, next, err := f.page(ctx, request)
		if err != nil {
			return nil, f.fail(err)
		}
		found = append(found, page...)
		if next == "" {
			return found, nil
		}
		request.NextToken = &next
	}
	return nil, f.fail(fmt.Errorf("more than %d instances", maxPages*findPage))
}

// page is one call.
func (f *Finder) page(ctx context.Context, request *ec2.DescribeInstancesInput) (found []Instance, next string, err error) {
	var g gate
	out, err := f.api.DescribeInstances(withGate(ctx, &g), request)
	if err := g.seal(err); err != nil {
		return nil, "", err
	}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			// The filter said so; an endpoint that knows no filters would say all.
			if i.State == nil || i.State.Name != types.InstanceStateNameRunning || !f.tagged(i.Tags) {
				return nil, "", errors.New("the answer contains instances that were not asked for")
			}
			found = append(found, instanceOf(i))
		}
	}
	return found, aws.ToString(out.NextToken), nil
}

func (f *Finder) tagged(tags []types.Tag) bool {
	for _, t := range tags {
		if aws.ToString(t.Key) == f.tag.Key && aws.ToString(t.Value) == f.tag.Value {
			return true
		}
	}
	return false
}

func instanceOf(i types.Instance) Instance {
	found := Instance{ID: aws.ToString(i.InstanceId), Launched: aws.ToTime(i.LaunchTime)}
	if i.Placement != nil {
		found.AvailabilityZone = aws.ToString(i.Placement.AvailabilityZone)
	}
	primary := parseAddr(i.PrivateIpAddress)
	var others []netip.Addr
	for _, nic := range i.NetworkInterfaces {
		for _, a := range nic.PrivateIpAddresses {
			if ip := parseAddr(a.PrivateIpAddress); ip.IsValid() && ip != primary {
				others = append(others, ip)
			}
		}
	}
	slices.SortFunc(others, netip.Addr.Compare)
	if primary.IsValid() {
		found.Addresses = append(found.Addresses, primary)
	}
	found.Addresses = append(found.Addresses, others...)
	return found
}

func (f *Finder) fail(err error) error {
	remedy := ""
	switch {
	case codeOf(err) == codeUnauthorized:
		remedy = "access denied: allow ec2:DescribeInstances in the policy of the instance role"
	case errors.Is(err, ErrNotSent):
		remedy = "the EC2 endpoint" + wayToEC2
	}
	return &callError{doing: fmt.Sprintf("find the instances with tag %s=%s", f.tag.Key, f.tag.Value), remedy: remedy, err: err}
}
