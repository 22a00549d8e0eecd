package lab

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hacluster/hacluster/internal/lab/capture"
	"github.com/hacluster/hacluster/internal/lab/probe"
)

// at returns a time so many milliseconds after the fault.
func at(ms int) time.Time { return time.UnixMilli(1_000_000 + int64(ms)) }

func call(ms int, node, action string) Call {
	return Call{Received: at(ms), Node: node, Action: action, Mutating: action != "DescribeAddresses", Outcome: "OK"}
}

// requests makes one request every 5 ms; each takes 2 ms; those that start in [from, to) fail.
func requests(end, from, to int) []probe.Result {
	var all []probe.Result
	for ms := 0; ms < end; ms += 5 {
		r := probe.Result{Start: at(ms), Took: 2 * time.Millisecond, Connected: true, Node: "node-a"}
		if ms >= from && ms < to {
			r.Node, r.Error = "", "connection reset by peer"
		}
		all = append(all, r)
	}
	return all
}

func ptr(v float64) *float64 { return &v }

func TestMeasure(t *testing.T) {
	takeover := []Call{
		call(10, "node-b", "DescribeAddresses"),
		call(11, "node-b", "DisassociateAddress"), call(12, "node-b", "AssociateAddress"),
	}
	dryRun := Call{Received: at(1), Node: "node-c", Action: "AssociateAddress", Outcome: "DryRunOperation"}
	moved := []Move{{Time: at(11), Effective: at(11), From: "node-a"}, {Time: at(12), Effective: at(12), To: "node-b"}}

	tests := map[string]struct {
		evidence Evidence
		want     Repetition
	}{
		"nothing happens": {
			Evidence{Requests: requests(100, 0, 0)},
			Repetition{Nodes: Nodes{HolderAfter: "node-a"}, Clients: Clients{Requests: 20}},
		},
		"takeover": {
			Evidence{
				Requests: requests(100, 5, 15), Moves: moved, Calls: append([]Call{dryRun}, takeover...),
				Transitions: []Transition{{Time: at(-5)}, {Time: at(3), Node: "node-b"}},
			},
			Repetition{
				Nodes:    Nodes{HolderAfter: "node-b"},
				Reaction: Reaction{Noticed: ptr(3), FirstCall: ptr(11), FirstAssociate: ptr(12)},
				Clients: Clients{
					Requests: 20, Failed: 2, LongestGap: 10, SummedGap: 10, CutInFlight: 1,
					Silence: 15, SilenceBesideCut: 15, // answers at 2 and 17 ms
				},
				Cloud: Cloud{Moves: 1, Nowhere: 1, Mutating: 2, Reads: 2},
			},
		},
		"cut while the gateway was being told": {
			Evidence{Requests: requests(100, 10, 11), Moves: []Move{{Time: at(9), Effective: at(11), From: "node-a", To: "node-b"}}},
			Repetition{
				Nodes:   Nodes{HolderAfter: "node-b"},
				Clients: Clients{Requests: 20, Failed: 1, LongestGap: 5, SummedGap: 5, CutInFlight: 1, Silence: 10},
				Cloud:   Cloud{Moves: 1},
			},
		},
		"noticed by EC2 before any log": {
			Evidence{Calls: takeover, Transitions: []Transition{{Time: at(20)}}},
			Repetition{
				Nodes:    Nodes{HolderAfter: "node-a"},
				Reaction: Reaction{Noticed: ptr(11), FirstCall: ptr(11), FirstAssociate: ptr(12)},
				Cloud:    Cloud{Mutating: 2, Reads: 1},
			},
		},
		"down long before the move: nothing was cut by it": {
			Evidence{Requests: requests(1000, 0, 600), Moves: []Move{{Time: at(598), Effective: at(598), From: "node-a", To: "node-b"}}},
			Repetition{
				Nodes:   Nodes{HolderAfter: "node-b"},
				Clients: Clients{Requests: 200, Failed: 120, LongestGap: 600, SummedGap: 600, Silence: 602, SilenceBesideCut: 602},
				Cloud:   Cloud{Moves: 1},
			},
		},
		"not served until the end of the watch": {
			Evidence{Requests: requests(1000, 500, 1000)},
			Repetition{
				Nodes:   Nodes{HolderAfter: "node-a"},
				Clients: Clients{Requests: 200, Failed: 100, LongestGap: 2500, SummedGap: 2500, Silence: 2503, SilenceBesideCut: 2503},
			},
		},
		"a request that was begun early and sent late makes two gaps, but one silence": {
			Evidence{Requests: append(requests(100, 5, 55), probe.Result{Start: at(28), Took: 30 * time.Millisecond, Node: "node-b"})},
			Repetition{
				Nodes:   Nodes{HolderAfter: "node-a"},
				Clients: Clients{Requests: 21, Failed: 10, LongestGap: 25, SummedGap: 48, Silence: 55, SilenceBesideCut: 55},
			},
		},
		"taken away and not given back": {
			Evidence{Moves: []Move{{Time: at(500), From: "node-a"}}},
			Repetition{Cloud: Cloud{Nowhere: 2500}},
		},
		"taken away and given back is no move, there and back are two": {
			Evidence{Moves: []Move{
				{Time: at(1), From: "node-a"}, {Time: at(2), To: "node-a"},
				{Time: at(3), From: "node-a", To: "node-b"}, {Time: at(4), From: "node-b", To: "node-a"},
			}},
			Repetition{Nodes: Nodes{HolderAfter: "node-a"}, Cloud: Cloud{Moves: 2, Nowhere: 1}},
		},
		"the frozen node calls after it woke": {
			Evidence{Released: at(5000), Calls: []Call{
				call(4000, "node-a", "AssociateAddress"), call(5001, "node-a", "AssociateAddress"),
				call(5002, "node-a", "DescribeAddresses"), call(5003, "node-b", "AssociateAddress"),
			}},
			Repetition{
				Nodes:    Nodes{HolderAfter: "node-a"},
				Reaction: Reaction{Noticed: ptr(4000), FirstCall: ptr(4000), FirstAssociate: ptr(4000)},
				Cloud:    Cloud{Mutating: 3, Reads: 1, AfterWake: 1},
			},
		},
		"two voices on the wire": {
			Evidence{Adverts: []capture.Advert{advert(0, 11), advert(50, 12), advert(100, 11)}},
			Repetition{Nodes: Nodes{HolderAfter: "node-a"}, Wire: Wire{Adverts: 3, OverlappingReigns: 1}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := test.evidence
			e.Fault, e.Victim, e.Injected, e.End = "agent-kill", "node-a", at(0), at(3000)
			test.want.Fault, test.want.Started, test.want.HolderBefore = "agent-kill", at(0), "node-a"
			if diff := cmp.Diff(test.want, Measure(e)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func advert(ms, host int) capture.Advert {
	return capture.Advert{
		Time: at(ms), Src: netip.AddrFrom4([4]byte{10, 20, 0, byte(host)}), VRID: 51, Priority: 100, Interval: 100 * time.Millisecond,
	}
}
