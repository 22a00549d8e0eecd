package controller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
)

const (
	removePath = "/v1/remove"
	// removedByOperator is in the history where somebody has asked for it.
	removedByOperator = "removed by the operator"
	// handOverPoll is how often a removal looks whether the leadership has moved.
	handOverPoll = 20 * time.Millisecond
)

// MembershipAnswer answers a change of the members.
type MembershipAnswer struct {
	// Leader is who has done it.
	Leader string `json:"leader"`
	// HandsOverTo is set by a leader that is itself to be removed: ask that node once it leads.
	HandsOverTo string `json:"hands_over_to,omitempty"`
	// Warning says in a sentence what is not as it should be with that many voters.
	Warning string `json:"warning,omitempty"`
}

type admitRequest struct {
	Node fsm.Attributes `json:"node"`
	// Forwarded requests are not passed on again: two nodes that each take the other for the leader would never stop.
	Forwarded bool `json:"forwarded,omitempty"`
}

type removeRequest struct {
	Node fsm.NodeName `json:"node"`
}

// JoinRequest is what a node sends to election.AdmitPath of a member, to be let in.
func JoinRequest(node fsm.Attributes) any { return admitRequest{Node: node} }

var errFixedRoster = errors.New("the members of this cluster are fixed")

// RequestAdmit asks the leader, whoever it is, to let a node in. It returns when that is committed.
func (d *Driver) RequestAdmit(ctx context.Context, node fsm.Attributes) (MembershipAnswer, error) {
	var answer MembershipAnswer
	err := d.askLeader(ctx, election.AdmitPath, admitRequest{Node: node, Forwarded: true}, &answer, func() (err error) {
		answer, err = d.admitAsLeader(ctx, node)
		return err
	})
	return answer, err
}

// checkNode wants what a configuration file would have to say of a node.
func checkNode(n fsm.Attributes) error {
	name := regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	address, err := netip.ParseAddrPort(n.Address)
	vrrp, vrrpErr := netip.ParseAddr(n.VRRPAddress)
	switch {
	case !name.MatchString(string(n.Name)):
		return fmt.Errorf("%q is no name of a node: write lower-case letters, digits and '-'", n.Name)
	case err != nil || address.Port() == 0 || address.Addr().IsUnspecified() || address.Addr().IsMulticast():
		return fmt.Errorf("%q is not the address of a node: write ip:port, for example 10.0.1.14:7400", n.Address)
	case vrrpErr != nil || !vrrp.Is4() || vrrp.IsUnspecified() || vrrp.IsMulticast():
		return fmt.Errorf("%q is not the address of adverts: write the private IPv4 address of the node", n.VRRPAddress)
	case !n.Witness && (n.Priority < 1 || n.Priority > 254):
		return fmt.Errorf("priority %d: write a number from 1 to 254", n.Priority)
	}
	return nil
}

func (d *Driver) admitAsLeader(ctx context.Context, node fsm.Attributes) (MembershipAnswer, error) {
	if err := checkNode(node); err != nil {
		return MembershipAnswer{}, err
	}
	_, err := d.Ask(ctx, func(op Op) Event { return AdmitAsked{Op: op, Node: node, Why: "let in"} })
	return d.changed(func(voters []string) []string {
		if slices.Contains(voters, string(node.Name)) {
			return voters
		}
		return append(voters, string(node.Name))
	}), err
}

// RequestRemove asks the leader, whoever it is, to remove a node. One that leads hands over first. It returns when Raft has done it.
func (d *Driver) RequestRemove(ctx context.Context, name fsm.NodeName) (MembershipAnswer, error) {
	if name == d.cfg.Self.Name {
		return MembershipAnswer{}, fmt.Errorf("this is %s, and its agent ends when it is removed: run the command on another node", name)
	}
	for {
		answer, err := d.removeOnce(ctx, name)
		if err != nil || answer.HandsOverTo == "" {
			return answer, err
		}
		if err := d.awaitHandOver(ctx, name); err != nil {
			return answer, err
		}
	}
}

func (d *Driver) removeOnce(ctx context.Context, name fsm.NodeName) (MembershipAnswer, error) {
	var answer MembershipAnswer
	err := d.askLeader(ctx, removePath, removeRequest{Node: name}, &answer, func() (err error) {
		answer, err = d.removeAsLeader(ctx, name, removedByOperator)
		return err
	})
	return answer, err
}

