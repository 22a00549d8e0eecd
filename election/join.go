package election

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

const (
	joinPath = "/v1/join"
	// joinTimeout bounds one join call; the leader commits up to two configuration changes in it.
	joinTimeout = 5 * time.Second
)

// joinRequest asks the leader to let a node in, and later to give it a vote.
type joinRequest struct {
	Node     string        `json:"node"`
	ServerID raft.ServerID `json:"server_id"`
	Address  string        `json:"address"`
	// Applied is the joiner's applied index.
	Applied uint64 `json:"applied_index"`
}

// joinAnswer is the answer of any node.
type joinAnswer struct {
	// Leader is set by a node that does not lead, to the name of the one that does, if known.
	Leader string `json:"leader,omitempty"`
	// Follow is set by a node that does not lead.
	Follow bool `json:"follow,omitempty"`
	// Voter says that the joiner has its vote.
	Voter bool `json:"voter,omitempty"`
}

// admission is what a leader remembers of the nodes that it lets in.
type admission struct {
	// turn has one slot, taken by the joiner that is being served. It is no mutex: who waits for it must be able to give up.
	turn chan struct{}
	// target is the commit index at the previous call of each joiner. Once its applied index has got there it is caught up:
	// the present commit index would be a moving target in a busy cluster.
	target map[raft.ServerID]uint64
}

func newAdmission() admission {
	return admission{turn: make(chan struct{}, 1), target: make(map[raft.ServerID]uint64)}
}

// askToJoin makes one round: the known leader first, then the others, following a hint once.
func (n *Node) askToJoin(ctx context.Context, r *raft.Raft) error {
	request := joinRequest{Node: n.cfg.Name, ServerID: n.self.serverID(), Address: n.cfg.address(), Applied: r.AppliedIndex()}
	var waiting []string
	for _, p := range n.joinOrder(r) {
		var answer joinAnswer
		err := n.callJoin(ctx, p.Name, request, &answer)
		if err == nil && answer.Follow && answer.Leader != "" && answer.Leader != p.Name {
			p, _ = n.cfg.peer(answer.Leader)
			answer = joinAnswer{}
			err = n.callJoin(ctx, p.Name, request, &answer)
		}
		switch {
		case err != nil:
			waiting = append(waiting, fmt.Sprintf("%s (%s): %s", p.Name, p.Address, reason(err)))
		case answer.Follow:
			waiting = append(waiting, fmt.Sprintf("%s (%s): it knows no leader", p.Name, p.Address))
		default:
			n.phase.set("joining the cluster led by " + p.Name)
			return nil
		}
	}
	n.waitingFor(waiting)
	return ctx.Err()
}

// callJoin gives each peer its own time: one that hangs must not use up that of the others.
func (n *Node) callJoin(ctx context.Context, peer string, request joinRequest, answer *joinAnswer) error {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	return n.Call(ctx, peer, joinPath, request, answer)
}

// joinOrder puts the leader first, if it is known.
func (n *Node) joinOrder(r *raft.Raft) []Peer {
	leader := n.leadership(r).Leader
	peers := n.cfg.others()
	slices.SortStableFunc(peers, func(a, b Peer) int {
		switch {
		case a.Name == leader:
			return -1
		case b.Name == leader:
			return 1
		default:
			return 0
		}
	})
	return peers
}

