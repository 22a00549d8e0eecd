package election

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"
)

func TestMain(m *testing.M) {
	// Once in some thousand shutdowns hashicorp/raft leaves a command without an answer, and with it the goroutine that waits for that. One
	// that waits for a Raft which still runs is not excused: that Raft's own goroutines are found.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/hashicorp/raft.(*deferError).Error"))
}

// ledger is a state machine that remembers every command.
type ledger struct {
	mu      sync.Mutex
	entries []string
	// gate, if set, is called before each Apply.
	gate func()
	// unknown is a command that this build cannot read; empty: there is none.
	unknown string
}

var errTooOld = errors.New("this build is too old: install the newer one")

func (l *ledger) Check(data []byte) error {
	if l.unknown != "" && strings.Contains(string(data), l.unknown) {
		return errTooOld
	}
	return nil
}

func (l *ledger) Apply(_, _ uint64, command []byte) any {
	if l.gate != nil {
		l.gate()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, string(command))
	return len(l.entries)
}

func (l *ledger) Snapshot() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return json.Marshal(l.entries)
}

func (l *ledger) Restore(snapshot []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return json.Unmarshal(snapshot, &l.entries)
}

// Admitted and Removed make a directory of the commands "admit NAME ADDRESS" and "remove NAME".
func (l *ledger) Admitted() []Peer {
	admitted, _ := l.directory()
	return admitted
}

func (l *ledger) Removed(name string) bool {
	_, removed := l.directory()
	return removed[name]
}

func (l *ledger) directory() (admitted []Peer, removed map[string]bool) {
	removed = make(map[string]bool)
	for _, entry := range l.list() {
		words := strings.Fields(entry)
		if len(words) < 2 {
			continue
		}
		name := words[1]
		admitted = slices.DeleteFunc(admitted, func(p Peer) bool { return p.Name == name })
		removed[name] = words[0] == "remove"
		if words[0] == "admit" {
			admitted = append(admitted, Peer{Name: name, Address: words[2]})
		}
	}
	return admitted, removed
}

func (l *ledger) list() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries)
}

// process is one run of a node: real TCP on loopback, real bbolt in a temporary directory.
type process struct {
	*Node
	ledger *ledger
	cancel context.CancelFunc
	done   chan struct{}
	err    error
	// expected says that the test has seen the run end with an error.
	expected bool
}

// start opens and runs a node. The test ends it, if nobody has.
func start(t testing.TB, cfg Config) *process {
	t.Helper()
	return startWith(t, cfg, &ledger{})
}

