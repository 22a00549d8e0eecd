package election

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestTheBootstrapRule(t *testing.T) {
	t.Parallel()
	peers := []Peer{{Name: "node-b", Address: "10.0.0.2:7946"}, {Name: "node-a", Address: "10.0.0.1:7946"}, {Name: "node-c", Address: "10.0.0.3:7946"}}
	names := []string{"node-a", "node-b", "node-c"}
	uninitialised := identityAnswer{Peers: names}
	member := identityAnswer{Initialized: true, Peers: names, Members: []raft.ServerID{"node-a.1"}}
	tests := map[string]struct {
		self    string
		answers map[string]identityAnswer
		next    step
		waiting string
	}{
		"all fresh, lowest name":  {"node-a", map[string]identityAnswer{"node-b": uninitialised, "node-c": uninitialised}, bootstrapNow, ""},
		"all fresh, another name": {"node-b", map[string]identityAnswer{"node-a": uninitialised, "node-c": uninitialised}, keepWaiting, "node-a to bootstrap the cluster"},
		"one silent": {
			"node-a", map[string]identityAnswer{"node-b": uninitialised}, keepWaiting, "node-c (10.0.0.3:7946): connection refused",
		},
		"all silent": {
			"node-a", nil, keepWaiting, "node-b (10.0.0.2:7946): connection refused, node-c (10.0.0.3:7946): connection refused",
		},
		"a cluster exists, all answer":    {"node-a", map[string]identityAnswer{"node-b": member, "node-c": uninitialised}, startNow, ""},
		"a cluster exists, others silent": {"node-a", map[string]identityAnswer{"node-c": member}, startNow, ""},
		"a peer has started and knows nobody yet": {
			"node-a", map[string]identityAnswer{"node-b": {Initialized: true, Peers: names}, "node-c": uninitialised},
			keepWaiting, "node-b (10.0.0.2:7946): it has not heard from the other members yet",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			silent := make(map[string]error)
			for _, n := range names {
				if _, ok := test.answers[n]; !ok && n != test.self {
					silent[n] = syscall.ECONNREFUSED
				}
			}
			got, err := decide(Config{Name: test.self, Peers: peers}, fresh, test.answers, silent)
			if err != nil || got.next != test.next || strings.Join(got.waiting, ", ") != test.waiting {
				t.Errorf("decide = %+v, %v; want step %d, waiting for %q", got, err, test.next, test.waiting)
			}
		})
	}
	joiner := Config{Name: "node-d", Peers: []Peer{{Name: "node-d", Address: "10.0.0.4:7946"}, peers[1]}, JoinOnly: true}
	for name, test := range map[string]struct {
		answer identityAnswer
		next   step
	}{
		"to join, a fresh cluster": {uninitialised, keepWaiting},
		"to join, a cluster":       {member, startNow},
	} {
		got, err := decide(joiner, fresh, map[string]identityAnswer{"node-a": test.answer}, nil)
		if err != nil || got.next != test.next || (got.next == keepWaiting) != (len(got.waiting) > 0) {
			t.Errorf("%s: decide = %+v, %v; want step %d", name, got, err, test.next)
		}
	}
	disagreeing := identityAnswer{Peers: []string{"node-b", "node-c", "node-d"}}
	_, err := decide(Config{Name: "node-a", Peers: peers}, fresh, map[string]identityAnswer{"node-b": disagreeing, "node-c": uninitialised}, nil)
	expectSentence(t, err, "peer node-b is configured with the nodes node-b, node-c, node-d", "make the configurations equal")
}

