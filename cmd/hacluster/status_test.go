package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hacluster/hacluster/internal/adminapi"
)

// TestStatusShowsTheWire: who was heard, and what they said last.
func TestStatusShowsTheWire(t *testing.T) {
	var out strings.Builder
	err := printVRRP(&out, &adminapi.VRRP{
		Sent: 120, Received: 31, Rejected: map[string]uint64{"unknown_sender": 40, "vers_err": 2},
		Senders: []adminapi.Sender{
			{Address: "10.0.1.12", Node: "node-b", Peer: true, Adverts: 31, Rejected: map[string]uint64{"vers_err": 2},
				Last: &adminapi.Advert{Version: 3, Priority: 100, IntervalMS: 100, AgeMS: 73_400}},
			{Address: "10.0.1.13", Node: "node-c", Peer: true},
			{Address: "10.0.0.9", Adverts: 40, Rejected: map[string]uint64{"unknown_sender": 40},
				Last: &adminapi.Advert{Version: 2, Priority: 254, IntervalMS: 1000, AgeMS: 312}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `
VRRP: 120 adverts sent, 31 received, 42 packets rejected
  10.0.1.12  node-b      VRRPv3 priority 100 every 100ms, 1m13s ago  vers_err 2
  10.0.0.9   not a node  VRRPv2 priority 254 every 1s, 312ms ago     unknown_sender 40
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

// TestStatusAnswersFirstWhatIsAskedFirst: who holds, whether a node may be lost, what is wrong; the details follow.
func TestStatusAnswersFirstWhatIsAskedFirst(t *testing.T) {
	s := adminapi.Status{
		Cluster: "edge-1", Node: "node-a", State: "Master", Health: "all checks pass", Leader: "node-a", Term: 4, Phase: "running", Holder: "node-a",
		Version: "v1.1.0", Level: adminapi.Level{InUse: 2, Known: 2},
		Addresses: []adminapi.Address{{AllocationID: "eipalloc-1", PublicIP: "203.0.113.10", Holder: "node-a", AssociationID: "eipassoc-1", Confirmed: true}},
		Nodes: []adminapi.Node{
			{Name: "node-a", Address: "10.0.1.11:7946", Priority: 110, Healthy: true, EC2: true, Version: "v1.1.0"},
			{Name: "node-b", Address: "10.0.1.12:7946", Priority: 100, Reason: "exited", EC2: true, Version: "v1.1.0"},
			{Name: "node-c", Address: "10.0.1.13:7946", Priority: 50, Witness: true, Drained: true},
			{Name: "node-d", Address: "10.0.1.14:7946", Priority: 90, Healthy: true, EC2: true},
		},
		Voters: []string{"node-a", "node-b", "node-c"}, Answering: []string{"node-a", "node-b"},
	}
	verdict := adminapi.Judge(s)
	s.Verdict = &verdict
	var out strings.Builder
	if err := printStatus(&out, s); err != nil {
		t.Fatal(err)
	}
	want := `node-a holds 203.0.113.10.
Safe to lose a node now? No: 2 of 3 voters answer, and 2 are a quorum: with one less nothing can move.
! HAProxy on node-b is not healthy: exited
! node-c does not answer the leader: start its agent, or look at the network to it
! node-d does not answer the leader: start its agent, or look at the network to it
- node-c is drained: 'hacluster undrain node-c' makes it a candidate again

edge-1 on node-a: Master (all checks pass)
203.0.113.10 (eipalloc-1) is held by node-a (eipassoc-1)
leader node-a, term 4; raft: running
version v1.1.0, level 2 of 2

NODE    ADDRESS         PRIORITY  VERSION  HAPROXY            EC2      ANSWERS  ROLE
node-a  10.0.1.11:7946  110       v1.1.0   healthy            reached  yes      leader, holder
node-b  10.0.1.12:7946  100       v1.1.0   unhealthy: exited  reached  yes      
node-c  10.0.1.13:7946  50                 -                  -        no       witness, drained
node-d  10.0.1.14:7946  90                 ?                  ?        no       
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

// TestExitStatus: a script need not read anything.
func TestExitStatus(t *testing.T) {
	for grade, want := range map[adminapi.Grade]int{adminapi.Good: 0, adminapi.Degraded: 1, adminapi.Critical: 1} {
		got := 0
		if exit := (*exitError)(nil); errors.As(exitOf(adminapi.Status{Verdict: &adminapi.Verdict{Grade: grade}}), &exit) {
			got = exit.status
		}
		if got != want {
			t.Errorf("%s: exit status %d, want %d", grade, got, want)
		}
	}
}
