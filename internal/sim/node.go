package sim

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/sim/simnet"
)

// node is a machine: an address, a disk, an HAProxy, and the agent's process while there is one. The director alone changes it.
type node struct {
	world    *World
	index    int
	name     string
	ip       netip.Addr
	priority uint8
	haproxy  *haproxy
	clock    clock
	life     atomic.Pointer[life] // nil: no process
	lives    int
	disk     string // directory
	server   string // the id under which its last process took part, once that has ended
	wiped    bool   // the disk was lost, or the node was removed, and it has no vote again yet
	removed  bool   // it has not been admitted again
	build    fsm.Level
	refused  bool // the build before, as the state is newer
	upgraded bool // for good
}

func newNode(w *World, index int) (*node, error) {
	n := &node{world: w, index: index, name: "node-" + string(rune('a'+index)),
		ip: netip.AddrFrom4([4]byte{10, 0, 0, byte(index + 1)}), priority: uint8(200 - 10*index)}
	n.build = fsm.Newest
	if w.schedule.Upgrade {
		n.build = fsm.Level(1 + w.dice.n(int(fsm.Newest)))
	}
	n.haproxy = newHAProxy(n.boottime)
	n.clock.drift = maxDrift * (2*float64(w.dice.n(1001))/1000 - 1)
	n.clock.boot(w)
	return n, n.newDisk()
}

func (n *node) eni() string { return "eni-" + n.name }

// place is the private address that belongs to an Elastic IP: of the first, the machine's own.
func (n *node) place(i int) netip.Addr { return placeOf(n.ip, i) }

func placeOf(machine netip.Addr, i int) netip.Addr {
	a := machine.As4()
	a[1] += byte(i)
	return netip.AddrFrom4(a)
}

func (n *node) address() string { return netip.AddrPortFrom(n.ip, nodePort).String() }

func (w *World) nodeAt(ip netip.Addr) *node {
	for _, n := range w.nodes {
		if n.ip == ip {
			return n
		}
	}
	return nil
}

// clock is a machine's CLOCK_BOOTTIME: its zero is its own, and it runs a little fast or slow.
type clock struct {
	zero  atomic.Int64 // of the world's time
	drift float64
}

// maxDrift is half of what the wait before a first advert allows for between two machines (invariant I3).
const maxDrift = 0.004

// boot sets the clock as a machine's is that has been up for some time.
func (c *clock) boot(w *World) {
	c.zero.Store(int64(w.elapsed() - time.Minute - w.dice.upTo(24*time.Hour)))
}

func (n *node) boottime() time.Duration {
	up := n.world.elapsed() - time.Duration(n.clock.zero.Load())
	return up + time.Duration(float64(up)*n.clock.drift)
}

// running returns the process, once it has opened its store; nil otherwise.
func (n *node) running() *life {
	l := n.life.Load()
	if l == nil || l.dead.Load() || !l.opened.Load() {
		return nil
	}
	return l
}

func (n *node) newDisk() error {
	n.disk = filepath.Join(n.world.dir, fmt.Sprintf("%s.%d", n.name, n.lives))
	return os.MkdirAll(n.disk, 0o700)
}

// start begins a process, unless there is one.
func (n *node) start() {
	if n.life.Load() != nil {
		return
	}
	n.install()
	n.lives++
	l := newLife(n, n.world.net.Boot(n.ip.String()))
	n.life.Store(l)
	n.world.trace.add(n.name, "process %d of level %d starts", n.lives, n.build)
	n.world.lives.Go(func() {
		err := l.run()
		n.world.director.post(func() { n.ended(l, err) })
	})
}

// install is what an operator does between two processes in the middle of an upgrade: takes the newer build, or goes back to the older.
func (n *node) install() {
	switch {
	case !n.world.schedule.Upgrade || n.upgraded || n.lives == 0:
	case n.refused:
		n.build, n.refused = fsm.Newest, false
	default:
		switch n.world.dice.n(4) {
		case 0, 1:
			n.build = fsm.Newest
		case 2:
			n.build = 1
		}
	}
}

// ended is what systemd does about a process that ended by itself.
func (n *node) ended(l *life, err error) {
	if l.dead.Load() {
		return
	}
	l.dead.Store(true)
	if l.opened.Load() {
		n.server = l.server
	}
	n.life.Store(nil)
	l.host.Crash(simnet.Ending{})
	again := 100*time.Millisecond + n.world.dice.upTo(2*time.Second)
	if l.stopFor != 0 {
		again = l.stopFor
	}
	n.world.trace.add(n.name, "process %d ended: %v", l.number, err)
	n.refused = errors.As(err, new(*fsm.NewerError))
	if n.refused {
		n.world.coverage.add("processes: refused, as the state is newer")
	} else {
		n.world.coverage.add("processes: " + ending(err))
	}
	n.world.director.undo(again, n.start)
}

// ending names the reason in a few words, the same for each time: up to the first id or number.
func ending(err error) string {
	if err == nil {
		return "stopped in order"
	}
	text, _, _ := strings.Cut(err.Error(), " eip")
	if i := strings.IndexAny(text, "0123456789"); i >= 0 {
		text = text[:i]
	}
	return "ended: " + text
}

// fate is what becomes of a disk in a crash.
type fate int

const (
	kept fate = iota
	storeLost
	allLost
)

func (f fate) String() string {
	return [...]string{"kept", "store lost, marker kept", "lost"}[f]
}

// crash ends the process between two of its steps. The disk of its successor is a copy of this moment: what the dying process
// still writes is not seen again.
func (n *node) crash(how simnet.Ending, disk fate, restart time.Duration) bool {
	synctest.Wait()
	l := n.running()
	if l == nil {
		return false
	}
	old := n.disk
	if err := n.replaceDisk(old, disk); err != nil {
		panic(err) // of this machine, not of the simulated one
	}
	n.server = l.server
	n.noteLoss(disk)
	n.life.Store(nil)
	l.dead.Store(true)
	how.Keep = cloudIP
	l.host.Crash(how)
	l.kill()
	if how.Silent {
		n.clock.boot(n.world) // the machine comes up anew
	}
	n.world.coverage.add("processes: killed")
	n.world.director.undo(restart, n.start)
	return true
}

// noteLoss says what is lost with a disk.
func (n *node) noteLoss(disk fate) {
	if disk == kept {
		return
	}
	n.world.coverage.add("disks: " + disk.String())
	n.wiped = true
	if n.server != "" {
		n.world.judge.DiskLost(n.server)
	}
}

// loseDisk happens while there is no process.
func (n *node) loseDisk(disk fate) {
	gone := filepath.Join(n.disk, "*")
	if disk == storeLost {
		gone = filepath.Join(n.disk, "raft")
	}
	paths, err := filepath.Glob(gone)
	for _, path := range paths {
		err = errors.Join(err, os.RemoveAll(path))
	}
	if err != nil {
		panic(err) // of this machine, not of the simulated one
	}
	n.noteLoss(disk)
}

func (n *node) replaceDisk(old string, disk fate) error {
	if err := n.newDisk(); err != nil {
		return err
	}
	if disk == allLost {
		return nil
	}
	if err := os.CopyFS(n.disk, os.DirFS(old)); err != nil {
		return err
	}
	if disk == storeLost {
		return os.RemoveAll(filepath.Join(n.disk, "raft"))
	}
	return nil
}

// retire ends the process for good.
func (n *node) retire() {
	l := n.life.Swap(nil)
	if l == nil {
		return
	}
	l.dead.Store(true)
	l.host.Crash(simnet.Ending{})
	l.kill()
}
