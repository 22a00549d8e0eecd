package adminapi

import (
	"errors"
	"fmt"
)

// WhyNotReady says what is missing until the node is ready; nil: it is.
func (s Status) WhyNotReady() error {
	switch {
	case s.Ready:
		return nil
	case s.Leader == "":
		return fmt.Errorf("no leader is known: %s", s.Phase)
	case !s.Healthy:
		return fmt.Errorf("HAProxy is not healthy: %s", s.Health)
	default:
		return errors.New("the node has only begun")
	}
}
