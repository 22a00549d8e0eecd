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
	// Last is where its log ends.
	Last Position `json:"last,omitzero"`
	// Peers are the sorted names that the node is configured with.
	Peers []string `json:"peers"`
	// Members is the Raft configuration; empty as long as the node has not heard of any. Roster is the same with addresses.
	Members []raft.ServerID `json:"members,omitempty"`
	Roster  []Peer          `json:"roster,omitempty"`
}

func (n *Node) answerIdentity(w http.ResponseWriter, _ *http.Request) {
	answer := identityAnswer{identity: n.identity(), Initialized: n.initialized.Load(), Peers: n.cfg.peerNames()}
	if r := n.raft.Load(); r != nil {
		answer.Last, _ = n.store.end() // without it the answer is still good for all but a recovery
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
//
// A node with a past first asks whether the cluster has gone on without it (generation.go).
func (n *Node) settle(ctx context.Context) error {
	if n.origin == resumed {
		return n.refuseIfLeftBehind(ctx)
	}
	for {
		answers, silent, err := n.poll(ctx)
		if err != nil {
			return err
		}
		verdict, err := decide(n.cfg, n.origin, answers, silent)
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
			if err := n.bind(verdict.generation); err != nil {
				return err
			}
			return n.initialize()
		}
		n.waitingFor(verdict.waiting)
		select {
		case <-time.After(pollInterval):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// initialize makes the marker durable: from here on Raft runs under this incarnation, and its loss would be noticed.
func (n *Node) initialize() error {
	if err := writeMarker(n.cfg, n.identity()); err != nil {
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
	answers, silent = n.askAll(ctx, n.roster.others())
	for name, err := range silent {
		var answered *CallError
		if errors.As(err, &answered) && answered.Status == http.StatusMisdirectedRequest {
			p, _ := n.roster.peer(name)
			return nil, nil, fmt.Errorf("peer %s at %s: %s: correct its address or the cluster name in the configuration", name, p.Address, answered.Message)
		}
	}
	return answers, silent, ctx.Err()
}

// askAll asks these peers at once.
func (n *Node) askAll(ctx context.Context, peers []Peer) (answers map[string]identityAnswer, silent map[string]error) {
	answers, silent = make(map[string]identityAnswer), make(map[string]error)
	var mu sync.Mutex
	var polls sync.WaitGroup
	for _, p := range peers {
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
	for _, answer := range answers {
		n.roster.tell(answer.Roster)
	}
	return answers, silent
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
	next       step
	generation generation // to join
	waiting    []string
}

// decide is the bootstrap rule as a pure function of what the peers answered. A node without memory joins only; one that never had any
// may bootstrap.
func decide(cfg Config, past origin, answers map[string]identityAnswer, silent map[string]error) (verdict, error) {
	switch found, known, forked := newest(answers); {
	case forked != "":
		return verdict{next: keepWaiting, waiting: []string{forked}}, nil
	case known:
		// There is a cluster. Either it knows this node already, or this node asks to join.
		return verdict{next: startNow, generation: found}, nil
	}
	waiting, err := whomToAwait(cfg, past, answers, silent)
	if err != nil {
		return verdict{}, err
	}
	lowest := cfg.peerNames()[0]
	switch {
	case len(waiting) > 0:
		// for them
	case past == returning || cfg.JoinOnly:
		waiting = []string{"a member of the cluster"}
	case cfg.Expect > 0 && len(cfg.Peers) != cfg.Expect:
		waiting = []string{fmt.Sprintf("%d nodes, while %d are found: %s", cfg.Expect, len(cfg.Peers), strings.Join(cfg.peerNames(), ", "))}
	case lowest == cfg.Name:
		return verdict{next: bootstrapNow}, nil
	default:
		waiting = []string{lowest + " to bootstrap the cluster"}
	}
	return verdict{next: keepWaiting, waiting: waiting}, nil
}

// whomToAwait lists the peers that keep this node from bootstrapping, with the reasons.
func whomToAwait(cfg Config, past origin, answers map[string]identityAnswer, silent map[string]error) (waiting []string, err error) {
	await := func(p Peer, why string) {
		waiting = append(waiting, fmt.Sprintf("%s (%s): %s", p.Name, p.Address, why))
	}
	for _, p := range cfg.others() {
		answer, answered := answers[p.Name]
		switch {
		case !answered:
			await(p, Reason(silent[p.Name]))
		case answer.Initialized || past == returning:
			await(p, "it has not heard from the other members yet")
		case cfg.JoinOnly:
			await(p, "its cluster has not begun, and this node only joins one")
		case slices.Equal(answer.Peers, cfg.peerNames()):
			// it agrees
		case cfg.Expect > 0:
			await(p, "it finds the nodes "+strings.Join(answer.Peers, ", "))
		default:
			// Two views of who is in the cluster could bootstrap two clusters that share nodes.
			return nil, fmt.Errorf("peer %s is configured with the nodes %s, this node with %s: make the configurations equal",
				p.Name, strings.Join(answer.Peers, ", "), strings.Join(cfg.peerNames(), ", "))
		}
	}
	return waiting, nil
}
