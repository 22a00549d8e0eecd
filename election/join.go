package election

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

const (
	joinPath = "/v1/join"
	// joinTimeout bounds one join call; the leader commits up to two configuration changes in it.
	joinTimeout = 5 * time.Second
	// stableFor is how long a joiner must have been caught up at each of its calls before it gets its vote, and stableGap how far these
	// may be apart.
	stableFor = 2 * time.Second
	stableGap = 2 * time.Second
)

// joinRequest asks the leader to let a node in, and later to give it a vote.
type joinRequest struct {
	Node     string        `json:"node"`
	ServerID raft.ServerID `json:"server_id"`
	Address  string        `json:"address"`
	// Applied is the joiner's applied index.
	Applied uint64 `json:"applied_index"`
	// Level is the newest that the joiner's build knows.
	Level uint8 `json:"level,omitempty"`
}

// joinAnswer is the answer of any node.
type joinAnswer struct {
	// Leader is set by a node that does not lead, to the name of the one that does, if known.
	Leader string `json:"leader,omitempty"`
	// Follow is set by a node that does not lead.
	Follow bool `json:"follow,omitempty"`
	// Voter says that the joiner has its vote, and Waiting why it has none yet.
	Voter   bool   `json:"voter,omitempty"`
	Waiting string `json:"waiting,omitempty"`
	// Roster are the members. The leader may be none of those that the joiner is configured with.
	Roster []Peer `json:"roster,omitempty"`
}

// askToJoin makes one round: the known leader first, then the others, following a hint once.
func (n *Node) askToJoin(ctx context.Context, r *raft.Raft) error {
	request := joinRequest{Node: n.cfg.Name, ServerID: n.self.serverID(), Address: n.cfg.address(), Applied: r.AppliedIndex(),
		Level: n.cfg.Level}
	var waiting []string
	for _, p := range n.joinOrder(r) {
		answer, err := n.callJoin(ctx, p.Name, request)
		if err == nil && answer.Follow && answer.Leader != p.Name {
			if leader, known := n.roster.peer(answer.Leader); known {
				p = leader
				answer, err = n.callJoin(ctx, p.Name, request)
			}
		}
		why := "it knows no leader"
		switch {
		case err != nil:
			why = Reason(err)
		case !answer.Follow:
			n.phase.set("joining the cluster led by " + p.Name + answer.why())
			return nil
		}
		waiting = append(waiting, fmt.Sprintf("%s (%s): %s", p.Name, p.Address, why))
	}
	slices.Sort(waiting)
	n.waitingFor(slices.Compact(waiting)) // several may have named the same leader
	return ctx.Err()
}

func (a joinAnswer) why() string {
	if a.Waiting == "" {
		return ""
	}
	return ": " + a.Waiting
}

// callJoin gives each peer its own time: one that hangs must not use up that of the others.
func (n *Node) callJoin(ctx context.Context, peer string, request joinRequest) (joinAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	var answer joinAnswer
	err := n.Call(ctx, peer, joinPath, request, &answer)
	if err == nil {
		n.roster.tell(answer.Roster)
	}
	return answer, err
}