// TestTheBootstrapRuleAmongFoundNodes: as many as are expected found a cluster, and what others have found is waited for, not complained of. A
// cluster that exists is joined whatever the numbers are.
func TestTheBootstrapRuleAmongFoundNodes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		found, theirs string // letters
		cluster       bool
		next          step
		waiting       string
	}{
		"as expected":         {"abc", "abc", false, bootstrapNow, ""},
		"too few":             {"ab", "ab", false, keepWaiting, "3 nodes, while 2 are found: node-a, node-b"},
		"too many":            {"abcd", "abcd", false, keepWaiting, "3 nodes, while 4 are found: node-a, node-b, node-c, node-d"},
		"another view":        {"abc", "abd", false, keepWaiting, "node-b (10.0.0.2:7946): it finds the nodes node-a, node-b, node-d"},
		"too few to found":    {"ab", "ab", true, startNow, ""},
		"another view of one": {"abc", "abcd", true, startNow, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Name: "node-a", Expect: 3}
			answers := make(map[string]identityAnswer)
			for i, letter := range test.found {
				p := Peer{Name: "node-" + string(letter), Address: "10.0.0." + strconv.Itoa(i+1) + ":7946"}
				cfg.Peers = append(cfg.Peers, p)
			}
			for _, p := range cfg.others() {
				answers[p.Name] = identityAnswer{Peers: cfg.peerNames()}
			}
			b := identityAnswer{}
			for _, letter := range test.theirs {
				b.Peers = append(b.Peers, "node-"+string(letter))
			}
			if test.cluster {
				b.Initialized, b.Members = true, []raft.ServerID{"node-b.1"}
			}
			answers["node-b"] = b
			got, err := decide(cfg, fresh, answers, nil)
			if err != nil || got.next != test.next || strings.Join(got.waiting, ", ") != test.waiting {
				t.Errorf("decide = %+v, %v; want step %d, waiting for %q", got, err, test.next, test.waiting)
			}
		})
	}
}

func TestFirstBootWaitsForEveryPeerAndSaysForWhom(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start("node-a", "node-b")
	missing := c.config("node-c")
	for _, name := range []string{"node-a", "node-b"} {
		c.nodes[name].expectPhase(t, "waiting for node-c ("+missing.address()+"): connection refused")
	}
	if s := c.nodes["node-a"].Status(); s.State != "Starting" || s.Leader != "" {
		t.Errorf("status while waiting: %+v", s)
	}
	c.start("node-c")
	c.leader()
	c.nodes["node-a"].expectPhase(t, "running")
	c.stop()
}

// A waiting node can be stopped.
func TestAWaitingNodeStops(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start("node-a")
	c.nodes["node-a"].expectPhase(t, "waiting for node-b")
	c.stop("node-a")
}

// The kill points of settle: the process of the bootstrapping node, and of another, ends after each step, and the cluster
// still forms, once, from the incarnations that were told.
func TestBootstrapSurvivesACrashBetweenItsSteps(t *testing.T) {
	t.Parallel()
	crash := map[string]func(t *testing.T, n *Node, answers map[string]identityAnswer){
		"after persisting the incarnation": func(*testing.T, *Node, map[string]identityAnswer) {},
		"inside the first configuration": func(t *testing.T, n *Node, _ map[string]identityAnswer) {
			must(t, n.store.bolt.SetUint64([]byte(currentTermKey), 1))
		},
		"after the first configuration": func(t *testing.T, n *Node, answers map[string]identityAnswer) {
			must(t, n.store.bootstrap(n.raftConfig(), n.firstMembers(answers)))
		},
		"after the marker": func(t *testing.T, n *Node, answers map[string]identityAnswer) {
			must(t, n.store.bootstrap(n.raftConfig(), n.firstMembers(answers)))
			must(t, n.initialize())
		},
	}
	for name, steps := range crash {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, 3)
			told := make(map[string]identityAnswer)
			for _, cfg := range c.configs {
				own, _ := closedNode(t, cfg)
				told[cfg.Name] = identityAnswer{identity: own}
			}
			n, err := Open(c.config("node-a"), &ledger{})
			must(t, err)
			steps(t, n, told)
			must(t, n.Close())
			c.start()
			c.leader()
			c.apply("hello")
			for name, p := range c.nodes {
				if p.self != told[name].identity {
					t.Errorf("%s runs as %+v, it had told %+v", name, p.self, told[name].identity)
				}
			}
		})
	}
}

