package doctor

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/health"
	"github.com/hacluster/hacluster/internal/adminapi"
	"github.com/hacluster/hacluster/internal/config"
	"github.com/hacluster/hacluster/internal/keyring"
)

// How long the parts may take that others wait for. Together they stay below factsWithin.
const (
	tokenWithin       = 2 * time.Second // a token of IMDS takes a millisecond; silence is the finding
	metadataWithin    = 3 * time.Second
	credentialsWithin = 4 * time.Second
	agentWithin       = 2 * time.Second
	peerWithin        = 3 * time.Second
)

// Config is what Examine needs to know: the node's configuration file, and what the packages make of it.
type Config struct {
	File     config.Config
	Health   health.Config
	Election election.Config // its Security is set by OpenKeyring
	// Keyring reads the certificates; nil if the nodes talk over plain TCP.
	Keyring func() (*keyring.Keyring, error)
	// Sighting is how the nodes in File were found; nil if the file names them itself.
	Sighting *Sighting
}

// facts is what several checks need. Each is found out once, by whoever asks first, and then waits for nobody.
type facts struct {
	cfg Config

	agent       func() (adminapi.Status, error)
	token       func() error // of IMDS
	metadata    func() (eip.Metadata, error)
	target      func() (target, error)
	group       func() (*eip.Group, error)
	credentials func() (eip.Credentials, error)
	addresses   func() []eip.Inspected // in the order of the configuration
	keys        func() (*keyring.Keyring, error)
	caller      func() (*election.Visitor, error)
	peers       func() []peer

	opened atomic.Pointer[election.Visitor] // by caller; to be closed
}

// target is where this node wants the Elastic IP.
type target struct {
	eip.Target
	region string
	// err is why the configuration's interface or address is not this machine's. Then the Target is its primary one, so that other checks
	// can go on; nothing is done with it but reads and DryRuns.
	err error
}

// errNoMetadata stands for what the check of IMDS reports.
var errNoMetadata = errors.New("it needs the instance metadata (imds)")

func newFacts(ctx context.Context, cfg Config) *facts {
	f := &facts{cfg: cfg}
	f.agent = sync.OnceValues(func() (adminapi.Status, error) { return f.askAgent(ctx) })
	f.token = sync.OnceValue(func() error { return f.askToken(ctx) })
	f.metadata = sync.OnceValues(func() (eip.Metadata, error) { return f.readMetadata(ctx) })
	f.target = sync.OnceValues(func() (target, error) { return f.findTarget(ctx) })
	f.group = sync.OnceValues(func() (*eip.Group, error) { return f.openGroup(ctx) })
	f.credentials = sync.OnceValues(func() (eip.Credentials, error) { return f.fetchCredentials(ctx) })
	f.addresses = sync.OnceValue(func() []eip.Inspected { return f.describeAddresses(ctx) })
	f.keys = sync.OnceValues(f.openKeys)
	f.caller = sync.OnceValues(f.newCaller)
	f.peers = sync.OnceValue(func() []peer { return f.visitAll(ctx) })
	return f
}

func (f *facts) askAgent(ctx context.Context) (adminapi.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, agentWithin)
	defer cancel()
	return adminapi.NewClient(f.cfg.File.Admin.Socket).Status(ctx)
}

func (f *facts) askToken(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tokenWithin)
	defer cancel()
	return eip.ProbeMetadata(ctx, f.cfg.File.AWS.IMDSEndpoint)
}

func (f *facts) readMetadata(ctx context.Context) (eip.Metadata, error) {
	if f.token() != nil {
		return eip.Metadata{}, errNoMetadata
	}
	ctx, cancel := context.WithTimeout(ctx, metadataWithin)
	defer cancel()
	return eip.ReadMetadata(ctx, f.cfg.File.AWS.IMDSEndpoint)
}

// describeAddresses asks for the credentials first, so that their absence is told from EC2's.
func (f *facts) describeAddresses(ctx context.Context) []eip.Inspected {
	_, err := f.credentials()
	group, groupErr := f.group()
	if err = cmp.Or(err, groupErr); err != nil {
		return slices.Repeat([]eip.Inspected{{Err: err}}, len(f.cfg.File.EIP.IDs()))
	}
	return group.Inspect(ctx)
}

// address is the first of the addresses: what EC2 says of itself, it says of each.
func (f *facts) address() (eip.Details, error) {
	first := f.addresses()[0]
	return first.Details, first.Err
}

