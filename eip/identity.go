package eip

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

// Identity is what this machine is to EC2. InstanceID and AvailabilityZone are empty if IMDS was not asked.
type Identity struct {
	InstanceID       string
	Region           string
	AvailabilityZone string
	Target
	// Addresses are all private addresses of the network interface, the primary one first. Nil if IMDS was not asked.
	Addresses []netip.Addr
}

// IdentityConfig holds what the operator configured. What is set wins over IMDS.
type IdentityConfig struct {
	IMDSEndpoint string // empty: the SDK's default, http://169.254.169.254
	Region       string
	ENI          ENI
	PrivateIP    netip.Addr
}

// Identify finds out who this machine is. With Region, ENI and PrivateIP configured it asks nobody; else it asks IMDSv2
// (never version 1): the network interface is the configured one, or the one that has the configured private address, or
// the primary one; the private address is the configured one or the primary one of that interface.
func Identify(ctx context.Context, cfg IdentityConfig) (Identity, error) {
	if cfg.Region != "" && cfg.ENI != "" && cfg.PrivateIP.IsValid() {
		return Identity{Region: cfg.Region, Target: Target{ENI: cfg.ENI, PrivateIP: cfg.PrivateIP}}, nil
	}
	m := metadata{newMetadata(cfg.IMDSEndpoint, nil)}
	id, err := m.identify(ctx, cfg)
	if err == nil {
		err = id.check()
	}
	if err != nil {
		return Identity{}, fmt.Errorf("identify this instance: %w", err)
	}
	return id, nil
}

// check refuses answers that cannot be EC2's.
func (id Identity) check() error {
	for _, s := range []string{id.InstanceID, id.AvailabilityZone, string(id.ENI)} {
		if !plausibleID(s) {
			return fmt.Errorf("the metadata service tells of %.40q, which is no id of EC2's", s)
		}
	}
	return checkRegion(id.Region)
}

// metadata reads IMDS paths (EC2 user guide, "Instance metadata categories").
type metadata struct{ client *imds.Client }

func (m metadata) identify(ctx context.Context, cfg IdentityConfig) (Identity, error) {
	instance, err := m.get(ctx, "instance-id")
	if err != nil {
		return Identity{}, fmt.Errorf("IMDSv2 does not answer; enable it (in a container: hop limit 2), "+
			"or set aws.region, aws.network_interface_id and aws.private_ip: %w", err)
	}
	zone, err := m.get(ctx, "placement/availability-zone")
	if err != nil {
		return Identity{}, err
	}
	region := cfg.Region
	if region == "" {
		if region, err = m.get(ctx, "placement/region"); err != nil {
			return Identity{}, err
		}
	}
	n, target, err := m.target(ctx, cfg)
	if err != nil {
		return Identity{}, err
	}
	return Identity{InstanceID: instance, Region: region, AvailabilityZone: zone, Target: target, Addresses: n.addresses}, nil
}

// nic is one network interface as IMDS shows it; the first address is the primary one.
type nic struct {
	eni       ENI
	addresses []netip.Addr
}

func (m metadata) target(ctx context.Context, cfg IdentityConfig) (nic, Target, error) {
	if cfg.ENI == "" && !cfg.PrivateIP.IsValid() {
		mac, err := m.get(ctx, "mac")
		if err != nil {
			return nic{}, Target{}, err
		}
		n, err := m.nic(ctx, mac)
		return n, Target{ENI: n.eni, PrivateIP: firstOf(n.addresses)}, err
	}
	macs, err := m.list(ctx, "network/interfaces/macs/")
	if err != nil {
		return nic{}, Target{}, err
	}
	for _, mac := range macs {
		n, err := m.nic(ctx, strings.TrimSuffix(mac, "/"))
		if err != nil {
			return nic{}, Target{}, err
		}
		if t, ok := n.match(cfg); ok {
			return n, t, nil
		}
	}
	return nic{}, Target{}, fmt.Errorf("no network interface of this instance matches aws.network_interface_id %q and aws.private_ip %s", cfg.ENI, cfg.PrivateIP)
}

// match returns the target on this interface if it is the one that the configuration means.
func (n nic) match(cfg IdentityConfig) (Target, bool) {
	t := Target{ENI: n.eni, PrivateIP: cfg.PrivateIP}
	if !t.PrivateIP.IsValid() {
		t.PrivateIP = firstOf(n.addresses)
	}
	return t, (cfg.ENI == "" || cfg.ENI == n.eni) && slices.Contains(n.addresses, t.PrivateIP)
}

func (m metadata) nic(ctx context.Context, mac string) (nic, error) {
	dir := "network/interfaces/macs/" + mac + "/"
	eni, err := m.get(ctx, dir+"interface-id")
	if err != nil {
		return nic{}, err
	}
	lines, err := m.list(ctx, dir+"local-ipv4s")
	if err != nil {
		return nic{}, err
	}
	n := nic{eni: ENI(eni)}
	for _, line := range lines {
		a, err := netip.ParseAddr(line)
		if err != nil {
			return nic{}, fmt.Errorf("read metadata %slocal-ipv4s: %w", dir, err)
		}
		n.addresses = append(n.addresses, a)
	}
	return n, nil
}

func (m metadata) list(ctx context.Context, path string) ([]string, error) {
	text, err := m.get(ctx, path)
	return strings.Fields(text), err
}

func (m metadata) get(ctx context.Context, path string) (string, error) {
	out, err := m.client.GetMetadata(ctx, &imds.GetMetadataInput{Path: path})
	if err != nil {
		return "", fmt.Errorf("read metadata %s: %w", path, err)
	}
	defer out.Content.Close()
	text, err := readMetadata(out.Content)
	if err != nil {
		return "", fmt.Errorf("read metadata %s: %w", path, err)
	}
	return text, nil
}

func firstOf(addresses []netip.Addr) netip.Addr {
	if len(addresses) == 0 {
		return netip.Addr{}
	}
	return addresses[0]
}
