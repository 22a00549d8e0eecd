package lab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/hacluster/hacluster/internal/lab/host"
	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
)

// The lab itself, without agents: what it shows of hacluster is worth as much as its network, its EC2 and its witnesses
// are.
func TestLab(t *testing.T) {
	sandboxtest.Need(t)
	err := Run(t.Context(), Options{Dir: t.TempDir()}, func(ctx context.Context, l *Lab) error {
		t.Run("an address that nobody holds leads nowhere", func(t *testing.T) { testNobody(t, l) })
		t.Run("the address leads to its holder", func(t *testing.T) { testHolder(t, l) })
		t.Run("only the holder reaches the internet", func(t *testing.T) { testOutbound(t, l) })
		t.Run("a move cuts connections of the old holder", func(t *testing.T) { testMoveCuts(t, l) })
		t.Run("nodes are instances", func(t *testing.T) { testMetadata(t, l) })
		t.Run("a partition cuts peers off, not clients", func(t *testing.T) { testPartition(t, l) })
		t.Run("an advert is captured once", func(t *testing.T) { testCapture(t, l) })
		t.Run("signals reach a whole process group", func(t *testing.T) { testSignals(t, l) })
		t.Run("a machine is switched off and on", func(t *testing.T) { testPower(t, l) })
		t.Run("EC2 is served over TLS", func(t *testing.T) { testTLS(t, l) })
		t.Run("nodes boot with other programs", func(t *testing.T) { testReboot(t, l) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A cluster has at least three nodes, and a lab has room for five machines.
func TestWrongNumbersOfNodes(t *testing.T) {
	for want, opts := range map[string]Options{
		"9 nodes: choose 3 to 5":                                   {Nodes: 9},
		"2 of 4 nodes are spare: a cluster begins with at least 3": {Nodes: 4, Spares: 2},
	} {
		opts.Dir = t.TempDir()
		err := Run(t.Context(), opts, func(context.Context, *Lab) error { return nil })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", opts, err, want)
		}
	}
}

// The lab leaves its namespace as it found it: a second one fits.
func TestLabTwice(t *testing.T) {
	sandboxtest.Need(t)
	for range 2 {
		if err := Run(t.Context(), Options{Dir: t.TempDir()}, func(context.Context, *Lab) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
}

func testNobody(t *testing.T, l *Lab) {
	eventually(t, func() error {
		results := l.probes.Between(time.Now().Add(-2*time.Second), time.Now())
		for _, r := range results {
			// Silence, as on AWS: no host and no router answers for the address.
			if r.OK() || r.Connected || !strings.Contains(r.Error, "timeout") {
				return fmt.Errorf("a request to nobody: %+v", r)
			}
		}
		if len(results) < 10 {
			return fmt.Errorf("only %d requests", len(results))
		}
		return nil
	})
}

func testHolder(t *testing.T, l *Lab) {
	for _, name := range []string{"node-a", "node-c", "node-b"} {
		associate(t, l, name)
		since := time.Now()
		served := servedBy(t, l, name)
		if gap := served.Sub(since); gap > time.Second {
			t.Errorf("%s served only after %s", name, gap)
		}
	}
}

// testOutbound: only packets of the holder get out, under its public address; those of a former holder vanish, as on AWS.
func testOutbound(t *testing.T, l *Lab) {
	var inbox net.PacketConn
	onHost(t, l.client, func() (err error) {
		inbox, err = net.ListenPacket("udp4", ":9")
		return err
	})
	defer inbox.Close()
	to := netip.AddrPortFrom(netip.MustParsePrefix(clientAddress).Addr(), 9).String()
	for _, holder := range []string{"node-a", "node-b"} {
		associate(t, l, holder)
		for _, n := range append(l.nodes, l.node(holder)) { // the holder's second packet ends the wait for the others'
			onHost(t, n.host, func() error {
				conn, err := net.Dial("udp4", to)
				if err != nil {
					return err
				}
				defer conn.Close()
				_, err = io.WriteString(conn, n.Name)
				return err
			})
		}
		for range 2 {
			if err := inbox.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			packet := make([]byte, 100)
			size, from, err := inbox.ReadFrom(packet)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(packet[:size]); got != holder || !strings.HasPrefix(from.String(), ElasticIP+":") {
				t.Errorf("a packet of %s from %s got out while %s holds the address", got, from, holder)
			}
		}
	}
}

// testMoveCuts opens a connection from the client to the holder and moves the address: what the client sends then
// arrives where nobody knows the connection.
func testMoveCuts(t *testing.T, l *Lab) {
	associate(t, l, "node-a")
	servedBy(t, l, "node-a")
	conn := dial(t, l.client, ElasticIP+":80")
	associate(t, l, "node-b")
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("the connection goes on: read %d, %v", n, err)
	}
}

func testMetadata(t *testing.T, l *Lab) {
	for _, s := range nodeSites(fewestNodes) {
		client := &http.Client{Transport: &http.Transport{
			DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
				return dial(t, l.node(s.Name).host, address), nil
			},
		}}
		const base = "http://169.254.169.254/latest/"
		token := fetch(t, client, http.MethodPut, base+"api/token", "X-aws-ec2-metadata-token-ttl-seconds", "60")
		var document struct{ InstanceID, PrivateIP, AvailabilityZone string }
		body := fetch(t, client, http.MethodGet, base+"dynamic/instance-identity/document", "X-aws-ec2-metadata-token", token)
		if err := json.Unmarshal([]byte(body), &document); err != nil {
			t.Fatal(err)
		}
		if document.InstanceID != s.Instance || document.PrivateIP != s.Address.Addr().String() || document.AvailabilityZone != s.Zone {
			t.Errorf("%s is told that it is %+v", s.Name, document)
		}
	}
}

func fetch(t *testing.T, client *http.Client, method, url, header, value string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set(header, value)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s, %v", method, url, response.Status, err)
	}
	return string(body)
}

func testPartition(t *testing.T, l *Lab) {
	associate(t, l, "node-a")
	servedBy(t, l, "node-a")
	a, b := l.node("node-a"), l.node("node-b")
	if err := l.network.Partition(a.Name, l.peers(a)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []struct{ from, to *Node }{{a, b}, {b, a}} {
		if reaches(t, path.from, path.to.Address.Addr()) {
			t.Errorf("%s reaches %s through the partition", path.from.Name, path.to.Name)
		}
	}
	ec2 := netip.MustParsePrefix(ec2Address).Addr()
	wantReached(t, a, ec2) // the partition cuts off neither EC2
	wantReached(t, a, webSites()[0].Address.Addr())
	servedBy(t, l, "node-a")
	if err := l.network.Heal(); err != nil {
		t.Fatal(err)
	}
	wantReached(t, a, b.Address.Addr())
}

// testCapture sends adverts to both peers of a node, one of them through a partition: both were sent, so both count,
// once.
func testCapture(t *testing.T, l *Lab) {
	a := l.node("node-a")
	if err := l.network.Partition(a.Name, []string{"node-b"}); err != nil {
		t.Fatal(err)
	}
	defer l.network.Heal()
	start := time.Now()
	onHost(t, a.host, func() error {
		for _, peer := range []string{"10.20.0.12", "10.20.0.13"} {
			conn, err := net.Dial("ip4:112", peer)
			if err != nil {
				return err
			}
			defer conn.Close()
			if _, err := conn.Write([]byte{0x31, 51, 100, 0, 0, 10, 0, 0}); err != nil {
				return err
			}
		}
		return nil
	})
	eventually(t, func() error {
		adverts := l.capture.Adverts(start, time.Now())
		if len(adverts) != 2 {
			return fmt.Errorf("%d adverts", len(adverts))
		}
		for i, dst := range []string{"10.20.0.12", "10.20.0.13"} {
			got := adverts[i]
			if got.Src != a.Address.Addr() || got.Dst.String() != dst || got.Priority != 100 || got.Interval != 100*time.Millisecond {
				t.Errorf("captured %+v", got)
			}
		}
		return nil
	})
}

// testSignals stops a HAProxy, master and worker, continues and reloads it, and kills it.
func testSignals(t *testing.T, l *Lab) {
	a := l.node("node-a")
	local := netip.AddrPortFrom(a.Address.Addr(), 80).String()
	answers := func() bool {
		conn := dial(t, a.host, local) // the kernel accepts, also for a stopped process
		if _, err := io.WriteString(conn, "GET /healthz HTTP/1.0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, _ := conn.Read(make([]byte, 12))
		return n > 0
	}
	send := func(to host.Target, sig syscall.Signal) {
		if _, err := a.host.Signal(haproxy, to, sig); err != nil {
			t.Fatal(err)
		}
	}
	send(host.Group, syscall.SIGSTOP)
	if answers() {
		t.Error("a stopped HAProxy answers")
	}
	send(host.Group, syscall.SIGCONT)
	send(host.Leader, syscall.SIGUSR2)
	eventually(t, func() error {
		if !answers() {
			return fmt.Errorf("HAProxy does not answer after it was continued and reloaded")
		}
		return nil
	})
	send(host.Group, syscall.SIGKILL)
	eventually(t, func() error {
		running, err := a.host.Running(haproxy)
		if err == nil && running {
			return errors.New("killed HAProxy runs on")
		}
		return err
	})
	if _, err := a.host.Signal("nothing", host.Leader, syscall.SIGTERM); err == nil {
		t.Error("a signal to a process that was never started")
	}
	if err := l.repair(); err != nil {
		t.Fatal(err)
	}
}

func testPower(t *testing.T, l *Lab) {
	associate(t, l, "node-a")
	servedBy(t, l, "node-a")
	a := l.node("node-a")
	if _, err := unplug(t.Context(), l, a); err != nil {
		t.Fatal(err)
	}
	if reaches(t, l.node("node-b"), a.Address.Addr()) {
		t.Error("a machine that is off answers")
	}
	if err := l.repair(); err != nil {
		t.Fatal(err)
	}
	servedBy(t, l, "node-a")
}

// associate moves the address as a person does in the console, past the agents.
func associate(t *testing.T, l *Lab, node string) {
	t.Helper()
	if _, err := l.cloud.server.Associate(AllocationID, l.node(node).Address.Addr()); err != nil {
		t.Fatal(err)
	}
}

// servedBy waits until a request that starts from now on is served by the node, and returns when that started.
func servedBy(t *testing.T, l *Lab, node string) (started time.Time) {
	t.Helper()
	since := time.Now()
	eventually(t, func() error {
		for _, r := range l.probes.Between(since, time.Now()) {
			if r.OK() && r.Node != node {
				t.Fatalf("served by %s, not by %s", r.Node, node)
			}
			if r.OK() {
				started = r.Start
				return nil
			}
		}
		return fmt.Errorf("not served by %s", node)
	})
	return started
}

// reaches reports whether a node can connect to an address, or is at least refused by it.
func reaches(t *testing.T, from *Node, to netip.Addr) bool {
	t.Helper()
	var err error
	onHost(t, from.host, func() error {
		var conn net.Conn
		if conn, err = net.DialTimeout("tcp", netip.AddrPortFrom(to, 80).String(), 300*time.Millisecond); err == nil {
			conn.Close()
		}
		return nil
	})
	return err == nil || strings.Contains(err.Error(), "refused")
}

// wantReached tries more than once: a busy machine may take longer to answer than reaches waits.
func wantReached(t *testing.T, from *Node, to netip.Addr) {
	t.Helper()
	eventually(t, func() error {
		if !reaches(t, from, to) {
			return fmt.Errorf("%s does not reach %v", from.Name, to)
		}
		return nil
	})
}

func dial(t *testing.T, from *host.Host, address string) net.Conn {
	t.Helper()
	var conn net.Conn
	onHost(t, from, func() (err error) {
		conn, err = net.DialTimeout("tcp", address, 5*time.Second)
		return err
	})
	t.Cleanup(func() { conn.Close() })
	return conn
}

// onHost runs f in the network of a host. Sockets that it opens stay there.
func onHost(t *testing.T, h *host.Host, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with its borrowed network
		ns, err := netns.GetFromPid(h.Pid())
		if err == nil {
			defer ns.Close()
			if err = netns.Set(ns); err == nil {
				err = f()
			}
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// eventually polls until check succeeds, for at most 10 s.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func testTLS(t *testing.T, l *Lab) {
	bundle, err := os.ReadFile(l.nodes[0].CABundle())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	for name, test := range map[string]struct {
		roots   *x509.CertPool
		trusted bool
	}{"the bundle": {roots, true}, "an empty one": {x509.NewCertPool(), false}} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: test.roots}, DisableKeepAlives: true}}
		response, err := client.Get(Endpoint(true))
		if err == nil {
			response.Body.Close()
		}
		if (err == nil) != test.trusted {
			t.Errorf("with %s: %v", name, err)
		}
	}
}

// Between two systems under test nothing may be left of the first: no process, and no call.
func testReboot(t *testing.T, l *Lab) {
	for _, name := range []string{"first", "second"} {
		programs := func(*Node) ([]Program, error) {
			return []Program{{Name: name, Argv: []string{"/bin/sleep", "100"}}}, nil
		}
		former := l.nodes[0].host
		if err := l.Reboot(programs); err != nil {
			t.Fatal(err)
		}
		if _, err := former.Running(haproxy); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the former machine still answers: %v", err)
		}
		for _, n := range l.nodes {
			for process, want := range map[string]bool{haproxy: true, name: true, "first": name == "first", "second": name == "second"} {
				if running, err := n.Running(process); err != nil || running != want {
					t.Errorf("%s, booted with the %s program: %s runs: %t, %v", n.Name, name, process, running, err)
				}
			}
		}
	}
	if !l.Quiet(time.Hour) {
		t.Error("a call, and nobody there to make it")
	}
	if err := l.Reboot(func(*Node) ([]Program, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
}
