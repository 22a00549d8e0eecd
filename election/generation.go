package election

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// generation names the recoveries from a permanent loss of the quorum that a cluster has gone through: their random ids in order, joined
// by '/'. It is "" as long as there was none.
//
// After a recovery the old voters may come back, and enough of them are a quorum of what the cluster was. So nodes of different
// generations are strangers to each other: they refuse each other's calls; their Raft connections meet nobody, because the recovered
// node has a new incarnation and its configuration names nobody else; and a node that learns that its generation was left behind
// ends. A node that comes without memory takes over the newest generation that it finds, and keeps it on disk before it asks to be let in.
type generation string

// generationHeader is in each call from node to node. Builds that know no generations send none, which is "".
const generationHeader = "Hacluster-Generation"

// newGeneration follows g.
func (g generation) newGeneration() (next generation, id string) {
	var random [4]byte
	_, _ = rand.Read(random[:]) // crypto/rand.Read never fails.
	id = hex.EncodeToString(random[:])
	if g == "" {
		return generation(id), id
	}
	return g + "/" + generation(id), id
}

// supersedes reports whether g is other, recovered once or more.
func (g generation) supersedes(other generation) bool {
	return g != other && (other == "" || strings.HasPrefix(string(g), string(other)+"/"))
}

// String names it for people.
func (g generation) String() string {
	if g == "" {
		return "never recovered"
	}
	return "recovery " + string(g)
}

// generation is what the node belongs to at present: it changes until Raft runs.
func (n *Node) generation() generation {
	if bound := n.bound.Load(); bound != nil {
		return *bound
	}
	return n.self.Generation
}

// identity is the node's own with its present generation.
func (n *Node) identity() identity {
	own := n.self
	own.Generation = n.generation()
	return own
}

// bind takes the generation of the cluster that the node is about to join, and keeps it: later it must not be let in by another one.
func (n *Node) bind(g generation) error {
	if g == n.generation() {
		return nil
	}
	n.log.Info("joining the cluster that goes on after a recovery", zap.Stringer("generation", g))
	own := n.self
	own.Generation = g
	if err := writeIdentity(n.store, own); err != nil {
		return err
	}
	n.bound.Store(&g)
	return nil
}

// newest returns the newest generation among the peers that belong to a cluster. known is false if none does. Two recoveries that know
// nothing of each other have no newest, and the sentence says whose they are.
func newest(answers map[string]identityAnswer) (g generation, known bool, forked string) {
	var whose string
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		answer := answers[name]
		switch theirs := answer.Generation; {
		case len(answer.Members) == 0:
		case !known || theirs.supersedes(g):
			g, known, whose = theirs, true, name
		case theirs != g && !g.supersedes(theirs):
			return "", true, fmt.Sprintf("%s and %s, which were recovered separately: stop one of them for good", whose, name)
		}
	}
	return g, known, ""
}

// refuseIfLeftBehind keeps a node of an old generation from voting in it again. It asks the peers that it can reach, and not for
// long: one that is silent must not delay a start.
func (n *Node) refuseIfLeftBehind(ctx context.Context) error {
	const patience = 300 * time.Millisecond
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answers, _ := n.askAll(asking, n.roster.others())
	return errors.Join(n.judge(answers), ctx.Err())
}

// judge returns an error if one of the peers belongs to a cluster that has left this node behind, and says whom this one has left behind.
func (n *Node) judge(answers map[string]identityAnswer) error {
	own := n.generation()
	for name, answer := range answers {
		switch theirs := answer.Generation; {
		case len(answer.Members) == 0 || theirs == own:
		case theirs.supersedes(own):
			return fmt.Errorf("the cluster was recovered from the loss of its quorum, and goes on with node %s without what this node knows (%v): "+
				"stop this node, move the directory %s away, leave the file %q beside it, and start the node again; it comes back as a new member",
				name, theirs, n.store.dir, markerName)
		case own.supersedes(theirs):
			n.log.Warn("a node of before the recovery runs: stop it, move its raft directory away and start it again; it comes back as a new member",
				zap.String(keyPeer, name))
		default:
			n.log.Error("a node was recovered separately, and there are two clusters that move the same address: stop one of them for good",
				zap.String(keyPeer, name), zap.Stringer("theirs", theirs), zap.Stringer("own", own))
		}
	}
	return nil
}

// hasLeft reports whether the node belongs to a cluster that went on without the generation g.
func (a identityAnswer) hasLeft(g generation) bool {
	return len(a.Members) > 0 && a.Generation != g && !g.supersedes(a.Generation)
}

// watch is what the node watches while Raft runs.
func (n *Node) watch(ctx context.Context, r *raft.Raft) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return n.watchMembership(ctx, r) })
	group.Go(func() error { return n.watchGenerations(ctx, r) })
	return group.Wait()
}

// watchGenerations asks peers that do not follow whether they belong to another generation. Only a leader asks, or a node that knows none:
// where everybody follows nothing is asked at all.
func (n *Node) watchGenerations(ctx context.Context, r *raft.Raft) error {
	const interval = 5 * time.Second
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		l := n.leadership(r)
		if l.Leader != "" && !l.Self {
			continue
		}
		if err := n.judge(n.askStrangers(ctx, interval)); err != nil {
			return err
		}
	}
}

// askStrangers asks the peers that have acknowledged nothing for that long.
func (n *Node) askStrangers(ctx context.Context, within time.Duration) map[string]identityAnswer {
	following := n.Reachable(within)
	var strangers []Peer
	for _, p := range n.roster.others() {
		if !slices.Contains(following, p.Name) {
			strangers = append(strangers, p)
		}
	}
	answers, _ := n.askAll(ctx, strangers)
	return answers
}

// sameGeneration says whether a call may be served. Who somebody is may be asked by everybody.
func (n *Node) sameGeneration(w http.ResponseWriter, r *http.Request) bool {
	own, theirs := n.generation(), generation(r.Header.Get(generationHeader))
	// A node that asks to be let in has no generation yet.
	if own == theirs || r.URL.Path == identityPath || r.URL.Path == AdmitPath {
		return true
	}
	http.Error(w, fmt.Sprintf("node %s belongs to another generation of the cluster: %v, not %v", n.cfg.Name, own, theirs), http.StatusConflict)
	return false
}
