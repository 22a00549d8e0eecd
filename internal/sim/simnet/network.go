package simnet

import (
	"math/rand/v2"
	"sync"
	"time"
)

// retransmit is TCP's least time-out: how much later a lost segment arrives, and within which a stream revives after a cut.
const retransmit = 200 * time.Millisecond

// Network joins hosts. One mutex guards all of it: nothing is done under it that waits.
type Network struct {
	mu     sync.Mutex
	random *rand.Rand
	hosts  map[string]*Host // by address, those that are up
	links  map[route]*link
	conns  map[*Conn]struct{}
	silent map[string]bool // addresses whose last host went without a word
	ports  uint16
	// changed is closed and replaced when a link opens or a host comes up: who waits for that looks again.
	changed chan struct{}
}

// route is one direction between two addresses.
type route struct{ from, to string }

// link is the state of one route.
type link struct {
	quality Quality
	cut     bool
	refused bool
}

// Quality says how long a message takes, uniformly between Least and Most. Loss is the share of messages that are lost and sent
// again: they come later, and so does what follows them.
type Quality struct {
	Least, Most time.Duration
	Loss        float64
}

// New returns a network without hosts. Links are without delay until SetQuality.
func New(random *rand.Rand) *Network {
	return &Network{
		random: random,
		hosts:  make(map[string]*Host), links: make(map[route]*link), conns: make(map[*Conn]struct{}),
		silent: make(map[string]bool),
		ports:  32768, changed: make(chan struct{}),
	}
}

// SetQuality sets what one route does to messages from now on.
func (n *Network) SetQuality(from, to string, q Quality) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link(from, to).quality = q
}

// Cut holds back everything on one route until Heal. New connections in either direction hang.
func (n *Network) Cut(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link(from, to).cut = true
}

// Heal ends a Cut: what was held arrives soon.
func (n *Network) Heal(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.link(from, to)
	if !l.cut {
		return
	}
	l.cut = false
	n.release(func(p *pipe) bool { return p.link == l })
}

// IsCut reports whether a route is cut.
func (n *Network) IsCut(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.link(from, to).cut
}

// Refuse makes new connections from one address to another fail at once, or ends that.
func (n *Network) Refuse(from, to string, refuse bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link(from, to).refused = refuse
}

// Reset breaks the connections between two addresses, at both ends and at once. What is on its way is lost.
func (n *Network) Reset(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		if from, to := c.out.from.address, c.out.to.address; from == a && to == b || from == b && to == a {
			c.in.breakOff()
		}
	}
}

func (n *Network) link(from, to string) *link {
	l := n.links[route{from, to}]
	if l == nil {
		l = &link{}
		n.links[route{from, to}] = l
	}
	return l
}

// travel draws how long a message takes.
func (n *Network) travel(l *link) time.Duration {
	q := l.quality
	d := q.Least
	if q.Most > q.Least {
		d += time.Duration(n.random.Int64N(int64(q.Most - q.Least)))
	}
	for again := retransmit; q.Loss > 0 && again <= 4*retransmit && n.random.Float64() < q.Loss; again *= 2 {
		d += again
	}
	return d
}

// release lets what was held on the pipes move again, each stream within one retransmission.
func (n *Network) release(which func(*pipe) bool) {
	now := time.Now()
	for c := range n.conns {
		if which(c.in) {
			c.in.revive(now, now.Add(time.Duration(n.random.Int64N(int64(retransmit)))))
		}
	}
	n.announce()
}

func (n *Network) announce() {
	close(n.changed)
	n.changed = make(chan struct{})
}
