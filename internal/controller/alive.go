package controller

import "context"

// Alive returns nil once the driver's loop has turned. A loop that is stuck makes it wait until ctx ends; so does one that has ended.
func (d *Driver) Alive(ctx context.Context) error {
	_, err := d.Ask(ctx, nil)
	return err
}