func TestAnotherNodeCrashesBetweenItsMarkerAndRaft(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	b, err := Open(c.config("node-b"), &ledger{})
	must(t, err)
	told := map[string]identityAnswer{"node-b": {identity: b.self}}
	cOwn, _ := closedNode(t, c.config("node-c"))
	told["node-c"] = identityAnswer{identity: cOwn}
	a, err := Open(c.config("node-a"), &ledger{})
	must(t, err)
	must(t, a.store.bootstrap(a.raftConfig(), a.firstMembers(told)))
	must(t, a.Close())
	must(t, b.initialize())
	must(t, b.Close())
	c.start()
	c.leader()
	c.apply("hello")
	c.expectEverywhere("hello")
}

// A machine replaced under the same configuration joins; it never bootstraps a second cluster (I7).
func TestAReplacedMachineJoins(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"node-a", "node-c"} { // node-a has the lowest name: it is the one that could bootstrap
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, 3)
			c.start()
			c.apply("before")
			old := c.nodes[name].Status()
			c.stop(name)
			must(t, os.RemoveAll(c.config(name).DataDir))
			c.apply("meanwhile")
			c.start(name)
			c.expectRejoined(name, old)
			c.apply("after")
			c.expectEverywhere("before", "meanwhile", "after")
		})
	}
}

// expectRejoined waits until the node votes under a new incarnation and the old one is gone.
func (c *cluster) expectRejoined(name string, old Status) {
	c.t.Helper()
	p := c.nodes[name]
	if now := p.Status(); now.Incarnation == old.Incarnation {
		c.t.Fatalf("%s came back as %s", name, now.ServerID)
	}
	p.expectPhase(c.t, "running")
	leader, _ := c.leader()
	var ids []string
	for _, server := range servers(leader.raft.Load()) {
		if server.Suffrage != raft.Voter {
			c.t.Errorf("%s has no vote", server.ID)
		}
		ids = append(ids, string(server.ID))
	}
	if len(ids) != len(c.configs) || slices.Contains(ids, old.ServerID) || !slices.Contains(ids, p.Status().ServerID) {
		c.t.Errorf("members are %v; %s is %s now and was %s", ids, name, p.Status().ServerID, old.ServerID)
	}
}

// I7: a node that lost its store but not its marker comes back as somebody else, and what is meant for the old identity at its
// address, such as a request for its vote, is refused.
func TestANodeThatLostItsStoreNeverVotesUnderItsOldIdentity(t *testing.T) {
	t.Parallel()
	losses := map[string]func(t *testing.T, cfg Config){
		"deleted":              func(t *testing.T, cfg Config) { must(t, os.Remove(dbPath(cfg))) },
		"truncated to nothing": func(t *testing.T, cfg Config) { must(t, os.Truncate(dbPath(cfg), 0)) },
	}
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, 3)
			c.start()
			c.apply("before")
			old := c.nodes["node-b"].Status()
			c.stop("node-b")
			lose(t, c.config("node-b"))
			c.start("node-b")
			c.expectRejoined("node-b", old)
			c.apply("after")
			c.expectEverywhere("before", "after")
			c.expectNoVote("node-b", raft.ServerID(old.ServerID))
		})
	}
}

// expectNoVote asks for a vote as a candidate with the longest log and the newest term would.
func (c *cluster) expectNoVote(name string, voter raft.ServerID) {
	c.t.Helper()
	asker, term := c.leader()
	// The leader's own dialler and wire format.
	tcp := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:  stream{lane: newLane(raftAddr("asker")), mux: asker.mux, ctx: c.t.Context()},
		Timeout: transportTimeout,
		Logger:  raftLogger(asker.log),
	})
	defer func() { _ = tcp.Close() }()
	request := &raft.RequestVoteRequest{
		RPCHeader:    raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(asker.self.serverID()), Addr: []byte("asker")},
		Term:         term + 100,
		LastLogIndex: 1 << 40, LastLogTerm: term + 100, LeadershipTransfer: true,
	}
	var response raft.RequestVoteResponse
	refused := c.nodes[name].Status().RefusedConnections
	err := tcp.RequestVote(voter, serverAddress(c.config(name).address(), voter), request, &response)
	if err == nil {
		c.t.Fatalf("%s answered a request for the vote of %s: %+v", name, voter, response)
	}
	if c.nodes[name].Status().RefusedConnections <= refused {
		c.t.Errorf("%s has not counted the refusal", name)
	}
	// The same request to the present identity is answered, so the refusal is not an accident of the test.
	present := c.nodes[name].self.serverID()
	if err := tcp.RequestVote(present, serverAddress(c.config(name).address(), present), request, &response); err != nil {
		c.t.Errorf("%s does not answer a request for the vote of %s: %v", name, present, err)
	}
}

