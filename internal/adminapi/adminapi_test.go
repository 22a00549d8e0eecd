package adminapi

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
)

const address fsm.AllocationID = "eipalloc-1"

// agent stands in for a running one.
type agent struct {
	view     controller.View
	transfer func(to fsm.NodeName) (controller.TransferAnswer, error)
}

func (a *agent) View() *controller.View  { return &a.view }
func (a *agent) Status() election.Status { return election.Status{Phase: "voter"} }
func (a *agent) RequestTransfer(_ context.Context, to fsm.NodeName) (controller.TransferAnswer, error) {
	return a.transfer(to)
}

// serve runs a server on a fresh socket and returns a client of it.
func serve(t *testing.T, a *agent) (*Client, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "admin.sock")
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	s := NewServer(Identity{Cluster: "edge", Node: "node-a", AllocationID: address}, a, a, l)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		goleak.VerifyNone(t)
	})
	return NewClient(path), path
}

func TestStatusTellsWhatTheClusterAgreed(t *testing.T) {
	committed := fsm.New()
	committed.Nodes["node-b"] = fsm.Node{Attributes: fsm.Attributes{Name: "node-b", Priority: 100}, Healthy: true, EC2: true}
	committed.Nodes["node-a"] = fsm.Node{Attributes: fsm.Attributes{Name: "node-a", Priority: 110}, Reason: "exited"}
	committed.Addresses[address] = fsm.Address{Holder: "node-b", Association: "eipassoc-1",
		Claim: &fsm.GrantedClaim{Node: "node-b", Confirmed: true}, Fates: map[fsm.AssociationID]fsm.Fate{"eipassoc-1": fsm.Contested}}
	client, _ := serve(t, &agent{view: controller.View{State: controller.Backup, Committed: committed, Healthy: true,
		Leadership: controller.Leadership{Term: 4, Leader: "node-b"}}})
	s, err := client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Holder != "node-b" || !s.Confirmed || !s.Guarded || s.Term != 4 || s.Leader != "node-b" || !s.Ready || s.Phase != "voter" {
		t.Errorf("status %+v", s)
	}
	if len(s.Nodes) != 2 || s.Nodes[0].Name != "node-a" || s.Nodes[0].Healthy || s.Nodes[0].Reason != "exited" {
		t.Errorf("nodes %+v", s.Nodes)
	}
}

func TestTransferPassesTheAnswerOn(t *testing.T) {
	client, _ := serve(t, &agent{transfer: func(to fsm.NodeName) (controller.TransferAnswer, error) {
		if to == "node-c" {
			return controller.TransferAnswer{}, errors.New("node-c is drained")
		}
		return controller.TransferAnswer{To: "node-b"}, nil
	}})
	if to, err := client.Transfer(t.Context(), ""); err != nil || to != "node-b" {
		t.Errorf("transfer: %q, %v", to, err)
	}
	if _, err := client.Transfer(t.Context(), "node-c"); err == nil || err.Error() != "node-c is drained" {
		t.Errorf("transfer to a drained node: %v", err)
	}
}

func TestListen(t *testing.T) {
	t.Run("mode 0600 from the first moment", func(t *testing.T) {
		_, path := serve(t, &agent{})
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	})
	t.Run("a living agent's socket is left alone", func(t *testing.T) {
		_, path := serve(t, &agent{})
		if _, err := Listen(t.Context(), path); err == nil || !strings.Contains(err.Error(), "another agent") {
			t.Errorf("second listener: %v", err)
		}
	})
	t.Run("a crashed agent's socket is replaced", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "admin.sock")
		crashed, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
		if err != nil {
			t.Fatal(err)
		}
		crashed.SetUnlinkOnClose(false)
		_ = crashed.Close()
		l, err := Listen(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
	})
	t.Run("something else than a socket is not removed", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "precious")
		if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Listen(t.Context(), path)
		if b, _ := os.ReadFile(path); err == nil || string(b) != "data" {
			t.Errorf("error %v, content %q", err, b)
		}
	})
}
