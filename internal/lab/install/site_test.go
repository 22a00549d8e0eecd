package install

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
	"github.com/hacluster/hacluster/internal/lab/host"
	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
	"github.com/hacluster/hacluster/internal/lab/vnet"
)

// The addresses of docs/INSTALL.md, and what EC2 knows of them.
const (
	routerAddress = "10.0.0.1/24"
	ec2Address    = "10.0.0.2/24"
	imdsAddress   = "169.254.169.254/32"
	allocation    = "eipalloc-0123456789abcdef0"

	// dist names the directory with the packages; 'make dist-test' sets it.
	dist = "HACLUSTER_DIST"
	// soon is far more than anything here takes.
	soon = 60 * time.Second
	poll = 100 * time.Millisecond
)

// site is a network with machines, and EC2.
type site struct {
	t        *testing.T // the part of the test that runs
	parent   *testing.T
	pkg      string // the .deb
	network  *vnet.Switch
	ec2      *ec2fake.Server
	changes  atomic.Int64 // of the address's association
	cgroups  string       // where cgroup2 is mounted
	machines []*machine
}

// machine is one of them, seen from outside.
type machine struct {
	t    *testing.T
	name string
	host *host.Host
}

// newSite makes a site without machines. Without a package to test there is nothing to do.
func newSite(t *testing.T) *site {
	t.Helper()
	sandboxtest.Need(t)
	dir := os.Getenv(dist)
	if dir == "" {
		t.Skip("NOT TESTED: the package; 'make dist-test' does")
	}
	found, err := filepath.Glob(filepath.Join(dir, "hacluster_*_"+runtime.GOARCH+".deb"))
	if err != nil || len(found) != 1 {
		t.Fatalf("packages in %s: %v, %v: run 'make dist'", dir, found, err)
	}
	s := &site{t: t, parent: t, pkg: found[0], cgroups: t.TempDir()}
	s.mountCgroups()
	s.openEC2()
	return s
}

