package conformance

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

func saysCode(code, says string) source { return source{code + ": " + says, pageErrors} }

func saysMissing() source {
	return saysCode("MissingParameter", "The request is missing a required parameter.")
}

func saysCombination() source {
	return source{"You can specify either the instance ID or the network interface ID, but not both.", pageAssociate}
}

func saysValue() source {
	return saysCode("InvalidParameterValue", "A value specified in a parameter is not valid, is unsupported, or cannot be used.")
}

// parameterRows are AssociateAddress with parameters that cannot work.
func parameterRows() []row {
	associate := func(fill func(*world, *associateInput)) func(*world) {
		return func(w *world) {
			in := &associateInput{}
			fill(w, in)
			w.associate(in)
			w.where(w.first)
		}
	}
	return []row{
		{
			name: "no address", aws: source{"AllocationId: This is required.", pageAssociate},
			do:   associate(func(w *world, in *associateInput) { in.NetworkInterfaceId = w.a.eni }),
			want: "MissingParameter, first free",
		},
		{
			name: "no target", aws: saysMissing(),
			do:   associate(func(w *world, in *associateInput) { in.AllocationId = w.first.allocation }),
			want: "MissingParameter, first free",
		},
		{
			name: "an instance and an interface", aws: saysCombination(),
			do: associate(func(w *world, in *associateInput) {
				in.AllocationId, in.InstanceId, in.NetworkInterfaceId = w.first.allocation, w.a.instance, w.a.eni
			}),
			want:    "InvalidParameterCombination, first free",
			moto:    "associated #1, first at a #1",
			assumed: "\"Not both\" is said; with which code, not.",
		},
		{
			name: "an allocation id and a public address",
			aws:  saysCode("InvalidParameterCombination", "Indicates an incorrect combination of parameters."),
			do: associate(func(w *world, in *associateInput) {
				in.AllocationId, in.PublicIp, in.InstanceId = w.first.allocation, w.first.public, w.a.instance
			}),
			want:    "InvalidParameterCombination, first free",
			moto:    "associated #1, first at a #1",
			assumed: "PublicIp is \"Deprecated\"; what both together do is not said.",
		},
		{
			name: "an unknown allocation id", aws: saysCode("InvalidAllocationID.NotFound", "The specified allocation ID you are trying to describe or "+
				"associate does not exist."),
			do: associate(func(w *world, in *associateInput) {
				in.AllocationId, in.NetworkInterfaceId = aws.String(noAllocation), w.a.eni
			}),
			want: "InvalidAllocationID.NotFound, first free",
		},
		{
			name: "an allocation id that is none",
			aws:  saysCode("InvalidAllocationID.NotFound", "The specified allocation ID does not exist. (The list has no InvalidAllocationID.Malformed.)"),
			do: associate(func(w *world, in *associateInput) {
				in.AllocationId, in.NetworkInterfaceId = aws.String("my-address"), w.a.eni
			}),
			want:    "InvalidAllocationID.NotFound, first free",
			assumed: "Codes that are not in the list are met in the field; eip classes InvalidAllocationID.Malformed as denied.",
		},
		{
			name: "an unknown interface",
			aws:  saysCode("InvalidNetworkInterfaceID.NotFound", "The specified network interface does not exist."),
			do: associate(func(w *world, in *associateInput) {
				in.AllocationId, in.NetworkInterfaceId = w.first.allocation, aws.String(noENI)
			}),
			want: "InvalidNetworkInterfaceID.NotFound, first free",
		},
		{
			name: "an interface id that is none",
			aws:  saysCode("InvalidNetworkInterfaceId.Malformed", "The specified network interface ID is malformed."),
			do: associate(func(w *world, in *associateInput) {
				in.AllocationId, in.NetworkInterfaceId = w.first.allocation, aws.String("eth0")
			}),
			want: "InvalidNetworkInterfaceId.Malformed, first free",
			moto: "InvalidNetworkInterfaceID.NotFound, first free",
		},
		{
			name: "an unknown instance", aws: saysCode("InvalidInstanceID.NotFound", "The specified instance does not exist."),
			do: associate(func(w *world, in *associateInput) {
				in.AllocationId, in.InstanceId = w.first.allocation, aws.String(noInstance)
			}),
			want: "InvalidInstanceID.NotFound, first free",
		},
		{
			name: "an instance id that is none", aws: saysCode("InvalidInstanceID.Malformed", "The specified instance ID is malformed."),
			do: associate(func(w *world, in *associateInput) {
				in.AllocationId, in.InstanceId = w.first.allocation, aws.String("web1")
			}),
			want: "InvalidInstanceID.Malformed, first free",
			moto: "InvalidInstanceID.NotFound, first free",
		},
		{
			name: "a private address of another interface", aws: saysValue(),
			do: associate(func(w *world, in *associateInput) {
				in.AllocationId, in.NetworkInterfaceId, in.PrivateIpAddress = w.first.allocation, w.a.eni, w.b.primary
			}),
			want: "InvalidParameterValue, first free",
			moto: "associated #1, first at a #1",
		},
		{
			name: "a private address that is none", aws: saysValue(),
			do: associate(func(w *world, in *associateInput) {
				in.AllocationId, in.NetworkInterfaceId, in.PrivateIpAddress = w.first.allocation, w.a.eni, aws.String("ten")
			}),
			want: "InvalidParameterValue, first free",
			moto: "associated #1, first at a #1",
		},
		{
			name: "by public address", aws: source{"PublicIp: Deprecated.", pageAssociate},
			do: associate(func(w *world, in *associateInput) {
				in.PublicIp, in.InstanceId = w.first.public, w.a.instance
			}),
			want: "associated #1, first at a #1",
		},
		{
			name: "an unknown public address",
			aws:  saysCode("InvalidAddress.NotFound", "The specified Elastic IP address that you are describing cannot be found."),
			do: associate(func(w *world, in *associateInput) {
				in.PublicIp, in.InstanceId = aws.String(noPublic), w.a.instance
			}),
			want: "InvalidAddress.NotFound, first free",
		},
		{
			name: "a public address that is none", aws: saysCode("InvalidAddress.Malformed", "The specified IP address is not valid."),
			do: associate(func(w *world, in *associateInput) {
				in.PublicIp, in.InstanceId = aws.String("front"), w.a.instance
			}),
			want: "InvalidAddress.Malformed, first free",
			moto: "InvalidAddress.NotFound, first free",
		},
	}
}

