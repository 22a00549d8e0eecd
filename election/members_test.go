package election

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/hacluster/hacluster/internal/keyring"
)

// steady is for clusters whose leader stays, whatever the machine is busy with.
func steady(cfg *Config) {
	cfg.Timing.Heartbeat, cfg.Timing.Election, cfg.Timing.Lease = time.Second, time.Second, time.Second
}

// newcomer prepares a node that is configured with itself and the named ones, and starts it.
func (c *cluster) newcomer(name, address string, knows ...string) *process {
	c.t.Helper()
	cfg := c.configs[0]
	cfg.Name, cfg.DataDir, cfg.JoinOnly = name, memoryDir(c.t), true
	cfg.Peers = []Peer{{Name: name, Address: address}}
	for _, other := range knows {
		cfg.Peers = append(cfg.Peers, Peer{Name: other, Address: c.config(other).address()})
	}
	c.configs = slices.DeleteFunc(c.configs, func(old Config) bool { return old.Name == name })
	c.configs = append(c.configs, cfg)
	c.start(name)
	return c.nodes[name]
}

// admit commits that a node may join.
func (c *cluster) admit(name, address string) { c.apply("admit " + name + " " + address) }

// remove does what the controller does: what is agreed first, Raft next. The leader must be another node.
func (c *cluster) remove(name string) {
	c.t.Helper()
	if p := c.nodes[name]; p != nil {
		p.expectPhase(c.t, "running") // it ends only if it took part
	}
	c.apply("remove " + name)
	eventually(c.t, "removal of "+name, func() error {
		leader, _ := c.leaderBut(name)
		if leader == nil {
			return errors.New("no leader")
		}
		return leader.Remove(c.t.Context(), name)
	})
}

// leaderBut returns the leader if it is another node.
func (c *cluster) leaderBut(name string) (*process, uint64) {
	for _, p := range c.nodes {
		if term := p.Status().Term; p.cfg.Name != name && p.Leading(term) {
			return p, term
		}
	}
	return nil, 0
}

// expectVoters waits until every running node counts exactly these voters.
func (c *cluster) expectVoters(names ...string) {
	c.t.Helper()
	for name, p := range c.nodes {
		eventually(c.t, "the voters at "+name, func() error {
			p.mustRun(c.t)
			if s := p.Status(); !slices.Equal(s.Voters, names) {
				return fmt.Errorf("%q (%s), want %q", s.Voters, s.Phase, names)
			}
			return nil
		})
	}
}

// ends waits until a node that was removed has ended, and forgets it.
func (c *cluster) ends(name string) {
	c.t.Helper()
	expectSentence(c.t, c.nodes[name].failure(c.t), "removed from the cluster")
	delete(c.nodes, name)
}

// TestGrowAndShrink: 3 -> 5 -> 3, and the nodes that are left are the ones that came. Each newcomer knows one node, which may be a
// follower, or a newcomer itself.
func TestGrowAndShrink(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, steady)
	c.start()
	c.apply("before")
	leader, _ := c.leader()
	addresses := freeAddresses(t, 2)
	c.admit("node-d", addresses[0])
	c.newcomer("node-d", addresses[0], leader.cfg.others()[0].Name)
	c.expectVoters("node-a", "node-b", "node-c", "node-d")
	c.admit("node-e", addresses[1])
	c.newcomer("node-e", addresses[1], "node-d")
	c.expectVoters("node-a", "node-b", "node-c", "node-d", "node-e")
	c.apply("grown")

	c.nodes["node-e"].lead(t)
	for _, name := range []string{"node-a", "node-b"} {
		c.remove(name)
		c.ends(name)
	}
	c.expectVoters("node-c", "node-d", "node-e")
	c.apply("shrunk")
	c.stop("node-c", "node-d", "node-e") // those two who are left are configured with node-a, b and d only
	c.start("node-c", "node-d", "node-e")
	c.apply("after a restart")
	c.expectVoters("node-c", "node-d", "node-e")
}

