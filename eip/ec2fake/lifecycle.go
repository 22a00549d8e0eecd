package ec2fake

import (
	"errors"
	"fmt"
)

// Launch starts another instance, as an Auto Scaling group does.
func (s *Server) Launch(spec InstanceSpec) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if spec.ID == "" || len(spec.PrivateIPs) == 0 {
		return errors.New("launch: an instance needs an id and a private address")
	}
	if s.account.byInstance(spec.ID) != nil {
		return fmt.Errorf("launch: there is, or was, an instance %s", spec.ID)
	}
	for _, ip := range spec.PrivateIPs {
		if s.account.ownerOf(ip) != nil {
			return fmt.Errorf("launch %s: address %s is in use", spec.ID, ip)
		}
	}
	s.account.launch(s.cfg, spec)
	return nil
}

// Terminate ends an instance for good: its addresses are free, its metadata is silent, and DescribeInstances shows it as terminated.
func (s *Server) Terminate(id string) error {
	s.effects.Lock()
	defer s.effects.Unlock()
	changes, err := s.terminate(id)
	s.publish(changes, 0)
	return err
}

func (s *Server) terminate(id string) ([]Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := running(s.account.byInstance(id))
	if i == nil {
		return nil, fmt.Errorf("terminate: there is no instance %s", id)
	}
	return s.account.terminate(i, s.cfg.Now()), nil
}
