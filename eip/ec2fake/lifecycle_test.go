package ec2fake_test

import (
	"net/netip"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

// TestAnInstanceIsReplaced: the address of the one that ends is free, and another instance gets its private address.
func TestAnInstanceIsReplaced(t *testing.T) {
	w := newWorld(t)
	if _, err := w.fake.Associate(alloc1, netip.MustParseAddr(privateB)); err != nil {
		t.Fatal(err)
	}
	spec := ec2fake.InstanceSpec{ID: "i-d", ENI: "eni-d", PrivateIPs: []netip.Addr{netip.MustParseAddr(privateB)}}
	if err := w.fake.Launch(spec); err == nil {
		t.Error("launched with an address that is in use")
	}
	if err := w.fake.Terminate(instanceB); err != nil {
		t.Fatal(err)
	}
	if err := w.fake.Terminate(instanceB); err == nil {
		t.Error("terminated twice")
	}
	if a := w.fake.State().Addresses[0]; a.AssociationID != "" {
		t.Errorf("the address stays at a terminated instance: %+v", a)
	}
	if _, err := w.associate(alloc1, eniB, nil); err == nil {
		t.Error("associated with the interface of a terminated instance")
	}
	if err := w.fake.Launch(spec); err != nil {
		t.Fatal(err)
	}
	if _, err := w.associate(alloc1, "eni-d", nil); err != nil {
		t.Error(err)
	}
	spec.ID, spec.PrivateIPs = instanceB, []netip.Addr{netip.MustParseAddr("10.20.0.99")}
	if err := w.fake.Launch(spec); err == nil {
		t.Error("launched an instance under the id of another one")
	}
	out, err := w.sdk().DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{instanceB, "i-d"}})
	if err != nil {
		t.Fatal(err)
	}
	gone, there := out.Reservations[0].Instances[0], out.Reservations[1].Instances[0]
	if gone.State.Name != "terminated" || aws.ToString(gone.PrivateIpAddress) != "" || there.State.Name != "running" || there.LaunchTime == nil {
		t.Errorf("shown: %+v and %+v", gone, there)
	}
}
