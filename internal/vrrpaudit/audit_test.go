package vrrpaudit

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hacluster/hacluster/internal/packets"
)

var update = flag.Bool("update", false, "write the golden files anew")

// readAll judges a capture as the command does.
func readAll(t *testing.T, name string, in io.Reader) Report {
	t.Helper()
	reader, err := packets.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	audit := New(Options{})
	for {
		p, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return audit.Report(name, reader.Stats(), nil)
		} else if err != nil {
			return audit.Report(name, reader.Stats(), err)
		}
		audit.Add(p)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func text(t *testing.T, r Report) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := r.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func indented(t *testing.T, r Report) []byte {
	t.Helper()
	out, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
}

// Real keepalived, both versions of VRRP: resignations, preemption, one advert that crosses (t6), and never two Masters.
func TestKeepalivedCaptures(t *testing.T) {
	for _, name := range []string{"t1", "t4", "t6", "t10"} {
		file, err := os.Open(filepath.Join("testdata", name+".pcap"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		report := readAll(t, name+".pcap", file)
		golden(t, name+".txt", text(t, report))
		if name == "t6" { // the field names are a promise
			golden(t, name+".json", indented(t, report))
		}
	}
}

// TestEverythingWrong shows each kind of finding once, as the operator sees it.
func TestEverythingWrong(t *testing.T) {
	all := script(t, everythingWrong)
	report := judged(Options{Peers: []netip.Addr{host("A"), host("B"), host("C"), host("D")}}, all)
	golden(t, "everything.txt", text(t, report))
	golden(t, "everything.json", indented(t, report))
}

const everythingWrong = `
+0ms     A addr 10.0.0.100
+100ms   A addr 10.0.0.100
+103ms   B prio 90 addr 10.0.0.100        # a second Master
+200ms   A addr 10.0.0.100
+203ms   B prio 90 addr 10.0.0.101        # with another address from now on
+300ms   A addr 10.0.0.100
+303ms   B prio 0 addr 10.0.0.101
+400ms   A addr 10.0.0.100
+1000ms  A addr 10.0.0.100                # late
+1100ms  A addr 10.0.0.100 damage 11
+1150ms  X prio 254 ttl 64 checksum as-v2
+1200ms  A addr 10.0.0.100
+1210ms  A addr 10.0.0.100 to 224.0.0.18
+1250ms  C v 2 pass secret
+1260ms  C v 2 pass public
+1270ms  D v 2 prio 0 pass secret
+1300ms  A raw 7133640000
+1310ms  A addr 10.0.0.100 tail 0000
+1320ms  A addr 10.0.0.100 cut 3
+1330ms  A raw 31
+1340ms  A defect fragment
+1350ms  D ah 1 v 2
`

// Each line of a transcript that is not in order, and the only thing that is found for it.
func TestProblems(t *testing.T) {
	tests := map[string]struct {
		script string
		opts   Options
		want   string // kind: what; kind: what
	}{
		"in order":                        {script: `+0ms A`},
		"VRRPv2 with PASS":                {script: `+0ms A v 2 pass secret addr 10.0.0.100`},
		"v3_checksum_as_v2":               {script: `+0ms A checksum as-v2`},
		"to two peers":                    {script: "+0ms A peer B\n+0ms A peer C\n+100ms A peer B\n+100ms A peer C"},
		"a trailer of another length":     {script: `+0ms A tail 0101000065000000000000000000000000000000000000000000000000`, want: "malformed packet_len_err"},
		"a trailer, not verified":         {script: `+0ms A tail 01010000650000000000000000000000000000000000000000000000`, want: "unverified"},
		"behind AH":                       {script: `+0ms A v 2 ah 1`, want: "unverified"},
		"a bit is wrong":                  {script: `+0ms A addr 10.0.0.100 damage 11`, want: "bad_checksum chk_err"},
		"too long":                        {script: `+0ms A tail 00`, want: "malformed packet_len_err"},
		"too short":                       {script: `+0ms A raw 313364`, want: "malformed packet_len_err"},
		"another version":                 {script: `+0ms A raw 4133640000640000`, want: "malformed vers_err"},
		"another type":                    {script: `+0ms A raw 3233640000640000`, want: "malformed invalid_type_rcvd"},
		"interval 0":                      {script: `+0ms A raw 3133640000000000`, want: "malformed advert_interval_err"},
		"unknown authentication":          {script: `+0ms A raw 21336400090100000000000000000000`, want: "malformed invalid_authtype"},
		"VRID 0":                          {script: `+0ms A raw 3100640000640000`, want: "malformed vrid_err"},
		"cut off":                         {script: `+0ms A addr 10.0.0.100 cut 4`, want: "cut"},
		"multicast":                       {script: `+0ms A to 224.0.0.18`, want: "multicast"},
		"multicast, as meant":             {script: `+0ms A to 224.0.0.18`, opts: Options{Multicast: true}},
		"routed":                          {script: `+0ms A ttl 254`, want: "wrong_ttl ip_ttl_err"},
		"routed, as meant":                {script: `+0ms A ttl 254`, opts: Options{MinTTL: 254}},
		"a stranger":                      {script: `+0ms B`, opts: Options{Peers: []netip.Addr{host("A")}}, want: "unknown_sender"},
		"versions":                        {script: "+0ms A v 2\n+1ms A v 2 prio 0\n+2ms B every 1s", want: "version_mismatch"},
		"intervals in VRRPv2":             {script: "+0ms A v 2\n+1ms A v 2 prio 0\n+2ms B v 2 every 2s", want: "interval_mismatch"},
		"intervals in VRRPv3":             {script: "+0ms A\n+1ms A prio 0\n+2ms B every 1s", want: "interval_difference"},
		"authentication":                  {script: "+0ms A v 2\n+1ms A v 2 prio 0\n+2ms B v 2 pass secret", want: "auth_mismatch"},
		"passwords":                       {script: "+0ms A v 2 pass public\n+1ms A v 2 pass public prio 0\n+2ms B v 2 pass secret", want: "password_mismatch"},
		"addresses":                       {script: "+0ms A addr 10.0.0.100\n+1ms A addr 10.0.0.100 prio 0\n+2ms B", want: "address_mismatch"},
		"the same addresses, other order": {script: "+0ms A addr 10.0.0.100 addr 10.0.0.101\n+1ms A prio 0 addr 10.0.0.101 addr 10.0.0.100"},
		"checksums":                       {script: "+0ms A\n+1ms A prio 0\n+2ms B checksum as-v2", want: "checksum_mismatch"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			report := judged(test.opts, script(t, test.script))
			var got []string
			for _, r := range report.Routers {
				for _, p := range r.Problems {
					got = append(got, strings.TrimSpace(string(p.Kind)+" "+p.Reason))
					if p.Violation != (report.Verdict == Violations) {
						t.Errorf("%s: verdict %s", p.Kind, report.Verdict)
					}
				}
			}
			if strings.Join(got, "; ") != test.want {
				t.Errorf("found %q, want %q", got, test.want)
			}
			if out := indented(t, report); bytes.Contains(out, []byte("secret")) || bytes.Contains(out, []byte("public")) {
				t.Error("the report shows a password")
			}
		})
	}
}

// A packet that is malformed, or authenticated by a key that nobody here has, still is somebody's claim to be Master.
func TestRefusedPacketsAreClaimsToo(t *testing.T) {
	for name, how := range map[string]string{
		"bad checksum": "damage 6", "too long": "tail 00", "behind AH": "ah 1",
		"another version": "v 2 every 1s", "a password": "v 2 pass secret", "cut off": "addr 10.0.0.9 cut 2",
	} {
		t.Run(name, func(t *testing.T) {
			all := script(t, "+0ms A\n+90ms B "+how+"\n+100ms A\n+190ms B "+how+"\n+200ms A")
			if got := judged(Options{}, all).count(TwoMasters); got != 1 {
				t.Errorf("%d times with two Masters, want 1", got)
			}
		})
	}
}

// Different virtual routers are different matters.
func TestVirtualRoutersApart(t *testing.T) {
	for name, how := range map[string]string{"VRID": "vrid 52", "VLAN": "vlan 7"} {
		t.Run(name, func(t *testing.T) {
			all := script(t, "+0ms A\n+50ms B "+how+"\n+100ms A\n+150ms B "+how)
			report := judged(Options{}, all)
			if report.Verdict != Clean || len(report.Routers) != 2 {
				t.Errorf("%s, %d virtual routers", report.Verdict, len(report.Routers))
			}
		})
	}
}

// IPv6 of the same VRID is a virtual router of its own, as keepalived's native_ipv6.
func TestIPv6(t *testing.T) {
	message, err := hex.DecodeString("31336401000a6db3fe800000000000000000000000000100")
	if err != nil {
		t.Fatal(err)
	}
	all := append(script(t, "+0ms A"), packets.Packet{
		Time: began.Add(time.Millisecond), Src: netip.MustParseAddr("fe80::1"), Dst: netip.MustParseAddr("fe80::2"), TTL: 255, Message: message,
	})
	report := judged(Options{}, all)
	if report.Verdict != Clean || len(report.Routers) != 2 {
		t.Fatalf("%s", text(t, report))
	}
	if r := report.Routers[1]; r.Family != "IPv6" || r.VRID != 51 || r.Senders[0].Addresses[0] != "fe80::100" {
		t.Errorf("%+v", r)
	}
}

// tcpdump -i any shows a packet at each interface that it passes.
func TestCopies(t *testing.T) {
	tests := map[string]struct {
		script string
		want   int // packets without copies
	}{
		"by identification":             {"+0ms A id 7 on eth0\n+1ms A id 7 on br0\n+100ms A id 8 on eth0", 2},
		"three times":                   {"+0ms A id 7 on a\n+1ms A id 7 on b\n+2ms A id 7 on c", 1},
		"without one, other interface":  {"+0ms A id 0 on eth0\n+1ms A id 0 on br0", 1},
		"without one, same interface":   {"+0ms A id 0 prio 0 on eth0\n+0.03ms A id 0 prio 0 on eth0", 2},
		"the same identification later": {"+0ms A id 7\n+100ms A id 7", 2},
		"merged without interfaces":     {"+0ms A id 7\n+1ms A id 7", 1},
		"to another peer":               {"+0ms A id 7 peer B\n+0ms A id 7 peer C", 2},
		"in turns":                      {"+0ms A id 7 on a\n+0ms A id 8 on a\n+1ms A id 7 on b\n+1ms A id 8 on b", 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := judged(Options{}, script(t, test.script)).Routers[0].Senders[0]
			if s.Packets != test.want {
				t.Errorf("%d packets and %d duplicates, want %d packets", s.Packets, s.Duplicates, test.want)
			}
		})
	}
}

// An advert to two peers is one advert: its interval is the time to the next one.
func TestRounds(t *testing.T) {
	all := script(t, "+0ms A peer B\n+1ms A peer C\n+100ms A peer B\n+101ms A peer C\n+200ms A peer C\n+201ms A peer B\n+300ms A peer B")
	s := judged(Options{}, all).Routers[0].Senders[0]
	if s.Packets != 7 || s.Adverts != 4 || s.Measured.Min != Seconds(100e6) || s.Measured.Max != Seconds(100e6) {
		t.Errorf("%d packets, %d adverts, measured %v", s.Packets, s.Adverts, s.Measured)
	}
	all = script(t, "+0ms A peer B\n+100ms A peer C\n+200ms A peer B") // each reaches one of them
	if s := judged(Options{}, all).Routers[0].Senders[0]; s.Adverts != 3 {
		t.Errorf("%d adverts of which each reached one peer, want 3", s.Adverts)
	}
}

// To say priority 0 to two peers is to say it once; keepalived says it twice.
func TestFarewells(t *testing.T) {
	const once = "+0ms A peer B\n+1ms A peer C prio 0\n+1.01ms A peer B prio 0\n"
	for text, want := range map[string]int{once: 1, once + "+1.03ms A peer C prio 0\n+1.04ms A peer B prio 0\n": 2} {
		for _, e := range judged(Options{}, script(t, text)).Routers[0].Events {
			if e.Kind == Resigned && e.Adverts != want {
				t.Errorf("priority 0 %d times, want %d:\n%s", e.Adverts, want, text)
			}
		}
	}
}

// Nothing to judge is not clean: the reason names what to do.
func TestNothingToJudge(t *testing.T) {
	tests := map[string]struct {
		packets []packets.Packet
		stats   packets.Stats
		failure error
		want    string
	}{
		"no frames":          {want: "was the interface the right one"},
		"no VRRP":            {stats: packets.Stats{Frames: 9}, want: "none of the 9 frames carries VRRP"},
		"frames cut off":     {stats: packets.Stats{Frames: 9, CutShort: 4}, want: "4 of 9 frames are too short"},
		"another link type":  {stats: packets.Stats{Frames: 9, Unreadable: 9, LinkType: "105 (Dot11)"}, want: "link type 105 (Dot11)"},
		"headers cut off":    {packets: script(t, "+0ms A cut 3"), stats: packets.Stats{Frames: 1}, want: "tcpdump -s 0"},
		"the file is broken": {packets: script(t, "+0ms A"), stats: packets.Stats{Frames: 1}, failure: io.ErrUnexpectedEOF, want: "unexpected EOF"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			audit := New(Options{})
			for _, p := range test.packets {
				audit.Add(p)
			}
			report := audit.Report("test", test.stats, test.failure)
			if report.Verdict != Incomplete || !strings.Contains(report.Error, test.want) {
				t.Errorf("%s: %q", report.Verdict, report.Error)
			}
			first, _, _ := strings.Cut(string(text(t, report)), "\n")
			if !strings.HasPrefix(first, "INCOMPLETE: ") || !strings.Contains(first, test.want) {
				t.Errorf("first line %q", first)
			}
		})
	}
}

// One line for each packet, and an object with the same content.
func TestDescribe(t *testing.T) {
	var out bytes.Buffer
	for _, p := range script(t, `
+0ms A addr 10.0.0.100 on ens5
+1ms A v 2 prio 0 pass secret
+2ms A ttl 64 vlan 7
+3ms A checksum as-v2
+4ms A damage 6
+5ms A raw 3133
+6ms A v 2 ah 1
+7ms A ah 1 raw 00
+8ms A defect fragment
`) {
		line := Describe(p)
		object, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString(line.String() + "\n" + string(object) + "\n")
	}
	golden(t, "lines.txt", out.Bytes())
}
