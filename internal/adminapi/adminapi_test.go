package adminapi

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/vrrpwire"
)

const address fsm.AllocationID = "eipalloc-1"

// agent stands in for a running one.
type agent struct {
	view     controller.View
	traffic  *controller.Traffic
	transfer func(to fsm.NodeName) (controller.TransferAnswer, error)
	drain    func(node fsm.NodeName, drained bool) error
}

func (a *agent) View() *controller.View       { return &a.view }
func (a *agent) Traffic() *controller.Traffic { return a.traffic }
func (a *agent) Status() election.Status      { return election.Status{Phase: "voter"} }
func (a *agent) RequestTransfer(_ context.Context, to fsm.NodeName) (controller.TransferAnswer, error) {
	return a.transfer(to)
}

func (a *agent) RequestDrain(_ context.Context, node fsm.NodeName, drained bool) error {
	return a.drain(node, drained)
}

// serve runs a server on a fresh socket and returns a client of it.
func serve(t *testing.T, a *agent) (*Client, string) {
	t.Helper()
	return serveAgent(t, a)
}

func serveAgent(t *testing.T, a interface {
	Controller
	RaftStatus
}) (*Client, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "admin.sock")
	l, err := Listen(t.Context(), path, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	s := NewServer(Identity{Cluster: "edge", Node: "node-a"}, a, a, l)
	s.SetReload(func() (Reloaded, error) {
		return Reloaded{Changed: []string{"log.level"}, Restart: map[string]string{"nodes": "because"}}, nil
	})
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
		Addresses:  []controller.AddressView{{ID: address}},
		Leadership: controller.Leadership{Term: 4, Leader: "node-b"}}})
	s, err := client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Holder != "node-b" || !s.Held() || !s.Addresses[0].Guarded || s.Term != 4 || s.Leader != "node-b" || !s.Ready || s.Phase != "voter" {
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

func TestDrainPassesTheAnswerOn(t *testing.T) {
	drained := map[fsm.NodeName]bool{}
	client, _ := serve(t, &agent{drain: func(node fsm.NodeName, is bool) error {
		if node == "node-z" {
			return errors.New(`there is no node "node-z"`)
		}
		drained[node] = is
		return nil
	}})
	if err := client.Drain(t.Context(), "node-b", true); err != nil || !drained["node-b"] {
		t.Errorf("drain: %v, %v", err, drained)
	}
	if err := client.Drain(t.Context(), "node-b", false); err != nil || drained["node-b"] {
		t.Errorf("undrain: %v, %v", err, drained)
	}
	if err := client.Drain(t.Context(), "node-z", true); err == nil || err.Error() != `there is no node "node-z"` {
		t.Errorf("drain of a stranger: %v", err)
	}
}

func TestReloadPassesTheAnswerOn(t *testing.T) {
	client, _ := serve(t, &agent{})
	if r, err := client.Reload(t.Context()); err != nil || len(r.Changed) != 1 || r.Restart["nodes"] == "" {
		t.Errorf("reload: %+v, %v", r, err)
	}
}

func TestListen(t *testing.T) {
	t.Run("for the agent's own group", func(t *testing.T) {
		_, path := serve(t, &agent{})
		if mode, gid := access(t, path); mode != 0o660 || gid != os.Getegid() {
			t.Errorf("mode %v, group %d", mode, gid)
		}
	})
	t.Run("a living agent's socket is left alone", func(t *testing.T) {
		_, path := serve(t, &agent{})
		if _, err := Listen(t.Context(), path, ""); err == nil || !strings.Contains(err.Error(), "another agent") {
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
		l, err := Listen(t.Context(), path, "")
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
		_, err := Listen(t.Context(), path, "")
		if b, _ := os.ReadFile(path); err == nil || string(b) != "data" {
			t.Errorf("error %v, content %q", err, b)
		}
	})
}

func access(t *testing.T, path string) (fs.FileMode, int) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm(), int(info.Sys().(*syscall.Stat_t).Gid)
}

// TestListenForAGroup: its members may use the command line, and nobody is let in before the socket is theirs.
func TestListenForAGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: only root can give a file to any group")
	}
	for _, group := range []string{"daemon", "1"} {
		path := filepath.Join(t.TempDir(), "admin.sock")
		l, err := Listen(t.Context(), path, group)
		if err != nil {
			t.Fatal(err)
		}
		if mode, gid := access(t, path); mode != 0o660 || gid != 1 {
			t.Errorf("group %s: mode %v, group %d", group, mode, gid)
		}
		_ = l.Close()
	}
	path := filepath.Join(t.TempDir(), "admin.sock")
	_, err := Listen(t.Context(), path, "no-such-group")
	if err == nil || !strings.Contains(err.Error(), "admin.group") || !strings.Contains(err.Error(), "groupadd no-such-group") {
		t.Errorf("a group that is none: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a socket is left behind")
	}
}

