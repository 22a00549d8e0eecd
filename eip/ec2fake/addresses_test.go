package ec2fake_test

import (
	"net/netip"
	"regexp"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

// What the fence (invariant I2) rests on, as EC2 documents it.

func TestEachNewAssociationHasAFreshID(t *testing.T) {
	w := newWorld(t)
	form := regexp.MustCompile(`^eipassoc-[0-9a-f]{17}$`)
	seen := make(map[string]bool)
	for range 10 {
		for _, eni := range []string{eniA, eniB} { // back and forth: the same pair never gets the same id again
			id := w.mustAssociate(alloc1, eni)
			if !form.MatchString(id) {
				t.Errorf("%q does not look like an association id", id)
			}
			if seen[id] {
				t.Errorf("%s given out twice", id)
			}
			seen[id] = true
		}
	}
}

func TestIdempotentRepeatKeepsTheID(t *testing.T) {
	for _, allow := range []*bool{nil, aws.Bool(true), aws.Bool(false)} {
		w := newWorld(t)
		first := w.mustAssociate(alloc1, eniA)
		again, err := w.associate(alloc1, eniA, allow)
		if err != nil || again != first {
			t.Errorf("repeat: got %q, %v; want %q", again, err, first)
		}
	}
}

func TestSecondPrivateAddressOfTheSameInterfaceIsAnotherTarget(t *testing.T) {
	w := newWorld(t)
	first := w.mustAssociate(alloc1, eniA)
	out, err := w.sdk().AssociateAddress(t.Context(), &ec2.AssociateAddressInput{
		AllocationId: aws.String(alloc1), NetworkInterfaceId: aws.String(eniA), PrivateIpAddress: aws.String(privateA2),
	})
	if err != nil || aws.ToString(out.AssociationId) == first {
		t.Fatalf("got %v, %v; want a fresh id", out, err)
	}
	if got := w.fake.State().Addresses[0].PrivateIP.String(); got != privateA2 {
		t.Errorf("address is at %s, want %s", got, privateA2)
	}
}

func TestStaleIDEndsNothing(t *testing.T) {
	w := newWorld(t)
	old := w.mustAssociate(alloc1, eniA)
	fresh := w.mustAssociate(alloc1, eniB)
	wantCode(t, w.disassociate(old), "InvalidAssociationID.NotFound")
	if id, at := w.holder(); id != fresh || at != instanceB {
		t.Errorf("after a stale disassociate: %s at %s, want %s at %s", id, at, fresh, instanceB)
	}
	wantCode(t, w.disassociate(fresh), "")
	wantCode(t, w.disassociate(fresh), "InvalidAssociationID.NotFound")
	if id, _ := w.holder(); id != "" {
		t.Errorf("still associated: %s", id)
	}
}

func TestAllowReassociation(t *testing.T) {
	for _, tc := range []struct {
		name  string
		allow *bool
		code  string
		at    string
	}{
		{"absent means true", nil, "", instanceB},
		{"true takes it", aws.Bool(true), "", instanceB},
		{"false fails while another holds it", aws.Bool(false), "Resource.AlreadyAssociated", instanceA},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.mustAssociate(alloc1, eniA)
			_, err := w.associate(alloc1, eniB, tc.allow)
			wantCode(t, err, tc.code)
			if _, at := w.holder(); at != tc.at {
				t.Errorf("address is at %s, want %s", at, tc.at)
			}
		})
	}
}

