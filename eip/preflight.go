package eip

import (
	"context"
	"errors"
)

// placeholderID stands in for an association id when the address is free. EC2 checks the permission first and then finds
// that there is no such association.
const placeholderID AssociationID = "eipassoc-00000000000000000"

// Preflight checks, without changing anything, that a failover would work from this node: EC2 is reached, the address
// exists, and the role may associate and disassociate it (DryRun). All findings are returned at once.
func (c *Client) Preflight(ctx context.Context) error {
	seen, err := c.Observe(ctx)
	if Classify(err) == NotSent {
		return err // the others would say the same
	}
	return errors.Join(err, c.TryAssociate(ctx), c.TryDisassociate(ctx, seen.AssociationID))
}

// permitted keeps of a DryRun's error what speaks against the real call.
func permitted(err error) error {
	switch codeOf(err) {
	case codeDryRun, codeNoAssociation:
		return nil
	default:
		return err
	}
}