func startWith(t testing.TB, cfg Config, l *ledger) *process {
	t.Helper()
	p := &process{ledger: l, done: make(chan struct{})}
	cfg.Directory = p.ledger
	var err error
	if p.Node, err = Open(cfg, p.ledger); err != nil {
		t.Fatalf("open %s: %v", cfg.Name, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p.cancel = cancel
	go func() {
		defer close(p.done)
		p.err = p.Run(ctx)
	}()
	t.Cleanup(func() {
		if err := p.stop(); err != nil && !p.expected {
			t.Errorf("run of %s ended with: %v", cfg.Name, err)
		}
	})
	return p
}

// stop ends the run and returns what Run returned.
func (p *process) stop() error {
	p.cancel()
	<-p.done
	return p.err
}

// mustRun fails the test at once if the run has ended, rather than let it wait for a dead node.
func (p *process) mustRun(t testing.TB) {
	t.Helper()
	select {
	case <-p.done:
		t.Fatalf("the run of %s has ended: %v", p.cfg.Name, p.err)
	default:
	}
}

// failure waits until the run ends by itself and returns why.
func (p *process) failure(t testing.TB) error {
	t.Helper()
	select {
	case <-p.done:
		p.expected = true
		return p.err
	case <-time.After(30 * time.Second):
		t.Fatalf("the run of %s has not ended: %+v", p.cfg.Name, p.Status())
		return nil
	}
}

// cluster is the configuration of some nodes and their present processes.
type cluster struct {
	t       testing.TB
	configs []Config
	nodes   map[string]*process
}

// newCluster prepares nodes node-a, node-b, ... on loopback; none is started.
func newCluster(t testing.TB, size int, adjust ...func(*Config)) *cluster {
	t.Helper()
	var peers []Peer
	for i, address := range freeAddresses(t, size) {
		peers = append(peers, Peer{Name: "node-" + string(rune('a'+i)), Address: address})
	}
	c := &cluster{t: t, nodes: make(map[string]*process)}
	for _, p := range peers {
		cfg := Config{
			Cluster: "test",
			Name:    p.Name,
			DataDir: memoryDir(t),
			Peers:   peers,
			Timing: Timing{Heartbeat: 400 * time.Millisecond, Election: 400 * time.Millisecond, Lease: 200 * time.Millisecond, Commit: 20 * time.Millisecond,
				LogWrite: 20 * time.Second}, // a disk that others keep busy is not what is tested
		}
		if os.Getenv("ELECTION_LOG") != "" {
			cfg.Logger = zaptest.NewLogger(t).Named(p.Name)
		}
		for _, f := range adjust {
			f(&cfg)
		}
		c.configs = append(c.configs, cfg)
	}
	return c
}

// memoryDir is a directory in memory, where there is one: a leader whose disk hangs for applyDeadline ends. As with t.TempDir, there is
// one of its own around it.
func memoryDir(t testing.TB) string {
	t.Helper()
	around, err := os.MkdirTemp("/dev/shm", "hacluster-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(around); err != nil {
			t.Error(err)
		}
	})
	dir := filepath.Join(around, "data")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// freeAddresses picks addresses in 127.0.0.0/8 at random, all of which is loopback on Linux. The port is below those that the
// kernel gives to outgoing connections, so nothing takes it while a node is stopped.
func freeAddresses(t testing.TB, count int) []string {
	t.Helper()
	var addresses []string
	for range count {
		n := rand.Uint32()
		address := fmt.Sprintf("127.%d.%d.%d:7946", byte(n), byte(n>>8), 1+byte(n>>16)%254)
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		addresses = append(addresses, address)
	}
	return addresses
}

func (c *cluster) config(name string) Config {
	i := slices.IndexFunc(c.configs, func(cfg Config) bool { return cfg.Name == name })
	return c.configs[i]
}

// start starts the named nodes, or all.
func (c *cluster) start(names ...string) {
	c.t.Helper()
	if len(names) == 0 {
		names = c.configs[0].peerNames()
	}
	for _, name := range names {
		c.nodes[name] = start(c.t, c.config(name))
	}
}

// stop stops the named nodes, or all that run.
func (c *cluster) stop(names ...string) {
	c.t.Helper()
	if len(names) == 0 {
		names = slices.Collect(maps.Keys(c.nodes))
	}
	for _, name := range names {
		c.nodes[name].cancel()
	}
	for _, name := range names {
		if err := c.nodes[name].stop(); err != nil {
			c.t.Errorf("run of %s ended with: %v", name, err)
		}
		delete(c.nodes, name)
	}
}

// leader waits until one running node leads and all others follow it, and returns it with its term.
func (c *cluster) leader() (*process, uint64) {
	c.t.Helper()
	var found *process
	var term uint64
	eventually(c.t, "one leader that all follow", func() error {
		found = nil
		views := make(map[string]bool)
		for _, p := range c.nodes {
			p.mustRun(c.t)
			s := p.Status()
			views[fmt.Sprintf("%s/%d", s.Leader, s.Term)] = true
			if p.Leading(s.Term) {
				found, term = p, s.Term
			}
		}
		if found == nil || len(views) != 1 {
			return fmt.Errorf("views: %v", views)
		}
		return nil
	})
	return found, term
}

// apply commits a command once at the leader, whoever that is by then: on a busy machine leaders change.
func (c *cluster) apply(command string) {
	c.t.Helper()
	unknown := false
	eventually(c.t, "apply "+command, func() error {
		p, term := c.leader()
		if unknown {
			if err := p.raft.Load().Barrier(time.Second).Error(); err != nil {
				return err
			}
			if slices.Contains(p.ledger.list(), command) {
				return nil
			}
		}
		_, _, err := p.Apply(c.t.Context(), term, []byte(command))
		unknown = unknown || errors.Is(err, ErrUnknownOutcome)
		return err
	})
}

// expectEverywhere waits until each running node has applied exactly these commands.
func (c *cluster) expectEverywhere(want ...string) {
	c.t.Helper()
	for name, p := range c.nodes {
		eventually(c.t, "the ledger of "+name, func() error {
			if got := p.ledger.list(); !slices.Equal(got, want) {
				return fmt.Errorf("it has %q, want %q", got, want)
			}
			return nil
		})
	}
}

// expectPhase waits until the node says that it does what the words say.
func (p *process) expectPhase(t testing.TB, words ...string) {
	t.Helper()
	eventually(t, "phase of "+p.cfg.Name, func() error {
		p.mustRun(t)
		phase := p.Status().Phase
		for _, w := range words {
			if !strings.Contains(phase, w) {
				return fmt.Errorf("it is %q, want %q in it", phase, w)
			}
		}
		return nil
	})
}

// eventually polls a condition of real processes until it holds.
func eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	const patience = 30 * time.Second
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, patience, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// expectSentence checks that an error says these words.
func expectSentence(t testing.TB, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}
