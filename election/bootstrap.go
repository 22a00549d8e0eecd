package election

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

const (
	identityPath = "/v1/identity"
	pollInterval = 250 * time.Millisecond
	pollTimeout  = time.Second
)

// identityAnswer is what a node tells of itself at /v1/identity.
type identityAnswer struct {
	identity
	// Initialized: Raft runs, or is about to, under this incarnation.
	Initialized bool `json:"initialized"`
	// Leading: the node is the Raft leader, so Members is the truth.
	Leading bool `json:"leading"`
	// Peers are the sorted names that the node is configured with.
	Peers []string `json:"peers"`
	// Members is the Raft configuration; empty as long as the node has not heard of any. Roster is the same with addresses.
	Members []raft.ServerID `json:"members,omitempty"`
	Roster  []Peer          `json:"roster,omitempty"`
}

func (n *Node) answerIdentity(w http.ResponseWriter, _ *http.Request) {
	answer := identityAnswer{identity: n.self, Initialized: n.initialized.Load(), Peers: n.cfg.peerNames()}
	if r := n.raft.Load(); r != nil {
		answer.Leading = r.State() == raft.Leader
		members := servers(r)
		for _, server := range members {
			answer.Members = append(answer.Members, server.ID)
		}
		answer.Roster = peersOf(members)
	}
	writeJSON(w, answer)
}

