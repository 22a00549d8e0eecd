package eip

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// This file is for those who find out what is wrong (hacluster doctor). Nothing in it changes an association.

// Details are what DescribeAddresses says of the Elastic IP beyond its whereabouts.
type Details struct {
	Address
	Domain         string // "vpc"; "standard" is the EC2-Classic of the past
	ServiceManaged string // the AWS service that the address belongs to ("alb", "nlb", "rnat", "rds"); empty: none
	InterfaceOwner string // the account of the network interface; empty if free
}

// Inspect asks EC2 for everything that it says of the address. Its errors are those of Observe.
func (c *Client) Inspect(ctx context.Context) (Details, error) {
	a, err := c.describe(ctx)
	if err != nil {
		return Details{}, err
	}
	return detailsOf(a), nil
}

func detailsOf(a types.Address) Details {
	return Details{
		Address: addressOf(a), Domain: string(a.Domain), ServiceManaged: string(a.ServiceManaged),
		InterfaceOwner: aws.ToString(a.NetworkInterfaceOwnerId),
	}
}

// Inspected is what EC2 says of one address of a Group, or why it says nothing.
type Inspected struct {
	Details
	Err error // as of Observe
}

// Inspect is Client.Inspect for each of the addresses, in the order of the configuration. All that EC2 knows are asked for at once.
func (g *Group) Inspect(ctx context.Context) []Inspected {
	var known []types.Address
	if len(g.clients) > 1 {
		var err error
		if known, err = g.describe(ctx); err != nil {
			return slices.Repeat([]Inspected{{Err: err}}, len(g.clients))
		}
	}
	var found []Inspected
	for _, c := range g.clients {
		var one Inspected
		if i := slices.IndexFunc(known, func(a types.Address) bool { return aws.ToString(a.AllocationId) == string(c.id) }); i >= 0 {
			one.Details = detailsOf(known[i])
		} else {
			one.Details, one.Err = c.Inspect(ctx) // EC2's own words
		}
		found = append(found, one)
	}
	return found
}

// AtTargets returns every Elastic IP of the account that is associated with a Target of the Group. At most one can be with each:
// whichever comes next displaces it.
func (g *Group) AtTargets(ctx context.Context) ([]Address, error) {
	var interfaces, places []string
	for _, c := range g.clients {
		interfaces, places = append(interfaces, string(c.target.ENI)), append(places, c.target.PrivateIP.String())
	}
	is := func(name string, values []string) types.Filter {
		return types.Filter{Name: aws.String(name), Values: slices.Compact(values)}
	}
	var out *ec2.DescribeAddressesOutput
	err := g.attempt(ctx, &gate{}, func(ctx context.Context) (err error) {
		out, err = g.api.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: []types.Filter{
			is("network-interface-id", interfaces), is("private-ip-address", places),
		}})
		return err
	})
	if err != nil {
		return nil, g.clients[0].fail("describe what is associated beside address", "DescribeAddresses", err)
	}
	var found []Address
	for _, a := range out.Addresses {
		found = append(found, addressOf(a))
	}
	return found, nil
}

// TryAssociate asks EC2, by DryRun, whether this node may associate the address with the Target.
func (c *Client) TryAssociate(ctx context.Context) error {
	_, err := c.associate(ctx, true, nil, true)
	return permitted(err)
}

// TryDisassociate asks EC2, by DryRun, whether this node may end an association; empty: any.
func (c *Client) TryDisassociate(ctx context.Context, id AssociationID) error {
	if id == "" {
		id = placeholderID
	}
	return permitted(c.disassociate(ctx, id, nil, true))
}

// Credentials says what the calls are signed with; never the secret itself.
type Credentials struct {
	AccessKeyID string
	Source      string    // the SDK's name for where they come from, such as EC2RoleProvider
	Expires     time.Time // as the SDK sees it, which may be early, never late. Zero: never
}

// Credentials fetches the credentials, unless there are some already, expired ones included.
func (c *Client) Credentials(ctx context.Context) (Credentials, error) {
	creds, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return Credentials{}, c.fail("fetch credentials for address", "", errors.Join(ErrNotSent, err))
	}
	out := Credentials{AccessKeyID: creds.AccessKeyID, Source: creds.Source}
	if creds.CanExpire {
		out.Expires = creds.Expires
	}
	return out, nil
}

// Explain takes an error of a Client's method apart: what went wrong, and what an operator can do about it, which may be empty.
func Explain(err error) (text, remedy string) {
	var call *callError
	var way *url.Error
	switch {
	case !errors.As(err, &call):
		return err.Error(), ""
	case errors.As(err, &way): // the SDK's own words around it say nothing more
		return call.doing + ": " + way.Err.Error(), call.remedy
	}
	return call.doing + ": " + brief(call.err), call.remedy
}

// MeansClock reports whether EC2 refused a request because its signature, or the credentials in it, are too old or from the future.
func MeansClock(err error) bool {
	code := codeOf(err)
	return code == codeRequestExpired || code == "RequestTimeTooSkewed" || code == "ExpiredToken" || code == "ExpiredTokenException"
}

// MeansAddress reports whether EC2 knows no such Elastic IP in this region and account.
func MeansAddress(err error) bool {
	code := codeOf(err)
	return errors.Is(err, errNoAddress) || code == codeNoAllocation || code == codeNoAddress || code == "InvalidAllocationID.Malformed"
}

// MeansPermission reports whether the role may not do this.
func MeansPermission(err error) bool { return codeOf(err) == codeUnauthorized }

// Answered reports whether err is EC2's own word, so that EC2 was reached.
func Answered(err error) bool { return err == nil || codeOf(err) != "" || errors.Is(err, errNoAddress) }
