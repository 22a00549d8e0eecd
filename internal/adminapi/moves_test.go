package adminapi

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
)

// TestMoves: the history is told as claims, with what this node saw beside it. Times are milliseconds.
func TestMoves(t *testing.T) {
	const other fsm.AllocationID = "eipalloc-2"
	history := []fsm.Transition{
		{UnixMilli: 1000, Term: 1, Address: address, Event: "claim granted", Node: "node-a", Mode: fsm.Takeover, Reason: "first claim"},
		{UnixMilli: 1040, Term: 1, Address: address, Event: "confirmed", Node: "node-a", Association: "x1"},
		{UnixMilli: 1500, Term: 1, Address: other, Event: "claim granted", Node: "node-a", Mode: fsm.Adopt},
		{UnixMilli: 1501, Term: 1, Address: other, Event: "confirmed", Node: "node-a", Association: "y1"},
		{UnixMilli: 60000, Term: 1, Address: address, Event: "released", Node: "node-a", Reason: "exited"},
		{UnixMilli: 60004, Term: 2, Address: address, Event: "claim granted", Node: "node-b", Mode: fsm.Handover, Reason: "node-a released"},
		{UnixMilli: 60050, Term: 2, Address: address, Event: "confirmed", Node: "node-b", Association: "x2"},
		{UnixMilli: 90016, Term: 3, Address: address, Event: "claim granted", Node: "node-c", Mode: fsm.Takeover, Reason: "node-b is down"},
		{UnixMilli: 90060, Term: 3, Address: address, Event: "claim granted", Node: "node-c", Mode: fsm.Takeover, Reason: "node-b is down"},
		{UnixMilli: 90100, Term: 3, Address: address, Event: "confirmed", Node: "node-c", Association: "x3"},
		{UnixMilli: 95000, Term: 3, Address: address, Event: "guard done", Node: "node-c"},
		{UnixMilli: 99000, Term: 4, Address: address, Event: "claim granted", Node: "node-a", Mode: fsm.Takeover, Reason: "node-c is down"},
	}
	call := func(api string, address fsm.AllocationID, class eip.Class) *controller.Call {
		return &controller.Call{API: api, Address: address, Class: class, Took: 38400 * time.Microsecond}
	}
	moments := []controller.Moment{
		{UnixMilli: 50000, Term: 1, Kind: controller.MomentSilence, Node: "node-a"},                                      // it was refuted: node-a let go later
		{UnixMilli: 85000, Term: 2, Kind: controller.MomentSilence, Node: "node-b"},                                      // it was refuted
		{UnixMilli: 89500, Term: 2, Kind: controller.MomentSilence, Node: "node-b"},                                      // asked again below
		{UnixMilli: 90000, Term: 2, Kind: controller.MomentSilence, Node: "node-b"},                                      //
		{UnixMilli: 90014, Term: 3, Kind: controller.MomentElected, Node: "node-c"},                                      //
		{UnixMilli: 90055, Term: 3, Kind: controller.MomentCall, Call: call("DisassociateAddress", address, eip.Gone)},   //
		{UnixMilli: 90070, Term: 3, Kind: controller.MomentCall, Call: call("AssociateAddress", other, eip.Done)},        // another address
		{UnixMilli: 90098, Term: 3, Kind: controller.MomentCall, Call: call("AssociateAddress", address, eip.Done)},      //
		{UnixMilli: 97000, Term: 3, Kind: controller.MomentCall, Call: call("DisassociateAddress", address, eip.Denied)}, // after the move
	}
	want := `
eipalloc-1 from "" to node-a in term 1 by takeover (first claim): confirmed after 40 ms
  0 claimed takeover
  40 confirmed x1
eipalloc-2 from "" to node-a in term 1 by adopt (): confirmed after 1 ms
  0 claimed adopt
  1 confirmed y1
eipalloc-1 from "node-a" to node-b in term 2 by handover (node-a released): confirmed after 50 ms
  0 detected node-a let go: exited
  4 claimed handover
  50 confirmed x2
eipalloc-1 from "node-b" to node-c in term 3 by takeover (node-b is down): confirmed after 600 ms
  0 detected node-b is missed
  514 elected
  516 claimed takeover
  555 EC2 answered DisassociateAddress: gone
  598 EC2 answered AssociateAddress: done
  600 confirmed x3
  DisassociateAddress gone 38.4
  AssociateAddress done 38.4
eipalloc-1 from "node-c" to node-a in term 4 by takeover (node-c is down): not confirmed
  0 claimed takeover
`
	all := moves(history, moments)
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), tell(all)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if last := lastFailover(all); last == nil || last.Term != 4 {
		t.Errorf("the last failover is %+v", last)
	}
	if last := lastFailover(all[:2]); last != nil {
		t.Errorf("a first claim and an adoption are no failover: %+v", last)
	}
}

func tell(all []Move) string {
	var b strings.Builder
	for _, m := range all {
		end := "not confirmed"
		if m.Confirmed != nil {
			end = fmt.Sprintf("confirmed after %d ms", m.TookMS)
		}
		fmt.Fprintf(&b, "%s from %q to %s in term %d by %s (%s): %s\n", m.AllocationID, m.From, m.Node, m.Term, m.Mode, m.Why, end)
		for _, s := range m.Steps {
			b.WriteString(strings.TrimRight(fmt.Sprintf("  %d %s %s", s.SinceMS, s.Name, s.Text), " ") + "\n")
		}
		for _, c := range m.Calls {
			fmt.Fprintf(&b, "  %s %s %v\n", c.API, c.Outcome, c.TookMS)
		}
	}
	return b.String()
}

// TestSince: the holder's reign goes back to the first of its confirmations after another's; a repair in between does not begin it anew.
func TestSince(t *testing.T) {
	history := []fsm.Transition{
		{UnixMilli: 1, Address: address, Event: "confirmed", Node: "node-a"},
		{UnixMilli: 2, Address: address, Event: "confirmed", Node: "node-b"},
		{UnixMilli: 3, Address: address, Event: "confirmed", Node: "node-a"},
		{UnixMilli: 4, Address: address, Event: "claim granted", Node: "node-b"},
		{UnixMilli: 5, Address: "eipalloc-2", Event: "confirmed", Node: "node-b"},
		{UnixMilli: 6, Address: address, Event: "confirmed", Node: "node-a"},
	}
	if got := since(history, address, "node-a"); got == nil || got.UnixMilli() != 3 {
		t.Errorf("since %v, want 3", got)
	}
	if got := since(history, address, "node-c"); got != nil {
		t.Errorf("of a node that never held: %v", got)
	}
}
