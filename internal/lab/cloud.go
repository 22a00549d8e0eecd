package lab

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hacluster/hacluster/eip/ec2fake"
	"github.com/hacluster/hacluster/internal/lab/vnet"
)

const actionAssociate = "AssociateAddress"

// Move is one change of the Elastic IP's association. From and To are node names; empty: not associated.
type Move struct {
	Time time.Time `json:"time"` // EC2 changed the association
	// Effective is when the gateway led there: a request that began before may still have gone to the former holder.
	Effective     time.Time `json:"effective"`
	From          string    `json:"from,omitempty"`
	To            string    `json:"to,omitempty"`
	AssociationID string    `json:"association_id,omitempty"`
}

// Call is one request that the EC2 API received.
type Call struct {
	Received time.Time `json:"received"`
	Node     string    `json:"node"`
	Action   string    `json:"action"`
	Mutating bool      `json:"mutating"` // meant to change an association: no read, no DryRun
	Outcome  string    `json:"outcome"`
}

// cloud is what AWS is to the nodes: EC2 API, instance metadata, and the gateway that follows the associations.
type cloud struct {
	server  *ec2fake.Server
	gateway *vnet.Gateway
	names   map[string]string // node names by instance id

	certificate tls.Certificate
	clock       atomic.Int64 // nanoseconds by which the account's clock is ahead of the machine's

	mu    sync.Mutex
	moves []Move
	err   error // of the gateway
}

// newCloud makes the account; bundle is where the certificate to trust goes.
func newCloud(sites []site, gateway *vnet.Gateway, log io.Writer, bundle string) (*cloud, error) {
	c := &cloud{gateway: gateway, names: make(map[string]string)}
	var err error
	if c.certificate, err = newCertificate(netip.MustParsePrefix(ec2Address).Addr(), bundle); err != nil {
		return nil, err
	}
	config := ec2fake.Config{
		Region: Region,
		Addresses: []ec2fake.AddressSpec{
			{AllocationID: AllocationID, PublicIP: netip.MustParseAddr(ElasticIP)},
			{AllocationID: OtherAllocationID, PublicIP: netip.MustParseAddr(otherElasticIP)},
		},
		Log:      log,
		OnChange: c.follow,
		Now:      func() time.Time { return time.Now().Add(time.Duration(c.clock.Load())) },

		AccessKeys: []ec2fake.AccessKey{PersonsKey()},
	}
	for _, s := range sites {
		c.names[s.Instance] = s.Name
		config.Instances = append(config.Instances, ec2fake.InstanceSpec{
			ID: s.Instance, ENI: s.ENI, PrivateIPs: []netip.Addr{s.Address.Addr(), secondAddress(s.Address.Addr())}, AZ: s.Zone,
		})
	}
	if c.server, err = ec2fake.New(config); err != nil {
		return nil, fmt.Errorf("make EC2: %w", err)
	}
	return c, nil
}

func (c *cloud) close() error {
	return errors.Join(c.server.Close(), c.gateway.Close())
}

// follow programs the gateway. EC2 calls it in the order of the changes, before it answers the request.
func (c *cloud) follow(change ec2fake.Change) {
	if change.AllocationID != AllocationID {
		return
	}
	err := c.gateway.Move(change.NewPrivateIP)
	effective := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = errors.Join(c.err, err)
	c.moves = append(c.moves, Move{
		Time: change.Time, Effective: effective, From: c.names[change.OldInstance], To: c.names[change.NewInstance],
		AssociationID: change.NewAssociationID,
	})
}

// holder returns the node that the Elastic IP is associated with and the association's id, or empty strings.
func (c *cloud) holder() (node, associationID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.moves) == 0 {
		return "", ""
	}
	last := c.moves[len(c.moves)-1]
	return last.To, last.AssociationID
}

// broken returns the first error of the gateway: from then on, what clients see is no longer what EC2 says.
func (c *cloud) broken() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *cloud) movesBetween(from, to time.Time) []Move {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []Move
	for _, m := range c.moves {
		if !m.Time.Before(from) && !m.Time.After(to) {
			found = append(found, m)
		}
	}
	return found
}

func (c *cloud) callsBetween(from, to time.Time) []Call {
	var found []Call
	for _, call := range c.server.Calls(0) {
		received := time.Unix(0, call.Received)
		if received.Before(from) || received.After(to) {
			continue
		}
		found = append(found, Call{
			Received: received, Node: c.names[call.Instance], Action: call.Action,
			Mutating: call.Mutating(), Outcome: call.Code,
		})
	}
	return found
}

// serve answers the EC2 API, with and without TLS, and the instance metadata at their addresses until ctx ends.
func (c *cloud) serve(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, service := range []struct {
		address string
		port    uint16
		handler http.Handler
		tls     bool
	}{
		{ec2Address, 80, c.server.EC2(), false},
		{ec2Address, 443, c.server.EC2(), true},
		{imdsAddress, 80, c.server.IMDS(), false},
	} {
		address := netip.AddrPortFrom(netip.MustParsePrefix(service.address).Addr(), service.port)
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address.String())
		if err != nil {
			return fmt.Errorf("serve EC2: %w", err)
		}
		if service.tls {
			listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{c.certificate}, MinVersion: tls.VersionTLS12})
		}
		// Clients that die in a handshake are what the lab is for: nobody needs to read of them.
		silent := log.New(io.Discard, "", 0)
		server := &http.Server{Handler: service.handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: silent}
		stop := context.AfterFunc(ctx, func() { server.Close() })
		group.Go(func() error {
			defer stop()
			if err := server.Serve(listener); ctx.Err() == nil {
				return fmt.Errorf("serve EC2: %w", err)
			}
			return nil
		})
	}
	return group.Wait()
}
