package interop

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
)

const foreignPriority = 254

// playForeign: a keepalived of higher priority is MASTER beside hacluster's. Packets are evidence, never authority.
func playForeign(s *stage) {
	const observed = 5 * time.Second
	d := dialect{name: "foreign", version: 2, interval: time.Second}
	s.cast(d, "MASTER", foreignPriority)
	first := s.members[0]
	before, err := first.Status(s.ctx)
	s.must(err)
	from := time.Now()
	s.must(s.fourth.Start(keepalived))
	s.firstAdvert(s.fourth, from)
	s.watch(observed)

	e := s.since(from)
	s.undisturbed(e)
	if len(e.Transitions) > 0 {
		s.t.Errorf("a foreign master made hacluster change state: %+v", e.Transitions)
	}
	after, err := first.Status(s.ctx)
	s.must(err)
	if after.Term != before.Term || after.Leader != before.Leader || after.State != "Master" {
		s.t.Errorf("a foreign master changed who leads: %+v became %+v", before, after)
	}
	s.saw("nothing moves: no call, no change of state, no election, no request failed in %.0f s", observed.Seconds())
	d.checkReign(s, e)
	s.checkReported(first)

	if states := s.states(s.fourth, keepalived); !slices.Equal(states, []string{"BACKUP", "MASTER"}) {
		s.t.Errorf("keepalived entered %q", states)
	}
	if said := "Received advert from " + address(first).String() + " with lower priority 150, ours 254, forcing new election"; strings.Contains(
		s.log(s.fourth, keepalived), said) {
		s.saw("keepalived stays MASTER and logs at each advert: %q", said)
	}
	s.checkAccepted()
}

// checkReign: the Master goes on advertising, in its own rhythm.
func (d dialect) checkReign(s *stage, e lab.Evidence) {
	s.t.Helper()
	last := e.Injected
	for _, a := range s.adverts(s.members[0], e.Injected, e.End) {
		if a.Dst != address(s.fourth) {
			continue
		}
		if a.Priority == 0 || a.Time.Sub(last) > d.interval+noise {
			s.t.Errorf("advert of priority %d, %v after the one before", a.Priority, a.Time.Sub(last))
		}
		last = a.Time
	}
	if e.End.Sub(last) > d.interval+noise {
		s.t.Errorf("the Master fell silent %v before the end", e.End.Sub(last))
	}
}

// checkReported: the operator is told, by the log and by hacluster status.
func (s *stage) checkReported(n *lab.Node) {
	s.t.Helper()
	const word = "foreign master"
	if !strings.Contains(s.log(n, lab.Agent), word) {
		s.t.Errorf("the log of %s does not speak of a %s", n.Name, word)
	}
	table, err := n.Command(s.ctx, "status")
	s.must(err)
	for line := range strings.Lines(string(table)) {
		if strings.Contains(line, address(s.fourth).String()) && strings.Contains(line, word) {
			notice, _, _ := strings.Cut(strings.TrimSpace(line), " packets, the last ")
			s.saw("`hacluster status` says: %q", notice+" packets)")
			return
		}
	}
	s.t.Errorf("hacluster status does not report the %s:\n%s", word, table)
}

// playPassword: PASS authentication is understood both ways, and another password both ways refused.
func playPassword(s *stage) {
	d := dialect{name: "password", version: 2, interval: time.Second, password: "s3cret"}
	s.cast(d, "BACKUP", keepalivedPriority)
	s.must(s.fourth.Start(keepalived))
	s.watch(d.down() + noise)
	if states := s.states(s.fourth, keepalived); !slices.Equal(states, []string{"BACKUP"}) {
		s.t.Errorf("keepalived of the same password entered %q, want BACKUP once", states)
	}
	s.checkAccepted()
	s.saw("stays BACKUP: the password is understood both ways")

	s.stop(s.fourth, keepalived)
	wrong := d
	wrong.password = "wrong"
	s.keepalived(wrong, "BACKUP", keepalivedPriority) // the same file
	s.playRefused("auth_failure")
	s.saw("with another password each refuses the other's adverts (`auth_failure`): keepalived is MASTER for itself, and moves nothing")
}

// playAddresses: keepalived 2.2.7 demands a virtual_ipaddress in VRRPv3, and both sides demand that the other names the same addresses.
func playAddresses(s *stage) {
	d := dialect{name: "addresses", version: 3, interval: 100 * time.Millisecond, address: privateVIP}
	s.cast(d, "BACKUP", keepalivedPriority)
	s.playRefused("addr_list_err")
	s.saw("each refuses the other's adverts (`addr_list_err`): keepalived is MASTER for itself, and moves nothing")
}

// playRefused: whoever hears nothing that it accepts is MASTER, as RFC 3768 and RFC 9568 have it; here that changes nothing.
func (s *stage) playRefused(reason string) {
	s.t.Helper()
	from := time.Now()
	s.must(s.fourth.Start(keepalived))
	s.firstAdvert(s.fourth, from)
	if !refusal.MatchString(s.log(s.fourth, keepalived)) {
		s.t.Error("keepalived accepts what it should not")
	}
	s.until(func() error { return s.refuses(s.members[0], reason) })
	s.undisturbed(s.since(from))
}

// refuses returns an error unless the log of a node's agent tells of packets that are refused for a reason.
func (s *stage) refuses(n *lab.Node, reason string) error {
	for _, line := range unaccepted.FindAllString(s.log(n, lab.Agent), -1) {
		if strings.Contains(line, reason) {
			return nil
		}
	}
	return fmt.Errorf("%s does not say that it refuses packets for %s", n.Name, reason)
}
