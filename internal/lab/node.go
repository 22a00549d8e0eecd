package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/lab/host"
	"github.com/hacluster/hacluster/internal/lab/vnet"
)

// Names of the processes on a node.
const (
	haproxy = "haproxy"
	agent   = "agent"
)

// Paths on a node.
const (
	haproxyRunDir = "/run/haproxy"
	agentRunDir   = "/run/hacluster"
	adminSocket   = agentRunDir + "/admin.sock"
)

// Files of a node in its directory.
const (
	diskDir      = "disk"
	haproxyFile  = "haproxy.cfg"
	agentLogFile = agent + ".log"
)

// Node is one node of the cluster: a machine that can be switched off and on, with HAProxy and the agent. Its directory
// is its disk: it survives the machine.
type Node struct {
	site
	// Spare: nobody waits for the machine, as it is no member of the cluster, or dead. Whoever changes that says so here.
	Spare bool

	dir      string
	mounted  bool // its disk is a file system of its own
	cluster  []site
	bins     binaries
	programs []Program  // beside HAProxy
	host     *host.Host // nil while the machine is off
	log      agentLog
}

// newNode writes the node's configuration; it does not switch it on.
func newNode(s site, cluster []site, opts Options, bins binaries) (*Node, error) {
	dir, err := filepath.Abs(filepath.Join(opts.Dir, s.Name))
	if err != nil {
		return nil, err
	}
	n := &Node{site: s, dir: dir, cluster: cluster, bins: bins}
	n.log = agentLog{node: s.Name, path: n.file(agentLogFile)}
	if err := n.makeDisk(opts.Disk); err != nil {
		return nil, fmt.Errorf("make disk of %s: %w", s.Name, err)
	}
	if err := n.configure(haproxyFile, haproxyConfig, Setup{}); err != nil {
		return nil, err
	}
	if n.programs, err = n.firstPrograms(opts); err != nil {
		return nil, err
	}
	return n, nil
}

// firstPrograms are those that the node boots with.
func (n *Node) firstPrograms(opts Options) ([]Program, error) {
	switch {
	case opts.Programs != nil:
		return opts.Programs(n)
	case n.bins.hacluster == "":
		return nil, nil
	}
	program, err := n.Hacluster(Setup{Tuning: opts.Tuning})
	return []Program{program}, err
}

func (n *Node) file(name string) string { return filepath.Join(n.dir, name) }

// makeDisk makes the directory that survives the machine: on a file system of size bytes, or, if that is 0, on the lab's.
func (n *Node) makeDisk(size int64) error {
	if err := os.MkdirAll(n.file(diskDir), 0o700); err != nil {
		return err
	}
	if size > 0 {
		options := fmt.Sprintf("mode=0700,size=%d", size)
		if err := unix.Mount("tmpfs", n.file(diskDir), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
			return fmt.Errorf("mount: %w", err)
		}
		n.mounted = true
	}
	return os.MkdirAll(n.DataDir(), 0o700)
}

func (n *Node) removeDisk() error {
	if !n.mounted {
		return nil
	}
	n.mounted = false
	if err := unix.Unmount(n.file(diskDir), unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount disk of %s: %w", n.Name, err)
	}
	return nil
}

// powerOn starts the machine, plugs it in, and starts HAProxy and the agent.
func (n *Node) powerOn(network *vnet.Switch) error {
	log, err := os.OpenFile(n.file("machine.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("power on %s: %w", n.Name, err)
	}
	defer log.Close()
	machine, err := host.Start(host.Spec{Name: n.Name, Role: roleNode, Log: log})
	if err != nil {
		return err
	}
	n.host = machine
	if err := network.Attach(machine.Pid(), n.plug()); err != nil {
		return fmt.Errorf("power on %s: %w", n.Name, err)
	}
	if _, err := machine.Running(agent); err != nil { // an answer means that /run is there
		return err
	}
	for _, dir := range []string{haproxyRunDir, agentRunDir} {
		if err := os.Mkdir(machine.Path(dir), 0o755); err != nil {
			return fmt.Errorf("power on %s: %w", n.Name, err)
		}
	}
	return n.startMissing()
}

// powerOff kills every process of the machine at once; its cable is gone with it.
func (n *Node) powerOff() error {
	if n.host == nil {
		return nil
	}
	err := n.host.Kill()
	n.host = nil
	return err
}

// startMissing starts what should run on the node and does not.
func (n *Node) startMissing() error {
	for _, p := range n.everything() {
		if p.Manual {
			continue
		}
		if err := n.Start(p.Name); err != nil {
			return err
		}
	}
	return nil
}

// everything is what should run on the node.
func (n *Node) everything() []Program {
	proxy := Program{Name: haproxy, Argv: []string{n.bins.haproxy, "-W", "-f", n.file(haproxyFile), "-p", "/run/haproxy.pid"}}
	return append([]Program{proxy}, n.programs...)
}

// environment is what a service manager would give: nothing of the person who runs the lab, no AWS profile in particular.
func environment() []string {
	return []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent", "LANG=C.UTF-8"}
}

// continueAll wakes whatever was stopped.
func (n *Node) continueAll() error {
	var errs []error
	for _, p := range n.everything() {
		if running, err := n.host.Running(p.Name); err != nil {
			errs = append(errs, err)
		} else if running {
			_, err := n.host.Signal(p.Name, host.Group, syscall.SIGCONT)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
