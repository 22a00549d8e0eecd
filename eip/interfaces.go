package eip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"strings"
)

// Why there is no token of the instance metadata service.
var (
	// ErrMetadataUnreachable means that nobody takes a connection at its address.
	ErrMetadataUnreachable = errors.New("the instance metadata service takes no connection")
	// ErrMetadataSilent means that it takes connections and no token comes: the answer with the token is sent with the hop limit as
	// its TTL, and nothing else is (EC2 user guide, HttpPutResponseHopLimit).
	ErrMetadataSilent = errors.New("the instance metadata service takes the connection, but no answer with a token comes")
	// ErrMetadataRefused means that it answers, with something other than a token.
	ErrMetadataRefused = errors.New("the instance metadata service refuses a token")
)

const defaultMetadataEndpoint = "http://169.254.169.254"

// ProbeMetadata asks the instance metadata service for a token of version 2, which is the first thing that every use of it needs. Its
// errors are one of the above, with the cause. ctx must have a deadline: a hop limit shows only in silence. An empty endpoint is the
// default one.
func ProbeMetadata(ctx context.Context, endpoint string) error {
	if endpoint == "" {
		endpoint = defaultMetadataEndpoint
	}
	connected := false
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected = true }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodPut, endpoint+"/latest/api/token", nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMetadataUnreachable, err)
	}
	req.Header.Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "60")
	// No proxy: it would be another machine's metadata.
	client := &http.Client{Transport: &http.Transport{DialContext: new(net.Dialer).DialContext, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	switch {
	case err != nil && connected:
		return fmt.Errorf("%w: %w", ErrMetadataSilent, err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrMetadataUnreachable, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: it answers %s", ErrMetadataRefused, resp.Status)
	}
	return nil
}

// Metadata is what the instance metadata service says of this instance.
type Metadata struct {
	InstanceID string
	Region     string
	Interfaces []Interface
}

// Interface is one network interface of this instance.
type Interface struct {
	ENI       ENI
	Addresses []netip.Addr // private IPv4, the primary one first
	// Public has the public IPv4 address of each private one that has one: an Elastic IP, or one that AWS assigned for a while.
	Public map[netip.Addr]netip.Addr
}

// ReadMetadata asks the instance metadata service, version 2 only, for all network interfaces. An empty endpoint is the default one.
func ReadMetadata(ctx context.Context, endpoint string) (Metadata, error) {
	m := metadata{newMetadata(endpoint, nil)}
	md, err := m.read(ctx)
	if err != nil {
		return Metadata{}, fmt.Errorf("read the instance metadata: %w", err)
	}
	return md, nil
}

func (m metadata) read(ctx context.Context) (md Metadata, err error) {
	if md.InstanceID, err = m.get(ctx, "instance-id"); err != nil {
		return md, err
	}
	if md.Region, err = m.get(ctx, "placement/region"); err != nil {
		return md, err
	}
	macs, err := m.list(ctx, "network/interfaces/macs/")
	if err != nil {
		return md, err
	}
	for _, mac := range macs {
		mac = strings.TrimSuffix(mac, "/")
		n, err := m.nic(ctx, mac)
		if err != nil {
			return md, err
		}
		public, err := m.publicOf(ctx, mac)
		if err != nil {
			return md, err
		}
		md.Interfaces = append(md.Interfaces, Interface{ENI: n.eni, Addresses: n.addresses, Public: public})
	}
	return md, nil
}

// publicOf reads which private address each public one leads to. An interface without a public address has no such category.
func (m metadata) publicOf(ctx context.Context, mac string) (map[netip.Addr]netip.Addr, error) {
	dir := "network/interfaces/macs/" + mac + "/ipv4-associations/"
	publics, err := m.list(ctx, dir)
	if statusOf(err) == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found := make(map[netip.Addr]netip.Addr)
	for _, text := range publics {
		privates, err := m.list(ctx, dir+text)
		if err != nil {
			return nil, err
		}
		public := parseAddr(&text)
		for _, private := range privates {
			found[parseAddr(&private)] = public
		}
	}
	return found, nil
}

// statusOf returns the HTTP status in an error of the SDK, or 0.
func statusOf(err error) int {
	var answered interface{ HTTPStatusCode() int }
	if errors.As(err, &answered) {
		return answered.HTTPStatusCode()
	}
	return 0
}
