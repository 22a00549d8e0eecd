package conformance

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// What AWS says about AssociateAddress.
func saysAutomatic() source {
	return source{"Reassociation is automatic, but you can specify false to ensure the operation fails if the Elastic IP address is " +
		"already associated with another resource.", pageAssociate}
}

func saysIdempotent() source {
	return source{"This is an idempotent operation. If you perform the operation more than once, Amazon EC2 doesn't return an error.",
		pageAssociate}
}

func saysPrivate() source {
	return source{"The primary or secondary private IP address to associate with the Elastic IP address. If no private IP address is " +
		"specified, the Elastic IP address is associated with the primary private IP address.", pageAssociate}
}

// associateRows are what a move rests on.
func associateRows() []row {
	return slices.Concat(associateBasics(), associateMoves(), associateOthers())
}

func associateBasics() []row {
	return []row{
		{
			name: "a free address, by network interface", aws: saysPrivate(),
			do:   func(w *world) { w.associate(w.to(w.a)); w.where(w.first) },
			want: "associated #1, first at a #1",
		},
		{
			name: "a free address, by instance",
			aws:  source{"InstanceId: the instance must have exactly one attached network interface.", pageAssociate},
			do: func(w *world) {
				w.associate(&associateInput{AllocationId: w.first.allocation, InstanceId: w.a.instance})
				w.where(w.first)
			},
			want: "associated #1, first at a #1",
		},
		{
			name: "to a secondary private address", aws: saysPrivate(),
			do: func(w *world) {
				w.associate(&associateInput{AllocationId: w.first.allocation, NetworkInterfaceId: w.a.eni, PrivateIpAddress: w.a.secondary})
				w.where(w.first)
			},
			want: "associated #1, first at a.2 #1",
			moto: "associated #1, first at a #1",
		},
		{
			name: "each new association has a new id", aws: source{"AssociationId: the ID that represents the association of the Elastic IP " +
				"address with an instance.", pageAssociate},
			do: func(w *world) {
				for _, n := range []node{w.a, w.b, w.a} {
					w.associate(w.to(n, allow(true)))
				}
				w.end("#3")
				w.associate(w.to(w.a))
			},
			want:    "associated #1, associated #2, associated #3, disassociated, associated #4",
			assumed: "AWS says what the id represents, not that it is never used again.",
		},
		{
			name: "a repeat with AllowReassociation=true keeps the id", aws: saysIdempotent(),
			do: func(w *world) {
				w.associate(w.to(w.a, allow(true)))
				w.associate(w.to(w.a, allow(true)))
				w.where(w.first)
			},
			want:    "associated #1, associated #1, first at a #1",
			moto:    "associated #1, associated #2, first at a #2",
			assumed: "AWS says that a repeat is no error, not which id it returns. A new one would only end the old one's use sooner.",
		},
		{
			name: "a repeat with AllowReassociation=false is no conflict", aws: saysIdempotent(),
			do: func(w *world) {
				w.associate(w.to(w.a, allow(false)))
				w.associate(w.to(w.a, allow(false)))
				w.where(w.first)
			},
			want:    "associated #1, associated #1, first at a #1",
			moto:    "associated #1, associated #2, first at a #2",
			assumed: "The same resource is not \"another resource\".",
		},
	}
}

