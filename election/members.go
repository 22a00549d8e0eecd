package election

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

// removalPatience is how long a removal waits for word of the others.
const removalPatience = 2 * time.Second

// Server is one entry of Raft's configuration.
type Server struct {
	// Name of the node and the incarnation that the entry is for.
	Name, Incarnation string
	// Address is the host:port at which Raft reaches it.
	Address string
	Voter   bool
	// Contact is the age of the newest proof that it follows this leader; negative if there is none, or this node does not lead.
	Contact time.Duration
}

// Servers returns Raft's latest configuration, committed or not. Empty before Raft runs.
func (n *Node) Servers() []Server {
	r := n.raft.Load()
	if r == nil {
		return nil
	}
	var starts map[raft.ServerID]time.Duration
	if term := r.CurrentTerm(); leading(r, term) {
		starts = n.evidence.of(term)
	}
	var list []Server
	for _, s := range servers(r) {
		address, _, _ := splitServerAddress(s.Address) // our own
		entry := Server{Name: nodeName(s.ID), Address: address, Voter: s.Suffrage == raft.Voter, Contact: -1}
		entry.Incarnation = strings.TrimPrefix(string(s.ID), entry.Name+".")
		if start, ok := starts[s.ID]; ok {
			entry.Contact = n.cfg.Now() - start
		}
		if s.ID == n.self.serverID() {
			entry.Contact = 0
		}
		list = append(list, entry)
	}
	return list
}

// census counts the voters and those of them that answer.
type census struct {
	voters []raft.ServerID
	alive  func(raft.ServerID) bool
}

// census counts a voter as alive if it acknowledged something that was sent after notBefore.
func (n *Node) census(r *raft.Raft, notBefore time.Duration) census {
	starts := n.evidence.of(r.CurrentTerm())
	return census{voters: voters(r), alive: func(id raft.ServerID) bool {
		start, ok := starts[id]
		return id == n.self.serverID() || ok && start > notBefore
	}}
}

// promotion says why one voter more would be wrong now, or nil. The quorum may be larger with it, and the present voters must reach it
// alone: a newcomer has yet to show that it stays. A lone voter cannot, and may be joined all the same.
func (c census) promotion() error {
	quorum := (len(c.voters)+1)/2 + 1
	silent := c.silent(c.voters)
	if len(c.voters) == 1 || len(c.voters)-len(silent) >= quorum {
		return nil
	}
	return fmt.Errorf("with one voter more the quorum is %d, and %s, so it would depend on the newcomer: bring that back, or remove it",
		quorum, doNotAnswer(silent))
}

// removal says why the named node must not be removed now, or nil: what is left has to have a quorum that answers.
func (c census) removal(name string) error {
	left := slices.DeleteFunc(slices.Clone(c.voters), func(id raft.ServerID) bool { return nodeName(id) == name })
	silent := c.silent(left)
	alive, quorum := len(left)-len(silent), len(left)/2+1
	switch {
	case len(left) == len(c.voters): // it has no vote
		return nil
	case len(left) == 0:
		return fmt.Errorf("%s is the only voter: without it there is no cluster", name)
	case alive >= quorum:
		return nil
	}
	return fmt.Errorf("removing %s would leave %d of %d voters alive, and %d are needed: %s; bring that back, or remove it first",
		name, alive, len(left), quorum, doNotAnswer(silent))
}

// silent returns the names of those that do not answer.
func (c census) silent(ids []raft.ServerID) []string {
	var names []string
	for _, id := range ids {
		if !c.alive(id) {
			names = append(names, nodeName(id))
		}
	}
	slices.Sort(names)
	return names
}

func doNotAnswer(names []string) string {
	if len(names) == 1 {
		return names[0] + " does not answer"
	}
	return strings.Join(names, " and ") + " do not answer"
}

// leaderOnly returns Raft if this node leads.
func (n *Node) leaderOnly() (*raft.Raft, error) {
	r := n.raft.Load()
	if r == nil || r.State() != raft.Leader {
		return nil, ErrNotLeader
	}
	return r, nil
}

// CheckRemoval says, at the leader, why the named node must not be removed now, be it the leader itself, which would have to hand over first:
// the nodes that are left and answer would be no quorum. What they answered before does not count: it waits up to 2 s for new answers.
func (n *Node) CheckRemoval(ctx context.Context, name string) error {
	r, err := n.leaderOnly()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, removalPatience)
	defer cancel()
	asked := n.cfg.Now()
	n.provokeHeartbeats()
	for {
		changed := n.evidence.changes()
		err := n.census(r, asked).removal(name)
		if err == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return err
		}
	}
}

// Remove takes the named node out of Raft's configuration, at the leader. It refuses as CheckRemoval does. That the node may not come
// back is the directory's business, and has to be agreed on before.
func (n *Node) Remove(ctx context.Context, name string) error {
	r, err := n.leaderOnly()
	if err != nil {
		return err
	}
	if name == n.cfg.Name {
		return fmt.Errorf("%s leads, and a leader cannot remove itself: transfer the leadership first", name)
	}
	leave, err := n.admission.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := n.CheckRemoval(ctx, name); err != nil {
		return err
	}
	for _, server := range servers(r) {
		if nodeName(server.ID) != name {
			continue
		}
		n.log.Info("removing a node", zap.String(keyPeer, name), zap.String(keyServerID, string(server.ID)))
		if err := wait(ctx, r.RemoveServer(server.ID, 0, joinTimeout)); err != nil {
			return fmt.Errorf("remove %s from the voters: %w", name, err)
		}
	}
	return nil
}

// finishRemovals takes the nodes out of Raft's configuration that the cluster has agreed to remove. The leader that was asked does it at once; this
// is for one that was deposed in between, and for a removal that had to wait.
func (n *Node) finishRemovals(ctx context.Context, r *raft.Raft) {
	for _, server := range servers(r) {
		name := nodeName(server.ID)
		if name == n.cfg.Name || !n.roster.removed(name) {
			continue
		}
		// A new leader's directory may still be at some point of the past. The barrier brings it up to date.
		if err := wait(ctx, r.Barrier(joinTimeout)); err != nil || !n.roster.removed(name) {
			continue
		}
		if err := n.Remove(ctx, name); err != nil && n.obstacle.set(err.Error()) && !errors.Is(err, ErrNotLeader) {
			n.log.Warn("a removed node is still a member of Raft", zap.String(keyPeer, name), zap.Error(err))
		}
	}
}