// lead makes a node the leader.
func (p *process) lead(t *testing.T) {
	t.Helper()
	eventually(t, p.cfg.Name+" leads", func() error {
		s := p.Status()
		if p.Leading(s.Term) {
			return nil
		}
		if s.Leader == "" {
			return errors.New("no leader")
		}
		return p.Hint(t.Context(), s.Leader, s.Term)
	})
}

// TestARemovedNodeStaysOut, though it is configured everywhere, with its disk and without. Once it is admitted again it is a voter as before.
func TestARemovedNodeStaysOut(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]bool{"its disk is kept": false, "its disk is lost": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, 3, steady)
			c.start()
			c.nodes["node-a"].lead(t)
			c.remove("node-b")
			c.ends("node-b")
			if lose {
				remove(t, c.config("node-b").DataDir)
			}
			c.expectVoters("node-a", "node-c")
			back := start(t, c.config("node-b"))
			back.expectPhase(t, "node-b was removed from the cluster", "hacluster join")
			c.expectVoters("node-a", "node-c")
			c.admit("node-b", c.config("node-b").address())
			c.nodes["node-b"] = back
			c.expectVoters("node-a", "node-b", "node-c")
			c.apply("together")
		})
	}
}

// TestARefusalIsLoggedOnce, however many ask to join in turns: nodes that were removed, or found beside nine others, ask for days.
func TestARefusalIsLoggedOnce(t *testing.T) {
	t.Parallel()
	core, lines := observer.New(zap.WarnLevel)
	c := newCluster(t, 3, steady, func(cfg *Config) { cfg.Logger = zap.New(core) })
	c.start()
	leader, _ := c.leader()
	strangers := []string{"node-x", "node-y"}
	for range 5 {
		for _, name := range strangers {
			body := fmt.Sprintf(`{"node": %q, "server_id": "%s.1", "address": "127.0.0.1:1"}`, name, name)
			answer := httptest.NewRecorder()
			leader.answerJoin(answer, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)))
			if answer.Code != http.StatusForbidden {
				t.Fatalf("%s is answered %d: %s", name, answer.Code, answer.Body)
			}
		}
	}
	if got := lines.FilterMessage("refused a join").Len(); got != len(strangers) {
		t.Errorf("%d lines for %d nodes: %v", got, len(strangers), lines.All())
	}
}

// TestTheLeaderFinishesARemoval that somebody else began: it was deposed, or died, before Raft's part.
func TestTheLeaderFinishesARemoval(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, steady)
	c.start()
	c.nodes["node-a"].lead(t)
	c.nodes["node-c"].expectPhase(t, "running")
	c.apply("remove node-c")
	c.ends("node-c")
	c.expectVoters("node-a", "node-b")
}

// TestRemoveTheLeader: it does not remove itself; once it has handed over, its successor removes it.
func TestRemoveTheLeader(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, steady)
	c.start()
	leader, _ := c.leader()
	name := leader.cfg.Name
	expectSentence(t, leader.Remove(t.Context(), name), "cannot remove itself", "transfer")
	leader.expectPhase(t, "running")
	c.apply("remove " + name)
	eventually(t, "a successor", func() error { return leader.Transfer(t.Context(), leader.cfg.others()[0].Name) })
	c.ends(name)
	c.apply("after")
	follower := c.nodes[leader.cfg.others()[1].Name]
	if err := follower.Remove(t.Context(), name); !errors.Is(err, ErrNotLeader) {
		t.Errorf("removal at a follower = %v, want ErrNotLeader", err)
	}
}

// TestARemovalKeepsAQuorum of those that answer.
func TestARemovalKeepsAQuorum(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, steady)
	c.start()
	leader, _ := c.leader()
	dead, other := leader.cfg.others()[0].Name, leader.cfg.others()[1].Name
	c.stop(dead) // and what it said a moment ago does not count
	expectSentence(t, leader.Remove(t.Context(), other), "removing "+other+" would leave 1 of 2 voters alive", dead+" does not answer")
	self := leader.cfg.Name // it is not to hand over for nothing
	expectSentence(t, leader.CheckRemoval(t.Context(), self), "removing "+self+" would leave 1 of 2 voters alive", dead+" does not answer")
	if err := leader.CheckRemoval(t.Context(), dead); err != nil {
		t.Errorf("removal of the dead node: %v", err)
	}
	c.expectVoters("node-a", "node-b", "node-c")
}

