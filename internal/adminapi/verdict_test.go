package adminapi

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// cluster is node-a's view of a cluster in which nothing is wrong: node-a leads and holds, node-b can take over, node-c is a witness.
func cluster() Status {
	since := time.Date(2026, 3, 14, 2, 7, 42, 0, time.UTC)
	return Status{
		Node: "node-a", Leader: "node-a", Term: 4, Phase: "running", Holder: "node-a",
		Addresses: []Address{{AllocationID: "eipalloc-1", PublicIP: "203.0.113.10", Holder: "node-a", Confirmed: true, Since: &since}},
		Nodes: []Node{{Name: "node-a", Priority: 110, Healthy: true, EC2: true}, {Name: "node-b", Priority: 100, Healthy: true, EC2: true},
			{Name: "node-c", Witness: true}},
		Voters: []string{"node-a", "node-b", "node-c"}, Answering: []string{"node-a", "node-b", "node-c"},
	}
}

// TestVerdicts: what an operator reads at 3 a.m., and whether a script is told that all is well.
func TestVerdicts(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Status)
		want   string
	}{
		{"all is well", func(*Status) {}, `
good, safe
node-a holds 203.0.113.10 since 2026-03-14 02:07:42 UTC
Yes, any one: all 3 voters answer, 2 are a quorum, and node-b can take over`},
		{"the witness is down", func(s *Status) { s.Answering = []string{"node-a", "node-b"} }, `
degraded, not safe
node-a holds 203.0.113.10 since 2026-03-14 02:07:42 UTC
No: 2 of 3 voters answer, and 2 are a quorum: with one less nothing can move
degraded: node-c does not answer the leader: start its agent, or look at the network to it`},
		{"one of five is down", func(s *Status) {
			s.Voters = append(s.Voters, "node-d", "node-e")
			s.Nodes = append(s.Nodes, Node{Name: "node-d", Priority: 120, Healthy: true, EC2: true})
			s.Answering = append(s.Answering, "node-d")
		}, `
degraded, safe
node-a holds 203.0.113.10 since 2026-03-14 02:07:42 UTC
Yes, any one: 4 of 5 voters answer, 3 are a quorum, and node-d or node-b can take over
degraded: node-e has never been heard of: start its agent`},
		{"the standby has no vote yet", func(s *Status) {
			s.Voters[1] = "node-d"
			s.Nodes = append(s.Nodes, Node{Name: "node-d", Witness: true})
			s.Answering = append(s.Answering, "node-d")
		}, `
degraded, not safe
node-a holds 203.0.113.10 since 2026-03-14 02:07:42 UTC
No: if node-a goes, no other node can hold`},
		{"the standby's HAProxy is down", func(s *Status) { s.Nodes[1].Healthy, s.Nodes[1].Reason = false, "exited" }, `
degraded, not safe
node-a holds 203.0.113.10 since 2026-03-14 02:07:42 UTC
No: if node-a goes, no other node can hold
degraded: HAProxy on node-b is not healthy: exited`},
		{"the standby does not reach EC2", func(s *Status) { s.Nodes[1].EC2 = false }, `
degraded, not safe
node-a holds 203.0.113.10 since 2026-03-14 02:07:42 UTC
No: if node-a goes, no other node can hold
degraded: node-b does not reach EC2, so it cannot take over: look at its route and its credentials`},
		{"the standby is drained", func(s *Status) { s.Nodes[1].Drained = true }, `
degraded, not safe
node-a holds 203.0.113.10 since 2026-03-14 02:07:42 UTC
No: if node-a goes, no other node can hold
good: node-b is drained: 'hacluster undrain node-b' makes it a candidate again`},
		{"alone after a recovery", func(s *Status) {
			s.Nodes, s.Voters, s.Answering = s.Nodes[:1], []string{"node-a"}, []string{"node-a"}
		}, `
degraded, not safe
node-a holds 203.0.113.10 since 2026-03-14 02:07:42 UTC
No: node-a is the only voter: without it nothing can move`},
		{"no quorum", func(s *Status) { s.Leader, s.Answering, s.Phase = "", nil, "running" }, `
critical, not safe
node-a held 203.0.113.10 when a leader was last known, and it stays there
No: no leader is known, so nothing can move. The address stays where it is
critical: No leader is known (running): start the agents that are down, or look at the network between the nodes`},
		{"the leader does not say who answers", func(s *Status) { s.Leader, s.Answering = "node-b", nil }, `
degraded, not safe
node-a holds 203.0.113.10 since 2026-03-14 02:07:42 UTC
Not known here: the leader node-b has not said which nodes answer it. Ask on that node`},
		{"a failover", func(s *Status) {
			s.Leader, s.Answering = "node-b", []string{"node-b", "node-c"}
			s.Addresses[0].Confirmed, s.Addresses[0].Claim = false, "associating"
		}, `
critical, not safe
node-a held 203.0.113.10; a new claim is on its way
No: the address is on its way. Wait until it is held
critical: 203.0.113.10 was last held by node-a; a new claim is on its way, or nobody may claim; this leader is associating
degraded: node-a does not answer the leader: start its agent, or look at the network to it`},
		{"a new cluster", func(s *Status) { s.Addresses[0] = Address{AllocationID: "eipalloc-1"} }, `
critical, not safe
No node holds eipalloc-1
No: the address is on its way. Wait until it is held
critical: eipalloc-1 is held by no node yet`},
		{"under guard", func(s *Status) { s.Addresses[0].Guarded = true }, `
good, safe
node-a holds 203.0.113.10 since 2026-03-14 02:07:42 UTC
Yes, any one: all 3 voters answer, 2 are a quorum, and node-b can take over
good: 203.0.113.10 is under guard: a call of the past may still land, and is repaired if it does`},
		{"one of two addresses is on its way", func(s *Status) {
			s.Addresses = append(s.Addresses, Address{AllocationID: "eipalloc-2", Holder: "node-a"})
		}, `
critical, not safe
node-a: 1 of 2 Elastic IPs are held, the others are on their way
No: the address is on its way. Wait until it is held
critical: eipalloc-2 was last held by node-a; a new claim is on its way, or nobody may claim`},
		{"what is wrong with this node comes by weight", func(s *Status) {
			s.Addresses[0].Guarded, s.StoreError = true, "no space left on device"
			s.Certificate = &Certificate{Name: "node node-a", DaysLeft: -1}
			s.VRRP = &VRRP{Notices: []Notice{{Text: "10.0.0.9 also advertises", Packets: 40, AgeMS: 312}}}
		}, `
critical, safe
node-a holds 203.0.113.10 since 2026-03-14 02:07:42 UTC
Yes, any one: all 3 voters answer, 2 are a quorum, and node-b can take over
critical: The certificate of node node-a has expired, and the other nodes refuse this one: make a new one with 'hacluster tls'
degraded: The disk of this node refuses writes, and it falls behind: make room or mend it: no space left on device
degraded: 10.0.0.9 also advertises (40 packets, the last 312ms ago)
good: 203.0.113.10 is under guard: a call of the past may still land, and is repaired if it does`},
		{"a certificate ends soon", func(s *Status) { s.Certificate = &Certificate{Name: "node node-a", DaysLeft: 30} }, `
degraded, safe
node-a holds 203.0.113.10 since 2026-03-14 02:07:42 UTC
Yes, any one: all 3 voters answer, 2 are a quorum, and node-b can take over
degraded: The certificate of node node-a expires in 30 days: make a new one with 'hacluster tls'`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := cluster()
			tt.change(&s)
			if diff := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), say(Judge(s))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func say(v Verdict) string {
	safe := "not safe"
	if v.Safe {
		safe = "safe"
	}
	lines := []string{fmt.Sprintf("%s, %s", v.Grade, safe), v.Holds, v.Lose}
	for _, f := range v.Wrong {
		lines = append(lines, fmt.Sprintf("%s: %s", f.Grade, f.Text))
	}
	return strings.Join(lines, "\n")
}
