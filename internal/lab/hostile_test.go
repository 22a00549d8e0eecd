package lab

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/lab/host"
	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
	"github.com/hacluster/hacluster/internal/lab/vnet"
)

const (
	roleForger    = "forger"
	forgerAddress = "10.20.0.66/24"
	// mostGrowth is how much memory an agent may take more while it is attacked, in KiB.
	mostGrowth = 64 << 10
)

// TestForgedAdverts: a host on the same network forges the adverts of every node and of strangers, of every priority, with nothing to tell
// them from genuine ones; more of a flat network than a VPC, which drops forged sources. First a stream of them, then as many as it can.
func TestForgedAdverts(t *testing.T) {
	sandboxtest.Need(t)
	opts := Options{Hacluster: sandboxtest.Build(t), Dir: filepath.Join(sandboxtest.MemoryDir(t), "lab")}
	err := Run(t.Context(), opts, func(ctx context.Context, l *Lab) error {
		if _, _, err := l.await(ctx, steadyLimit, l.steady); err != nil {
			return err
		}
		t.Run("a stream moves nothing", func(t *testing.T) { testForgedStream(ctx, t, l) })
		t.Run("a flood starves nobody", func(t *testing.T) { testForgedFlood(ctx, t, l) })
		return nil
	})
	if err != nil {
		tellLogs(t, opts.Dir)
		t.Fatal(err)
	}
}

func testForgedStream(ctx context.Context, t *testing.T, l *Lab) {
	moved := movedByForgery(ctx, t, l)
	if moved != nil { // a busy machine has elections of its own, but not twice
		t.Logf("once more: %v", moved)
		moved = movedByForgery(ctx, t, l)
	}
	if moved != nil {
		t.Error(moved)
	}
	master, _, err := l.await(ctx, steadyLimit, l.steady)
	if err != nil {
		t.Fatal(err)
	}
	table, err := master.command(ctx, "status")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"packets rejected", "foreign master", "unknown_sender"} {
		if !strings.Contains(string(table), want) {
			t.Errorf("hacluster status does not speak of %q:\n%s", want, table)
		}
	}
}

// movedByForgery sends the Master some hundred forged adverts, and returns what anybody did about them.
func movedByForgery(ctx context.Context, t *testing.T, l *Lab) error {
	t.Helper()
	master, before, err := l.await(ctx, steadyLimit, l.steady)
	if err != nil {
		t.Fatal(err)
	}
	heard, err := master.number(ctx, "foreign_master")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Now()
	forger := forge(t, l, time.Millisecond)
	eventually(t, func() error { return wantNumbers(ctx, master, "foreign_master", heard+300) })
	if err := forger.Kill(); err != nil {
		t.Fatal(err)
	}
	after, err := master.status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var moved []error
	if after.State != stateMaster || after.Term != before.Term || after.Holder != before.Holder {
		moved = append(moved, fmt.Errorf("%+v became %+v", before, after))
	}
	if moves := l.Moves(from, time.Now()); len(moves) > 0 {
		moved = append(moved, fmt.Errorf("the address moved: %+v", moves))
	}
	for _, c := range l.cloud.callsBetween(from, time.Now()) {
		if c.Mutating {
			moved = append(moved, fmt.Errorf("a call was made: %+v", c))
		}
	}
	return errors.Join(moved...)
}

// testForgedFlood: with as many packets as can be sent, a node still answers, hands over, and is steady when the flood is over.
func testForgedFlood(ctx context.Context, t *testing.T, l *Lab) {
	master, _, err := l.await(ctx, steadyLimit, l.steady)
	if err != nil {
		t.Fatal(err)
	}
	before := map[string]int{}
	for _, n := range l.nodes {
		before[n.Name] = peakMemory(t, n)
	}
	forger := forge(t, l, 0)
	eventually(t, func() error { return wantNumbers(ctx, master, "advert_rcvd", 5_000) })
	other := l.peers(master)[0]
	transferred := false
	for deadline := time.Now().Add(steadyLimit); !transferred && time.Now().Before(deadline); {
		if err := master.Transfer(ctx, other); err != nil {
			t.Logf("under the flood: %v", err)
		}
		transferred = l.Holder() == other
	}
	if !transferred {
		t.Errorf("no hand-over under the flood: the address is with %q", l.Holder())
	}
	if err := forger.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.await(ctx, steadyLimit, l.steady); err != nil {
		t.Fatal(err)
	}
	for _, n := range l.nodes {
		grown := peakMemory(t, n) - before[n.Name]
		t.Logf("%s took %d KiB more", n.Name, grown)
		if grown > mostGrowth {
			t.Errorf("%s took %d KiB more memory under the flood", n.Name, grown)
		}
	}
}

