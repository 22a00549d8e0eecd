package statuspage

import (
	"strings"
	"time"

	"github.com/hacluster/hacluster/internal/adminapi"
)

// now is when all pages of these tests are looked at.
func now() time.Time { return time.Date(2026, 3, 14, 3, 7, 42, 0, time.UTC) }

func before(d time.Duration) time.Time { return now().Add(-d) }

func earlier(d time.Duration) *time.Time {
	t := before(d)
	return &t
}

// healthy is node-b's view of a cluster in which nothing is wrong, an hour after node-a died.
func healthy() adminapi.Status {
	died := before(time.Hour)
	return adminapi.Status{
		Cluster: "edge-1", Node: "node-b", Version: "v1.4.0", State: "Master", Ready: true, Healthy: true, Health: "all checks pass", EC2: true,
		Leader: "node-b", Term: 7, Phase: "running", Holder: "node-b", AppliedIndex: 1204,
		Voters: []string{"node-a", "node-b", "node-c"}, Answering: []string{"node-b", "node-a", "node-c"},
		Addresses: []adminapi.Address{{AllocationID: "eipalloc-0123456789abcdef0", PublicIP: "203.0.113.10", Holder: "node-b",
			AssociationID: "eipassoc-0aa11bb22cc33dd44", Confirmed: true, Since: &died}},
		Nodes: []adminapi.Node{
			{Name: "node-a", Address: "10.0.1.11:7946", Priority: 110, Healthy: true, EC2: true, Version: "v1.4.0"},
			{Name: "node-b", Address: "10.0.1.12:7946", Priority: 100, Healthy: true, EC2: true, Version: "v1.4.0"},
			{Name: "node-c", Address: "10.0.1.13:7946", Priority: 50, Witness: true, Version: "v1.4.0"},
		},
		Certificate: &adminapi.Certificate{Name: "node node-b of cluster edge-1", NotAfter: now().Add(700 * 24 * time.Hour), DaysLeft: 700},
		VRRP: &adminapi.VRRP{Sent: 36000, Received: 812, Senders: []adminapi.Sender{
			{Address: "10.0.1.11", Node: "node-a", Peer: true, Adverts: 812,
				Last: &adminapi.Advert{Version: 3, Priority: 110, IntervalMS: 100, AgeMS: 3_600_041}},
		}},
		LastFailover: &adminapi.Move{AllocationID: "eipalloc-0123456789abcdef0", Node: "node-b", From: "node-a", Term: 7, Mode: "takeover",
			Why: "node-a is down", Begin: died, Confirmed: &died, TookMS: 96,
			Steps: []adminapi.Step{
				{Name: "detected", Time: died, Text: "node-a is missed"},
				{Name: "elected", Time: died, SinceMS: 14},
				{Name: "claimed", Time: died, SinceMS: 16, Text: "takeover"},
				{Name: "EC2 answered", Time: died, SinceMS: 55, Text: "DisassociateAddress: done"},
				{Name: "EC2 answered", Time: died, SinceMS: 94, Text: "AssociateAddress: done"},
				{Name: "confirmed", Time: died, SinceMS: 96, Text: "eipassoc-0aa11bb22cc33dd44"},
			},
			Calls: []adminapi.Call{{API: "DisassociateAddress", Outcome: "done", TookMS: 38.4}, {API: "AssociateAddress", Outcome: "done", TookMS: 38.9}}},
		History: []adminapi.Transition{
			{Time: before(50 * time.Hour), Term: 2, Event: "claim granted", Node: "node-a", Mode: "takeover", Reason: "first claim"},
			{Time: before(50 * time.Hour), Term: 2, Event: "confirmed", Node: "node-a", Mode: "takeover", AssociationID: "eipassoc-09988776655443322", Reason: "first claim"},
			{Time: died, Term: 7, Event: "claim granted", Node: "node-b", Mode: "takeover", Reason: "node-a is down"},
			{Time: died, Term: 7, Event: "confirmed", Node: "node-b", Mode: "takeover", AssociationID: "eipassoc-0aa11bb22cc33dd44", Reason: "node-a is down"},
		},
	}
}

// failover is node-b's view while it takes over from a node that has just died.
func failover() adminapi.Status {
	s := healthy()
	s.State, s.Term, s.Answering = "Backup", 7, []string{"node-b", "node-c"}
	s.Addresses[0] = adminapi.Address{AllocationID: "eipalloc-0123456789abcdef0", PublicIP: "203.0.113.10", Holder: "node-a",
		AssociationID: "eipassoc-09988776655443322", Since: earlier(50 * time.Hour), Claim: "calling AssociateAddress"}
	s.Holder = "node-a"
	s.History = s.History[:3]
	s.History[2].Time = before(30 * time.Millisecond)
	s.LastFailover.Confirmed, s.LastFailover.TookMS = nil, 0
	s.LastFailover.Steps = s.LastFailover.Steps[:3]
	s.LastFailover.Calls = nil
	return s
}

