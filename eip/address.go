package eip

import (
	"net/netip"
	"strings"
)

// AllocationID names an Elastic IP for as long as the account owns it (eipalloc-...).
type AllocationID string

// AssociationID names one association of an Elastic IP with a private address (eipassoc-...). EC2 makes a fresh one for
// each new association and never gives it out again; that is what a compare-and-set can be built on.
type AssociationID string

// ENI names a network interface (eni-...).
type ENI string

// Target is where this node wants the Elastic IP: one private address of one network interface.
type Target struct {
	ENI       ENI
	PrivateIP netip.Addr
}

// Address is what DescribeAddresses said about the Elastic IP at some moment. EC2's reads are eventually consistent, so it
// may lag behind a change.
type Address struct {
	AllocationID  AllocationID
	PublicIP      netip.Addr
	AssociationID AssociationID // empty: the address is free
	ENI           ENI           // empty if free
	PrivateIP     netip.Addr    // invalid if free
	InstanceID    string        // empty if free, or if the network interface is attached to no instance
}

// Free reports whether the address is associated with nothing.
func (a Address) Free() bool { return a.AssociationID == "" }

// maxID bounds an id in bytes; EC2's are a prefix and 8 or 17 hexadecimal digits.
const maxID = 64

// plausibleID reports whether s can be an id of EC2's.
func plausibleID(s string) bool {
	foreign := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	return len(s) <= maxID && !strings.ContainsFunc(s, foreign)
}

func (a Address) checkIDs() error {
	for _, id := range []string{string(a.AssociationID), string(a.ENI), a.InstanceID} {
		if !plausibleID(id) {
			return errOddID
		}
	}
	return nil
}

// At reports whether the address is associated with exactly that network interface and private address.
func (a Address) At(t Target) bool {
	return !a.Free() && a.ENI == t.ENI && a.PrivateIP == t.PrivateIP
}
