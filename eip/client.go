package eip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
)

// DefaultAttemptTimeout bounds one call unless Config says otherwise, as the agent's does (eip.attempt_timeout).
const DefaultAttemptTimeout = 2 * time.Second

var (
	// errNoAddress means that EC2 answered without the address that was asked for.
	errNoAddress = errors.New("the answer does not contain the address")
	// errNoID means that EC2 answered success without an association id: whatever that was, it is not known to be done.
	errNoID = errors.New("the answer does not contain an association id")
	// errOddID means that EC2 answered with an id that is none: it would be in the cluster's log and in later requests.
	errOddID = errors.New("the answer contains an id that is none of EC2's")
	// errNotDry means that EC2 answered a real call as a dry run: whatever that was, it is not known to be done.
	errNotDry = errors.New("answered as a dry run, which it was not")
)

// Config tells New which Elastic IP to move where, and how to reach EC2.
type Config struct {
	// Region is the AWS region. Empty: the SDK's default chain (AWS_REGION, shared files), then IMDS.
	Region string
	// Endpoint is the URL of the EC2 API. Empty: the region's public one.
	Endpoint string
	// IMDSEndpoint is the URL of the instance metadata service that role credentials come from. Empty: the SDK's default.
	IMDSEndpoint string

	AllocationID AllocationID
	Target       Target

	// AttemptTimeout bounds one call, credentials and connection included. Zero: DefaultAttemptTimeout.
	AttemptTimeout time.Duration
	// Credentials replaces the SDK's default chain (environment, shared files, instance role). Nil: the default chain.
	Credentials aws.CredentialsProvider
	// Dial replaces the way to the EC2 endpoint (and to its proxy, if any). Nil: TCP. The final check stays in front of it.
	Dial Dial
}

// Client observes and moves one Elastic IP. Its methods are safe for concurrent use.
type Client struct {
	*access
	id     AllocationID
	target Target
}

// access is the way to EC2, which the addresses of a Group share.
type access struct {
	api         calls
	transport   oneShot
	credentials *credentialStore
	region      string
	endpoint    string // for messages
	timeout     time.Duration
}

// New makes a Client. It sends nothing to EC2, but may ask IMDS for the region.
func New(ctx context.Context, cfg Config) (*Client, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	w, err := openAccess(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &Client{access: w, id: cfg.AllocationID, target: cfg.Target}, nil
}

func openAccess(ctx context.Context, cfg Config) (*access, error) {
	sdk, err := loadSDK(ctx, cfg)
	if err != nil {
		return nil, err
	}
	store := &credentialStore{source: sdk.Credentials}
	api, transport := newCalls(sdk, cfg.Endpoint, cfg.Dial, store)
	w := &access{api: api, transport: transport, credentials: store, region: sdk.Region, endpoint: cfg.Endpoint, timeout: cfg.AttemptTimeout}
	if w.endpoint == "" {
		w.endpoint = "of region " + w.region
	}
	if w.timeout == 0 {
		w.timeout = DefaultAttemptTimeout
	}
	return w, nil
}

func (cfg Config) validate() error {
	var errs []error
	if cfg.AllocationID == "" {
		errs = append(errs, errors.New("no allocation id: set eip.allocation_id to the eipalloc-... of the Elastic IP"))
	}
	if cfg.Target.ENI == "" {
		errs = append(errs, errors.New("no network interface: set aws.network_interface_id, or let it be found by IMDS"))
	}
	if !cfg.Target.PrivateIP.Is4() {
		errs = append(errs, fmt.Errorf("private address %s is not an IPv4 address: set aws.private_ip", cfg.Target.PrivateIP))
	}
	if cfg.AttemptTimeout < 0 {
		errs = append(errs, fmt.Errorf("attempt timeout %s is negative", cfg.AttemptTimeout))
	}
	return errors.Join(errs...)
}

func loadSDK(ctx context.Context, cfg Config) (aws.Config, error) {
	opts := []func(*config.LoadOptions) error{config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} })}
	if cfg.Region != "" {
		opts = append(opts, config.WithRegion(cfg.Region))
	} else {
		opts = append(opts, config.WithEC2IMDSRegion(func(o *config.UseEC2IMDSRegion) {
			o.Client = newMetadata(cfg.IMDSEndpoint, nil)
		}))
	}
	opts = append(opts, config.WithEC2RoleCredentialOptions(func(o *ec2rolecreds.Options) {
		o.Client = newMetadata(cfg.IMDSEndpoint, aws.NopRetryer{})
	}))
	if cfg.IMDSEndpoint != "" {
		opts = append(opts, config.WithEC2IMDSEndpoint(cfg.IMDSEndpoint))
	}
	if cfg.Credentials != nil {
		opts = append(opts, config.WithCredentialsProvider(cfg.Credentials))
	}
	sdk, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("load AWS configuration: check aws.region and the AWS_* environment: %w", err)
	}
	if sdk.Region == "" {
		return aws.Config{}, errors.New("load AWS configuration: no region: set aws.region")
	}
	if err := checkRegion(sdk.Region); err != nil {
		return aws.Config{}, fmt.Errorf("load AWS configuration: %w", err)
	}
	return sdk, nil
}