func associateMoves() []row {
	return []row{
		{
			name: "AllowReassociation=true takes it", aws: saysAutomatic(),
			do: func(w *world) {
				w.associate(w.to(w.a))
				w.associate(w.to(w.b, allow(true)))
				w.where(w.first)
			},
			want: "associated #1, associated #2, first at b #2",
		},
		{
			name: "AllowReassociation absent takes it", aws: saysAutomatic(),
			do: func(w *world) {
				w.associate(w.to(w.a))
				w.associate(w.to(w.b))
				w.where(w.first)
			},
			want: "associated #1, associated #2, first at b #2",
			moto: "associated #1, Resource.AlreadyAssociated, first at a #1",
		},
		{
			name: "AllowReassociation=false fails while another has it", aws: saysAutomatic(),
			do: func(w *world) {
				w.associate(w.to(w.a))
				w.associate(w.to(w.b, allow(false)))
				w.where(w.first)
			},
			want: "associated #1, Resource.AlreadyAssociated, first at a #1",
		},
		{
			name: "AllowReassociation=false, had by interface, asked by instance", aws: saysAutomatic(),
			do: func(w *world) {
				w.associate(w.to(w.a))
				w.associate(&associateInput{AllocationId: w.first.allocation, InstanceId: w.b.instance, AllowReassociation: aws.Bool(false)})
				w.where(w.first)
			},
			want: "associated #1, Resource.AlreadyAssociated, first at a #1",
			moto: "associated #1, associated #2, first at b #2",
		},
		{
			name: "AllowReassociation=false, had by instance, asked by interface", aws: saysAutomatic(),
			do: func(w *world) {
				w.associate(&associateInput{AllocationId: w.first.allocation, InstanceId: w.a.instance})
				w.associate(w.to(w.b, allow(false)))
				w.where(w.first)
			},
			want: "associated #1, Resource.AlreadyAssociated, first at a #1",
		},
		{
			name: "AllowReassociation=false, asked by and for the same instance", aws: saysIdempotent(),
			do: func(w *world) {
				w.associate(w.to(w.a))
				w.associate(&associateInput{AllocationId: w.first.allocation, InstanceId: w.a.instance, AllowReassociation: aws.Bool(false)})
			},
			want: "associated #1, associated #1",
			moto: "associated #1, associated #2",
		},
		{
			name: "AllowReassociation=false for the secondary address of the interface that has it", aws: saysAutomatic(),
			do: func(w *world) {
				w.associate(w.to(w.a))
				w.associate(&associateInput{AllocationId: w.first.allocation, NetworkInterfaceId: w.a.eni, PrivateIpAddress: w.a.secondary,
					AllowReassociation: aws.Bool(false)})
				w.where(w.first)
			},
			want:    "associated #1, Resource.AlreadyAssociated, first at a #1",
			moto:    "associated #1, associated #2, first at a #2",
			assumed: "Whether another private address of the same interface is \"another resource\" is not said. The emulator refuses.",
		},
	}
}

func associateOthers() []row {
	return []row{
		{
			name: "a target that has another Elastic IP loses it", aws: source{"If you associate an Elastic IP address with an instance that has an " +
				"existing Elastic IP address, the existing address is disassociated from the instance, but remains allocated to your account.", pageAssociate},
			do: func(w *world) {
				w.associate(w.to(w.a))
				w.associate(&associateInput{AllocationId: w.second.allocation, NetworkInterfaceId: w.a.eni})
				w.where(w.first)
				w.where(w.second)
			},
			want: "associated #1, associated #2, first free, second at a #2",
			moto: "associated #1, associated #2, first at a #1, second at a #2",
		},
		{
			name: "AllowReassociation=false, and the target has another Elastic IP", aws: saysAutomatic(),
			do: func(w *world) {
				w.associate(w.to(w.a))
				w.associate(&associateInput{AllocationId: w.second.allocation, NetworkInterfaceId: w.a.eni, AllowReassociation: aws.Bool(false)})
				w.where(w.first)
				w.where(w.second)
			},
			want: "associated #1, Resource.AlreadyAssociated, first at a #1, second free",
			moto: "associated #1, associated #2, first at a #1, second at a #2",
			assumed: "AWS speaks only of the address that is asked for. The emulator refuses, which is the worse case: hacluster " +
				"cannot take the address until somebody frees the target.",
		},
		{
			name: "two addresses on two private addresses of one interface", aws: saysPrivate(),
			do: func(w *world) {
				w.associate(w.to(w.a))
				w.associate(&associateInput{AllocationId: w.second.allocation, NetworkInterfaceId: w.a.eni, PrivateIpAddress: w.a.secondary,
					AllowReassociation: aws.Bool(false)})
				w.where(w.first)
				w.where(w.second)
			},
			want: "associated #1, associated #2, first at a #1, second at a.2 #2",
			moto: "associated #1, associated #2, first at a #1, second at a #2",
		},
	}
}

// to asks for the first address on a node's primary private address.
func (w *world) to(n node, change ...func(*associateInput)) *associateInput {
	in := &associateInput{AllocationId: w.first.allocation, NetworkInterfaceId: n.eni}
	for _, f := range change {
		f(in)
	}
	return in
}

func allow(reassociation bool) func(*associateInput) {
	return func(in *associateInput) { in.AllowReassociation = aws.Bool(reassociation) }
}
