package sim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/internal/sim/simnet"
	"github.com/hacluster/hacluster/vrrpwire"
)

// startWithin is cmd/hacluster's: it bounds what is tried before the agent takes part.
const startWithin = 20 * time.Second

// life is one process of the agent on a node, wired as in cmd/hacluster.
type life struct {
	node   *node
	number int
	host   *simnet.Host
	disk   string
	ec2    *eip.Group
	log    *zap.Logger

	server  string // once opened
	raft    *election.Node
	driver  *controller.Driver
	replica *controller.Replica
	wire    *vrrpwire.Endpoint
	health  *healthPort
	reign   atomic.Pointer[reign] // the newest; nil: none yet
	pause
	desk
	process
}

// process is what a process runs, and how it ends.
type process struct {
	build   fsm.Level
	opened  atomic.Bool // raft and server are there
	ready   atomic.Bool // driver and wire, too
	dead    atomic.Bool // killed, or ended: what it still does is not seen by anybody
	killed  context.Context
	end     context.CancelFunc
	stopped context.Context // SIGTERM
	stop    context.CancelFunc
	stopFor time.Duration // until the operator starts it again
}

func newLife(n *node, host *simnet.Host) *life {
	l := &life{node: n, number: n.lives, host: host, disk: n.disk, health: newHealthPort()}
	l.log = zap.New(newLogCore(n.world.trace, n.name, l.hangInLog))
	l.build = n.build
	l.killed, l.end = context.WithCancel(context.Background())
	l.stopped, l.stop = context.WithCancel(l.killed)
	return l
}

// kill ends everything that the process does, wherever it stands.
func (l *life) kill() {
	l.frozen.demolish()
	l.stalled.demolish()
	l.mu.Lock()
	l.memory = nil
	l.mu.Unlock()
	l.end()
}

// run is openAgent and agent.run of cmd/hacluster.
func (l *life) run() error {
	defer l.kill() // nobody waits at the gates of a process that has ended by itself
	defer l.node.haproxy.unwatch(l.health)
	rpc := &lateHandler{}
	replica := controller.NewReplica()
	l.replica = replica
	raft, err := election.Open(l.electionConfig(rpc, replica), machine{Replica: replica, life: l})
	if err != nil {
		return err
	}
	l.raft, l.server = raft, raft.Status().ServerID
	l.opened.Store(true)
	if err := l.open(replica, rpc); err != nil {
		return errors.Join(err, raft.Close())
	}
	return l.runAll()
}

func (l *life) open(replica *controller.Replica, rpc *lateHandler) error {
	ctx, cancel := context.WithTimeout(l.stopped, startWithin)
	defer cancel()
	client, err := l.openEC2(ctx)
	if err != nil {
		return err
	}
	if err := client.Preflight(ctx); err != nil {
		if !l.raft.Known() && eip.Classify(err) != eip.Throttled {
			return fmt.Errorf("preflight: %w", err)
		}
		l.log.Error("EC2 refuses this node; it votes, but cannot take the address", zap.Error(err))
	}
	l.driver = controller.NewDriver(l.coreConfig(), controller.Ports{
		Raft: newRaftPort(l), Quorum: quorumPort{l}, Ballot: ballotPort{l}, Peers: peersPort{l}, Roster: l.raft, EC2: ec2Port{l, client}, Health: l.health, Replica: replica,
	}, l.clock, l.log)
	rpc.set(l.driver.Handler())
	if l.wire, err = l.node.world.air.Open(l.wireConfig(), l.wirePermit); err != nil {
		return err
	}
	l.driver.SetWire(wirePort{l})
	l.driver.SetPeering(l.wire)
	l.ec2 = client
	l.ready.Store(true)
	return nil
}

// countHints adds what came of this process's suspicions to the coverage.
func (l *life) countHints() {
	h := l.driver.View().Hints
	for what, n := range map[string]uint64{"asked": h.Asked, "refuted": h.Refuted, "sent": h.Sent, "sent too late": h.Failed, "own stalls": h.Stalls} {
		l.node.world.coverage.addTimes("hints: "+what, int(n))
	}
}

func (l *life) runAll() error {
	base, cancel := context.WithCancel(l.killed)
	defer cancel()
	defer l.countHints()
	g, ctx := errgroup.WithContext(base)
	g.Go(func() error { return named("raft", l.raft.Run(ctx)) })
	g.Go(func() error { return named("vrrp", l.wire.Run(ctx)) })
	g.Go(func() error { return named("ec2", l.ec2.Run(ctx)) })
	g.Go(func() error { l.checkHealth(ctx); return nil })
	g.Go(func() error {
		defer cancel()
		defer l.news.end()
		driving, end := context.WithCancel(ctx)
		defer end()
		defer context.AfterFunc(l.stopped, end)()
		return l.driver.Run(driving)
	})
	g.Go(func() error { return l.news.run(l) })
	return g.Wait()
}

func named(part string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return fmt.Errorf("%s: %w", part, err)
}

// checkHealth makes the first check after a moment, as the real monitor does.
func (l *life) checkHealth(ctx context.Context) {
	select {
	case <-time.After(10*time.Millisecond + l.node.world.dice.upTo(90*time.Millisecond)):
		l.node.haproxy.watch(l.health)
	case <-ctx.Done():
	}
}

// lateHandler is the rpc handler of a driver that does not exist yet while the port is being opened.
type lateHandler struct{ handler atomic.Pointer[http.Handler] }

func (h *lateHandler) set(handler http.Handler) { h.handler.Store(&handler) }

// ServeHTTP answers 503 until the handler is set.
func (h *lateHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if handler := h.handler.Load(); handler != nil {
		(*handler).ServeHTTP(w, r)
		return
	}
	http.Error(w, "starting", http.StatusServiceUnavailable)
}