// TestStatusTellsWhatIsOddOnTheWire: who was heard, by the node's name where it has one, and what an operator should look at; the
// password of an advert is nobody's business.
func TestStatusTellsWhatIsOddOnTheWire(t *testing.T) {
	const now = time.Hour
	stranger := controller.Sender{Sender: vrrpwire.Sender{
		Address: netip.MustParseAddr("10.0.0.9"), Adverts: 7, LastAt: now - time.Second,
		Last: vrrpwire.Advertisement{Version: 2, VRID: 51, Priority: 254, Interval: time.Second,
			Auth: vrrpwire.Auth{Type: vrrpwire.AuthPass, Key: [8]byte{'s', 'e', 'c', 'r', 'e', 't'}}},
		Rejected: map[vrrpwire.Reason]uint64{vrrpwire.ReasonUnknownSender: 7},
		Notices: []vrrpwire.Notice{
			{Matter: vrrpwire.MatterForeignMaster, Text: "look here", Count: 7, First: now - time.Minute, Last: now - time.Second},
			{Matter: vrrpwire.ReasonLength, Text: "long ago", Count: 1, First: time.Minute, Last: time.Minute},
		},
	}}
	silent := controller.Sender{Sender: vrrpwire.Sender{Address: netip.MustParseAddr("10.0.0.2"), Peer: true}, Node: "node-b"}
	traffic := &controller.Traffic{Now: now, Senders: []controller.Sender{silent, stranger},
		Stats: vrrpwire.Stats{Sent: 1, PriorityZeroSent: 2, Suppressed: 3, SendErrors: 4, Received: 5, PriorityZeroReceived: 6, ForeignMaster: 7,
			IntervalMismatch: 8, BecomeMaster: 9, ReleaseMaster: 10, Rejected: map[vrrpwire.Reason]uint64{vrrpwire.ReasonUnknownSender: 7}}}
	client, _ := serve(t, &agent{view: controller.View{Committed: fsm.New()}, traffic: traffic})
	s, err := client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := &VRRP{
		Sent: 1, PriorityZeroSent: 2, Suppressed: 3, SendErrors: 4, Received: 5, PriorityZeroReceived: 6, ForeignMaster: 7,
		IntervalMismatch: 8, BecomeMaster: 9, ReleaseMaster: 10, Rejected: map[string]uint64{"unknown_sender": 7},
		Senders: []Sender{
			{Address: "10.0.0.2", Node: "node-b", Peer: true},
			{Address: "10.0.0.9", Adverts: 7, Rejected: map[string]uint64{"unknown_sender": 7},
				Last: &Advert{Version: 2, Priority: 254, IntervalMS: 1000, AgeMS: 1000}},
		},
		Notices: []Notice{{Address: "10.0.0.9", Matter: "foreign_master", Text: "look here", Packets: 7, SinceMS: 60000, AgeMS: 1000}},
	}
	if diff := cmp.Diff(want, s.VRRP); diff != "" {
		t.Errorf("VRRP (-want +got):\n%s", diff)
	}
}

// TestStatusIsFitForATerminal: what nodes, HAProxies and EC2 say ends up in a status. On a terminal it must be text.
func TestStatusIsFitForATerminal(t *testing.T) {
	const evil = "\x1b]0;owned\a\x1b[2J\nnode-a  leader, holder\u202e"
	committed := fsm.New()
	committed.Nodes["node-b"] = fsm.Node{Attributes: fsm.Attributes{Name: "node-b", Address: evil}, Reason: evil}
	committed.History = []fsm.Transition{{Event: "released", Node: "node-b", Reason: evil, Association: evil}}
	client, _ := serve(t, &agent{view: controller.View{Committed: committed, Health: evil, Leadership: controller.Leadership{Leader: evil}},
		transfer: func(fsm.NodeName) (controller.TransferAnswer, error) {
			return controller.TransferAnswer{}, errors.New(evil)
		}})
	s, err := client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, refused := client.Transfer(t.Context(), "")
	for what, text := range map[string]string{"address": s.Nodes[0].Address, "reason": s.Nodes[0].Reason, "why": s.History[0].Reason,
		"association": s.History[0].AssociationID, "health": s.Health, "leader": s.Leader, "error": refused.Error()} {
		if want := `\x1b]0;owned\a\x1b[2J\nnode-a  leader, holder\u202e`; text != want {
			t.Errorf("%s is %q, want %q", what, text, want)
		}
	}
}

// TestListenKeepsOut: what else may be at the socket's path, put there by a user of the machine.
func TestListenKeepsOut(t *testing.T) {
	t.Run("a directory where everybody may write", func(t *testing.T) {
		dir := t.TempDir()
		for _, mode := range []os.FileMode{0o777, 0o777 | os.ModeSticky} {
			if err := os.Chmod(dir, mode); err != nil {
				t.Fatal(err)
			}
			if _, err := Listen(t.Context(), filepath.Join(dir, "admin.sock"), ""); err == nil || !strings.Contains(err.Error(), "in the agent's place") {
				t.Errorf("mode %v: %v", mode, err)
			}
		}
	})
	t.Run("a link to a socket of somebody's", func(t *testing.T) {
		dir := t.TempDir()
		path, theirs := filepath.Join(dir, "admin.sock"), filepath.Join(dir, "theirs")
		l, err := net.Listen("unix", theirs)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(theirs, path); err != nil {
			t.Fatal(err)
		}
		if _, err := Listen(t.Context(), path, ""); err == nil || !strings.Contains(err.Error(), "another agent") {
			t.Errorf("it answers: %v", err)
		}
		_ = l.Close() // which removes it: now the link leads nowhere
		if l, err := Listen(t.Context(), path, ""); err == nil {
			t.Errorf("listens through a link, at %v", l.Addr())
			_ = l.Close()
		}
		if _, err := os.Lstat(theirs); err == nil {
			t.Error("a socket was made where the link leads")
		}
	})
	t.Run("a link to something precious", func(t *testing.T) {
		dir := t.TempDir()
		path, precious := filepath.Join(dir, "admin.sock"), filepath.Join(dir, "precious")
		if err := os.WriteFile(precious, []byte("data"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(precious, path); err != nil {
			t.Fatal(err)
		}
		_, err := Listen(t.Context(), path, "")
		if b, _ := os.ReadFile(precious); err == nil || string(b) != "data" {
			t.Errorf("error %v, content %q", err, b)
		}
	})
}
