package adminapi

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
)

// living is an agent whose view changes while it is asked.
type living struct {
	agent
	now atomic.Pointer[controller.View]
}

func (l *living) View() *controller.View { return l.now.Load() }

// TestEvents: a stream begins with the verdict, tells what is new and nothing old, and ends with its client.
func TestEvents(t *testing.T) {
	old := controller.Moment{Number: 7, UnixMilli: 1, Term: 3, Kind: controller.MomentElected, Node: "node-a"}
	view := controller.View{Committed: fsm.New(), Moments: []controller.Moment{old}, Leadership: controller.Leadership{Term: 3, Leader: "node-a"}}
	view.Committed.Index, view.Committed.History = 10, []fsm.Transition{{Index: 10, Event: "confirmed", Node: "node-a"}}
	a := &living{}
	a.now.Store(&view)
	client, _ := serveAgent(t, a)
	events, stop := streamOf(t, client)
	if first := events(); first.Kind != "verdict" || first.Verdict.Grade != Degraded {
		t.Errorf("the first event is %+v", first)
	}
	next := view
	next.Moments = append(next.Moments[:1:1],
		controller.Moment{Number: 8, UnixMilli: 20, Term: 4, Kind: controller.MomentElected, Node: "node-b"},
		controller.Moment{Number: 9, UnixMilli: 30, Term: 4, Kind: controller.MomentCall, Call: &controller.Call{API: "AssociateAddress", Address: address, Class: eip.Done}},
		controller.Moment{Number: 10, UnixMilli: 40, Term: 4, Kind: controller.MomentState,
			State: &controller.Transition{From: controller.Backup, To: controller.Master, Term: 4, Reason: "node-a is down"}})
	next.Committed = view.Committed.Clone()
	next.Committed.Index = 11
	next.Committed.History = append(next.Committed.History, fsm.Transition{Index: 11, Term: 4, UnixMilli: 35, Event: "confirmed", Node: "node-b"})
	a.now.Store(&next)
	want := []Event{
		{Time: at(20), Kind: "elected", Term: 4, Node: "node-b"},
		{Time: at(30), Kind: "call", Term: 4, Call: &CallEvent{Call: Call{API: "AssociateAddress", Outcome: "done"}, AllocationID: string(address)}},
		{Time: at(40), Kind: "state", Term: 4, State: &StateEvent{From: "Backup", To: "Master", Reason: "node-a is down"}},
		{Time: at(35), Kind: "agreed", Term: 4, Agreed: &Transition{Time: at(35), Term: 4, Event: "confirmed", Node: "node-b"}},
	}
	for _, w := range want {
		if diff := cmp.Diff(w, events(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("a client that goes: %v", err)
	}
}

// TestStreamsAreBounded: one client too many is told so, and there is room again when another has gone.
func TestStreamsAreBounded(t *testing.T) {
	a := &living{}
	a.now.Store(&controller.View{Committed: fsm.New()})
	client, _ := serveAgent(t, a)
	var stops []func() error
	for range eventClients {
		events, stop := streamOf(t, client)
		events() // it is served
		stops = append(stops, stop)
	}
	const patience = 10 * time.Second // a stream that is refused ends at once
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := client.Events(ctx, io.Discard); err == nil || !strings.Contains(err.Error(), "streams of events are open") {
		t.Errorf("one too many: %v", err)
	}
	for _, stop := range stops {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}

// streamOf reads events one by one. stop ends the client.
func streamOf(t *testing.T, client *Client) (next func() Event, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := client.Events(ctx, writer)
		_ = writer.CloseWithError(io.EOF)
		done <- err
	}()
	lines := bufio.NewScanner(reader)
	next = func() (e Event) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the stream ends: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		return e
	}
	return next, func() error {
		cancel()
		_ = reader.Close()
		return <-done
	}
}
