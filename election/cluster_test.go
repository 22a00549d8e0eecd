package election

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"
)

func TestThreeNodesElectOneLeader(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start()
	leader, term := c.leader()
	index, response, err := leader.Apply(t.Context(), term, []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if index == 0 || response != 1 {
		t.Errorf("Apply = index %d, response %v; want an index and the ledger's length 1", index, response)
	}
	c.expectEverywhere("hello")
	if s := leader.Status(); len(s.Voters) != 3 || s.State != "Leader" || s.LastIndex < index {
		t.Errorf("status of the leader: %+v", s)
	}
	c.stop()
}

func TestAnotherNodeLeadsWhenTheLeaderStops(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start()
	old, oldTerm := c.leader()
	c.apply("before")
	c.stop(old.cfg.Name)
	if last := <-old.Leaderships(); last.Self {
		t.Errorf("the last leadership of a stopped leader is %+v", last)
	}
	leader, term := c.leader()
	if leader.cfg.Name == old.cfg.Name || term <= oldTerm {
		t.Fatalf("%s leads in term %d after %s in term %d", leader.cfg.Name, term, old.cfg.Name, oldTerm)
	}
	if old.Leading(oldTerm) {
		t.Error("a stopped node says that it leads")
	}
	if _, ok := old.Evidence(oldTerm); ok {
		t.Error("a stopped node has quorum evidence")
	}
	c.apply("after")
	c.start(old.cfg.Name)
	c.expectEverywhere("before", "after")
}

// I8: what was committed survives the end of all processes at once.
func TestCommittedCommandsSurviveARestartOfAll(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start()
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprint("command ", i))
		c.apply(want[i])
	}
	c.stop()
	c.start()
	c.expectEverywhere(want...)
	c.stop()
}

func TestSnapshotsCompactTheLogAndAreRestored(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, func(cfg *Config) {
		cfg.Snapshots = Snapshots{Threshold: 8, Trailing: 2, Interval: 50 * time.Millisecond}
	})
	c.start("node-a", "node-b", "node-c")
	leader, _ := c.leader()
	lagging := c.configs[0].others()[0].Name
	if leader.cfg.Name == lagging {
		lagging = "node-a"
	}
	c.stop(lagging)
	var want []string
	for i := range 40 {
		want = append(want, fmt.Sprint("command ", i))
		c.apply(want[i])
	}
	eventually(t, "a compacted log", func() error {
		for name, p := range c.nodes {
			first, err := p.store.bolt.FirstIndex()
			if err != nil {
				return err
			}
			if first < 20 {
				return fmt.Errorf("the log of %s begins at %d", name, first)
			}
		}
		return nil
	})
	// The lagging node cannot be served from the log any more: it gets a snapshot.
	c.start(lagging)
	c.expectEverywhere(want...)
	c.stop()
	c.start()
	c.expectEverywhere(want...)
}

func TestApplyRefusesATermThatIsNotTheLeaders(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start()
	leader, term := c.leader()
	for _, stale := range []uint64{term - 1, term + 1} {
		if _, _, err := leader.Apply(t.Context(), stale, []byte("stale")); !errors.Is(err, ErrNotLeader) || !errors.Is(err, ErrNotAppended) {
			t.Errorf("Apply in term %d while leading in %d = %v, want ErrNotLeader", stale, term, err)
		}
	}
	for _, p := range c.nodes {
		if p == leader {
			continue
		}
		if _, _, err := p.Apply(t.Context(), term, []byte("stale")); !errors.Is(err, ErrNotLeader) {
			t.Errorf("Apply at follower %s = %v, want ErrNotLeader", p.cfg.Name, err)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := leader.Apply(cancelled, term, []byte("stale")); !errors.Is(err, ErrNotAppended) {
		t.Errorf("Apply with a context that has ended = %v, want ErrNotAppended", err)
	}
	c.apply("good")
	c.expectEverywhere("good")
}

func TestTransferMakesTheTargetLeader(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, steady)
	c.start()
	for range 5 {
		old, oldTerm := c.leader()
		target := old.cfg.others()[0].Name
		if err := old.Transfer(t.Context(), target); err != nil {
			t.Fatalf("transfer from %s to %s: %v", old.cfg.Name, target, err)
		}
		if old.Leading(oldTerm) {
			t.Error("Transfer has returned, and the old leader still leads")
		}
		leader, term := c.leader()
		if leader.cfg.Name != target || term <= oldTerm {
			t.Fatalf("%s leads in term %d, want %s in a term after %d", leader.cfg.Name, term, target, oldTerm)
		}
	}
	leader, _ := c.leader()
	if err := leader.Transfer(t.Context(), "node-x"); !errors.Is(err, ErrUnknownNode) {
		t.Errorf("transfer to nobody = %v, want ErrUnknownNode", err)
	}
	if err := leader.Transfer(t.Context(), leader.cfg.Name); err == nil {
		t.Error("transfer to the leader itself succeeded")
	}
	follower := c.nodes[leader.cfg.others()[0].Name]
	if err := follower.Transfer(t.Context(), leader.cfg.Name); !errors.Is(err, ErrNotLeader) {
		t.Errorf("transfer at a follower = %v, want ErrNotLeader", err)
	}
}

func TestTransferToADeadNodeFailsAndLeadershipStays(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, steady)
	c.start()
	leader, term := c.leader()
	target := leader.cfg.others()[1].Name
	c.stop(target)
	if err := leader.Transfer(t.Context(), target); err == nil {
		t.Fatal("transfer to a stopped node succeeded")
	}
	eventually(t, "commands are taken again", func() error {
		_, _, err := leader.Apply(t.Context(), term, []byte("again"))
		return err
	})
	select {
	case <-leader.done:
		t.Fatalf("a transfer that failed in time ended the run: %v", leader.err)
	default:
	}
}

