package interop

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// decodeAll has tshark and tcpdump read a capture. Both must know every packet as VRRP, with good checksums, and have nothing to
// complain about. It returns the number of packets.
func decodeAll(t *testing.T, file string) int {
	t.Helper()
	packets, complaints := decode(t, file)
	for _, complaint := range complaints {
		t.Error(complaint)
	}
	if packets == 0 {
		t.Errorf("%s is empty: nothing was decoded", file)
	}
	return packets
}

func decode(t *testing.T, file string) (packets int, complaints []string) {
	t.Helper()
	packets, complaints = byTshark(t, file)
	dump := run(t, "tcpdump", "-Z", "root", "-nn", "-vvv", "-r", file)
	if known := strings.Count(dump, ": VRRPv"); known != packets {
		complaints = append(complaints, fmt.Sprintf("tcpdump knows %d of %d packets as VRRP", known, packets))
	}
	for line := range strings.Lines(dump) {
		for _, word := range []string{"bad", "[|", "invalid", "truncated", "unknown"} {
			if strings.Contains(line, word) {
				complaints = append(complaints, "tcpdump: "+strings.TrimSpace(line))
			}
		}
	}
	return packets, complaints
}

// clean is what tshark's fields are for a packet that it has nothing to say about: both checksums are good.
const clean = "VRRP;1;1;;"

func byTshark(t *testing.T, file string) (packets int, complaints []string) {
	t.Helper()
	fields := run(t, "tshark", "-n", "-r", file, "-o", "ip.check_checksum:TRUE", "-T", "fields", "-E", "separator=;",
		"-e", "_ws.col.Protocol", "-e", "ip.checksum.status", "-e", "vrrp.checksum.status", "-e", "_ws.expert.message", "-e", "_ws.malformed")
	for line := range strings.Lines(fields) {
		packets++
		if line = strings.TrimSpace(line); line != clean {
			complaints = append(complaints, fmt.Sprintf("tshark: packet %d: %s, want %s", packets, line, clean))
		}
	}
	return packets, complaints
}

func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, &stderr)
	}
	return string(out)
}

// What checks every capture is checked itself: one flipped bit, wherever it is in the packet, has somebody complain.
func TestDecodersComplain(t *testing.T) {
	needPrograms(t, "tshark", "tcpdump")
	good := []byte{
		0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, // pcap header, Ethernet
		0, 0, 0, 0, 0, 0, 0, 0, 50, 0, 0, 0, 50, 0, 0, 0, // 50 bytes at the beginning of 1970
		2, 0, 10, 20, 0, 12, 2, 0, 10, 20, 0, 11, 8, 0,
		0x45, 0xc0, 0, 36, 0, 1, 0, 0, 255, 112, 0xa6, 0x6a, 10, 20, 0, 11, 10, 20, 0, 12,
		0x21, 51, 100, 0, 0, 1, 0x7a, 0xcb, 0, 0, 0, 0, 0, 0, 0, 0, // VRRPv2, VRID 51, priority 100, 1 s
	}
	if packets, complaints := decode(t, capturedAs(t, good)); packets != 1 || len(complaints) > 0 {
		t.Fatalf("%d packets, complaints about a good one: %q", packets, complaints)
	}
	for name, octet := range map[string]int{"TTL": 24 + 16 + 14 + 8, "VRRP version": 74, "VRID": 75, "priority": 76, "interval": 79, "password": 85} {
		bad := bytes.Clone(good)
		bad[octet] ^= 4
		if _, complaints := decode(t, capturedAs(t, bad)); len(complaints) == 0 {
			t.Errorf("%s: nobody complains about a flipped bit", name)
		}
	}
}

func capturedAs(t *testing.T, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "packet.pcap")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
