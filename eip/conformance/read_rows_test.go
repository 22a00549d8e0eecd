package conformance

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// disassociateRows are what the compare-and-set rests on: an old id ends nothing newer (invariant I2).
func disassociateRows() []row {
	gone := source{"This is an idempotent operation. If you perform the operation more than once, Amazon EC2 doesn't return an error.", pageDisassociate}
	noSuch := saysCode("InvalidAssociationID.NotFound", "The specified association ID does not exist.")
	const field = "AWS's two pages disagree. In the field it is InvalidAssociationID.NotFound " +
		"(https://github.com/hashicorp/terraform-provider-aws/issues/1682). hacluster takes both for done."
	deprecated := source{"PublicIp: Deprecated.", pageDisassociate}
	return []row{
		{
			name: "the present id",
			aws:  source{"Disassociates an Elastic IP address from the instance or network interface it's associated with.", pageDisassociate},
			do:   func(w *world) { w.associate(w.to(w.a)); w.end("#1"); w.where(w.first) },
			want: "associated #1, disassociated, first free",
		},
		{
			name: "the same id again", aws: gone,
			do:   func(w *world) { w.associate(w.to(w.a)); w.end("#1"); w.end("#1") },
			want: "associated #1, disassociated, InvalidAssociationID.NotFound", assumed: field,
		},
		{
			name: "an old id does nothing to a newer association", aws: noSuch,
			do: func(w *world) {
				w.associate(w.to(w.a))
				w.associate(w.to(w.b, allow(true)))
				w.end("#1")
				w.where(w.first)
			},
			want: "associated #1, associated #2, InvalidAssociationID.NotFound, first at b #2",
		},
		{
			name: "an old id does nothing to a newer association of the same target", aws: noSuch,
			do: func(w *world) {
				w.associate(w.to(w.a))
				w.end("#1")
				w.associate(w.to(w.a))
				w.end("#1")
				w.where(w.first)
			},
			want: "associated #1, disassociated, associated #2, InvalidAssociationID.NotFound, first at a #2",
		},
		{
			name: "an unknown id", aws: noSuch,
			do:   func(w *world) { w.disassociate(&disassociateInput{AssociationId: aws.String(noAssociation)}) },
			want: "InvalidAssociationID.NotFound",
		},
		{
			name: "an id that is none",
			aws:  saysCode("InvalidAssociationID.NotFound", "The specified association ID does not exist. (The list has no InvalidAssociationID.Malformed.)"),
			do:   func(w *world) { w.disassociate(&disassociateInput{AssociationId: aws.String("mine")}) },
			want: "InvalidAssociationID.NotFound",
		},
		{
			name: "no id", aws: source{"AssociationId: This parameter is required.", pageDisassociate},
			do:   func(w *world) { w.disassociate(&disassociateInput{}) },
			want: "MissingParameter",
		},
		{
			name: "by public address, whoever has it", aws: deprecated,
			do: func(w *world) {
				w.associate(w.to(w.a))
				w.associate(w.to(w.b, allow(true)))
				w.disassociate(&disassociateInput{PublicIp: w.first.public})
				w.where(w.first)
			},
			want: "associated #1, associated #2, disassociated, first free",
		},
		{
			name: "by the public address of a free one", aws: gone,
			do:   func(w *world) { w.disassociate(&disassociateInput{PublicIp: w.first.public}) },
			want: "disassociated",
		},
		{
			name: "by an unknown public address",
			aws:  saysCode("InvalidAddress.NotFound", "The specified Elastic IP address cannot be found."),
			do:   func(w *world) { w.disassociate(&disassociateInput{PublicIp: aws.String(noPublic)}) },
			want: "InvalidAddress.NotFound",
		},
	}
}