// joinOrder puts the leader first, if it is known.
func (n *Node) joinOrder(r *raft.Raft) []Peer {
	leader := n.leadership(r).Leader
	peers := n.roster.others()
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
	if by, known := Caller(request.Context()); known && by != join.Node {
		http.Error(w, fmt.Sprintf("%s asks to let %q in: a node asks for itself only", by, join.Node), http.StatusForbidden)
		return
	}
	r := n.raft.Load()
	if r == nil {
		writeJSON(w, joinAnswer{Follow: true})
		return
	}
	roster := peersOf(servers(r))
	if leadership := n.leadership(r); !leadership.Self {
		writeJSON(w, joinAnswer{Follow: true, Leader: leadership.Leader, Roster: roster})
		return
	}
	if err := n.checkJoiner(request.Context(), join); err != nil {
		if n.admission.refusals.isNews(join.ServerID, err.Error()) { // it asks four times a second, and more than one may
			n.log.Warn("refused a join", zap.String(keyServerID, string(join.ServerID)), zap.Error(err))
		}
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	waiting, err := n.admit(request.Context(), r, join)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	writeJSON(w, joinAnswer{Voter: waiting == "", Waiting: waiting, Roster: roster})
}

// checkJoiner lets in whom the roster knows, and asks back at the address that it knows who is there: a request that was delayed, or comes
// from a copy of the machine, must not remove an incarnation that is alive.
func (n *Node) checkJoiner(ctx context.Context, join joinRequest) error {
	if err := n.mayJoin(join); err != nil {
		return err
	}
	if err := n.cfg.admits(join.Level); err != nil {
		return fmt.Errorf("leader %s does not let %s in: %w", n.cfg.Name, join.Node, err)
	}
	present, err := n.ask(ctx, join.Node)
	if err != nil {
		return fmt.Errorf("leader %s does not reach node %s at %s: %s", n.cfg.Name, join.Node, join.Address, Reason(err))
	}
	if id := present.serverID(); id != join.ServerID {
		return fmt.Errorf("%s asks to join, but %s is at its address", join.ServerID, id)
	}
	if own := n.generation(); present.Generation != own {
		return fmt.Errorf("%s asks to join, but belongs to another generation of the cluster: %v, not %v", join.ServerID, present.Generation, own)
	}
	return nil
}

func (n *Node) mayJoin(join joinRequest) error {
	const remedy = "run 'hacluster join' on it, or 'hacluster members add' on a member"
	p, known := n.roster.peer(join.Node)
	switch {
	case nodeName(join.ServerID) != join.Node || join.Node == n.cfg.Name:
		return fmt.Errorf("%q cannot join as node %q", join.ServerID, join.Node)
	case n.roster.removed(join.Node):
		return fmt.Errorf("node %s was removed from the cluster: to let it in again, %s", join.Node, remedy)
	case !known:
		return fmt.Errorf("node %q is not admitted to the cluster: to let it in, %s", join.Node, remedy)
	case p.Address != join.Address:
		return fmt.Errorf("node %s is admitted at %s, and is at %s: to let it in there, %s", join.Node, p.Address, join.Address, remedy)
	}
	return nil
}

// admission is what a leader remembers of the nodes that it lets in.
type admission struct {
	// turn has one slot, taken by the change that is being made. It is no mutex: a caller that waits for it must be able to give up.
	turn     chan struct{}
	joiners  map[raft.ServerID]progress
	refusals sayings
}

// sayings are what was said last of each node that asks to join: of no more than 64, as without TLS anybody may ask under any name.
type sayings struct {
	mu     sync.Mutex
	newest map[raft.ServerID]string
}

// isNews reports whether the text differs from what was said of the node before, and keeps it.
func (s *sayings) isNews(id raft.ServerID, text string) bool {
	const most = 64
	s.mu.Lock()
	defer s.mu.Unlock()
	if said, known := s.newest[id]; known && said == text {
		return false
	}
	if s.newest == nil || len(s.newest) >= most {
		s.newest = make(map[raft.ServerID]string)
	}
	s.newest[id] = text
	return true
}

// progress of a joiner from call to call.
type progress struct {
	// target is the commit index at its previous call. Once its applied index has got there it is caught up: the present commit index
	// would be a moving target in a busy cluster.
	target uint64
	asked  time.Duration // its previous call
	since  time.Duration // it was caught up at each call from then on
}

func newAdmission() admission {
	return admission{turn: make(chan struct{}, 1), joiners: make(map[raft.ServerID]progress)}
}

// enter waits for the turn. One membership change is made at a time.
func (a *admission) enter(ctx context.Context) (leave func(), err error) {
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := ctx.Err(); err != nil { // the caller is gone; what was checked before the wait may not hold any more
		<-a.turn
		return nil, err
	}
	return func() { <-a.turn }, nil
}

// stable reports whether a joiner was caught up at each of its calls for a while.
func (a *admission) stable(join joinRequest, commit uint64, now time.Duration) bool {
	p, known := a.joiners[join.ServerID]
	if !known || join.Applied < p.target || now-p.asked > stableGap {
		p.since = now
	}
	p.target, p.asked = commit, now
	a.joiners[join.ServerID] = p
	return now-p.since >= stableFor
}

// admit brings a checked joiner one step further: the older incarnation goes, the new one comes without a vote, and gets the vote once it
// has been caught up for a while. It returns why the joiner has no vote yet.
func (n *Node) admit(ctx context.Context, r *raft.Raft, join joinRequest) (waiting string, err error) {
	leave, err := n.admission.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	if waiting, err := n.removeOlder(ctx, r, join); waiting != "" || err != nil {
		return waiting, err
	}
	address := serverAddress(join.Address, join.ServerID)
	member, ok := findServer(r, join.ServerID)
	if !ok || member.Address != address {
		n.log.Info("adding a node without a vote", zap.String(keyPeer, join.Node), zap.String(keyServerID, string(join.ServerID)))
		if err := wait(ctx, r.AddNonvoter(join.ServerID, address, 0, joinTimeout)); err != nil {
			return "", fmt.Errorf("add %s: %w", join.ServerID, err)
		}
	}
	if ok && member.Suffrage == raft.Voter {
		return "", nil
	}
	now := n.cfg.Now()
	steady, census := n.admission.stable(join, r.CommitIndex(), now), n.census(r, now-max(time.Second, n.cfg.Timing.Heartbeat))
	switch err := census.promotion(); {
	case !steady:
		return "it catches up", nil
	case !census.alive(join.ServerID):
		return "it does not answer its leader", nil
	case err != nil:
		return err.Error(), nil
	}
	n.log.Info("giving a node its vote", zap.String(keyPeer, join.Node), zap.String(keyServerID, string(join.ServerID)))
	if err := wait(ctx, r.AddVoter(join.ServerID, address, 0, joinTimeout)); err != nil {
		return "", fmt.Errorf("promote %s: %w", join.ServerID, err)
	}
	delete(n.admission.joiners, join.ServerID)
	return "", nil
}

// removeOlder removes the incarnations that a joiner replaces: it was asked at its address, so they are gone. One that lives on at another
// address has to stay as long as its vote is needed, which is what the joiner waits for then.
func (n *Node) removeOlder(ctx context.Context, r *raft.Raft, join joinRequest) (waiting string, err error) {
	for _, old := range servers(r) {
		if nodeName(old.ID) != join.Node || old.ID == join.ServerID {
			continue
		}
		if err := n.CheckRemoval(ctx, join.Node); err != nil {
			return err.Error(), nil
		}
		n.log.Info("removing the lost incarnation of a node", zap.String(keyPeer, join.Node), zap.String(keyServerID, string(old.ID)))
		if err := wait(ctx, r.RemoveServer(old.ID, 0, joinTimeout)); err != nil {
			return "", fmt.Errorf("remove %s: %w", old.ID, err)
		}
		delete(n.admission.joiners, old.ID)
	}
	return "", nil
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
var errRemoved = errors.New("this node was removed from the cluster: stop it for good, or let it in again with 'hacluster join'")

// watchMembership asks to join for as long as this node has no vote, and ends Run when it took part and is no member any more. One that
// was removed while it was away waits to be let in again. At the leader it finishes removals.
func (n *Node) watchMembership(ctx context.Context, r *raft.Raft) error {
	own := serverAddress(n.cfg.address(), n.self.serverID())
	var s standing
	for {
		n.followRoster()
		leadership := n.leadership(r)
		s.look(leadership.Leader != "")
		member, isMember := findServer(r, n.self.serverID())
		votes := isMember && member.Suffrage == raft.Voter && (member.Address == own || leadership.Self)
		switch {
		case votes && !s.expelled:
			s.tookPart = s.tookPart || s.leaderless == 0
			if leadership.Self && member.Address != own {
				// It was elected at its new address before anybody could let it in there.
				_ = wait(ctx, r.AddVoter(member.ID, own, 0, joinTimeout))
			}
			if err := n.takePart(ctx, r, &s, leadership.Self); err != nil {
				return err
			}
		case s.tookPart && !isMember:
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

// standing is what watchMembership remembers from look to look.
type standing struct {
	tookPart   bool // as a voter with a leader
	leaderless int  // looks in a row without one
	expelled   bool // the others say so; its own log does not know it
}

func (s *standing) look(hasLeader bool) {
	s.leaderless++
	if hasLeader {
		s.leaderless, s.expelled = 0, false
	}
}

// takePart is what a voter does about its membership.
func (n *Node) takePart(ctx context.Context, r *raft.Raft, s *standing, leads bool) error {
	const patience = 12 // looks without a leader before the others are asked
	n.sayRunning(s.leaderless == 0)
	if leads {
		n.finishRemovals(ctx, r)
	}
	if s.leaderless < patience {
		return nil
	}
	s.leaderless = 0
	if s.expelled = n.removedElsewhere(ctx); s.expelled && s.tookPart {
		return errRemoved
	}
	return nil
}

func (n *Node) sayRunning(hasLeader bool) {
	if hasLeader {
		n.phase.set("running")
	} else {
		n.waitingFor([]string{"a leader"})
	}
}

// removedElsewhere asks the others. A removed node that was away meanwhile does not hear of it from Raft: nobody answers its requests for
// votes. The answers also tell one that was away for long who the others are by now.
func (n *Node) removedElsewhere(ctx context.Context) bool {
	answers, _ := n.askAll(ctx, n.roster.others())
	return n.expelledBy(answers)
}

// expelledBy says whether a leader does without this node, by its own word and that of most who answer. A real one has a quorum that knows, so
// one peer is believed alone only where nobody else is reached; and who is behind, or was removed too, does not keep the others from telling.
func (n *Node) expelledBy(answers map[string]identityAnswer) bool {
	led, without, with := false, 0, 0
	for _, answer := range answers {
		switch {
		case answer.Generation != n.generation() || len(answer.Members) == 0:
		case slices.Contains(answer.Members, n.self.serverID()):
			with++
		default:
			without++
			led = led || answer.Leading
		}
	}
	return led && without > with
}