// All stores lost, all markers kept: nobody bootstraps, as that could lose what was committed.
func TestNobodyBootstrapsOverLostStores(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start()
	c.apply("before")
	c.stop()
	for _, cfg := range c.configs {
		must(t, os.Remove(dbPath(cfg)))
	}
	c.start()
	for _, p := range c.nodes {
		p.expectPhase(t, "waiting for", "it has not heard from the other members yet")
	}
	time.Sleep(time.Second) // longer than an election takes
	for name, p := range c.nodes {
		if s := p.Status(); s.Leader != "" || s.LastIndex != 0 {
			t.Errorf("%s after all stores were lost: %+v", name, s)
		}
	}
}

func TestOnlyWhoIsKnownMayJoin(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, steady)
	c.start()
	leader, _ := c.leader()
	peer := leader.cfg.others()[0]
	present := c.nodes[peer.Name].self.serverID()
	tests := map[string]struct {
		join  joinRequest
		words string
	}{
		"an unknown name":       {joinRequest{Node: "node-x", ServerID: "node-x.1", Address: peer.Address}, "is not admitted"},
		"another address":       {joinRequest{Node: peer.Name, ServerID: present, Address: "127.0.0.1:1"}, "is at 127.0.0.1:1"},
		"somebody else's id":    {joinRequest{Node: peer.Name, ServerID: "node-x.1", Address: peer.Address}, "cannot join as"},
		"the leader's own name": {joinRequest{Node: leader.cfg.Name, ServerID: "x.1", Address: leader.cfg.address()}, "cannot join as"},
		// A copy of a machine, or a request from the past, must not remove the incarnation that lives.
		"an id that is not at the address": {
			joinRequest{Node: peer.Name, ServerID: raft.ServerID(peer.Name + ".0123456789abcdef"), Address: peer.Address},
			"but " + string(present) + " is at its address",
		},
	}
	for name, test := range tests {
		err := leader.Call(t.Context(), leader.cfg.Name, joinPath, test.join, nil)
		var answered *CallError
		if !errors.As(err, &answered) || answered.Status != 403 || !strings.Contains(answered.Message, test.words) {
			t.Errorf("%s: join = %v, want 403 and %q", name, err, test.words)
		}
	}
	if got := len(servers(leader.raft.Load())); got != 3 {
		t.Errorf("%d members", got)
	}
}

func TestARemovedNodeEndsWithASentence(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, steady)
	c.start()
	leader, _ := c.leader()
	removed := c.nodes[leader.cfg.others()[0].Name]
	removed.expectPhase(t, "running")
	must(t, wait(t.Context(), leader.raft.Load().RemoveServer(removed.self.serverID(), 0, time.Second)))
	expectSentence(t, removed.failure(t), "removed from the cluster", "hacluster join")
}

// Nobody tells a node that was away when it was removed: its log has it as a voter, so it must ask.
func TestANodeThatWasRemovedWhileAwayWaitsAndSaysSo(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start()
	leader, _ := c.leader()
	away := c.nodes[leader.cfg.others()[0].Name]
	away.expectPhase(t, "running")
	c.stop(away.cfg.Name)
	c.remove(away.cfg.Name)
	// A leader goes on trying to send a removed node its last entries, but only the leader that removed it.
	c.stop()
	c.start(leader.cfg.Name, leader.cfg.others()[1].Name)
	c.leader()
	back := start(t, away.cfg)
	back.expectPhase(t, away.cfg.Name+" was removed from the cluster", "hacluster join")
	c.admit(away.cfg.Name, away.cfg.address())
	back.expectPhase(t, "running")
}
