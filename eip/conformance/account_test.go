package conformance

import (
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

const (
	region    = "eu-central-1"
	keyID     = "AKIAIOSFODNN7EXAMPLE"
	keySecret = "a secret"
)

// account is what the questions are about: two instances, a tagged hacluster=edge-1 and b hacluster=edge-2, and two free Elastic IPs, of which
// the first is tagged Name=front.
// The ids differ between implementations.
type account struct {
	url           string
	a, b          node
	first, second address
}

// node is a running instance with one network interface. Only node a has a secondary address.
type node struct{ instance, eni, primary, secondary *string }

type address struct{ allocation, public *string }

// Ids of the right form of which no account has any.
const (
	noAllocation  = "eipalloc-0ffffffffffffffff"
	noAssociation = "eipassoc-0ffffffffffffffff"
	noENI         = "eni-0ffffffffffffffff"
	noInstance    = "i-0ffffffffffffffff"
	noPublic      = "203.0.113.99"
)

// newFake returns an account of the emulator, served over HTTP.
func newFake(t *testing.T) account {
	acc := account{
		a: node{
			instance: aws.String("i-0aaaaaaaaaaaaaaaa"), eni: aws.String("eni-0aaaaaaaaaaaaaaaa"),
			primary: aws.String("10.20.0.11"), secondary: aws.String("10.20.0.111"),
		},
		b:      node{instance: aws.String("i-0bbbbbbbbbbbbbbbb"), eni: aws.String("eni-0bbbbbbbbbbbbbbbb"), primary: aws.String("10.20.0.12")},
		first:  address{allocation: aws.String("eipalloc-01111111111111111"), public: aws.String("203.0.113.10")},
		second: address{allocation: aws.String("eipalloc-02222222222222222"), public: aws.String("203.0.113.20")},
	}
	fake, err := ec2fake.New(ec2fake.Config{
		Region: region,
		Addresses: []ec2fake.AddressSpec{
			{AllocationID: *acc.first.allocation, PublicIP: ip(acc.first.public), Tags: map[string]string{"Name": "front"}},
			{AllocationID: *acc.second.allocation, PublicIP: ip(acc.second.public)},
		},
		Instances: []ec2fake.InstanceSpec{
			{ID: *acc.a.instance, ENI: *acc.a.eni, PrivateIPs: []netip.Addr{ip(acc.a.primary), ip(acc.a.secondary)},
				Tags: map[string]string{"hacluster": "edge-1"}},
			{ID: *acc.b.instance, ENI: *acc.b.eni, PrivateIPs: []netip.Addr{ip(acc.b.primary)}, Tags: map[string]string{"hacluster": "edge-2"}},
		},
		AccessKeys: []ec2fake.AccessKey{{ID: keyID, Secret: keySecret}},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(fake.EC2())
	t.Cleanup(func() {
		srv.Close()
		if err := fake.Close(); err != nil {
			t.Error(err)
		}
	})
	acc.url = srv.URL
	return acc
}

func ip(s *string) netip.Addr { return netip.MustParseAddr(*s) }