// TestANewcomerWaitsForTheDead: with a fourth voter the quorum is three, and it must not depend on the newcomer.
func TestANewcomerWaitsForTheDead(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, steady)
	c.start()
	c.nodes["node-a"].lead(t)
	c.stop("node-c")
	address := freeAddresses(t, 1)[0]
	c.admit("node-d", address)
	d := c.newcomer("node-d", address, "node-b")
	d.expectPhase(t, "joining", "the quorum is 3, and node-c does not answer")
	c.remove("node-c")
	c.expectVoters("node-a", "node-b", "node-d")
}

// TestAMachineElsewhereTakesAName: a node comes back at another address, on a new machine or with its disk, once it is admitted there.
func TestAMachineElsewhereTakesAName(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]bool{"a new machine": true, "the same disk": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, 3, steady)
			c.start()
			c.apply("before")
			c.nodes["node-a"].lead(t)
			c.stop("node-c")
			dir, address := c.config("node-c").DataDir, freeAddresses(t, 1)[0]
			i := slices.IndexFunc(c.configs, func(cfg Config) bool { return cfg.Name == "node-c" })
			c.configs[i].Peers = []Peer{{Name: "node-c", Address: address}, {Name: "node-b", Address: c.config("node-b").address()}}
			if lose {
				remove(t, dir)
			}
			back := start(t, c.config("node-c"))
			back.expectPhase(t, "node-c is admitted at", "is at "+address)
			c.admit("node-c", address)
			c.nodes["node-c"] = back
			eventually(t, "a vote at the new address", func() error {
				for _, s := range c.nodes["node-a"].Servers() {
					if s.Name == "node-c" && s.Address == address && s.Voter {
						return nil
					}
				}
				return fmt.Errorf("%+v; %s", c.nodes["node-a"].Servers(), c.nodes["node-c"].Status().Phase)
			})
			c.apply("after")
			c.nodes["node-b"].lead(t)
			c.apply("under another leader")
			c.expectVoters("node-a", "node-b", "node-c")
		})
	}
}

// TestALiveIncarnationGoesOnceItsVoteIsNotNeeded: a machine elsewhere takes the name of one that still runs, against what people are told. To take
// the old one out of the voters while a third node is away would end the cluster.
func TestALiveIncarnationGoesOnceItsVoteIsNotNeeded(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, steady)
	c.start()
	c.nodes["node-a"].lead(t)
	c.stop("node-b")
	c.apply("before")
	address := freeAddresses(t, 1)[0]
	c.admit("node-c", address)
	twin := c.config("node-c")
	twin.DataDir, twin.Peers = memoryDir(t), []Peer{{Name: "node-c", Address: address}, {Name: "node-a", Address: c.config("node-a").address()}}
	elsewhere := start(t, twin)
	elsewhere.expectPhase(t, "joining", "would leave 1 of 2 voters alive", "node-b does not answer")
	c.apply("there is still a quorum")
	c.start("node-b")
	c.ends("node-c")
	c.nodes["node-c"] = elsewhere
	c.expectVoters("node-a", "node-b", "node-c")
	c.apply("after")
}

// TestAnOldLogMeetsAnUnknownLeader: while a node was away, the cluster has grown, and one of the new nodes leads. Its configuration and its
// log know nothing of that one, whose certificate it sees for the first time; the others tell.
func TestAnOldLogMeetsAnUnknownLeader(t *testing.T) {
	// Not in parallel: the nodes of a secured cluster have long timers, and this test waits for several of them.
	s := newSecured(t, 5)
	s.start()
	s.apply("before")
	s.stop("node-c")
	address := freeAddresses(t, 1)[0]
	s.configs[0].Security = s.ring(t, &Config{Name: "node-f", Cluster: "test"}, s.ca, s.ca) // newcomer takes it from there
	s.admit("node-f", address)
	s.newcomer("node-f", address, "node-b")
	s.expectVoters("node-a", "node-b", "node-c", "node-d", "node-e", "node-f")
	s.nodes["node-f"].lead(t)
	s.apply("meanwhile")
	s.start("node-c")
	s.nodes["node-c"].expectPhase(t, "running")
	if leader, _ := s.leader(); leader.cfg.Name != "node-f" {
		t.Errorf("%s leads", leader.cfg.Name)
	}
	s.expectVoters("node-a", "node-b", "node-c", "node-d", "node-e", "node-f")
	s.expectEverywhere("before", "admit node-f "+address, "meanwhile")
}

