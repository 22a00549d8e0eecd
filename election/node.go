package election

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// stopGrace bounds the orderly end of Run. What has not ended by then hangs, and so does the disk, most likely.
const stopGrace = 2 * time.Second

// Node is one node of the group. Its methods may be called from any goroutine, before, during and after Run.
type Node struct {
	cfg     Config
	log     *zap.Logger
	machine StateMachine
	self    identity
	origin  origin
	store   *store
	mux     *mux
	client  *http.Client

	// raft is nil until Raft runs, on transport.
	raft        atomic.Pointer[raft.Raft]
	transport   *transport
	evidence    *evidence
	leaderships chan Leadership
	// fatal takes the first reason to end Run that comes from outside its goroutines, suspects the term of a leader that
	// refused a command because of a transfer. Neither is ever waited for.
	fatal    chan error
	suspects chan uint64

	life
}

// life is what changes about a node while it runs: its place in the cluster, and what it says of that.
type life struct {
	phase       sentence // what the node is doing
	initialized atomic.Bool
	admission   admission
	// storeError says why the store takes no more entries, "" if it does.
	storeError sentence
	// obstacle is why a node that was removed is still a member of Raft.
	obstacle sentence
	roster   *roster
	known    []Peer // what followRoster last saw
	// bound is the generation that the node has taken over since Open.
	bound atomic.Pointer[generation]
}

// newNode makes a node without store and network.
func newNode(cfg Config, sm StateMachine) *Node {
	n := &Node{
		cfg:         cfg,
		log:         cfg.Logger.Named("election"),
		machine:     sm,
		evidence:    newEvidence(),
		leaderships: make(chan Leadership, 1),
		fatal:       make(chan error, 1),
		suspects:    make(chan uint64, 1),
		life:        life{admission: newAdmission()},
	}
	n.roster = newRoster(cfg, func() []raft.Server {
		if r := n.raft.Load(); r != nil {
			return servers(r)
		}
		return nil
	})
	return n
}

// Open opens the store and the listener and finds out who this node is. It starts nothing. The caller must call Run or Close.
//
// Its errors are sentences for the operator that name the remedy: an invalid configuration, a port in use, a data dir that
// cannot be used or belongs to another node, a store that is damaged, locked by another process, or of a newer build.
func Open(cfg Config, sm StateMachine) (*Node, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := raft.ValidateConfig(raftConfig(cfg, identity{Node: cfg.Name})); err != nil {
		return nil, fmt.Errorf("check raft timings: %w", err)
	}
	n := newNode(cfg, sm)
	var err error
	if n.mux, err = listenMux(cfg); err != nil {
		return nil, err
	}
	if n.store, err = openStore(cfg.DataDir, raftLogger(n.log)); err != nil {
		n.mux.close()
		return nil, err
	}
	if err := n.store.readable(sm.Check); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	if n.self, n.origin, err = identify(cfg, n.store); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	// Before the port is served: a node with a past must never be taken for a fresh one.
	n.initialized.Store(n.origin != fresh)
	n.mux.isMember = n.roster.isMember
	n.client = newClient(n.roster.peer, n.mux.dial)
	n.phase.set("starting")
	return n, nil
}

// Close releases what Open has opened. It is for nodes that were never run: Run does it itself.
func (n *Node) Close() error {
	n.mux.close()
	return n.store.close()
}

// Run serves the other nodes, finds the node's place in the cluster (bootstrap, join or resume), and runs Raft until ctx ends;
// then it stops all that it has started and returns nil.
//
// It returns an error when the process must end, and be restarted unless the sentence says otherwise: a write to the store
// missed its deadline, a log that does not commit, a leadership transfer that does not end, this node was removed from the
// cluster, or the peers' answers show that the configuration is wrong. It may be called once.
func (n *Node) Run(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return n.mux.serve(groupCtx) })
	group.Go(func() error { return n.mux.watchPeers(groupCtx) })
	group.Go(func() error { return n.serveRPC(groupCtx) })
	group.Go(func() error {
		defer n.mux.close()
		return n.live(groupCtx)
	})
	err := group.Wait()
	n.client.CloseIdleConnections()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // asked to stop before Raft ran
	}
	return errors.Join(err, n.store.close())
}

// live is the life of the node proper.
func (n *Node) live(ctx context.Context) error {
	n.log.Info("starting", zap.String(keyServerID, string(n.self.serverID())))
	if err := n.settle(ctx); err != nil {
		return err
	}
	guarded := n.store.guard(n.cfg.Timing.LogWrite, n.fail, n.noteWrite)
	id := n.self.serverID()
	lane := n.mux.openRaft(string(id), raftAddr(serverAddress(n.cfg.address(), id)))
	tcp := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:          stream{lane: lane, mux: n.mux, ctx: ctx},
		MaxPool:         3,
		MaxRPCsInFlight: 1,
		Timeout:         transportTimeout,
		Logger:          raftLogger(n.log),
	})
	defer func() { _ = tcp.Close() }() // Raft does so too, unless it never ran; it cannot fail.
	wrapped := newTransport(tcp, n.cfg.Now, n.evidence)
	wrapped.refused = func(why error) { n.mux.refused.request(unnamed{}, why) }
	return n.runRaft(ctx, raftParts{
		logs:      guarded,
		stable:    guarded,
		snapshots: n.store.snapshots,
		transport: wrapped,
		watch:     n.watch,
	})
}