func TestLeadershipsTellTermsThatNeverDecrease(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, steady)
	c.start()
	observed := c.nodes["node-a"]
	var seen []Leadership
	read := func() Leadership {
		select {
		case l := <-observed.Leaderships():
			seen = append(seen, l)
			return l
		case <-time.After(10 * time.Second):
			t.Fatal("no news of leadership")
			return Leadership{}
		}
	}
	for range 4 {
		leader, term := c.leader()
		for l := read(); l.Leader != leader.cfg.Name || l.Term != term; l = read() {
			if l.Self && l.Leader != "node-a" {
				t.Errorf("node-a leads itself under another name: %+v", l)
			}
		}
		if err := leader.Transfer(t.Context(), leader.cfg.others()[0].Name); err != nil {
			t.Fatal(err)
		}
	}
	c.stop("node-a")
	if last := read(); last.Self {
		t.Errorf("the last leadership of a stopped node is %+v", last)
	}
	for i := 1; i < len(seen); i++ {
		if seen[i].Term < seen[i-1].Term {
			t.Errorf("term went back: %+v after %+v", seen[i], seen[i-1])
		}
	}
}

// I4: evidence grows old as soon as the quorum is away, whatever Raft's own lease says.
func TestEvidenceIsFreshWithAQuorumAndStaleWithout(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, steady)
	c.start()
	leader, term := c.leader()
	asked := leader.cfg.Now()
	if err := leader.Refresh(t.Context(), term, asked); err != nil {
		t.Fatal(err)
	}
	t0, ok := leader.Evidence(term)
	if now := leader.cfg.Now(); !ok || t0 <= asked || t0 > now {
		t.Errorf("evidence after Refresh at %v is %v, %v; it is %v now", asked, t0, ok, now)
	}
	eventually(t, "both peers reachable", func() error {
		if got := leader.Reachable(time.Second); len(got) != 2 {
			return fmt.Errorf("reachable: %v", got)
		}
		return nil
	})
	if _, ok := leader.Evidence(term - 1); ok {
		t.Error("evidence for a term that is over")
	}
	for _, p := range leader.cfg.others() {
		if _, ok := c.nodes[p.Name].Evidence(term); ok {
			t.Errorf("follower %s has evidence", p.Name)
		}
		c.nodes[p.Name].cancel()
	}
	for _, p := range leader.cfg.others() {
		<-c.nodes[p.Name].done
	}
	cut := leader.cfg.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := leader.Refresh(ctx, term, cut); !errors.Is(err, ErrNotLeader) {
		t.Errorf("Refresh without a quorum = %v, want ErrNotLeader once the lease is over", err)
	}
	if got := leader.Reachable(time.Hour); len(got) != 0 {
		t.Errorf("a deposed leader reaches %v", got)
	}
}

func TestASingleNodeIsItsOwnQuorum(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	c.start()
	leader, term := c.leader()
	if err := leader.Refresh(t.Context(), term, leader.cfg.Now()); err != nil {
		t.Error(err)
	}
	c.apply("alone")
	c.stop()
	c.start()
	c.expectEverywhere("alone")
}

// A knock tells a machine that is up from an agent that runs; it is no disturbance.
func TestKnock(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start()
	c.leader()
	before := c.nodes["node-b"].Status().RefusedConnections
	if err := c.nodes["node-a"].Knock(t.Context(), "node-b"); err != nil {
		t.Errorf("knock at a running node: %v", err)
	}
	c.stop("node-c")
	if err := c.nodes["node-a"].Knock(t.Context(), "node-c"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("knock at a stopped node: %v, want %v", err, syscall.ECONNREFUSED)
	}
	if err := c.nodes["node-a"].Knock(t.Context(), "node-x"); !errors.Is(err, ErrUnknownNode) {
		t.Errorf("knock at a stranger: %v, want %v", err, ErrUnknownNode)
	}
	if after := c.nodes["node-b"].Status().RefusedConnections; after != before {
		t.Errorf("the knock was counted as a refused connection")
	}
}
