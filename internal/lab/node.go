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
	agentLogFile = agent + ".log"
)

// Node is one node of the cluster: a machine that can be switched off and on, with HAProxy and the agent. Its directory
// is its disk: it survives the machine.
type Node struct {
	site
	dir     string
	mounted bool // its disk is a file system of its own
	tuning  Tuning
	bins    binaries
	host    *host.Host // nil while the machine is off
	log     agentLog
}

// newNode writes the node's configuration; it does not switch it on.
func newNode(s site, cluster []site, opts Options, bins binaries) (*Node, error) {
	dir, err := filepath.Abs(filepath.Join(opts.Dir, s.Name))
	if err != nil {
		return nil, err
	}
	n := &Node{site: s, dir: dir, tuning: opts.Tuning, bins: bins}
	n.log = agentLog{node: s.Name, path: n.file(agentLogFile)}
	if err := n.makeDisk(opts.Disk); err != nil {
		return nil, fmt.Errorf("make disk of %s: %w", s.Name, err)
	}
	for name, tmpl := range map[string]string{"haproxy.cfg": haproxyConfig, "agent.yaml": agentConfig} {
		text, err := renderConfig(name, tmpl, n, cluster)
		if err == nil {
			err = os.WriteFile(n.file(name), text, 0o600)
		}
		if err != nil {
			return nil, fmt.Errorf("configure %s: %w", s.Name, err)
		}
	}
	return n, nil
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
	for name := range n.commands() {
		if err := n.Start(name); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) commands() map[string][]string {
	commands := map[string][]string{
		haproxy: {n.bins.haproxy, "-W", "-f", n.file("haproxy.cfg"), "-p", "/run/haproxy.pid"},
	}
	if n.bins.hacluster != "" {
		commands[agent] = []string{n.bins.hacluster, "agent", "--config", n.file("agent.yaml")}
	}
	return commands
}

// environment is what a service manager would give: nothing of the person who runs the lab, no AWS profile in particular.
func environment() []string {
	return []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent", "LANG=C.UTF-8"}
}

// continueAll wakes whatever was stopped.
func (n *Node) continueAll() error {
	var errs []error
	for _, name := range []string{haproxy, agent} {
		if running, err := n.host.Running(name); err != nil {
			errs = append(errs, err)
		} else if running {
			_, err := n.host.Signal(name, host.Group, syscall.SIGCONT)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