// raftParts is what Raft runs on. In tests that is memory.
type raftParts struct {
	logs      raft.LogStore
	stable    raft.StableStore
	snapshots raft.SnapshotStore
	transport *transport
	watch     func(context.Context, *raft.Raft) error
}

// runRaft runs Raft until ctx ends or something makes the process end.
func (n *Node) runRaft(ctx context.Context, parts raftParts) error {
	r, err := n.startRaft(parts)
	if r == nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return parts.transport.forward(ctx) })
	group.Go(func() error { return n.watchLeadership(ctx, r) })
	group.Go(func() error { return n.watchTransfers(ctx, r) })
	group.Go(func() error { return n.watchCandidacy(ctx, r) })
	group.Go(func() error { return n.watchFatal(ctx) })
	group.Go(func() error { return n.keepWarm(ctx, r) })
	if parts.watch != nil {
		group.Go(func() error { return parts.watch(ctx, r) })
	}
	err = group.Wait()
	return errors.Join(err, n.stopRaft(r))
}

// startRaft gives up when the store is poisoned meanwhile: NewRaft writes the term, and that write may hang.
func (n *Node) startRaft(parts raftParts) (*raft.Raft, error) {
	type started struct {
		raft *raft.Raft
		err  error
	}
	done := make(chan started, 1)
	go func() {
		r, err := raft.NewRaft(n.raftConfig(), &machine{StateMachine: n.machine, end: n.fail}, parts.logs, parts.stable, parts.snapshots, parts.transport)
		done <- started{r, err}
	}()
	select {
	case s := <-done:
		if s.err != nil {
			return nil, fmt.Errorf("start raft on %s: move it away if it is damaged, the node then comes back as a new member: %w",
				filepath.Join(n.cfg.DataDir, storeDir), s.err)
		}
		n.transport = parts.transport
		n.raft.Store(s.raft)
		return s.raft, nil
	case err := <-n.fatal:
		return nil, err
	}
}

// stopRaft ends Raft, and leadership with it, at once. Connections are cut only when replies have had a moment to come in.
func (n *Node) stopRaft(r *raft.Raft) error {
	const courtesy = 100 * time.Millisecond
	stopped := make(chan error, 1)
	future := r.Shutdown()
	n.publish(Leadership{Term: r.CurrentTerm()})
	go func() { stopped <- future.Error() }()
	select {
	case err := <-stopped:
		return err
	case <-time.After(courtesy):
	}
	if n.mux != nil {
		n.mux.close()
	}
	select {
	case err := <-stopped:
		return err
	case <-time.After(stopGrace):
		return errors.New("stop raft: it has not ended, most likely because the disk hangs")
	}
}

// watchFatal ends Run for those who cannot do so themselves.
func (n *Node) watchFatal(ctx context.Context) error {
	select {
	case err := <-n.fatal:
		return err
	case <-ctx.Done():
		return nil
	}
}

// fail ends Run. Only the first reason counts; it never blocks.
func (n *Node) fail(err error) {
	select {
	case n.fatal <- err:
	default:
	}
}

// noteWrite tells of a store that begins or ceases to refuse entries, by one line in the log each and in Status. Raft does not: its
// leader steps down, and a follower goes on answering heartbeats while it falls behind.
func (n *Node) noteWrite(err error) {
	is := ""
	if err != nil {
		is = err.Error()
	}
	was := n.storeError.text.Swap(&is)
	refused := was != nil && *was != ""
	switch {
	case err != nil && !refused:
		n.log.Error("the raft store refuses writes and this node falls behind: make room on its disk, or mend it",
			zap.String(keyDataDir, n.cfg.DataDir), zap.Error(err))
	case err == nil && refused:
		n.log.Info("the raft store takes writes again", zap.String(keyDataDir, n.cfg.DataDir))
	}
}

func (n *Node) raftConfig() *raft.Config {
	config := raftConfig(n.cfg, n.self)
	config.Logger = raftLogger(n.log)
	return config
}

func raftConfig(cfg Config, self identity) *raft.Config {
	config := raft.DefaultConfig()
	config.LocalID = self.serverID()
	config.HeartbeatTimeout = cfg.Timing.Heartbeat
	config.ElectionTimeout = cfg.Timing.Election
	config.LeaderLeaseTimeout = cfg.Timing.Lease
	config.CommitTimeout = cfg.Timing.Commit
	config.MaxAppendEntries = maxAppend
	config.SnapshotThreshold = cfg.Snapshots.Threshold
	config.TrailingLogs = cfg.Snapshots.Trailing
	config.SnapshotInterval = cfg.Snapshots.Interval
	// A removed node ends with a sentence of ours, see watchMembership.
	config.ShutdownOnRemove = false
	config.NoLegacyTelemetry = true
	return config
}

// sentence is the newest of some matter, for people.
type sentence struct {
	text atomic.Pointer[string]
}

// set returns whether the sentence is new.
func (s *sentence) set(text string) bool {
	old := s.text.Swap(&text)
	return old == nil || *old != text
}

func (s *sentence) get() string {
	if text := s.text.Load(); text != nil {
		return *text
	}
	return ""
}