// settle returns when Raft may run on this node's store.
//
// A cluster is bootstrapped once, and only when every configured peer has answered that it has no past: then the peer with
// the lowest name writes the first configuration, which names everybody's incarnation. Nobody starts Raft, and nobody can
// vote, before its marker is durable. The order, with what a restart after a crash in between finds:
//
//  1. every node persists its incarnation, then answers      (the same incarnation: polls again)
//  2. the lowest writes the first configuration               (log without marker: goes on with 3)
//  3. the lowest writes its marker and starts Raft            (resumes)
//  4. the others see a peer that knows members, and do 3      (no log, no marker: poll again, see the same)
//
// A crash inside 2 leaves a term without a log; store.bootstrap takes it back. A node that comes back without its past, and
// one that finds initialised peers, goes straight to 3 with an empty log: watchMembership then asks to be let in.
//
// If the lowest node loses its store for good after one of the others has done 4 and before it has replicated anything, the
// others wait for ever; the operator removes their data dirs. Nothing was committed by then.
func (n *Node) settle(ctx context.Context) error {
	for n.origin == fresh {
		answers, silent, err := n.poll(ctx)
		if err != nil {
			return err
		}
		verdict, err := decide(n.cfg, answers, silent)
		if err != nil {
			return err
		}
		switch verdict.next {
		case bootstrapNow:
			if err := n.store.bootstrap(n.raftConfig(), n.firstMembers(answers)); err != nil {
				return err
			}
			n.log.Info("bootstrapped the cluster", zap.Strings("members", n.cfg.peerNames()))
			return n.initialize()
		case startNow:
			return n.initialize()
		}
		n.waitingFor(verdict.waiting)
		select {
		case <-time.After(pollInterval):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if n.origin == returning {
		return n.initialize()
	}
	return nil
}

// initialize makes the marker durable: from here on Raft runs under this incarnation, and its loss would be noticed.
func (n *Node) initialize() error {
	if err := writeMarker(n.cfg, n.self); err != nil {
		return err
	}
	n.initialized.Store(true)
	return nil
}

// firstMembers is the first configuration: all configured nodes, witnesses included, as voters.
func (n *Node) firstMembers(answers map[string]identityAnswer) []raft.Server {
	var members []raft.Server
	for _, p := range n.cfg.Peers {
		id := n.self.serverID()
		if p.Name != n.cfg.Name {
			id = answers[p.Name].serverID()
		}
		members = append(members, raft.Server{Suffrage: raft.Voter, ID: id, Address: serverAddress(p.Address, id)})
	}
	return members
}

// waitingFor says, in Status and once per change in the log, what the node waits for.
func (n *Node) waitingFor(what []string) {
	phase := "waiting for " + strings.Join(what, ", ")
	if n.phase.set(phase) {
		n.log.Info(phase)
	}
}

// poll asks all other peers who they are: those that answered by name, and why the others did not. An answer that shows a
// configuration error is an error.
func (n *Node) poll(ctx context.Context) (answers map[string]identityAnswer, silent map[string]error, err error) {
	answers, silent = make(map[string]identityAnswer), make(map[string]error)
	var mu sync.Mutex
	var polls sync.WaitGroup
	for _, p := range n.roster.others() {
		polls.Go(func() {
			answer, err := n.ask(ctx, p.Name)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				silent[p.Name] = err
				return
			}
			answers[p.Name] = answer
		})
	}
	polls.Wait()
	for name, err := range silent {
		var answered *CallError
		if errors.As(err, &answered) && answered.Status == http.StatusMisdirectedRequest {
			p, _ := n.roster.peer(name)
			return nil, nil, fmt.Errorf("peer %s at %s: %s: correct its address or the cluster name in the configuration", name, p.Address, answered.Message)
		}
	}
	for _, answer := range answers {
		n.roster.tell(answer.Roster)
	}
	return answers, silent, ctx.Err()
}

func (n *Node) ask(ctx context.Context, name string) (identityAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	var answer identityAnswer
	if err := n.Call(ctx, name, identityPath, nil, &answer); err != nil {
		return identityAnswer{}, err
	}
	return answer, answer.check(n.cfg.Cluster, name)
}

// check refuses what cannot be the answer of the named node; its server id would go into a configuration.
func (a identityAnswer) check(cluster, name string) error {
	if a.Cluster != cluster || a.Node != name || a.Incarnation == "" || strings.Contains(a.Incarnation, ".") {
		return fmt.Errorf("it answers as %q of node %q of cluster %q", a.Incarnation, a.Node, a.Cluster)
	}
	return nil
}

// step is what a node without a past does next.
type step int

const (
	keepWaiting step = iota
	bootstrapNow
	startNow
)

type verdict struct {
	next    step
	waiting []string
}

// decide is the bootstrap rule as a pure function of what the peers answered.
func decide(cfg Config, answers map[string]identityAnswer, silent map[string]error) (verdict, error) {
	var waiting []string
	for _, p := range cfg.others() {
		answer, answered := answers[p.Name]
		switch {
		case !answered:
			waiting = append(waiting, fmt.Sprintf("%s (%s): %s", p.Name, p.Address, reason(silent[p.Name])))
		case len(answer.Members) > 0:
			// There is a cluster. Either it knows this node already, or this node asks to join.
			return verdict{next: startNow}, nil
		case answer.Initialized:
			waiting = append(waiting, fmt.Sprintf("%s (%s): it has not heard from the other members yet", p.Name, p.Address))
		case cfg.JoinOnly:
			waiting = append(waiting, fmt.Sprintf("%s (%s): its cluster has not begun, and this node only joins one", p.Name, p.Address))
		case !slices.Equal(answer.Peers, cfg.peerNames()):
			// Two views of who is in the cluster could bootstrap two clusters that share nodes.
			return verdict{}, fmt.Errorf("peer %s is configured with the nodes %s, this node with %s: make the configurations equal",
				p.Name, strings.Join(answer.Peers, ", "), strings.Join(cfg.peerNames(), ", "))
		}
	}
	lowest := cfg.peerNames()[0]
	switch {
	case len(waiting) > 0 || cfg.JoinOnly:
		return verdict{next: keepWaiting, waiting: waiting}, nil
	case lowest == cfg.Name:
		return verdict{next: bootstrapNow}, nil
	default:
		return verdict{next: keepWaiting, waiting: []string{lowest + " to bootstrap the cluster"}}, nil
	}
}
