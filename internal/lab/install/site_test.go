package install

import (
	"crypto/tls"
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

	"golang.org/x/sys/unix"

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
	elasticIP     = "203.0.113.10"

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
	image    string       // the disk whose content new machines begin with; empty: the real system
	machines []*machine
}

// machine is one of them, seen from outside.
type machine struct {
	t    *testing.T
	name string
	disk string
	host *host.Host
}

// newSite makes a site without network and machines. Without a package to test there is nothing to do.
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
	s := &site{t: t, parent: t, pkg: found[0]}
	s.cgroups = s.mount("cgroup2", "") // wherever the real system has it
	return s
}

// withEC2 gives the site a network whose router has EC2 and the metadata service behind it, over plain HTTP.
func (s *site) withEC2() *site {
	s.t.Helper()
	s.openNetwork()
	s.openEC2(ec2fake.Config{OnChange: func(ec2fake.Change) { s.changes.Add(1) }})
	s.serve(ec2Address, 80, nil, s.ec2.EC2())
	return s
}

// openNetwork makes the network; further are addresses of the router beside those that each site has.
func (s *site) openNetwork(further ...string) {
	s.t.Helper()
	var addresses []netip.Prefix
	for _, a := range append([]string{routerAddress, ec2Address, imdsAddress}, further...) {
		addresses = append(addresses, netip.MustParsePrefix(a))
	}
	var err error
	s.network, err = vnet.NewSwitch(addresses...)
	must(s.t, err)
	s.t.Cleanup(func() { must(s.t, s.network.Close()) })
}

// openEC2 makes the account, with the address and three instances, and serves the metadata.
func (s *site) openEC2(config ec2fake.Config) {
	s.t.Helper()
	config.Addresses = []ec2fake.AddressSpec{{AllocationID: allocation, PublicIP: netip.MustParseAddr(elasticIP)}}
	for i := 1; i <= 3; i++ {
		config.Instances = append(config.Instances, ec2fake.InstanceSpec{ID: instanceID(i), ENI: interfaceID(i), PrivateIPs: []netip.Addr{nodeAddress(i)},
			Tags: map[string]string{"hacluster": clusterName}})
	}
	var err error
	s.ec2, err = ec2fake.New(config)
	must(s.t, err)
	s.t.Cleanup(func() { must(s.t, s.ec2.Close()) })
	s.serve(imdsAddress, 80, nil, s.ec2.IMDS())
}

func instanceID(i int) string { return fmt.Sprintf("i-0aa0000000000000%d", i) }

func interfaceID(i int) string { return fmt.Sprintf("eni-0bb0000000000000%d", i) }

func nodeAddress(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", 10+i)) }

// serve answers at one of the router's addresses, over TLS if there is a certificate for it.
func (s *site) serve(address string, port uint16, certificate *tls.Certificate, handler http.Handler) {
	s.t.Helper()
	listener, err := net.Listen("tcp", netip.AddrPortFrom(netip.MustParsePrefix(address).Addr(), port).String())
	must(s.t, err)
	if certificate != nil {
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12})
	}
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
	disk, cgroup := s.mount("tmpfs", "mode=0755,size=1g"), s.makeCgroup(name)
	logFile, err := os.Create(filepath.Join(s.t.TempDir(), name+".log"))
	must(s.t, err)
	defer logFile.Close()
	h, err := host.Start(host.Spec{Name: name, Role: roleMachine, Args: append([]string{disk, s.image, cgroup, name}, program...), Log: logFile})
	must(s.t, err)
	m := &machine{t: s.t, name: name, disk: disk, host: h}
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

// cluster boots the three machines of docs/INSTALL.md, with the package in /root.
func (s *site) cluster() []*machine {
	s.t.Helper()
	for _, m := range s.bootThree() {
		m.bring(s.pkg)
	}
	return s.machines
}

// bootThree boots lb-1, lb-2 and lb-3.
func (s *site) bootThree() []*machine {
	s.t.Helper()
	for i := 1; i <= 3; i++ {
		s.attach(s.boot(fmt.Sprintf("lb-%d", i), systemd, "--unit=machine.target", "--show-status=0"), nodeAddress(i).String()+"/24")
	}
	for _, m := range s.machines {
		m.await("systemd", func() error {
			_, err := m.try("systemctl is-active machine.target")
			return err
		})
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
	if err := m.put(path, text); err != nil {
		m.t.Fatalf("%s: %v", m.name, err)
	}
}

func (m *machine) put(path, text string) error {
	cmd := m.command("cat >" + path)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("write %s: %w: %s", path, err, out)
	}
	return nil
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

func (m *machine) await(what string, holds func() error) {
	m.t.Helper()
	await(m.t, m.name+": "+what, holds)
}

// await waits until holds returns nil.
func await(t *testing.T, what string, holds func() error) {
	t.Helper()
	deadline := time.Now().Add(soon)
	for {
		err := holds()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s: %v", soon, what, err)
		}
		time.Sleep(poll)
	}
}

// mount mounts a file system until the test ends, and returns where.
func (s *site) mount(kind, options string) string {
	s.t.Helper()
	dir := s.t.TempDir()
	if err := unix.Mount(kind, dir, kind, 0, options); err != nil {
		s.t.Fatalf("mount %s: %v", kind, err)
	}
	s.t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			s.t.Errorf("unmount %s: %v", kind, err)
		}
	})
	return dir
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
