package adminapi

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"

	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
)

// membership remembers what it was asked for.
type membership struct {
	admitted fsm.Attributes
	removed  fsm.NodeName
}

func (m *membership) Members(context.Context) controller.MemberList {
	return controller.MemberList{From: "node-a", Members: []controller.Member{{Name: "node-a", Standing: controller.StandingVoter}}}
}

func (m *membership) RequestAdmit(_ context.Context, node fsm.Attributes) (controller.MembershipAnswer, error) {
	m.admitted = node
	return controller.MembershipAnswer{Leader: "node-a", Warning: "4 voters"}, nil
}

func (m *membership) RequestRemove(_ context.Context, name fsm.NodeName) (controller.MembershipAnswer, error) {
	m.removed = name
	return controller.MembershipAnswer{}, errors.New("removing node-b would leave 1 of 2 voters alive")
}

func TestMembersOverTheSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	m := &membership{}
	s := NewServer(Identity{}, &agent{}, &agent{}, l)
	s.SetMembership(m)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	client := NewClient(path)
	if list, err := client.Members(t.Context()); err != nil || list.From != "node-a" || len(list.Members) != 1 {
		t.Errorf("members: %+v, %v", list, err)
	}
	node := fsm.Attributes{Name: "node-d", Address: "10.0.0.4:7400", VRRPAddress: "10.0.0.4", Priority: 80, Witness: true}
	if answer, err := client.Admit(t.Context(), node); err != nil || answer.Warning != "4 voters" || m.admitted != node {
		t.Errorf("admit: %+v, %v; the agent was asked for %+v", answer, err, m.admitted)
	}
	if _, err := client.Remove(t.Context(), "node-b"); err == nil || err.Error() != "removing node-b would leave 1 of 2 voters alive" || m.removed != "node-b" {
		t.Errorf("remove: %v; the agent was asked for %q", err, m.removed)
	}
}
