package election

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// The tests in this file run real hashicorp/raft in a synctest bubble: time is simulated, the transport is in memory and can
// be cut or slowed at will, and the wrapper around it is the one of production.

// wire is an in-memory transport whose replies can be delayed.
type wire struct {
	*raft.InmemTransport
	delay               func(target raft.ServerAddress) time.Duration
	fastPath, pipelines int
}

func (w *wire) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	err := w.InmemTransport.AppendEntries(id, target, args, resp)
	if w.delay != nil {
		time.Sleep(w.delay(target))
	}
	return err
}

func (w *wire) SetHeartbeatHandler(func(raft.RPC)) { w.fastPath++ }

func (w *wire) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	w.pipelines++
	return w.InmemTransport.AppendEntriesPipeline(id, target)
}

// simNode is a node whose Raft runs on memory.
type simNode struct {
	*Node
	ledger    *ledger
	wire      *wire
	transport *transport
	parts     raftParts
	cancel    context.CancelFunc
	done      chan error
}

type simulation struct {
	t     *testing.T
	nodes []*simNode
}

// newSimulation starts nodes a, b, c, ... that are voters, unless adjust says otherwise.
func newSimulation(t *testing.T, size int, adjust ...func(*raft.Server, *simNode)) *simulation {
	t.Helper()
	began := time.Now()
	now := func() time.Duration { return time.Since(began) }
	s := &simulation{t: t}
	var servers []raft.Server
	for i := range size {
		name := string(rune('a' + i))
		cfg := Config{Name: name, Cluster: "sim", Now: now}.withDefaults()
		l := &ledger{}
		n := &simNode{Node: newNode(cfg, l), ledger: l, done: make(chan error, 1)}
		n.self = identity{Cluster: "sim", Node: name, Incarnation: "1"}
		address := serverAddress(name, n.self.serverID())
		_, inner := raft.NewInmemTransport(address)
		n.wire = &wire{InmemTransport: inner}
		n.transport = newTransport(n.wire, now, n.evidence)
		memory := raft.NewInmemStore()
		n.parts = raftParts{logs: memory, stable: memory, snapshots: raft.NewInmemSnapshotStore(), transport: n.transport}
		server := raft.Server{Suffrage: raft.Voter, ID: n.self.serverID(), Address: address}
		for _, f := range adjust {
			f(&server, n)
		}
		servers = append(servers, server)
		s.nodes = append(s.nodes, n)
	}
	for _, n := range s.nodes {
		for _, peer := range s.nodes {
			if peer != n {
				n.wire.Connect(peer.wire.LocalAddr(), peer.wire.InmemTransport)
			}
		}
		s.start(n, servers)
	}
	t.Cleanup(s.stop)
	return s
}

func (s *simulation) start(n *simNode, servers []raft.Server) {
	s.t.Helper()
	err := raft.BootstrapCluster(n.raftConfig(), n.parts.logs, n.parts.stable, n.parts.snapshots, nil, raft.Configuration{Servers: servers})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	go func() { n.done <- n.runRaft(ctx, n.parts) }()
}

func (s *simulation) stop() {
	for _, n := range s.nodes {
		n.cancel()
	}
	for _, n := range s.nodes {
		if err := <-n.done; err != nil {
			s.t.Errorf("raft of %s ended with: %v", n.cfg.Name, err)
		}
	}
	synctest.Wait()
}

