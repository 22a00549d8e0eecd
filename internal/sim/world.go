package sim

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/internal/sim/judge"
	"github.com/hacluster/hacluster/internal/sim/simnet"
)

const nodePort = uint16(7946)

// World is one cluster and everything around it.
type World struct {
	schedule Schedule
	begin    time.Time
	dice     *dice
	net      *simnet.Network
	air      *air
	cloud    *cloud
	nodes    []*node
	cuts     cuts
	director *director
	record
	lives sync.WaitGroup // processes, the dying ones included
	// formed: the first Master is there.
	formed atomic.Bool
	// slowLog: the next node that wins an election hangs.
	slowLog atomic.Bool
	over    chan struct{} // closed at the end
	dir     string
}

// record is what is kept of a run.
type record struct {
	judge    *judge.Judge
	trace    *Trace
	coverage *Coverage
	seen     seen
	reigns   atomic.Int64 // of all nodes
}

// seen is what the world has seen of the cluster, to count things once.
type seen struct {
	mu         sync.Mutex
	terms      map[uint64]bool
	entries    map[uint64]bool
	master     string
	violations []judge.Violation
}

// newWorld builds everything and starts nothing. dir is a directory of its own.
func newWorld(s Schedule, dir string) (*World, error) {
	w := &World{schedule: s, begin: time.Now(), cuts: make(cuts), over: make(chan struct{}), dir: dir}
	w.coverage = NewCoverage()
	w.seen.terms, w.seen.entries = make(map[uint64]bool), make(map[uint64]bool)
	w.dice = &dice{random: rand.New(rand.NewPCG(s.Seed, 2))}
	w.net = simnet.New(rand.New(rand.NewPCG(s.Seed, 3)))
	w.trace = newTrace(w.elapsed)
	w.judge = judge.New(judge.Config{Now: w.elapsed, Addresses: s.addresses(), MasterOfAny: s.MasterOfAny, Fencing: s.Fencing, Respect: s.Drift == controller.Respect,
		FreshFor: s.evidenceMaxAge(), Report: func(v judge.Violation) { w.trace.addLine(v.String()) }})
	w.director = newDirector()
	w.air = newAir(w)
	for i := range s.Nodes {
		n, err := newNode(w, i)
		if err != nil {
			return nil, err
		}
		w.nodes = append(w.nodes, n)
	}
	var err error
	w.cloud, err = newCloud(w)
	return w, err
}

// setLAN sets how long messages between the nodes take.
func (w *World) setLAN(q simnet.Quality) {
	for _, from := range w.nodes {
		for _, to := range w.nodes {
			w.net.SetQuality(from.ip.String(), to.ip.String(), q)
		}
	}
}

// setWAN sets how long messages between the nodes and EC2 take.
func (w *World) setWAN(q simnet.Quality) {
	for _, n := range w.nodes {
		w.net.SetQuality(n.ip.String(), cloudIP, q)
		w.net.SetQuality(cloudIP, n.ip.String(), q)
	}
}

// elapsed is the time since the run began.
func (w *World) elapsed() time.Duration { return time.Since(w.begin) }

// newest returns the node that leads in the newest term, or nil.
func (w *World) newest() (*node, uint64) {
	var leader *node
	var newest uint64
	for _, n := range w.nodes {
		l := n.running()
		if l == nil {
			continue
		}
		if term := l.raft.Status().Term; term > newest && l.raft.Leading(term) {
			leader, newest = n, term
		}
	}
	return leader, newest
}

// holder returns the node that has the first address at EC2, or nil.
func (w *World) holder() *node { return w.owner(w.cloud.actual()[0].ENI) }

// owner returns the node that has a network interface, or nil.
func (w *World) owner(eni string) *node {
	for _, n := range w.nodes {
		if eni == n.eni() {
			return n
		}
	}
	return nil
}

// demandCalm accuses an election in a scenario that gives no reason for one.
func (w *World) demandCalm(n *node, term uint64) {
	if w.schedule.Scenario == Calm && w.formed.Load() {
		w.accuse("calm", "%s was elected in term %d, though a quorum could hear the leader before it all the while", n.name, term)
	}
}

// accuse records a violation that only the world can see.
func (w *World) accuse(invariant, format string, args ...any) {
	v := judge.Violation{At: w.elapsed(), Invariant: invariant, Text: fmt.Sprintf(format, args...)}
	w.trace.addLine(v.String())
	w.seen.mu.Lock()
	defer w.seen.mu.Unlock()
	w.seen.violations = append(w.seen.violations, v)
}

// violations are the judge's and the world's.
func (w *World) violations() []judge.Violation {
	w.seen.mu.Lock()
	defer w.seen.mu.Unlock()
	return append(w.judge.Violations(), w.seen.violations...)
}

// once reports whether it is called for the first time with this key.
func (s *seen) once(set map[uint64]bool, key uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if set[key] {
		return false
	}
	set[key] = true
	return true
}

// forget begins anew: a recovered cluster may use terms and indexes again.
func (s *seen) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.terms)
	clear(s.entries)
}

// end shuts everything down and waits for it.
func (w *World) end() error {
	synctest.Wait()
	close(w.over)
	for _, n := range w.nodes {
		n.retire()
	}
	w.lives.Wait()
	return w.cloud.close()
}

// dice is the randomness of everything that is not drawn with the schedule. It is for any goroutine.
type dice struct {
	mu     sync.Mutex
	random *rand.Rand
}

// chance reports true with probability p.
func (d *dice) chance(p float64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.random.Float64() < p
}

// upTo draws from [0, limit].
func (d *dice) upTo(limit time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Duration(d.random.Int64N(int64(limit) + 1))
}

// n draws from [0, limit).
func (d *dice) n(limit int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.random.IntN(limit)
}

// workDir makes a directory for the disks of one run, in memory where that is possible.
func workDir() (string, error) {
	parent := "/dev/shm"
	if _, err := os.Stat(parent); err != nil {
		parent = ""
	}
	dir, err := os.MkdirTemp(parent, "hacluster-sim-")
	if err != nil {
		return "", fmt.Errorf("make a directory for the disks: %w", err)
	}
	return dir, nil
}