// describeRows are reads of addresses, instances and interfaces.
func describeRows() []row {
	rows := []row{
		{
			name: "addresses by allocation id",
			aws:  source{"Describes the specified Elastic IP addresses or all of your Elastic IP addresses.", pageAddresses},
			do: func(w *world) {
				w.addresses(&ec2.DescribeAddressesInput{AllocationIds: []string{*w.second.allocation}})
				w.addresses(&ec2.DescribeAddressesInput{PublicIps: []string{*w.first.public}})
				w.addresses(&ec2.DescribeAddressesInput{})
			},
			want: "found second, found first, found first and second",
		},
		{
			name: "an unknown allocation id", aws: saysCode("InvalidAllocationID.NotFound", "The specified allocation ID does not exist."),
			do: func(w *world) {
				w.addresses(&ec2.DescribeAddressesInput{AllocationIds: []string{noAllocation}})
				w.addresses(&ec2.DescribeAddressesInput{AllocationIds: []string{*w.first.allocation, noAllocation}})
			},
			want: "InvalidAllocationID.NotFound, InvalidAllocationID.NotFound",
		},
		{
			name: "an unknown public address",
			aws:  saysCode("InvalidAddress.NotFound", "The specified Elastic IP address that you are describing cannot be found."),
			do:   func(w *world) { w.addresses(&ec2.DescribeAddressesInput{PublicIps: []string{noPublic}}) },
			want: "InvalidAddress.NotFound",
		},
		{
			name: "the instance of an address that was associated by interface",
			aws: source{"instanceId: The ID of the instance that the address is associated with (if any).",
				apiReference + "API_Address.html"},
			do: func(w *world) {
				w.associate(w.to(w.a))
				out, err := w.sdk.DescribeAddresses(w.t.Context(), &ec2.DescribeAddressesInput{AllocationIds: []string{*w.first.allocation}})
				if err == nil {
					w.found(nil, out.Addresses[0].InstanceId, out.Addresses[0].NetworkInterfaceId)
				}
			},
			want: "associated #1, found a and a",
			moto: "associated #1, found a and none",
		},
		{
			name: "instances by id", aws: source{"If you specify an instance ID that is not valid, an error is returned.", pageInstances},
			do: func(w *world) {
				w.instances(&ec2.DescribeInstancesInput{InstanceIds: []string{*w.b.instance}})
				w.instances(&ec2.DescribeInstancesInput{InstanceIds: []string{noInstance}})
				w.instances(&ec2.DescribeInstancesInput{InstanceIds: []string{"web1"}})
			},
			want: "found b, InvalidInstanceID.NotFound, InvalidInstanceID.Malformed",
			moto: "found b, InvalidInstanceID.NotFound, InvalidInstanceID.NotFound",
		},
		{
			name: "instances by filter", aws: source{"private-ip-address: The private IPv4 address of the instance.", pageInstances},
			do: func(w *world) {
				w.instances(&ec2.DescribeInstancesInput{Filters: by("private-ip-address", w.b.primary)})
				w.instances(&ec2.DescribeInstancesInput{Filters: by("network-interface.network-interface-id", w.a.eni)})
			},
			want: "found b, found a",
			moto: "found b, HTTP 500",
		},
		{
			name: "interfaces by id",
			aws:  saysCode("InvalidNetworkInterfaceID.NotFound", "The specified network interface does not exist."),
			do: func(w *world) {
				w.interfaces(&ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{*w.b.eni}})
				w.interfaces(&ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{noENI}})
				w.interfaces(&ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{"eth0"}})
			},
			want: "found b, InvalidNetworkInterfaceID.NotFound, InvalidNetworkInterfaceId.Malformed",
			moto: "found b, InvalidNetworkInterfaceID.NotFound, InvalidNetworkInterfaceID.NotFound",
		},
		{
			name: "the association of an interface", aws: source{"association.association-id: The association ID returned when the network interface was " +
				"associated with an IPv4 address.", pageInterfaces},
			do: func(w *world) {
				w.associate(w.to(w.b))
				w.interfaces(&ec2.DescribeNetworkInterfacesInput{Filters: by("attachment.instance-id", w.b.instance)})
				w.interfaces(&ec2.DescribeNetworkInterfacesInput{Filters: by("association.association-id", w.id("#1"))})
			},
			want: "associated #1, found b, found b",
			moto: "associated #1, found b, HTTP 500",
		},
		{
			name: "instances by tag and state", aws: source{"tag:<key>: The key/value combination of a tag assigned to the resource. " +
				"instance-state-name: The state of the instance (pending | running | shutting-down | terminated | stopping | stopped).", pageInstances},
			do: func(w *world) {
				state := func(tag, name string) *ec2.DescribeInstancesInput {
					return &ec2.DescribeInstancesInput{Filters: append(by("tag:hacluster", &tag), by("instance-state-name", &name)...)}
				}
				w.instances(state("edge-1", "running"))
				w.instances(state("edge-*", "running"))
				w.instances(state("edge-1", "terminated"))
				w.instances(state("edge", "running"))
			},
			want: "found a, found a and b, found nothing, found nothing",
		},
		{
			name: "instances by id, page by page",
			aws:  source{"MaxResults: You cannot specify this parameter and the instance IDs parameter in the same request.", pageInstances},
			do: func(w *world) {
				w.instances(&ec2.DescribeInstancesInput{MaxResults: aws.Int32(5)})
				w.instances(&ec2.DescribeInstancesInput{MaxResults: aws.Int32(5), InstanceIds: []string{*w.a.instance}})
			},
			want: "found a and b, InvalidParameterCombination",
		},
		{
			name: "a filter that there is not", aws: saysValue(),
			do:   func(w *world) { w.addresses(&ec2.DescribeAddressesInput{Filters: by("colour", aws.String("green"))}) },
			want: "InvalidParameterValue",
			moto: "HTTP 500",
		},
	}
	return append(rows, filterRows()...)
}