func TestAssociationDisplacesTheTargetsEarlierAddress(t *testing.T) {
	var changes []ec2fake.Change
	w := newWorld(t, func(c *ec2fake.Config) {
		c.OnChange = func(ch ec2fake.Change) { changes = append(changes, ch) }
	})
	first := w.mustAssociate(alloc1, eniA)
	_, err := w.associate(alloc2, eniA, aws.Bool(false))
	wantCode(t, err, "Resource.AlreadyAssociated")
	second := w.mustAssociate(alloc2, eniA)

	want := []ec2fake.Change{
		{AllocationID: alloc1, NewAssociationID: first, NewPrivateIP: netip.MustParseAddr(privateA), NewInstance: instanceA, Seq: 1},
		{AllocationID: alloc1, OldAssociationID: first, OldPrivateIP: netip.MustParseAddr(privateA), OldInstance: instanceA, Seq: 3},
		{AllocationID: alloc2, NewAssociationID: second, NewPrivateIP: netip.MustParseAddr(privateA), NewInstance: instanceA, Seq: 3},
	}
	opts := []cmp.Option{cmpopts.IgnoreFields(ec2fake.Change{}, "Time", "PublicIP"), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })}
	if d := cmp.Diff(want, changes, opts...); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
}

// A gateway that is programmed by OnChange must be ready when the caller hears that its call succeeded.
func TestOnChangeRunsBeforeTheAnswer(t *testing.T) {
	var told string
	w := newWorld(t, func(c *ec2fake.Config) {
		c.OnChange = func(ch ec2fake.Change) { told = ch.NewAssociationID }
	})
	if id := w.mustAssociate(alloc1, eniB); id != told {
		t.Errorf("answered %s, but OnChange was told %q", id, told)
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	w := newWorld(t)
	id := w.mustAssociate(alloc1, eniA)
	_, err := w.sdk().AssociateAddress(t.Context(), &ec2.AssociateAddressInput{
		AllocationId: aws.String(alloc1), NetworkInterfaceId: aws.String(eniB), DryRun: aws.Bool(true),
	})
	wantCode(t, err, "DryRunOperation")
	_, err = w.sdk().DisassociateAddress(t.Context(), &ec2.DisassociateAddressInput{AssociationId: &id, DryRun: aws.Bool(true)})
	wantCode(t, err, "DryRunOperation")
	if got, at := w.holder(); got != id || at != instanceA {
		t.Errorf("after dry runs: %s at %s, want %s at %s", got, at, id, instanceA)
	}
	for _, c := range w.fake.Calls(1) {
		if !c.DryRun || c.Mutating() || c.Changed {
			t.Errorf("recorded as %+v, want a dry run that is not mutating", c)
		}
	}
}

func TestAssociateAddressParameters(t *testing.T) {
	type input = ec2.AssociateAddressInput
	str := aws.String
	for _, tc := range []struct {
		name string
		in   input
		code string
		at   string // private address
	}{
		{"allocation and ENI",
			input{AllocationId: str(alloc1), NetworkInterfaceId: str(eniB)}, "", privateB},
		{"public address and instance",
			input{PublicIp: str(public1), InstanceId: str(instanceC)}, "", privateC},
		{"instance with two addresses: the primary",
			input{AllocationId: str(alloc1), InstanceId: str(instanceA)}, "", privateA},
		{"no address",
			input{NetworkInterfaceId: str(eniB)}, "MissingParameter", ""},
		{"both names of the address",
			input{AllocationId: str(alloc1), PublicIp: str(public1), InstanceId: str(instanceA)}, "InvalidParameterCombination", ""},
		{"no target",
			input{AllocationId: str(alloc1)}, "MissingParameter", ""},
		{"two targets",
			input{AllocationId: str(alloc1), InstanceId: str(instanceA), NetworkInterfaceId: str(eniA)}, "InvalidParameterCombination", ""},
		{"unknown allocation",
			input{AllocationId: str("eipalloc-9"), InstanceId: str(instanceA)}, "InvalidAllocationID.NotFound", ""},
		{"unknown public address",
			input{PublicIp: str("203.0.113.99"), InstanceId: str(instanceA)}, "InvalidAddress.NotFound", ""},
		{"unknown ENI",
			input{AllocationId: str(alloc1), NetworkInterfaceId: str("eni-9")}, "InvalidNetworkInterfaceID.NotFound", ""},
		{"unknown instance",
			input{AllocationId: str(alloc1), InstanceId: str("i-9")}, "InvalidInstanceID.NotFound", ""},
		{"private address of another",
			input{AllocationId: str(alloc1), NetworkInterfaceId: str(eniA), PrivateIpAddress: str(privateB)}, "InvalidParameterValue", ""},
		{"private address that is none",
			input{AllocationId: str(alloc1), NetworkInterfaceId: str(eniA), PrivateIpAddress: str("ten")}, "InvalidParameterValue", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			_, err := w.sdk().AssociateAddress(t.Context(), &tc.in)
			wantCode(t, err, tc.code)
			got := w.fake.State().Addresses[0]
			if at := got.PrivateIP; tc.at == "" && at.IsValid() || tc.at != "" && at.String() != tc.at {
				t.Errorf("address is at %v, want %q", at, tc.at)
			}
		})
	}
}

