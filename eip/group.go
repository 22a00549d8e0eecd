package eip

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Placed says where one Elastic IP belongs on this node.
type Placed struct {
	AllocationID AllocationID
	Target       Target
}

// Group observes and moves several Elastic IPs over one way to EC2. Its methods are safe for concurrent use.
type Group struct {
	*access
	clients []*Client // in the order of the configuration
}

// NewGroup makes a Group; AllocationID and Target of cfg are not used.
func NewGroup(ctx context.Context, cfg Config, addresses []Placed) (*Group, error) {
	if len(addresses) == 0 {
		return nil, errors.New("no Elastic IP: set eip.allocation_id")
	}
	g := &Group{}
	for _, a := range addresses {
		cfg.AllocationID, cfg.Target = a.AllocationID, a.Target
		if err := cfg.validate(); err != nil {
			return nil, fmt.Errorf("address %s: %w", a.AllocationID, err)
		}
	}
	w, err := openAccess(ctx, cfg)
	if err != nil {
		return nil, err
	}
	g.access = w
	for _, a := range addresses {
		g.clients = append(g.clients, &Client{access: w, id: a.AllocationID, target: a.Target})
	}
	return g, nil
}

// Clients returns one Client for each of the addresses, in the order of the configuration. They share the way to EC2.
func (g *Group) Clients() []*Client { return slices.Clone(g.clients) }

// Observe asks EC2 where the addresses are, with one DescribeAddresses. What EC2 does not know is missing in the answer, unless it is the
// only one: that is an error.
func (g *Group) Observe(ctx context.Context) ([]Address, error) {
	if len(g.clients) == 1 {
		a, err := g.clients[0].Observe(ctx)
		if err != nil {
			return nil, err
		}
		return []Address{a}, nil
	}
	found, err := g.describe(ctx)
	if err != nil {
		return nil, err
	}
	var seen []Address
	for _, a := range found {
		seen = append(seen, addressOf(a))
	}
	return seen, nil
}

// describe asks for all of the addresses at once. What EC2 does not know is missing in the answer.
func (g *Group) describe(ctx context.Context) ([]types.Address, error) {
	seen, err := g.ask(ctx, func(ids []string) *ec2.DescribeAddressesInput { return &ec2.DescribeAddressesInput{AllocationIds: ids} })
	if codeOf(err) == codeNoAllocation {
		// One of them is gone, and EC2 says nothing of the others then; a filter answers with those that are there.
		seen, err = g.ask(ctx, byFilter)
	}
	if err != nil {
		return nil, g.clients[0].fail("describe addresses", "DescribeAddresses", err)
	}
	return seen, nil
}

// ask makes one read. EC2 answers in any order.
func (g *Group) ask(ctx context.Context, input func(ids []string) *ec2.DescribeAddressesInput) ([]types.Address, error) {
	ids := make([]string, len(g.clients))
	for i, c := range g.clients {
		ids[i] = string(c.id)
	}
	var out *ec2.DescribeAddressesOutput
	err := g.attempt(ctx, &gate{}, func(ctx context.Context) (err error) {
		out, err = g.api.DescribeAddresses(ctx, input(ids))
		return err
	})
	if err != nil {
		return nil, err
	}
	var seen []types.Address
	for _, a := range out.Addresses {
		address := addressOf(a)
		if !slices.Contains(ids, string(address.AllocationID)) {
			continue
		}
		if err := address.checkIDs(); err != nil {
			return nil, err
		}
		seen = append(seen, a)
	}
	return seen, nil
}

func byFilter(ids []string) *ec2.DescribeAddressesInput {
	return &ec2.DescribeAddressesInput{Filters: []types.Filter{{Name: aws.String("allocation-id"), Values: ids}}}
}

// Associate is Client.Associate for one of the addresses.
func (g *Group) Associate(ctx context.Context, id AllocationID, allowReassociation bool, permit Permit) (AssociationID, error) {
	for _, c := range g.clients {
		if c.id == id {
			return c.Associate(ctx, allowReassociation, permit)
		}
	}
	return "", fmt.Errorf("associate address %s: %w: it is not in the configuration", id, ErrNotSent)
}

// Disassociate is Client.Disassociate; an association id says by itself which address is meant.
func (g *Group) Disassociate(ctx context.Context, id AssociationID, permit Permit) error {
	return g.clients[0].Disassociate(ctx, id, permit)
}

// Preflight checks, without changing anything, that a failover of each of the addresses would work from this node: with one read, and one
// DryRun of each call for each. EC2 counts a DryRun as a call, and holds 50 calls of each kind ready for the whole account, so it ends
// with the first that is throttled: that error's class is Throttled if nothing else was found. It ends with the first without an answer, too.
func (g *Group) Preflight(ctx context.Context) error {
	var errs []error
	useless := func(err error) bool { // to ask on
		if !slices.Contains(errs, err) { // a read that failed is every address's error
			errs = append(errs, err)
		}
		return !Answered(err) || Classify(err) == Throttled // who is silent once would be waited for again and again
	}
	for i, seen := range g.Inspect(ctx) {
		c := g.clients[i]
		if useless(seen.Err) || useless(c.TryAssociate(ctx)) || useless(c.TryDisassociate(ctx, seen.AssociationID)) {
			break
		}
	}
	return errors.Join(errs...)
}