// Observe asks EC2 where the address is (DescribeAddresses by allocation id).
func (c *Client) Observe(ctx context.Context) (Address, error) {
	a, err := c.describe(ctx)
	if err != nil {
		return Address{}, err
	}
	return addressOf(a), nil
}

func (c *Client) describe(ctx context.Context) (types.Address, error) {
	var out *ec2.DescribeAddressesOutput
	err := c.attempt(ctx, &gate{}, func(ctx context.Context) (err error) {
		out, err = c.api.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{AllocationIds: []string{string(c.id)}})
		return err
	})
	if err == nil && (len(out.Addresses) != 1 || aws.ToString(out.Addresses[0].AllocationId) != string(c.id)) {
		err = errNoAddress
	}
	var seen Address
	if err == nil {
		seen = addressOf(out.Addresses[0])
		err = seen.checkIDs()
	}
	if err != nil {
		return types.Address{}, c.fail("describe address", "DescribeAddresses", err)
	}
	return out.Addresses[0], nil
}

func addressOf(a types.Address) Address {
	return Address{
		AllocationID:  AllocationID(aws.ToString(a.AllocationId)),
		PublicIP:      parseAddr(a.PublicIp),
		AssociationID: AssociationID(aws.ToString(a.AssociationId)),
		ENI:           ENI(aws.ToString(a.NetworkInterfaceId)),
		PrivateIP:     parseAddr(a.PrivateIpAddress),
		InstanceID:    aws.ToString(a.InstanceId),
	}
}

// parseAddr returns the invalid Addr for an address that is absent or no address.
func parseAddr(s *string) netip.Addr {
	a, err := netip.ParseAddr(aws.ToString(s))
	if err != nil {
		return netip.Addr{}
	}
	return a
}

// Associate asks EC2 to associate the address with the Target. With allowReassociation it is taken from whoever has it;
// without, the call fails with class Conflict while it is associated elsewhere. It is idempotent: repeated while the
// address is already at the Target it returns the id of the existing association.
func (c *Client) Associate(ctx context.Context, allowReassociation bool, permit Permit) (AssociationID, error) {
	return c.associate(ctx, allowReassociation, permit, false)
}

func (c *Client) associate(ctx context.Context, allowReassociation bool, permit Permit, dryRun bool) (AssociationID, error) {
	var out *ec2.AssociateAddressOutput
	// Success changes our own public address: a connection that leaves by the internet gateway is dead then.
	err := c.attempt(ctx, &gate{permit: permit, last: !dryRun}, func(ctx context.Context) (err error) {
		out, err = c.api.AssociateAddress(ctx, &ec2.AssociateAddressInput{
			AllocationId:       aws.String(string(c.id)),
			NetworkInterfaceId: aws.String(string(c.target.ENI)),
			PrivateIpAddress:   aws.String(c.target.PrivateIP.String()),
			AllowReassociation: aws.Bool(allowReassociation),
			DryRun:             aws.Bool(dryRun),
		})
		return err
	})
	switch {
	case err == nil && aws.ToString(out.AssociationId) == "":
		err = errNoID
	case err == nil && !plausibleID(*out.AssociationId):
		err = errOddID
	case !dryRun && codeOf(err) == codeDryRun:
		err = errNotDry
	}
	if err != nil {
		return "", c.fail("associate address", "AssociateAddress", err)
	}
	c.transport.CloseIdleConnections()
	return AssociationID(aws.ToString(out.AssociationId)), nil
}

// Disassociate asks EC2 to end the association with that id, and no other: an id of the past does nothing to a newer
// association. That the id does not exist (any more) is success.
func (c *Client) Disassociate(ctx context.Context, id AssociationID, permit Permit) error {
	if id == "" {
		// EC2 would take an empty id for a missing parameter; a caller without an id has nothing to end.
		return fmt.Errorf("disassociate address %s: %w: no association id", c.id, ErrNotSent)
	}
	err := c.disassociate(ctx, id, permit, false)
	if codeOf(err) == codeNoAssociation {
		return nil
	}
	return err
}

func (c *Client) disassociate(ctx context.Context, id AssociationID, permit Permit, dryRun bool) error {
	err := c.attempt(ctx, &gate{permit: permit}, func(ctx context.Context) error {
		_, err := c.api.DisassociateAddress(ctx, &ec2.DisassociateAddressInput{
			AssociationId: aws.String(string(id)),
			DryRun:        aws.Bool(dryRun),
		})
		return err
	})
	if !dryRun && codeOf(err) == codeDryRun {
		err = errNotDry
	}
	if err != nil {
		return c.fail("disassociate "+string(id)+" from address", "DisassociateAddress", err)
	}
	return nil
}

// attempt makes one request through g, under the caller's context and the attempt's deadline.
func (w *access) attempt(ctx context.Context, g *gate, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	err := g.seal(call(withGate(ctx, g)))
	w.credentials.judge(codeOf(err))
	return err
}

func (c *Client) fail(doing, action string, err error) error {
	return &callError{doing: doing + " " + string(c.id), remedy: c.remedy(action, err), err: err}
}

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}