// noQuorum is node-a's view when it is cut off from the others.
func noQuorum() adminapi.Status {
	s := healthy()
	s.Node, s.State, s.Leader, s.Ready = "node-a", "Backup", "", false
	s.Phase, s.Answering = "running", nil
	s.StoreError = "write /var/lib/hacluster/raft.db: no space left on device"
	s.Certificate = &adminapi.Certificate{Name: "node node-a of cluster edge-1", NotAfter: now().Add(9*24*time.Hour + time.Hour), DaysLeft: 9}
	s.Hints.Asked, s.Hints.Refuted, s.Hints.Sent = 4, 4, 0
	s.LastFailover.Calls = nil
	return s
}

// drained is the leader's view while the only other candidate is drained for maintenance.
func drained() adminapi.Status {
	s := healthy()
	s.Nodes[0].Drained = true
	return s
}

// guard is a follower's view while a call of the past may still land. Its leader does not say who answers, and a stranger is on the wire.
func guard() adminapi.Status {
	s := healthy()
	s.Node, s.State, s.Answering = "node-a", "Backup", nil
	s.Addresses[0].Guarded = true
	s.LastFailover.Calls = nil
	s.VRRP.Rejected = map[string]uint64{"unknown_sender": 40}
	s.VRRP.Senders = []adminapi.Sender{
		{Address: "10.0.1.12", Node: "node-b", Peer: true, Adverts: 36000, Last: &adminapi.Advert{Version: 3, Priority: 100, IntervalMS: 100, AgeMS: 41}},
		{Address: "10.0.0.9", Adverts: 40, Rejected: map[string]uint64{"unknown_sender": 40},
			Last: &adminapi.Advert{Version: 2, Priority: 254, IntervalMS: 1000, AgeMS: 312}},
	}
	s.VRRP.Notices = []adminapi.Notice{{Address: "10.0.0.9", Matter: "foreign_master", Packets: 40, AgeMS: 312,
		Text: "10.0.0.9, which is no peer of this node's, also advertises VRID 51 with priority 254 (foreign master): find what sends them there and stop it"}}
	return s
}

// several is the leader's view of three addresses, one of which somebody moved.
func several() adminapi.Status {
	s := healthy()
	for _, n := range []string{"1", "2"} {
		a := s.Addresses[0]
		a.AllocationID, a.PublicIP, a.AssociationID = a.AllocationID[:25]+n, "203.0.113.1"+n, a.AssociationID[:25]+n
		s.Addresses = append(s.Addresses, a)
	}
	s.Addresses[2].Confirmed, s.Addresses[2].Claim = false, "reading the address"
	for i := range s.History {
		s.History[i].AllocationID = s.Addresses[i%3].AllocationID
	}
	return s
}

// hostile is what a cluster looks like whose names and reasons are long, and are markup.
func hostile() adminapi.Status {
	s := healthy()
	long := strings.Repeat("a-name-as-long-as-names-can-be-", 8)
	script := `<script>alert(1)</script><img src=x onerror="alert(2)">'";--</td></table>`
	s.Cluster, s.Node = long, long
	s.Nodes[0].Name, s.Nodes[0].Healthy, s.Nodes[0].Reason = long, false, script
	s.Nodes[1].Version, s.Nodes[1].Address = script, script
	s.Voters[0], s.Answering[1] = long, long
	s.Addresses[0].Claim, s.Addresses[0].PublicIP = script, script
	s.Phase, s.Version, s.Health = script, script, script
	s.LastFailover.Why, s.LastFailover.Steps[0].Text = script, script
	s.History[3].Reason, s.History[3].Node, s.History[3].Event = script, long, script
	s.VRRP.Senders[0].Node = script
	s.VRRP.Notices = []adminapi.Notice{{Text: script + strings.Repeat("x", 300)}}
	return s
}

// states are the pages that the tests look at, with their verdicts.
func states() map[string]adminapi.Status {
	all := map[string]adminapi.Status{"healthy": healthy(), "failover": failover(), "no-quorum": noQuorum(), "drained": drained(), "guard": guard(),
		"several": several(), "hostile": hostile(), "nothing-known": {Cluster: "edge-1", Node: "node-a", State: "Init", Phase: "waiting for node-b (10.0.1.12:7946): connection refused"}}
	for name, s := range all {
		v := adminapi.Judge(s)
		s.Verdict = &v
		all[name] = s
	}
	return all
}
