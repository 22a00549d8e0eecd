package main_test

import (
	"bytes"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/hacluster/hacluster/vrrpwire"
)

const captures = "../../internal/vrrpaudit/testdata"

// run runs the command to its end.
func run(t *testing.T, stdin []byte, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	binary, err := buildOnce()
	must(t, err)
	cmd := exec.Command(binary, args...)
	var out, errOut bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errOut
	_ = cmd.Run() // the status tells
	return cmd.ProcessState.ExitCode(), out.String(), errOut.String()
}

// A script goes by the exit status: 0 clean, 1 violations, 2 not judged. A person goes by the first line.
func TestVRRPVerify(t *testing.T) {
	t6, err := os.ReadFile(filepath.Join(captures, "t6.pcap"))
	must(t, err)
	clean, torn := filepath.Join(captures, "t6.pcap"), tornCapture(t)
	empty, words := filepath.Join(t.TempDir(), "empty.pcap"), filepath.Join(t.TempDir(), "words")
	must(t, os.WriteFile(empty, t6[:24], 0o600))
	must(t, os.WriteFile(words, []byte("no capture, but words"), 0o600))
	tests := map[string]struct {
		stdin  []byte
		args   []string
		status int
		stdout string // the beginning
		stderr string // a part
	}{
		"clean":              {args: []string{clean}, stdout: "CLEAN: VRID 51: 29 adverts of 2 senders, 3 hand-overs, never more than one master\n"},
		"standard input":     {stdin: t6, args: []string{"-"}, stdout: "CLEAN: "},
		"all peers known":    {args: []string{clean, "--peers", "10.99.0.1,10.99.0.2"}, stdout: "CLEAN: "},
		"a stranger":         {args: []string{clean, "--peers", "10.99.0.1"}, status: 1, stdout: "VIOLATIONS: 15 packets of unknown senders\n"},
		"two masters":        {args: []string{torn}, status: 1, stdout: "VIOLATIONS: more than one master once (200ms in all)\n"},
		"breaks off":         {stdin: t6[:len(t6)-5], args: []string{"-"}, status: 2, stdout: "INCOMPLETE: read capture: it breaks off behind 31 frames: "},
		"empty capture":      {args: []string{empty}, status: 2, stdout: "INCOMPLETE: the capture has no frames: "},
		"no capture":         {args: []string{words}, status: 2, stderr: "not a pcap or pcapng file"},
		"nothing at all":     {args: []string{"-"}, status: 2, stderr: "it is empty"},
		"no file":            {args: []string{"/nonexistent.pcap"}, status: 2, stderr: "no such file"},
		"a directory":        {args: []string{t.TempDir()}, status: 2, stderr: "is a directory"},
		"no argument":        {status: 2, stderr: "accepts 1 arg(s), received 0"},
		"a flag that is not": {args: []string{clean, "--peer", "10.99.0.1"}, status: 2, stderr: "unknown flag: --peer"},
		"a peer that is not": {args: []string{clean, "--peers", "lb-1"}, status: 2, stderr: `peer "lb-1": write an IP address`},
		"another output":     {args: []string{clean, "-o", "xml"}, status: 2, stderr: "write -o text or -o json"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := run(t, test.stdin, append([]string{"vrrp", "verify"}, test.args...)...)
			if status != test.status || !strings.HasPrefix(stdout, test.stdout) || !strings.Contains(stderr, test.stderr) {
				t.Errorf("status %d\n%s%s", status, stdout, stderr)
			}
			if (stderr == "") != (test.stderr == "") {
				t.Errorf("standard error: %q", stderr)
			}
		})
	}
}

func TestVRRPVerifyJSON(t *testing.T) {
	status, stdout, _ := run(t, nil, "vrrp", "verify", "-o", "json", tornCapture(t))
	var report struct {
		Verdict string
		Routers []struct {
			VRID   int
			Events []struct {
				Kind    string
				Seconds float64 `json:"duration_s"`
				Masters []struct{ Sender netip.Addr }
			}
		} `json:"virtual_routers"`
	}
	must(t, json.Unmarshal([]byte(stdout), &report))
	if status != 1 || report.Verdict != "violations" || len(report.Routers) != 1 || report.Routers[0].VRID != 51 {
		t.Fatalf("status %d: %+v", status, report)
	}
	e := report.Routers[0].Events[0]
	if e.Kind != "two_masters" || e.Seconds != 0.2 || len(e.Masters) != 2 || e.Masters[1].Sender != netip.MustParseAddr("10.99.0.2") {
		t.Errorf("%+v", e)
	}
}