// filterRows are the filters of DescribeAddresses, of the first address at node a.
func filterRows() []row {
	differs := func(r row, moto string) row { r.moto = moto; return r }
	filter := func(name, says string, value func(*world) *string) row {
		return row{
			name: "addresses by filter " + name, aws: source{name + ": " + says, pageAddresses},
			do: func(w *world) {
				w.associate(w.to(w.a))
				w.addresses(&ec2.DescribeAddressesInput{Filters: by(name, value(w))})
				w.addresses(&ec2.DescribeAddressesInput{Filters: by(name, aws.String("no such value"))})
			},
			want: "associated #1, found first, found nothing",
		}
	}
	rows := []row{
		filter("allocation-id", "The allocation ID for the address.", func(w *world) *string { return w.first.allocation }),
		filter("association-id", "The association ID for the address.", func(w *world) *string { return w.id("#1") }),
		filter("public-ip", "The Elastic IP address.", func(w *world) *string { return w.first.public }),
		filter("network-interface-id", "The ID of the network interface that the address is associated with.", func(w *world) *string { return w.a.eni }),
		filter("private-ip-address", "The private IP address associated with the Elastic IP address.", func(w *world) *string { return w.a.primary }),
		differs(filter("instance-id", "The ID of the instance the address is associated with.", func(w *world) *string { return w.a.instance }),
			"associated #1, found nothing, found nothing"),
		filter("tag:Name", "The key/value combination of a tag assigned to the resource.", func(*world) *string { return aws.String("fr?n*") }),
		differs(filter("network-interface-owner-id", "The AWS account ID of the owner.", func(*world) *string { return aws.String("123456789012") }),
			"associated #1, HTTP 500, HTTP 500"),
	}
	return append(rows, row{
		name: "addresses by two values of a filter", aws: source{"Filters: an item matches if it matches one of the values of each filter.",
			apiReference + "API_Filter.html"},
		do: func(w *world) {
			w.addresses(&ec2.DescribeAddressesInput{Filters: []types.Filter{
				{Name: aws.String("public-ip"), Values: []string{*w.first.public, *w.second.public}},
				{Name: aws.String("allocation-id"), Values: []string{*w.second.allocation}},
			}})
		},
		want: "found second",
	})
}

// credentialRows are keys that are not good.
func credentialRows() []row {
	return []row{{
		name: "a wrong secret key", aws: saysCode("AuthFailure", "The provided credentials could not be validated."),
		do: func(w *world) {
			w.sdk = newSDK(w.url, "another secret")
			w.associate(w.to(w.a))
		},
		want: "AuthFailure",
		moto: "associated #1",
	}}
}
