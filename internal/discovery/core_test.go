package discovery

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hacluster/hacluster/eip"
)

var update = flag.Bool("update", false, "rewrite the transcripts with what comes out")

// TestTranscripts: testdata/*.txt are stories; what is indented is what the core makes of them, and "waits:" lines are only shown when they
// change.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			old, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(old))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(old), got); diff != "" {
				t.Errorf("'go test ./internal/discovery -run TestTranscripts -update' rewrites it (-file +core):\n%s", diff)
			}
		})
	}
}

// story is a cluster of which a transcript tells.
type story struct {
	t       *testing.T
	core    *Core
	members []Member
	waits   []string
	out     strings.Builder
}

func play(t *testing.T, text string) string {
	s := &story{t: t, core: NewCore("i-a", Layout{Port: 7400}, 5*time.Minute)}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, " ") {
			continue
		}
		s.out.WriteString(line)
		s.tell(strings.TrimSpace(line))
	}
	return s.out.String()
}

func (s *story) tell(line string) {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "members":
		for name := range strings.FieldsSeq(rest) {
			s.members = append(s.members, Member{Name: nodeName(name), Address: addressOf(name), Voter: true, Reachable: true})
		}
	case "down":
		s.member(rest).Reachable = false
	case "answers": // without a vote yet, if it is new
		s.member(rest).Reachable = true
	case "joined":
		s.member(rest).Voter, s.member(rest).Reachable = true, true
	case "at":
		at, seen, _ := strings.Cut(rest, ": ")
		s.look(at, seen)
	case "#", "":
	default:
		s.t.Fatalf("%q?", line)
	}
}

func (s *story) member(name string) *Member {
	i := slices.IndexFunc(s.members, func(m Member) bool { return m.Name == nodeName(name) })
	if i < 0 {
		s.t.Fatalf("%s is no member", name)
	}
	return &s.members[i]
}

func (s *story) look(at, seen string) {
	now, err := time.ParseDuration(at)
	if err != nil {
		s.t.Fatal(err)
	}
	read := Read{At: now}
	if text, failed := strings.CutPrefix(seen, "error "); failed {
		read.Err = errors.New(text)
	} else if seen != "nothing" {
		for name := range strings.FieldsSeq(seen) {
			read.Instances = append(read.Instances, instance(name))
		}
	}
	d := s.core.Step(read, s.members)
	for _, n := range d.Admit {
		fmt.Fprintf(&s.out, "    admit %s at %s\n", n.Name, n.Address)
		s.members = append(s.members, Member{Name: n.Name, Address: n.Address})
	}
	for _, name := range d.Remove {
		fmt.Fprintf(&s.out, "    remove %s\n", name)
		s.members = slices.DeleteFunc(s.members, func(m Member) bool { return m.Name == name })
	}
	for _, w := range d.Waits {
		if !slices.Contains(s.waits, w) {
			fmt.Fprintf(&s.out, "    waits: %s\n", w)
		}
	}
	s.waits = d.Waits
}

// nodeName: single letters are instances.
func nodeName(short string) string {
	if len(short) == 1 {
		return "i-" + short
	}
	return short
}

func addressOf(short string) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, short[0] - 'a' + 1}), 7400)
}

// instance is named by a letter; e@b is e with the address of b.
func instance(short string) eip.Instance {
	name, at, moved := strings.Cut(short, "@")
	if !moved {
		at = name
	}
	return eip.Instance{ID: nodeName(name), Launched: time.Unix(int64(name[0]), 0), Addresses: []netip.Addr{addressOf(at).Addr()}}
}

// TestNoMoreThanNineMembers: a tag on too many instances makes no cluster that nobody meant.
func TestNoMoreThanNineMembers(t *testing.T) {
	core := NewCore("i-a", Layout{Port: 7400}, 5*time.Minute)
	var members []Member
	read := Read{}
	for letter := 'a'; letter <= 'l'; letter++ {
		read.Instances = append(read.Instances, instance(string(letter)))
		if letter <= 'g' {
			members = append(members, Member{Name: "i-" + string(letter), Address: addressOf(string(letter)), Voter: true, Reachable: true})
		}
	}
	core.Step(read, members)
	d := core.Step(read, members)
	if len(d.Admit) != 2 || d.Admit[0].Name != "i-h" || d.Admit[1].Name != "i-i" {
		t.Errorf("admits %v, want the two oldest", d.Admit)
	}
	if want := "i-j is not admitted: there are 9 members already"; !slices.Contains(d.Waits, want) {
		t.Errorf("waits %q, want %q among them", d.Waits, want)
	}
}

// TestWhichAddresses: the primary one, and for VRRP the one in the configured network.
func TestWhichAddresses(t *testing.T) {
	first, second := netip.MustParseAddr("10.0.1.11"), netip.MustParseAddr("10.9.1.11")
	i := eip.Instance{ID: "i-1", Addresses: []netip.Addr{first, second}}
	for name, test := range map[string]struct {
		vrrp netip.Prefix
		want netip.Addr
	}{
		"no network":     {netip.Prefix{}, first},
		"the first one":  {netip.MustParsePrefix("10.0.0.0/16"), first},
		"the second one": {netip.MustParsePrefix("10.9.0.0/16"), second},
		"neither":        {netip.MustParsePrefix("192.168.0.0/16"), netip.Addr{}},
	} {
		n, ok := Layout{Port: 7400, VRRP: test.vrrp}.nodeOf(i)
		if ok != test.want.IsValid() || ok && (n.VRRP != test.want || n.Address != netip.AddrPortFrom(first, 7400)) {
			t.Errorf("%s: %+v, %v; want VRRP at %v", name, n, ok, test.want)
		}
	}
	if _, ok := (Layout{}).nodeOf(eip.Instance{ID: "i-1"}); ok {
		t.Error("an instance without an address is a node")
	}
}