// tornCapture writes half a second of one Master, and of another one from 110 ms to 310 ms.
func tornCapture(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "torn.pcap")
	out, err := os.Create(file)
	must(t, err)
	defer out.Close()
	w := pcapgo.NewWriterNanos(out)
	must(t, w.WriteFileHeader(65535, layers.LinkTypeRaw))
	for ms := range 500 {
		switch {
		case ms%100 == 0:
			writeAdvert(t, w, ms, "10.99.0.1", "10.99.0.2")
		case ms%100 == 10 && ms > 100 && ms < 400:
			writeAdvert(t, w, ms, "10.99.0.2", "10.99.0.1")
		}
	}
	return file
}

func writeAdvert(t *testing.T, w *pcapgo.Writer, ms int, from, to string) {
	t.Helper()
	src, dst := netip.MustParseAddr(from), netip.MustParseAddr(to)
	advert := vrrpwire.Advertisement{Version: 3, VRID: 51, Priority: 100, Interval: 100 * time.Millisecond}
	packet := []byte{0x45, 0xc0, 0, 28, byte(ms >> 8), byte(ms), 0, 0, 255, 112, 0, 0}
	packet = append(append(packet, src.AsSlice()...), dst.AsSlice()...)
	packet, err := advert.Append(packet, src, dst, vrrpwire.ChecksumPseudoHeader)
	must(t, err)
	at := time.UnixMilli(1_800_000_000_000 + int64(ms))
	must(t, w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(packet), Length: len(packet)}, packet))
}

// TestVRRPListen: adverts of the VRID asked for, as they pass, until there are enough.
func TestVRRPListen(t *testing.T) {
	needRoot(t)
	loopbackOnly(t)
	lines := listen(t, "--vrid", "51", "--count", "2", "--interface", "lo")
	want := "lo in IP 127.0.0.1 > 127.0.0.1: VRRPv3, Advertisement, vrid 51, prio 100, auth none, intvl 100ms, length 8, addrs: none, " +
		"checksum pseudo-header [ip_ttl_err: TTL 64]"
	if len(lines) != 2 || !strings.HasSuffix(lines[0], want) {
		t.Errorf("%q", lines)
	}
	lines = listen(t, "--vrid", "52", "--count", "1", "-o", "json")
	var line struct {
		Src    netip.Addr
		Advert struct{ VRID, Priority int }
	}
	must(t, json.Unmarshal([]byte(lines[0]), &line))
	if line.Src != netip.MustParseAddr("127.0.0.1") || line.Advert.VRID != 52 || line.Advert.Priority != 100 {
		t.Errorf("%+v", line)
	}
}

// loopbackOnly gives the test, and what it starts, a network of its own.
func loopbackOnly(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // for good: the thread ends with the test
	ns, err := netns.New()
	must(t, err)
	t.Cleanup(func() { _ = ns.Close() })
	lo, err := netlink.LinkByName("lo")
	must(t, err)
	must(t, netlink.LinkSetUp(lo))
}

// listen runs the command and sends adverts of VRIDs 51 and 52 until it has heard enough.
func listen(t *testing.T, args ...string) []string {
	t.Helper()
	binary, err := buildOnce()
	must(t, err)
	cmd := exec.Command(binary, append([]string{"vrrp", "listen"}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	conn, err := net.ListenPacket("ip4:112", "127.0.0.1")
	must(t, err)
	defer conn.Close()
	home := netip.MustParseAddr("127.0.0.1")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case err := <-ended:
			must(t, err)
			return strings.Split(strings.TrimSpace(out.String()), "\n")
		case <-deadline:
			_ = cmd.Process.Kill()
			t.Fatal("vrrp listen did not hear enough within 20 s")
		case <-tick.C:
			for _, vrid := range []uint8{52, 51} {
				advert := vrrpwire.Advertisement{Version: 3, VRID: vrid, Priority: 100, Interval: 100 * time.Millisecond}
				message, err := advert.Append(nil, home, home, vrrpwire.ChecksumPseudoHeader)
				must(t, err)
				_, err = conn.WriteTo(message, &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)})
				must(t, err)
			}
		}
	}
}

// TestVRRPListenWithoutCapability: who may not listen is told what is missing.
func TestVRRPListenWithoutCapability(t *testing.T) {
	binary, err := buildOnce()
	must(t, err)
	must(t, os.Chmod(filepath.Dir(binary), 0o755))
	cmd := exec.Command(binary, "vrrp", "listen")
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "CAP_NET_RAW") || !strings.Contains(string(out), "run this as root") {
		t.Errorf("%v: %s", err, out)
	}
}