func saysDryRun() source {
	return source{"Checks whether you have the required permissions for the action, without actually making the request. If you have the " +
		"required permissions, the error response is DryRunOperation.", pageAssociate}
}

// dryRunRows are what a preflight rests on.
func dryRunRows() []row {
	dry := func(in *associateInput) { in.DryRun = aws.Bool(true) }
	const exists = "Whether a dry run looks for what it names is not said. hacluster's preflight copes with both."
	return []row{
		{
			name: "AssociateAddress", aws: saysDryRun(),
			do:   func(w *world) { w.associate(w.to(w.a, dry)); w.where(w.first) },
			want: "DryRunOperation, first free",
		},
		{
			name: "AssociateAddress of an address that another has", aws: saysDryRun(),
			do: func(w *world) {
				w.associate(w.to(w.a))
				w.associate(w.to(w.b, dry, allow(true)))
				w.where(w.first)
			},
			want: "associated #1, DryRunOperation, first at a #1",
		},
		{
			name: "AssociateAddress that would be a conflict", aws: saysDryRun(),
			do: func(w *world) {
				w.associate(w.to(w.a))
				w.associate(w.to(w.b, dry, allow(false)))
			},
			want: "associated #1, DryRunOperation",
		},
		{
			name: "AssociateAddress of an unknown address", aws: saysDryRun(),
			do: func(w *world) {
				w.associate(w.to(w.a, dry, func(in *associateInput) { in.AllocationId = aws.String(noAllocation) }))
			},
			want: "InvalidAllocationID.NotFound", moto: "DryRunOperation", assumed: exists,
		},
		{
			name: "AssociateAddress to an unknown interface", aws: saysDryRun(),
			do: func(w *world) {
				w.associate(w.to(w.a, dry, func(in *associateInput) { in.NetworkInterfaceId = aws.String(noENI) }))
			},
			want: "InvalidNetworkInterfaceID.NotFound", assumed: exists,
		},
		{
			name: "DisassociateAddress", aws: saysDryRun(),
			do: func(w *world) {
				w.associate(w.to(w.a))
				w.disassociate(&disassociateInput{AssociationId: w.id("#1"), DryRun: aws.Bool(true)})
				w.where(w.first)
			},
			want: "associated #1, DryRunOperation, first at a #1",
		},
		{
			name: "DisassociateAddress of an unknown association", aws: saysDryRun(),
			do: func(w *world) {
				w.disassociate(&disassociateInput{AssociationId: aws.String(noAssociation), DryRun: aws.Bool(true)})
			},
			want: "InvalidAssociationID.NotFound", moto: "DryRunOperation", assumed: exists,
		},
		{
			name: "DescribeAddresses", aws: saysDryRun(),
			do:   func(w *world) { w.addresses(&ec2.DescribeAddressesInput{DryRun: aws.Bool(true)}) },
			want: "DryRunOperation",
		},
	}
}