func (s *site) openEC2() {
	s.t.Helper()
	var addresses []netip.Prefix
	for _, a := range []string{routerAddress, ec2Address, imdsAddress} {
		addresses = append(addresses, netip.MustParsePrefix(a))
	}
	var err error
	s.network, err = vnet.NewSwitch(addresses...)
	must(s.t, err)
	s.t.Cleanup(func() { must(s.t, s.network.Close()) })
	config := ec2fake.Config{OnChange: func(ec2fake.Change) { s.changes.Add(1) }, Addresses: []ec2fake.AddressSpec{{AllocationID: allocation, PublicIP: netip.MustParseAddr("203.0.113.10")}}}
	for i := 1; i <= 3; i++ {
		config.Instances = append(config.Instances, ec2fake.InstanceSpec{
			ID: fmt.Sprintf("i-0aa0000000000000%d", i), ENI: fmt.Sprintf("eni-0bb0000000000000%d", i),
			PrivateIPs: []netip.Addr{netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", 10+i))},
		})
	}
	s.ec2, err = ec2fake.New(config)
	must(s.t, err)
	s.t.Cleanup(func() { must(s.t, s.ec2.Close()) })
	s.serve(ec2Address, s.ec2.EC2())
	s.serve(imdsAddress, s.ec2.IMDS())
}

func (s *site) serve(address string, handler http.Handler) {
	s.t.Helper()
	listener, err := net.Listen("tcp", netip.AddrPortFrom(netip.MustParsePrefix(address).Addr(), 80).String())
	must(s.t, err)
	server := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	go server.Serve(listener)
	s.t.Cleanup(func() { server.Close() })
}

// speakTo says which part of the test fails if something does.
func (s *site) speakTo(t *testing.T) {
	s.t = t
	for _, m := range s.machines {
		m.t = t
	}
}

// boot starts a machine with this program as its PID 1.
func (s *site) boot(name string, program ...string) *machine {
	s.t.Helper()
	disk, cgroup := s.t.TempDir(), s.makeCgroup(name)
	logFile, err := os.Create(filepath.Join(s.t.TempDir(), name+".log"))
	must(s.t, err)
	defer logFile.Close()
	h, err := host.Start(host.Spec{Name: name, Role: roleMachine, Args: append([]string{disk, cgroup, name}, program...), Log: logFile})
	must(s.t, err)
	m := &machine{t: s.t, name: name, host: h}
	s.machines = append(s.machines, m)
	s.t.Cleanup(func() {
		if s.t.Failed() {
			text, _ := os.ReadFile(logFile.Name())
			s.t.Logf("%s:\n%s\n%s", name, text, m.journal())
		}
		must(s.t, h.Kill())
		s.removeCgroup(cgroup)
	})
	// Until then its root is the real one, and a command would change that.
	m.await("its own root", func() error {
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", h.Pid()))
		if err == nil && strings.TrimSpace(string(name)) != filepath.Base(program[0]) {
			err = fmt.Errorf("PID 1 is %s", name)
		}
		return err
	})
	return m
}

// attach plugs a machine in at an address.
func (s *site) attach(m *machine, address string) {
	s.t.Helper()
	must(s.t, s.network.Attach(m.host.Pid(), vnet.Plug{Port: m.name, Address: netip.MustParsePrefix(address), Gateway: netip.MustParsePrefix(routerAddress).Addr()}))
}

// cluster boots the three machines of docs/INSTALL.md.
func (s *site) cluster() []*machine {
	s.t.Helper()
	for i, name := range []string{"lb-1", "lb-2", "lb-3"} {
		s.attach(s.boot(name, systemd, "--unit=machine.target", "--show-status=0"), fmt.Sprintf("10.0.0.%d/24", 11+i))
	}
	for _, m := range s.machines {
		m.await("systemd", func() error {
			_, err := m.try("systemctl is-active machine.target")
			return err
		})
		m.bring(s.pkg)
	}
	return s.machines
}

// command prepares a shell command on the machine, as root.
func (m *machine) command(script string) *exec.Cmd {
	cmd := exec.CommandContext(m.t.Context(), "nsenter", "--target", fmt.Sprint(m.host.Pid()), "--all", "--root", "--wdns=/root", "--",
		"/usr/bin/env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8",
		"DEBIAN_FRONTEND=noninteractive", "/bin/sh", "-ec", script)
	return cmd
}

func (m *machine) try(script string) (string, error) {
	out, err := m.command(script).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// run runs a shell script on the machine, which must succeed, and returns its output.
func (m *machine) run(script string) string {
	m.t.Helper()
	out, err := m.try(script)
	if err != nil {
		m.t.Fatalf("%s: %s: %v\n%s", m.name, script, err, out)
	}
	return out
}

// bring copies a file into /root of the machine.
func (m *machine) bring(file string) {
	m.t.Helper()
	in, err := os.Open(file)
	must(m.t, err)
	defer in.Close()
	cmd := m.command("cat >" + filepath.Base(file))
	cmd.Stdin = in
	out, err := cmd.CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s: copy %s: %v\n%s", m.name, file, err, out)
	}
}

func (m *machine) write(path, text string) {
	m.t.Helper()
	cmd := m.command("cat >" + path)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("%s: write %s: %v\n%s", m.name, path, err, out)
	}
}

func (m *machine) journal() string {
	// The test's own context may have ended.
	cmd := m.command("journalctl --no-pager --output=short-monotonic --lines=200")
	plain := exec.Command(cmd.Args[0], cmd.Args[1:]...)
	out, err := plain.CombinedOutput()
	if err != nil {
		return fmt.Sprintf("no journal: %v", err)
	}
	return string(out)
}

// await waits until holds returns nil.
func (m *machine) await(what string, holds func() error) {
	m.t.Helper()
	deadline := time.Now().Add(soon)
	for {
		err := holds()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("%s: not within %v: %s: %v", m.name, soon, what, err)
		}
		time.Sleep(poll)
	}
}

// mountCgroups mounts the hierarchy of cgroup2, wherever the real system has it.
func (s *site) mountCgroups() {
	s.t.Helper()
	out, err := exec.Command("mount", "-t", "cgroup2", "none", s.cgroups).CombinedOutput()
	if err != nil {
		s.t.Fatalf("mount cgroup2: %v: %s", err, out)
	}
	s.t.Cleanup(func() {
		if out, err := exec.Command("umount", s.cgroups).CombinedOutput(); err != nil {
			s.t.Errorf("unmount cgroup2: %v: %s", err, out)
		}
	})
}

func (s *site) makeCgroup(name string) string {
	s.t.Helper()
	dir, err := os.MkdirTemp(s.cgroups, "hacluster-"+name+"-")
	must(s.t, err)
	return dir
}

// removeCgroup removes what systemd made below it, once the kernel has noticed that all its processes are gone.
func (s *site) removeCgroup(dir string) {
	deadline := time.Now().Add(soon)
	for {
		err := removeTree(dir)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Errorf("remove cgroup: %v", err)
			return
		}
		time.Sleep(poll)
	}
}

// removeTree removes directories only: the files of a cgroup go with it.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return os.Remove(dir)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