// stranger is a node with a certificate of the cluster's authority, which is no member.
func (s *secured) stranger(t *testing.T, name string, knows ...string) Config {
	cfg := s.config("node-a")
	cfg.Name, cfg.Peers = name, []Peer{{Name: name, Address: "127.0.0.1:1"}}
	for _, other := range knows {
		cfg.Peers = append(cfg.Peers, Peer{Name: other, Address: s.config(other).address()})
	}
	cfg.Security = s.ring(t, &cfg, s.ca, s.ca)
	return cfg
}

// TestAStrangerMayAskToBeLetIn, and nothing else; what it asks beside that is refused and counted. It speaks for itself only.
func TestAStrangerMayAskToBeLetIn(t *testing.T) {
	t.Parallel()
	var rpc http.ServeMux
	rpc.HandleFunc(AdmitPath, func(w http.ResponseWriter, r *http.Request) {
		name, ok := Caller(r.Context())
		writeJSON(w, fmt.Sprint(name, ok))
	})
	rpc.HandleFunc("/other", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, "reached") })
	s := newSecured(t, 3, func(cfg *Config) { cfg.RPC = &rpc })
	s.start()
	leader, _ := s.leader()
	to := leader.cfg.Name
	cfg := s.stranger(t, "node-x", to)
	member := s.config(leader.cfg.others()[0].Name)
	tests := []struct {
		name   string
		caller Config
		path   string
		in     any
		want   string
	}{
		{"who a node is", cfg, identityPath, nil, "answered"},
		{"to be let in", cfg, AdmitPath, nil, "node-xtrue"},
		{"to join, not being admitted", cfg, joinPath, joinRequest{Node: "node-x", ServerID: "node-x.1", Address: "127.0.0.1:1"}, "not admitted"},
		{"to join as somebody else", cfg, joinPath, joinRequest{Node: member.Name, ServerID: "x.1", Address: member.address()}, `node-x asks to let "`},
		{"anything else", cfg, "/other", nil, `node "node-x" is no member`},
		{"anything else, as a member", member, "/other", nil, "reached"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var answer any
			err := Ask(t.Context(), test.caller, to, test.path, test.in, &answer)
			got := fmt.Sprint(answer, " ", err)
			if test.want == "answered" && err == nil {
				return
			}
			if !strings.Contains(got, test.want) {
				t.Errorf("%s, want %q in it", got, test.want)
			}
		})
	}
	if n := leader.Status().Refusals[notAMember]; n != 1 {
		t.Errorf("%d refusals are counted, want 1: %v", n, leader.Status().Refusals)
	}
}

// TestAskNeedsTheRightNode: a newcomer that is told a wrong address does not tell its wishes to whoever is there.
func TestAskNeedsTheRightNode(t *testing.T) {
	t.Parallel()
	s := newSecured(t, 3)
	s.start()
	s.leader()
	cfg := s.stranger(t, "node-x", "node-a", "node-b")
	cfg.Peers[1].Address, cfg.Peers[2].Address = cfg.Peers[2].Address, cfg.Peers[1].Address
	err := Ask(t.Context(), cfg, "node-a", identityPath, nil, nil)
	var refusal *keyring.Refusal
	if !errors.As(err, &refusal) || refusal.Why != keyring.OtherNode {
		t.Errorf("asked node-a at the address of node-b: %v", err)
	}
	if err := Ask(t.Context(), cfg, "node-c", identityPath, nil, nil); !errors.Is(err, ErrUnknownNode) {
		t.Errorf("asked a node that is not configured: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := Ask(ctx, cfg, "node-x", identityPath, nil, nil); err == nil {
		t.Error("an answer from where nobody is")
	}
}