// leader lets time pass until exactly one of the nodes leads the newest term.
func (s *simulation) leader(nodes ...*simNode) (*simNode, uint64) {
	s.t.Helper()
	for range 1000 {
		for _, n := range nodes {
			if term := n.Status().Term; n.Leading(term) {
				return n, term
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatal("no leader within 10 s")
	return nil, 0
}

// others are the nodes but one.
func (s *simulation) others(but *simNode) []*simNode {
	var others []*simNode
	for _, n := range s.nodes {
		if n != but {
			others = append(others, n)
		}
	}
	return others
}

// cut separates a node from all others in both directions.
func (s *simulation) cut(n *simNode) {
	n.wire.DisconnectAll()
	for _, peer := range s.others(n) {
		peer.wire.Disconnect(n.wire.LocalAddr())
	}
}

func TestTheFastPathAndThePipelineAreNeverUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, 3)
		leader, term := s.leader(s.nodes...)
		for i := range 10 {
			if _, _, err := leader.Apply(t.Context(), term, fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		for _, n := range s.nodes {
			if n.wire.fastPath != 0 || n.wire.pipelines != 0 {
				t.Errorf("%s: heartbeat handler set %d times, %d pipelines asked for; want none", n.cfg.Name, n.wire.fastPath, n.wire.pipelines)
			}
		}
	})
}

// With a pre-vote a node that was cut off does not depose anybody when it comes back: its term has not grown.
func TestANodeThatWasCutOffDoesNotDisturbTheLeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, 3)
		leader, term := s.leader(s.nodes...)
		away := s.others(leader)[0]
		s.cut(away)
		time.Sleep(30 * time.Second)
		for _, peer := range s.others(away) {
			away.wire.Connect(peer.wire.LocalAddr(), peer.wire.InmemTransport)
			peer.wire.Connect(away.wire.LocalAddr(), away.wire.InmemTransport)
		}
		time.Sleep(30 * time.Second)
		if !leader.Leading(term) {
			t.Errorf("%s does not lead in term %d any more: %+v", leader.cfg.Name, term, leader.Status())
		}
	})
}

// I4: evidence stops at the cut, though Raft's leader believes in itself for up to a lease more.
func TestEvidenceStopsAtTheCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, 3)
		leader, term := s.leader(s.nodes...)
		time.Sleep(time.Second)
		s.cut(leader)
		cut := leader.cfg.Now()
		for leader.Leading(term) {
			if t0, ok := leader.Evidence(term); !ok || t0 > cut {
				t.Fatalf("evidence %v, %v after the cut at %v", t0, ok, cut)
			}
			time.Sleep(time.Millisecond)
		}
		if held := leader.cfg.Now() - cut; held < 50*time.Millisecond {
			t.Errorf("the leader stepped down after %v; the test has seen too little", held)
		}
		if _, ok := leader.Evidence(term); ok {
			t.Error("a deposed leader has evidence")
		}
		successor, newTerm := s.leader(s.others(leader)...)
		if newTerm <= term {
			t.Errorf("%s leads in term %d after term %d", successor.cfg.Name, newTerm, term)
		}
		if _, _, err := leader.Apply(t.Context(), term, []byte("late")); !errors.Is(err, ErrNotLeader) {
			t.Errorf("Apply at the deposed leader = %v, want ErrNotLeader", err)
		}
	})
}

// The stamp is the START of the request: replies that take 80 ms make evidence that is at least 80 ms old.
func TestEvidenceCountsFromTheStartOfTheRequest(t *testing.T) {
	t.Parallel()
	const slow = 80 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, 3, func(_ *raft.Server, n *simNode) {
			n.wire.delay = func(raft.ServerAddress) time.Duration { return slow }
		})
		leader, term := s.leader(s.nodes...)
		if err := leader.Refresh(t.Context(), term, 0); err != nil {
			t.Fatal(err)
		}
		for range 500 {
			if t0, ok := leader.Evidence(term); !ok || leader.cfg.Now()-t0 < slow {
				t.Fatalf("evidence is %v old (%v), but no reply took less than %v", leader.cfg.Now()-t0, ok, slow)
			}
			time.Sleep(time.Millisecond)
		}
		asked := leader.cfg.Now()
		if err := leader.Refresh(t.Context(), term, asked); err != nil {
			t.Fatal(err)
		}
		// The round that is under way does not count; Raft may leave the next one to its own heartbeats, which are 100 ms apart at most.
		if took := leader.cfg.Now() - asked; took < slow || took > slow+100*time.Millisecond+slow {
			t.Errorf("Refresh took %v; the round it waits for begins after the call and takes %v", took, slow)
		}
	})
}

// Raft's own heartbeats are 50 to 100 ms apart; Refresh does not wait for them.
func TestRefreshProvokesARoundAtOnce(t *testing.T) {
	t.Parallel()
	const roundTrip = time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, 3, func(_ *raft.Server, n *simNode) {
			n.wire.delay = func(raft.ServerAddress) time.Duration { return roundTrip }
		})
		leader, term := s.leader(s.nodes...)
		for range 20 {
			asked := leader.cfg.Now()
			if err := leader.Refresh(t.Context(), term, asked-1); err != nil {
				t.Fatal(err)
			}
			if took := leader.cfg.Now() - asked; took > 3*roundTrip {
				t.Errorf("Refresh took %v with a round trip of %v", took, roundTrip)
			}
			time.Sleep(7 * time.Millisecond)
		}
	})
}

func TestRefreshEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, 3, func(_ *raft.Server, n *simNode) {
			n.wire.delay = func(raft.ServerAddress) time.Duration { return 100 * time.Millisecond }
		})
		leader, term := s.leader(s.nodes...)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := leader.Refresh(ctx, term, leader.cfg.Now()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Refresh = %v, want the context's error", err)
		}
	})
}

// One voter of two is cut off; the non-voter answers, but a quorum of voters does not.
func TestANonVoterIsNoEvidence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, 3, func(server *raft.Server, _ *simNode) {
			if nodeName(server.ID) == "c" {
				server.Suffrage = raft.Nonvoter
			}
		})
		leader, term := s.leader(s.nodes[:2]...)
		time.Sleep(time.Second)
		voter := s.others(leader)[0]
		s.cut(voter)
		cut := leader.cfg.Now()
		time.Sleep(120 * time.Millisecond) // more than between two heartbeats, less than the lease
		if got := leader.Reachable(110 * time.Millisecond); len(got) != 1 || got[0] != "c" {
			t.Errorf("reachable are %v, want the non-voter c alone", got)
		}
		if t0, ok := leader.Evidence(term); ok && t0 > cut {
			t.Errorf("evidence %v after the cut at %v", t0, cut)
		}
	})
}

// A hint makes a node leader within a round trip, by a regular vote. It is for voters that follow the suspect in this very term: a
// TimeoutNow that reaches a leader would depose it.
func TestAHintElectsAFollowerOfTheSuspect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, 3)
		leader, term := s.leader(s.nodes...)
		time.Sleep(time.Second)
		challenger := s.others(leader)[1]
		for name, hint := range map[string]func() error{
			"of the leader itself":   func() error { return leader.Hint(t.Context(), leader.cfg.Name, term) },
			"of an earlier term":     func() error { return challenger.Hint(t.Context(), leader.cfg.Name, term-1) },
			"about somebody else":    func() error { return challenger.Hint(t.Context(), challenger.cfg.Name, term) },
			"before Raft is running": func() error { return new(Node).Hint(t.Context(), leader.cfg.Name, term) },
		} {
			if err := hint(); !errors.Is(err, ErrNoHint) {
				t.Errorf("a hint %s: %v, want %v", name, err, ErrNoHint)
			}
		}
		if !leader.Leading(term) {
			t.Fatal("the leader was deposed by a hint that was refused")
		}
		began := time.Now()
		if err := challenger.Hint(t.Context(), leader.cfg.Name, term); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !challenger.Leading(term + 1) {
			t.Errorf("%s does not lead in term %d: %+v", challenger.cfg.Name, term+1, challenger.Status())
		}
		if took := time.Since(began); took > 10*time.Millisecond {
			t.Errorf("the election took %v of simulated time", took)
		}
	})
}

// A candidate by TimeoutNow hears of the leader of its term, which dies at once: Raft then believes in that leader for ever, and refuses
// its vote to all others (simulator, schedule 7239). The node ends, to be restarted with a clear mind.
func TestACandidateThatBelievesInADeadLeaderEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, 3)
		leader, term := s.leader(s.nodes...)
		candidate, other := s.others(leader)[0], s.others(leader)[1]
		s.cut(candidate)
		header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(other.self.serverID()),
			Addr: []byte(serverAddress(other.cfg.Name, other.self.serverID()))}
		for _, request := range []any{
			&raft.TimeoutNowRequest{RPCHeader: header},
			&raft.AppendEntriesRequest{RPCHeader: header, Term: term + 1},
		} {
			if err := candidate.transport.inject(t.Context(), request); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		select {
		case err := <-candidate.done:
			expectSentence(t, err, "believes in the leader "+other.cfg.Name, "must be restarted")
			candidate.done <- nil
		case <-time.After(10 * time.Second):
			t.Errorf("it goes on as %s that follows %q", candidate.Status().State, candidate.Status().Leader)
		}
	})
}

func TestInjectEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, inner := raft.NewInmemTransport("nobody")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := newTransport(inner, nil, newEvidence()).inject(ctx, &raft.TimeoutNowRequest{})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("inject with no Raft to read it = %v, want the context's error", err)
		}
	})
}

// A leader that cannot commit although its quorum answers must not go on: nobody else would ever be elected.
func TestALogThatDoesNotCommitEndsTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		s := newSimulation(t, 3, func(_ *raft.Server, n *simNode) {
			n.ledger.gate = func() { <-stuck }
		})
		leader, term := s.leader(s.nodes...)
		began := time.Now()
		if _, _, err := leader.Apply(t.Context(), term, []byte("stuck")); !errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("Apply = %v, want ErrUnknownOutcome", err)
		}
		if took := time.Since(began); took != applyDeadline {
			t.Errorf("Apply returned after %v, want %v", took, applyDeadline)
		}
		time.Sleep(stopGrace + time.Second)
		close(stuck)
		err := <-leader.done
		expectSentence(t, err, "has not committed a command for 2s while a quorum answers")
		leader.done <- nil
	})
}

// Without a quorum the same silence is nobody's fault: Raft steps down, and the process lives on.
func TestALostQuorumDoesNotEndTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, 3)
		leader, term := s.leader(s.nodes...)
		s.cut(leader)
		if _, _, err := leader.Apply(t.Context(), term, []byte("cut off")); !errors.Is(err, ErrLeadershipLost) || !errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("Apply = %v, want ErrLeadershipLost", err)
		}
		time.Sleep(10 * time.Second)
		select {
		case err := <-leader.done:
			t.Errorf("the run ended: %v", err)
			leader.done <- nil
		default:
		}
	})
}

// With a long lease the leader believes in itself when the watchdog looks; only the evidence tells that its quorum is gone.
func TestAStuckLogWithoutEvidenceDoesNotEndTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const long = 10 * time.Second
		s := newSimulation(t, 3, func(_ *raft.Server, n *simNode) {
			n.cfg.Timing.Heartbeat, n.cfg.Timing.Election, n.cfg.Timing.Lease = long, long, long
		})
		time.Sleep(2 * long)
		leader, term := s.leader(s.nodes...)
		time.Sleep(2 * time.Second)
		s.cut(leader)
		if _, _, err := leader.Apply(t.Context(), term, []byte("cut off")); !errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("Apply = %v, want ErrUnknownOutcome", err)
		}
		if !leader.Leading(term) {
			t.Error("the lease is over: the test shows nothing")
		}
		synctest.Wait()
		select {
		case err := <-leader.done:
			t.Errorf("the run ended: %v", err)
			leader.done <- nil
		case <-time.After(time.Second):
		}
	})
}

// hashicorp/raft#696 leaves a leader that answers "transfer in progress" for ever. It is stood in for here by a target that
// takes a TimeoutNow and never replies.
func TestATransferThatDoesNotEndEndsTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := newSimulation(t, 3, func(_ *raft.Server, n *simNode) {
			n.transport.preVoteTransport = silentTimeoutNow{n.wire, release}
		})
		leader, term := s.leader(s.nodes...)
		go func() { _ = leader.Transfer(context.Background(), s.others(leader)[0].cfg.Name) }()
		synctest.Wait()
		if _, _, err := leader.Apply(t.Context(), term, []byte("refused")); !errors.Is(err, ErrTransferInProgress) {
			t.Errorf("Apply during a transfer = %v, want ErrTransferInProgress", err)
		}
		began := time.Now()
		err := <-leader.done
		expectSentence(t, err, "because of a leadership transfer that does not end")
		if took := time.Since(began); took < 2*transportTimeout || took > 3*transportTimeout {
			t.Errorf("the run ended after %v, want about %v", took, 2*transportTimeout)
		}
		close(release)
		leader.done <- nil
	})
}

type silentTimeoutNow struct {
	*wire
	release chan struct{}
}

func (s silentTimeoutNow) TimeoutNow(raft.ServerID, raft.ServerAddress, *raft.TimeoutNowRequest, *raft.TimeoutNowResponse) error {
	<-s.release
	return io.EOF
}