func (d *Driver) awaitHandOver(ctx context.Context, from fsm.NodeName) error {
	poll := time.NewTicker(handOverPoll)
	defer poll.Stop()
	for {
		if lead := d.View().Leadership; lead.Leader != "" && lead.Leader != from {
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("%s leads and has not handed over in time: see its log, and try again", from)
		}
	}
}

// RemoveLost removes, at the leader, a node that nobody has asked to remove. why is for the history.
func (d *Driver) RemoveLost(ctx context.Context, name fsm.NodeName, why string) error {
	_, err := d.removeAsLeader(ctx, name, why)
	return err
}

// removeAsLeader commits the removal first, so that the node cannot come back, and then takes it out of Raft's configuration. Where the
// second part fails the leader goes on trying by itself.
func (d *Driver) removeAsLeader(ctx context.Context, name fsm.NodeName, why string) (MembershipAnswer, error) {
	if d.ports.Roster == nil {
		return MembershipAnswer{}, errFixedRoster
	}
	if err := d.ports.Roster.CheckRemoval(ctx, string(name)); err != nil {
		return MembershipAnswer{}, err
	}
	server := d.isServer(string(name))
	reply, err := d.Ask(ctx, func(op Op) Event { return RemoveAsked{Op: op, Node: name, Server: server, Why: why} })
	if err != nil {
		return MembershipAnswer{}, err
	}
	if reply.To != "" {
		return MembershipAnswer{Leader: string(d.cfg.Self.Name), HandsOverTo: string(reply.To)}, nil
	}
	if err := d.ports.Roster.Remove(ctx, string(name)); err != nil {
		return MembershipAnswer{}, fmt.Errorf("%s may not come back, but is still a member of Raft; the leader goes on trying: %w", name, err)
	}
	return d.changed(func(voters []string) []string { return voters }), nil
}

// isServer reports whether a node is a member of Raft.
func (d *Driver) isServer(name string) bool {
	return d.ports.Roster != nil && slices.ContainsFunc(d.ports.Roster.Servers(), func(s election.Server) bool { return s.Name == name })
}

// changed answers with a warning of what becomes of the voters.
func (d *Driver) changed(plan func(voters []string) []string) MembershipAnswer {
	answer := MembershipAnswer{Leader: string(d.cfg.Self.Name)}
	if d.ports.Roster == nil {
		return answer
	}
	var voters []string
	for _, s := range d.ports.Roster.Servers() {
		if s.Voter {
			voters = append(voters, s.Name)
		}
	}
	answer.Warning = VoterWarning(len(plan(voters)))
	return answer
}

// VoterWarning says in a sentence what is wrong with a number of voters, "" if nothing is.
func VoterWarning(voters int) string {
	switch {
	case voters == 1:
		return "a single voter survives no failure: add two"
	case voters == 2:
		return "2 voters survive no failure, as one alone is no majority: add a third, which may be a witness"
	case voters > 0 && voters%2 == 0:
		return fmt.Sprintf("%d voters survive no more failures than %d: add one, or remove one", voters, voters-1)
	default:
		return ""
	}
}

func (d *Driver) serveAdmit(w http.ResponseWriter, r *http.Request) {
	var in admitRequest
	if !read(w, r, &in) {
		return
	}
	if err := d.mayAdmit(r.Context(), in.Node.Name); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	admit := d.RequestAdmit
	if in.Forwarded {
		admit = d.admitAsLeader
	}
	answer, err := admit(r.Context(), in.Node)
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	write(w, answer)
}

// mayAdmit is the authority to let a node in. A member may ask for any node, in the name of its operator. Any other node may ask for
// itself alone, and its certificate is its credential: who has the authority's key decides who may become a node. Without TLS whoever
// reaches the port is trusted with everything anyway.
func (d *Driver) mayAdmit(ctx context.Context, name fsm.NodeName) error {
	caller, secured := election.Caller(ctx)
	if !secured || caller == string(name) {
		return nil
	}
	if _, member := d.View().Committed.Nodes[fsm.NodeName(caller)]; member || d.isServer(caller) {
		return nil
	}
	return fmt.Errorf("the certificate of this connection is that of node %q, which is no member, and it asks to let %q in", caller, name)
}

func (d *Driver) serveRemove(w http.ResponseWriter, r *http.Request) {
	var in removeRequest
	if !read(w, r, &in) {
		return
	}
	answer, err := d.removeAsLeader(r.Context(), in.Node, removedByOperator)
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	write(w, answer)
}
