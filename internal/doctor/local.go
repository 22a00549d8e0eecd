package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"github.com/hacluster/hacluster/internal/adminapi"
	"github.com/hacluster/hacluster/internal/config"
)

// Unreadable is the report on a node whose configuration cannot be used: nothing else can be examined.
func Unreadable(err error) Report {
	var problems config.Errors
	if !errors.As(err, &problems) {
		f := fail(err.Error(), "name the file with --config")
		f.Check = checkConfig
		return Report{Findings: []Finding{f}}
	}
	var r Report
	for _, p := range problems {
		remedy := p.Remedy
		p.Remedy = ""
		f := fail(p.String(), remedy)
		f.Check = checkConfig
		r.Findings = append(r.Findings, f)
	}
	return r
}

func (f *facts) examineConfig(context.Context) []Finding {
	c := f.cfg.File
	found := []Finding{pass("cluster %s, this is %s of %d nodes, profile %s", c.Cluster.Name, c.Node, len(c.Nodes), c.Profile)}
	if f.unknownSelf() != nil {
		found[0] = pass("cluster %s, whose nodes are found by the tag %s, profile %s", c.Cluster.Name, c.Discovery.Tag, c.Profile)
	}
	for _, w := range c.Warnings() {
		text, remedy, _ := strings.Cut(w, "; ")
		found = append(found, warn(text, remedy))
	}
	return found
}

func (f *facts) examineAgent(context.Context) []Finding {
	s, err := f.agent()
	switch {
	case errors.Is(err, fs.ErrPermission):
		return []Finding{warn(err.Error(), "run hacluster doctor as root")}
	case err != nil:
		return []Finding{skip("none answers at %s: what only a running agent knows is not known", f.cfg.File.Admin.Socket)}
	}
	if bad := f.misfits(s); bad != nil {
		return []Finding{*bad}
	}
	found := agentTroubles(s)
	if len(found) == 0 {
		leader := s.Leader
		if leader == "" {
			leader = "none known"
		}
		found = append(found, pass("version %s runs and is %s; leader %s, raft: %s", s.Version, s.State, leader, s.Phase))
	}
	return found
}

// misfits reports a running agent that has another configuration than the one examined.
func (f *facts) misfits(s adminapi.Status) *Finding {
	c := f.cfg.File
	was := [3]string{s.Cluster, s.Node, allocationIDs(s)}
	is := [3]string{c.Cluster.Name, c.Node, strings.Join(c.EIP.IDs(), ", ")}
	if f.unknownSelf() != nil {
		is[1] = s.Node // the file does not say
	}
	if was == is {
		return nil
	}
	bad := warn(fmt.Sprintf("the running agent is node %s of cluster %s with %s, the file says node %s of cluster %s with %s",
		was[1], was[0], was[2], is[1], is[0], is[2]), "restart the agent, or name its file with --config")
	return &bad
}

func allocationIDs(s adminapi.Status) string {
	var ids []string
	for _, a := range s.Addresses {
		ids = append(ids, a.AllocationID)
	}
	return strings.Join(ids, ", ")
}

func agentTroubles(s adminapi.Status) []Finding {
	var found []Finding
	if s.StoreError != "" {
		found = append(found, fail("its disk takes no entries: "+s.StoreError, "make room or mend the disk, then restart the agent"))
	}
	if s.Leader == "" {
		found = append(found, warn("it knows no leader; raft: "+s.Phase, "start the agents of the other nodes, and see the check peers"))
	}
	if !s.Healthy {
		found = append(found, warn("it says that HAProxy is not healthy: "+s.Health, "see the check haproxy; if that passes, the agent's user "+
			"may lack what root has: the stats socket's group, or a /proc without hidepid"))
	}
	for _, n := range s.Nodes {
		if n.Name == s.Node && !n.Witness && !n.EC2 {
			found = append(found, warn("the cluster has it that this node does not reach EC2", "see the check ec2"))
		}
	}
	return found
}

// examinePort never takes the port of a running agent, nor of one that may be running.
func (f *facts) examinePort(context.Context) Finding {
	if unknown := f.unknownSelf(); unknown != nil {
		return *unknown
	}
	address := f.cfg.File.Self().Address
	local, err := hasAddress(address.Addr())
	switch {
	case err != nil:
		return skip("%v", err)
	case !local:
		return fail(fmt.Sprintf("no interface of this machine has the node's address %s", address.Addr()), "correct the address of this node in nodes:")
	}
	if _, err := f.agent(); err == nil || errors.Is(err, fs.ErrPermission) {
		return pass("the address %s is this machine's, and the agent has the port", address)
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address.String())
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fail(fmt.Sprintf("no agent answers at %s, and something else has the port %s", f.cfg.File.Admin.Socket, address),
			"find it with 'ss -ltnp'; an agent with another admin.socket is one, too")
	case err != nil:
		return fail(fmt.Sprintf("listen on %s: %v", address, err), "correct the address of this node in nodes:")
	}
	_ = listener.Close() // nothing came in by it that could be lost
	return pass("the address %s is this machine's, and the port is free", address)
}

func hasAddress(wanted netip.Addr) (bool, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return false, fmt.Errorf("list the addresses of this machine: %w", err)
	}
	for _, a := range addresses {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Unmap() == wanted {
			return true, nil
		}
	}
	return false, nil
}