// wantNumbers wants a counter of the VRRP part of the status to have got so far.
func wantNumbers(ctx context.Context, n *Node, counter string, least float64) error {
	got, err := n.number(ctx, counter)
	if err == nil && got < least {
		err = fmt.Errorf("%s of %s is %v", counter, n.Name, got)
	}
	return err
}

// number returns a counter of the VRRP part of the status.
func (n *Node) number(ctx context.Context, counter string) (float64, error) {
	out, err := n.command(ctx, "status", "-o", "json")
	if err != nil {
		return 0, err
	}
	var s struct {
		VRRP map[string]any `json:"vrrp"`
	}
	if err := json.Unmarshal(out, &s); err != nil {
		return 0, err
	}
	got, _ := s.VRRP[counter].(float64)
	return got, nil
}

// peakMemory returns the greatest resident size of the node's agent so far, in KiB.
func peakMemory(t *testing.T, n *Node) int {
	t.Helper()
	names, err := filepath.Glob(n.host.Path("/proc/[0-9]*/comm"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if comm, err := os.ReadFile(name); err != nil || strings.TrimSpace(string(comm)) != "hacluster" {
			continue
		}
		status, err := os.ReadFile(filepath.Join(filepath.Dir(name), "status"))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(status), "VmHWM:")
		kib, err := strconv.Atoi(strings.Fields(rest)[0])
		if err != nil {
			t.Fatal(err)
		}
		return kib
	}
	t.Fatalf("no agent on %s", n.Name)
	return 0
}

// forge starts the hostile host. It goes on until it is killed.
func forge(t *testing.T, l *Lab, pause time.Duration) *host.Host {
	t.Helper()
	forger, err := l.startHost(host.Spec{Name: roleForger, Role: roleForger, Args: []string{pause.String()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = forger.Kill() })
	plug := vnet.Plug{Port: roleForger, Address: netip.MustParsePrefix(forgerAddress), Gateway: netip.MustParsePrefix(routerAddress).Addr()}
	if err := l.network.Attach(forger.Pid(), plug); err != nil {
		t.Fatal(err)
	}
	return forger
}

// forgeAdverts is the role of the hostile host.
func forgeAdverts(line *os.File, args []string) error {
	pause, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil {
		return fmt.Errorf("open raw socket: %w", err)
	}
	go func() {
		for i := 0; ; i++ {
			packet := forged(i)
			to := &unix.SockaddrInet4{Addr: [4]byte(packet[16:20])}
			if err := unix.Sendto(fd, packet, 0, to); err != nil { // the cable is not plugged in yet
				time.Sleep(time.Millisecond)
			}
			if pause > 0 && i%4 == 0 {
				time.Sleep(pause)
			}
		}
	}()
	_, err = io.Copy(io.Discard, line)
	return err
}

// forged makes the i-th packet: to one node, from another or from a stranger, VRRPv3 of virtual router 51 without addresses.
func forged(i int) []byte {
	nodes := nodeSites(fewestNodes)
	dst := nodes[i%len(nodes)].Address.Addr().As4()
	src := nodes[(i+1+i/len(nodes)%2)%len(nodes)].Address.Addr().As4()
	if i%5 == 0 {
		src = [4]byte{10, 20, byte(i >> 8), byte(i)}
	}
	const length = 8
	b := make([]byte, 20+length)
	b[0], b[8], b[9] = 0x45, 255, 112
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	vrrp := b[20:]
	vrrp[0], vrrp[1], vrrp[2] = 0x31, 51, []byte{255, 254, 150, 1, 0}[i%5]
	binary.BigEndian.PutUint16(vrrp[4:], []uint16{10, 1, 0xfff}[i%3]) // centiseconds
	pseudo := append(append(append([]byte{}, src[:]...), dst[:]...), 0, 112, 0, length)
	binary.BigEndian.PutUint16(vrrp[6:], checksum(append(pseudo, vrrp...)))
	return b
}

// checksum is that of RFC 1071, of an even number of bytes.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