func (n *Node) answerJoin(w http.ResponseWriter, request *http.Request) {
	var join joinRequest
	if err := json.NewDecoder(request.Body).Decode(&join); err != nil {
		http.Error(w, "decode join request: "+err.Error(), http.StatusBadRequest)
		return
	}
	r := n.raft.Load()
	if r == nil {
		writeJSON(w, joinAnswer{Follow: true})
		return
	}
	if leadership := n.leadership(r); !leadership.Self {
		writeJSON(w, joinAnswer{Follow: true, Leader: leadership.Leader})
		return
	}
	if err := n.checkJoiner(request.Context(), join); err != nil {
		n.log.Warn("refused a join", zap.String(keyServerID, string(join.ServerID)), zap.Error(err))
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	voter, err := n.admit(request.Context(), r, join)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	writeJSON(w, joinAnswer{Voter: voter})
}

// checkJoiner lets in configured nodes only, and asks back at the configured address who is there: a request that was delayed,
// or comes from a copy of the machine, must not remove an incarnation that is alive.
func (n *Node) checkJoiner(ctx context.Context, join joinRequest) error {
	p, ok := n.cfg.peer(join.Node)
	if !ok || p.Name == n.cfg.Name || p.Address != join.Address || nodeName(join.ServerID) != join.Node {
		return fmt.Errorf("node %q at %s is not among the peers that leader %s is configured with: add it there", join.Node, join.Address, n.cfg.Name)
	}
	present, err := n.ask(ctx, join.Node)
	if err != nil {
		return fmt.Errorf("leader %s does not reach node %s at %s: %s", n.cfg.Name, p.Name, p.Address, reason(err))
	}
	if id := present.serverID(); id != join.ServerID {
		return fmt.Errorf("%s asks to join, but %s is at its address", join.ServerID, id)
	}
	if own := n.generation(); present.Generation != own {
		return fmt.Errorf("%s asks to join, but belongs to another generation of the cluster: %v, not %v", join.ServerID, present.Generation, own)
	}
	return nil
}

// admit brings a checked joiner one step further: the older incarnation goes, the new one comes without a vote, and gets the
// vote once it has applied what was committed at its previous call. One joiner is served at a time.
func (n *Node) admit(ctx context.Context, r *raft.Raft, join joinRequest) (voter bool, err error) {
	select {
	case n.admission.turn <- struct{}{}:
		defer func() { <-n.admission.turn }()
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil {
		return false, err // the caller is gone; what was checked before the wait may not hold any more
	}
	address := serverAddress(join.Address, join.ServerID)
	for _, old := range servers(r) {
		if nodeName(old.ID) != join.Node || old.ID == join.ServerID {
			continue
		}
		n.log.Info("removing the lost incarnation of a node", zap.String(keyPeer, join.Node), zap.String(keyServerID, string(old.ID)))
		if err := wait(ctx, r.RemoveServer(old.ID, 0, joinTimeout)); err != nil {
			return false, fmt.Errorf("remove %s: %w", old.ID, err)
		}
	}
	member, ok := findServer(r, join.ServerID)
	switch {
	case !ok:
		n.log.Info("adding a node without a vote", zap.String(keyPeer, join.Node), zap.String(keyServerID, string(join.ServerID)))
		if err := wait(ctx, r.AddNonvoter(join.ServerID, address, 0, joinTimeout)); err != nil {
			return false, fmt.Errorf("add %s: %w", join.ServerID, err)
		}
	case member.Suffrage == raft.Voter:
		return true, nil
	}
	if !n.admission.caughtUp(join, r.CommitIndex()) {
		return false, nil
	}
	n.log.Info("giving a node its vote", zap.String(keyPeer, join.Node), zap.String(keyServerID, string(join.ServerID)))
	if err := wait(ctx, r.AddVoter(join.ServerID, address, 0, joinTimeout)); err != nil {
		return false, fmt.Errorf("promote %s: %w", join.ServerID, err)
	}
	delete(n.admission.target, join.ServerID)
	return true, nil
}

func (a *admission) caughtUp(join joinRequest, commit uint64) bool {
	target, known := a.target[join.ServerID]
	if known && join.Applied >= target {
		return true
	}
	a.target[join.ServerID] = commit
	return false
}

func findServer(r *raft.Raft, id raft.ServerID) (raft.Server, bool) {
	list := servers(r)
	i := slices.IndexFunc(list, func(s raft.Server) bool { return s.ID == id })
	if i < 0 {
		return raft.Server{}, false
	}
	return list[i], true
}

// errRemoved ends Run: Raft keeps a removed server running, without a vote and without news.
var errRemoved = errors.New("this node was removed from the cluster: to let it in again, stop it, move its data dir away and start it")

// watchMembership asks to join for as long as this node has no vote, and ends Run when it had one and is no member any more.
func (n *Node) watchMembership(ctx context.Context, r *raft.Raft) error {
	const patience = 12 // intervals without a leader before the peers are asked
	wasVoter, leaderless := false, 0
	for {
		member, isMember := findServer(r, n.self.serverID())
		leaderless++
		if n.leadership(r).Leader != "" {
			leaderless = 0
		}
		switch {
		case isMember && member.Suffrage == raft.Voter:
			wasVoter = true
			if leaderless == 0 {
				n.phase.set("running")
			} else {
				n.waitingFor([]string{"a leader"})
			}
			if leaderless >= patience {
				leaderless = 0
				if n.removedElsewhere(ctx) {
					return errRemoved
				}
			}
		case wasVoter && !isMember:
			return errRemoved
		default:
			// Being listed without a vote is not remembered: that entry may be taken back when its leader dies.
			// What keeps this node out is in the phase; the next round tries again.
			_ = n.askToJoin(ctx, r)
		}
		select {
		case <-time.After(pollInterval):
		case <-ctx.Done():
			return nil
		}
	}
}

// removedElsewhere asks the peers. A removed node that was away meanwhile does not hear of it from Raft: nobody answers its
// requests for votes.
func (n *Node) removedElsewhere(ctx context.Context) bool {
	answers, _, err := n.poll(ctx)
	if err != nil {
		return false
	}
	for _, answer := range answers {
		if answer.Leading && answer.Generation == n.generation() && len(answer.Members) > 0 && !slices.Contains(answer.Members, n.self.serverID()) {
			return true
		}
	}
	return false
}
