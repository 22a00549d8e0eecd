package vrrpwire

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// heardQueue bounds Heard. A full queue loses its oldest entry: only the newest advert says what a peer is now.
const heardQueue = 64

// keyPeer is the log key of an address on the other side.
const keyPeer = "peer"

// Heard is an advert that a configured peer sent and the listener accepted.
type Heard struct {
	From          netip.Addr
	Advertisement Advertisement
	At            time.Duration // CLOCK_BOOTTIME when it was read, which is after it arrived
}

// Stats counts since Open. An advert counts once, however many peers it goes to. What keepalived counts too: advert_sent, pri_zero_sent,
// advert_rcvd (Received), pri_zero_rcvd, become_master, release_master, and the reasons under their own names.
type Stats struct {
	Sent                 uint64            // adverts with the node's priority
	PriorityZeroSent     uint64            // adverts with priority 0
	Suppressed           uint64            // regular adverts given up: Permit held them back, or no peer could be sent to
	SendErrors           uint64            // packets, one peer each, that could not be sent
	Unresolved           uint64            // tries to send one, not made since the packet would have waited for ARP
	Received             uint64            // adverts accepted from peers
	PriorityZeroReceived uint64            // of these, with priority 0
	HeardDropped         uint64            // of these, lost from a full Heard queue
	ForeignMaster        uint64            // adverts of senders whose turn it is not, accepted or not
	IntervalMismatch     uint64            // adverts accepted with another interval than this node's
	BecomeMaster         uint64            // reigns on the wire
	ReleaseMaster        uint64            // of these, ended
	Rejected             map[Reason]uint64 // packets not accepted; never nil
}

// Endpoint is one node's place on the wire for one virtual router: it listens to the peers all the time, and
// advertises to them while it reigns.
//
// One mutex makes drain, check and send a single step, and keeps every packet that left the kernel's queue from
// being seen half-handled. It is what lets Resign promise that nothing follows it (I3).
type Endpoint struct {
	cfg    Config
	permit Permit
	conn   datagrams
	log    *zap.Logger
	heard  chan Heard
	wake   chan struct{} // the advertiser has something new to look at

	mu        sync.Mutex
	closed    bool
	reign     reign
	suspectAt time.Duration // when a peer was last heard to advertise, accepted or not; 0: never
	out       outgoing
	monitor   *monitor
	stats     Stats
}

// outgoing is what sending needs from one advert to the next.
type outgoing struct {
	ipID      uint16               // of the last advert
	obstacles map[netip.Addr]error // what keeps a packet to a peer from leaving at once; see survey
	failing   map[netip.Addr]bool  // peers that the last send did not reach
	buf       []byte
}

// Open checks the configuration and opens the raw socket, for which the process needs CAP_NET_RAW and nothing
// else; netlink must not be forbidden to it. It starts nothing, but has the kernel ask for the link-layer addresses of
// the peers, so that the first advert finds them known. The endpoint must be run, or closed.
func Open(cfg Config, permit Permit) (*Endpoint, error) {
	return open(cfg, permit, func() (datagrams, error) { return openRaw(cfg.Source, cfg.Interface) })
}

func open(cfg Config, permit Permit, dial func() (datagrams, error)) (*Endpoint, error) {
	if permit == nil {
		return nil, errors.New("open VRRP endpoint: no permit given")
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("check VRRP configuration: %w", err)
	}
	conn, err := dial()
	if err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	cfg.Peers = slices.Clone(cfg.Peers)
	log := cfg.Logger.Named("vrrp").With(zap.Uint8("vrid", cfg.VRID))
	e := &Endpoint{
		cfg: cfg, permit: permit, conn: conn, log: log,
		heard:   make(chan Heard, heardQueue),
		wake:    make(chan struct{}, 1),
		out:     outgoing{obstacles: make(map[netip.Addr]error), failing: make(map[netip.Addr]bool)},
		monitor: newMonitor(cfg, log),
		stats:   Stats{Rejected: make(map[Reason]uint64)},
	}
	e.survey()
	return e, nil
}

// Run listens and, in a reign, advertises until ctx ends or the socket fails. It then resigns, so that the peers
// hear priority 0 at once, and closes the socket. It returns nil when ctx ended, and is called at most once.
func (e *Endpoint) Run(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return e.listen(groupCtx) })
	group.Go(func() error { return e.advertise(groupCtx) })
	err := group.Wait()
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	return errors.Join(err, e.Close())
}

// Close resigns and closes the socket. It is for an endpoint that is not run; Run does it by itself.
func (e *Endpoint) Close() error {
	e.Resign("stopping")
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	if err := e.conn.Close(); err != nil {
		return fmt.Errorf("close VRRP socket: %w", err)
	}
	return nil
}

// Reign makes the node Master from the boottime notBefore on: one advert at once then, and one each interval after
// it, on an absolute schedule. A slot that was missed is skipped. Each advert needs the permit; one that is held
// back is tried again until its slot ends. On a node that reigns already the schedule starts anew.
// Once Run has ended nothing is sent any more.
func (e *Endpoint) Reign(notBefore time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.reign.active {
		e.stats.BecomeMaster++
	}
	e.reign = reign{
		active:     true,
		advertised: e.reign.active && e.reign.advertised,
		start:      max(notBefore, e.cfg.Now()),
		interval:   e.cfg.Interval,
	}
	e.reign.slot = e.reign.start
	e.poke()
}

// Resign ends the reign: if it was heard of at all, priority 0 goes once to every peer that it can leave for at once.
// When Resign returns this has been sent, and no advert with another priority follows before the next Reign (I3). It
// may be repeated.
func (e *Endpoint) Resign(reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ended := e.reign
	e.reign = reign{}
	if !ended.active {
		return
	}
	e.stats.ReleaseMaster++
	if ended.withheld {
		e.stats.Suppressed++
	}
	said := ended.advertised && e.farewell()
	e.log.Info("reign on the wire ended", zap.String("reason", reason), zap.Bool("priority_zero", said))
	e.poke()
}

// farewell sends priority 0 and reports whether any packet left. It too leaves now or not at all: one that came
// seconds later would have the peers look for a new Master while they have one.
func (e *Endpoint) farewell() bool {
	e.survey()
	left := e.broadcast(PriorityStop)
	if left {
		e.stats.PriorityZeroSent++
	}
	return left
}

// Heard delivers the adverts of the peers, oldest first. The queue holds 64; the oldest gives way to a new one and
// is counted in Stats.HeardDropped. The channel is never closed.
func (e *Endpoint) Heard() <-chan Heard { return e.heard }

// Drain reads what has arrived and was not read yet, so that Heard tells all that reached this node before the call. It waits for an
// advert that is being sent.
func (e *Endpoint) Drain() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		_ = e.drain() // an error ends Run, which meets it too
	}
}

// Stats returns a copy of the counters.
func (e *Endpoint) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	stats := e.stats
	stats.Rejected = maps.Clone(e.stats.Rejected)
	return stats
}

// Senders returns what was heard from whom: every peer, in the order of their addresses, then at most 32 others.
func (e *Endpoint) Senders() []Sender {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.monitor.report()
}

// poke makes the advertiser look at the reign again. One pending poke stands for any number.
func (e *Endpoint) poke() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}
