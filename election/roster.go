package election

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Directory is what the cluster has agreed on about who belongs to it.
type Directory interface {
	// Admitted returns the nodes that are members, or may become ones, with their newest addresses.
	Admitted() []Peer
	// Removed reports whether the node was removed, and was not admitted since.
	Removed(name string) bool
}

// nobodyAgreed is the Directory of a node without one: the configuration decides.
type nobodyAgreed struct{}

func (nobodyAgreed) Admitted() []Peer    { return nil }
func (nobodyAgreed) Removed(string) bool { return false }

// toldFor is how long the word of another node counts. This node's own log knows better by then, or it asks again.
const toldFor = time.Minute

// maxTold is how many nodes are known by hearsay at most: each of them is asked, and looked through at each handshake.
const maxTold = 64

// roster is who belongs to the cluster, as far as this node knows. It asks, in this order:
//
//   - the directory, which knows the newest address of each node;
//   - Raft's latest configuration, committed or not. It is known before any entry is applied, and a node must hear its leader even if
//     the directory, which may still be at some point of the past, says that the leader was removed;
//   - the configuration file, which names the first members and is how the others are found;
//   - what members have told. The log of a node that was away may know nothing of its present leader, and that of a new node knows nobody.
type roster struct {
	cfg     Config
	servers func() []raft.Server // Raft's latest configuration

	mu        sync.Mutex
	told      []Peer
	toldUntil time.Duration
}

func newRoster(cfg Config, servers func() []raft.Server) *roster {
	if cfg.Directory == nil {
		cfg.Directory = nobodyAgreed{}
	}
	return &roster{cfg: cfg, servers: servers}
}

// list returns everybody, this node first.
func (r *roster) list() []Peer {
	var list []Peer
	add := func(p Peer) {
		if p.Address != "" && !slices.ContainsFunc(list, func(known Peer) bool { return known.Name == p.Name }) {
			list = append(list, p)
		}
	}
	if self, ok := r.cfg.peer(r.cfg.Name); ok {
		add(self)
	}
	for _, p := range r.cfg.Directory.Admitted() {
		add(p)
	}
	for _, p := range peersOf(r.servers()) {
		add(p)
	}
	for _, p := range append(slices.Clone(r.cfg.Peers), r.hearsay()...) {
		if !r.removed(p.Name) {
			add(p)
		}
	}
	return list
}

// others returns everybody but this node.
func (r *roster) others() []Peer {
	return slices.DeleteFunc(r.list(), func(p Peer) bool { return p.Name == r.cfg.Name })
}

// peer returns the node of a name.
func (r *roster) peer(name string) (Peer, bool) {
	list := r.list()
	i := slices.IndexFunc(list, func(p Peer) bool { return p.Name == name })
	if i < 0 {
		return Peer{}, false
	}
	return list[i], true
}

// isMember reports whether Raft listens to a node.
func (r *roster) isMember(name string) bool {
	_, ok := r.peer(name)
	return ok
}

// removed reports what the directory says.
func (r *roster) removed(name string) bool { return r.cfg.Directory.Removed(name) }

// tell takes the word of a member about who the others are.
func (r *roster) tell(peers []Peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.cfg.Now()
	if now >= r.toldUntil {
		r.told = nil
	}
	for _, p := range peers[:min(len(peers), maxTold)] {
		r.told = slices.DeleteFunc(r.told, func(old Peer) bool { return old.Name == p.Name })
		r.told = append(r.told, p)
	}
	// The newest word counts.
	r.told = slices.Delete(r.told, 0, max(0, len(r.told)-maxTold))
	slices.SortFunc(r.told, func(a, b Peer) int { return cmp.Compare(a.Name, b.Name) })
	r.toldUntil = now + toldFor
}

func (r *roster) hearsay() []Peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cfg.Now() >= r.toldUntil {
		return nil
	}
	return slices.Clone(r.told)
}

// peersOf are the nodes of a Raft configuration.
func peersOf(servers []raft.Server) []Peer {
	peers := make([]Peer, 0, len(servers))
	for _, s := range servers {
		if address, id, err := splitServerAddress(s.Address); err == nil {
			peers = append(peers, Peer{Name: nodeName(raft.ServerID(id)), Address: address})
		}
	}
	return peers
}

// followRoster makes the port follow a change of the roster: who has room of its own at the gate, and who is cut off. Connections that
// were kept for another address of a node are given up. It is called from one goroutine.
func (n *Node) followRoster() {
	now := n.roster.list()
	if slices.Equal(now, n.known) {
		return
	}
	n.known = now
	n.mux.gate.setPeers(now)
	n.client.CloseIdleConnections()
	if n.cfg.Security != nil {
		n.mux.cutUnwelcome()
	}
}
