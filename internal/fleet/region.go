package fleet

import (
	"fmt"
	"time"

	"github.com/aws/smithy-go"

	"github.com/hacluster/hacluster/eip"
)

// action is one of the EC2 actions that hacluster calls.
type action int

const (
	describe action = iota
	associate
	disassociate
	actions // how many there are
)

// Tally counts the requests for one action.
type Tally struct {
	Served    int
	Throttled int
}

// Calls returns how many requests were made.
func (t Tally) Calls() int { return t.Served + t.Throttled }

func (t Tally) plus(u Tally) Tally {
	return Tally{Served: t.Served + u.Served, Throttled: t.Throttled + u.Throttled}
}

// region is the EC2 API of one account in one region, shared by all clusters. Reads are fresh: eventual consistency would make
// more of them, not fewer.
type region struct {
	enforced bool // before, nobody is throttled: the clusters of a fleet were not all installed in one minute
	buckets  [actions]bucket
	tallies  [actions]Tally
	made     int // association ids
}

func newRegion(l Limits) *region {
	return &region{buckets: [actions]bucket{
		describe: newBucket(l.Describe), associate: newBucket(l.Associate), disassociate: newBucket(l.Disassociate),
	}}
}

// admit takes a token for one request, or returns EC2's refusal.
func (r *region) admit(now time.Duration, a action) error {
	if !r.enforced {
		return nil
	}
	if !r.buckets[a].take(now) {
		r.tallies[a].Throttled++
		return &smithy.GenericAPIError{Code: "RequestLimitExceeded", Message: "Request limit exceeded."}
	}
	r.tallies[a].Served++
	return nil
}

// restartTallies returns what was counted so far and begins anew.
func (r *region) restartTallies() [actions]Tally {
	counted := r.tallies
	r.tallies = [actions]Tally{}
	return counted
}

// associate moves the address as AssociateAddress does: idempotent, and without allowReassociation only if it is free.
func (r *region) associate(address *eip.Address, to eip.Target, allowReassociation bool) (eip.AssociationID, error) {
	switch {
	case address.At(to):
	case !address.Free() && !allowReassociation:
		return "", &smithy.GenericAPIError{Code: "Resource.AlreadyAssociated", Message: "already associated"}
	default:
		r.made++
		address.AssociationID = eip.AssociationID(fmt.Sprintf("eipassoc-%d", r.made))
		address.ENI, address.PrivateIP = to.ENI, to.PrivateIP
	}
	return address.AssociationID, nil
}

// disassociateAddress ends the association of that id and no other. That it is gone already is success, as eip.Client says too.
func disassociateAddress(address *eip.Address, id eip.AssociationID) {
	if address.AssociationID == id {
		*address = eip.Address{AllocationID: address.AllocationID}
	}
}