func TestDisassociateAddressParameters(t *testing.T) {
	type input = ec2.DisassociateAddressInput
	str := aws.String
	for _, tc := range []struct {
		name string
		in   input
		code string
		free bool
	}{
		{"by public address, whoever has it",
			input{PublicIp: str(public1)}, "", true},
		{"by the public address of a free one",
			input{PublicIp: str(public2)}, "", false},
		{"unknown public address",
			input{PublicIp: str("203.0.113.99")}, "InvalidAddress.NotFound", false},
		{"unknown id",
			input{AssociationId: str("eipassoc-9")}, "InvalidAssociationID.NotFound", false},
		{"neither",
			input{}, "MissingParameter", false},
		{"both",
			input{AssociationId: str("eipassoc-9"), PublicIp: str(public1)}, "InvalidParameterCombination", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.mustAssociate(alloc1, eniA)
			_, err := w.sdk().DisassociateAddress(t.Context(), &tc.in)
			wantCode(t, err, tc.code)
			if id, _ := w.holder(); (id == "") != tc.free {
				t.Errorf("association %q afterwards, want free: %v", id, tc.free)
			}
		})
	}
}

func TestDescribeAddressesFilters(t *testing.T) {
	w := newWorld(t)
	id := w.mustAssociate(alloc1, eniA)
	for name, tc := range map[string]struct {
		value string
		want  []string
	}{
		"allocation-id":        {alloc2, []string{alloc2}},
		"association-id":       {id, []string{alloc1}},
		"public-ip":            {public2, []string{alloc2}},
		"network-interface-id": {eniA, []string{alloc1}},
		"instance-id":          {instanceA, []string{alloc1}},
		"private-ip-address":   {privateA, []string{alloc1}},
		"domain":               {"vpc", []string{alloc1, alloc2}},
		"tag:hacluster":        {"demo", []string{alloc1}},
		"tag:Name":             {"fr?n*", []string{alloc1}},
		"tag-key":              {"Name", []string{alloc1}},
		"tag:absent":           {"x", nil},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := w.sdk().DescribeAddresses(t.Context(), &ec2.DescribeAddressesInput{
				Filters: []types.Filter{{Name: aws.String(name), Values: []string{"no such value", tc.value}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, a := range out.Addresses {
				got = append(got, aws.ToString(a.AllocationId))
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	_, err := w.sdk().DescribeAddresses(t.Context(), &ec2.DescribeAddressesInput{
		Filters: []types.Filter{{Name: aws.String("colour"), Values: []string{"green"}}},
	})
	wantCode(t, err, "InvalidParameterValue")
}

func TestDescribeAddressesByName(t *testing.T) {
	w := newWorld(t)
	id := w.mustAssociate(alloc1, eniA)
	out, err := w.sdk().DescribeAddresses(t.Context(), &ec2.DescribeAddressesInput{AllocationIds: []string{alloc1}})
	if err != nil || len(out.Addresses) != 1 {
		t.Fatalf("got %v, %v", out, err)
	}
	want := types.Address{
		AllocationId: aws.String(alloc1), PublicIp: aws.String(public1), AssociationId: &id, InstanceId: aws.String(instanceA),
		NetworkInterfaceId: aws.String(eniA), NetworkInterfaceOwnerId: aws.String("123456789012"), PrivateIpAddress: aws.String(privateA),
		Domain: types.DomainTypeVpc, PublicIpv4Pool: aws.String("amazon"), NetworkBorderGroup: aws.String(region),
		Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String("front")}, {Key: aws.String("hacluster"), Value: aws.String("demo")}},
	}
	if d := cmp.Diff(want, out.Addresses[0], cmpopts.IgnoreUnexported(types.Address{}, types.Tag{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	_, err = w.sdk().DescribeAddresses(t.Context(), &ec2.DescribeAddressesInput{AllocationIds: []string{"eipalloc-9"}})
	wantCode(t, err, "InvalidAllocationID.NotFound")
	_, err = w.sdk().DescribeAddresses(t.Context(), &ec2.DescribeAddressesInput{PublicIps: []string{"203.0.113.99"}})
	wantCode(t, err, "InvalidAddress.NotFound")
	free, err := w.sdk().DescribeAddresses(t.Context(), &ec2.DescribeAddressesInput{PublicIps: []string{public2}})
	if err != nil || len(free.Addresses) != 1 || free.Addresses[0].AssociationId != nil {
		t.Errorf("free address: got %v, %v", free, err)
	}
}

func TestDescribeInstancesAndInterfaces(t *testing.T) {
	w := newWorld(t)
	id := w.mustAssociate(alloc1, eniA)
	instances, err := w.sdk().DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{
		Filters: []types.Filter{{Name: aws.String("tag:hacluster"), Values: []string{"demo"}}},
	})
	if err != nil || len(instances.Reservations) != 1 {
		t.Fatalf("got %v, %v; want one instance", instances, err)
	}
	i := instances.Reservations[0].Instances[0]
	if got := []string{*i.InstanceId, *i.PrivateIpAddress, *i.PublicIpAddress, string(i.State.Name), *i.Placement.AvailabilityZone}; !cmp.Equal(got,
		[]string{instanceA, privateA, public1, "running", region + "a"}) {
		t.Errorf("instance: %q", got)
	}
	enis, err := w.sdk().DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{eniA}})
	if err != nil || len(enis.NetworkInterfaces) != 1 {
		t.Fatalf("got %v, %v; want one interface", enis, err)
	}
	n := enis.NetworkInterfaces[0]
	if aws.ToString(n.Association.AssociationId) != id || len(n.PrivateIpAddresses) != 2 || aws.ToString(n.Attachment.InstanceId) != instanceA {
		t.Errorf("interface: %+v", n)
	}
	byOwner, err := w.sdk().DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{
		Filters: []types.Filter{{Name: aws.String("attachment.instance-id"), Values: []string{instanceB}}},
	})
	if err != nil || len(byOwner.NetworkInterfaces) != 1 || *byOwner.NetworkInterfaces[0].NetworkInterfaceId != eniB {
		t.Errorf("by instance: %v, %v", byOwner, err)
	}
	_, err = w.sdk().DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{"i-9"}})
	wantCode(t, err, "InvalidInstanceID.NotFound")
	_, err = w.sdk().DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{"eni-9"}})
	wantCode(t, err, "InvalidNetworkInterfaceID.NotFound")
}

func TestConfigIsRefusedWithAllItsFaults(t *testing.T) {
	cfg := testConfig()
	cfg.Addresses = append(cfg.Addresses, cfg.Addresses[0])
	cfg.Instances = append(cfg.Instances, ec2fake.InstanceSpec{ID: "i-d", ENI: eniA})
	_, err := ec2fake.New(cfg)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{alloc1 + ": used twice", public1 + ": used twice", eniA + ": used twice", "i-d: no private address"} {
		if !regexp.MustCompile(regexp.QuoteMeta(want)).MatchString(err.Error()) {
			t.Errorf("error does not say %q:\n%v", want, err)
		}
	}
}