// client is that of the first address. All share one way to EC2.
func (f *facts) client() (*eip.Client, error) {
	group, err := f.group()
	if err != nil {
		return nil, err
	}
	return group.Clients()[0], nil
}

func (f *facts) openKeys() (*keyring.Keyring, error) {
	if f.cfg.Keyring == nil {
		return nil, nil
	}
	return f.cfg.Keyring()
}

// close ends what the facts have opened. Checks that are late may still use it, and get errors.
func (f *facts) close() {
	if caller := f.opened.Load(); caller != nil {
		caller.Close()
	}
}

// candidate makes a check skip a witness, which never holds the Elastic IP and has no HAProxy.
func (f *facts) candidate(run func(context.Context) []Finding) func(context.Context) []Finding {
	return func(ctx context.Context) []Finding {
		if f.cfg.File.Self().Witness {
			return []Finding{skip("a witness needs none")}
		}
		return run(ctx)
	}
}

// findTarget does what the agent does when it starts, and more: what the configuration says is compared with what IMDS says.
func (f *facts) findTarget(ctx context.Context) (target, error) {
	aws := f.cfg.File.AWS
	wanted := eip.IdentityConfig{IMDSEndpoint: aws.IMDSEndpoint, Region: aws.Region, ENI: eip.ENI(aws.NetworkInterfaceID), PrivateIP: aws.PrivateIP}
	if places := f.cfg.File.Self().PrivateIPs; len(places) > 0 {
		wanted.PrivateIP = places[0]
	}
	ctx, cancel := context.WithTimeout(ctx, metadataWithin)
	defer cancel()
	complete := wanted.Region != "" && wanted.ENI != "" && wanted.PrivateIP.IsValid()
	if !complete && f.token() != nil {
		return target{}, errNoMetadata
	}
	id, err := eip.Identify(ctx, wanted)
	if err == nil {
		return target{Target: id.Target, region: id.Region}, nil
	}
	md, mdErr := f.metadata()
	if mdErr != nil || len(md.Interfaces) == 0 || len(md.Interfaces[0].Addresses) == 0 {
		return target{}, err
	}
	first := md.Interfaces[0]
	region := wanted.Region
	if region == "" {
		region = md.Region
	}
	return target{Target: eip.Target{ENI: first.ENI, PrivateIP: first.Addresses[0]}, region: region, err: err}, nil
}

// places are the private addresses of this node to which the Elastic IPs belong, in their order.
func (f *facts) places(t target) []netip.Addr {
	places := slices.Clone(f.cfg.File.Self().PrivateIPs)
	if len(places) == 0 {
		return []netip.Addr{t.PrivateIP}
	}
	places[0] = t.PrivateIP // which may be another one than the file's
	return places
}

func (f *facts) openGroup(ctx context.Context) (*eip.Group, error) {
	t, err := f.target()
	if err != nil {
		return nil, err
	}
	file := f.cfg.File
	var placed []eip.Placed
	for i, place := range f.places(t) {
		placed = append(placed, eip.Placed{AllocationID: eip.AllocationID(file.EIP.IDs()[i]), Target: eip.Target{ENI: t.ENI, PrivateIP: place}})
	}
	return eip.NewGroup(ctx, eip.Config{Region: t.region, Endpoint: file.AWS.Endpoint, IMDSEndpoint: file.AWS.IMDSEndpoint,
		AttemptTimeout: file.EIP.AttemptTimeout}, placed)
}

func (f *facts) fetchCredentials(ctx context.Context) (eip.Credentials, error) {
	client, err := f.client()
	if err != nil {
		return eip.Credentials{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, credentialsWithin)
	defer cancel()
	return client.Credentials(ctx)
}

// nodeAt returns the name of the node with a private address; empty: none is known.
func (f *facts) nodeAt(private netip.Addr) string {
	if i := slices.IndexFunc(f.cfg.File.Nodes, func(n config.Node) bool {
		return n.VRRPAddress == private || slices.Contains(n.PrivateIPs, private)
	}); i >= 0 {
		return f.cfg.File.Nodes[i].Name
	}
	if t, err := f.target(); err == nil && t.PrivateIP == private {
		return f.cfg.File.Node
	}
	if status, err := f.agent(); err == nil {
		for _, n := range status.Nodes {
			if n.PrivateIP == private.String() {
				return n.Name
			}
		}
	}
	return ""
}
