package election

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
	"pgregory.net/rapid"
)

// The quorum-th newest stamp is the newest instant t for which a quorum has a stamp of t or later; that is how the brute force
// looks for it.
func TestQuorumStartIsTheNewestInstantThatAQuorumCovers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 7).Draw(t, "voters")
		var ids []raft.ServerID
		for i := range size {
			ids = append(ids, raft.ServerID(fmt.Sprint("node-", i)))
		}
		self := rapid.SampledFrom(append(ids, "not-a-voter")).Draw(t, "self")
		now := time.Duration(rapid.IntRange(10, 20).Draw(t, "now"))
		starts := make(map[raft.ServerID]time.Duration)
		for _, id := range append(ids, "non-voter") {
			if id != self && rapid.Bool().Draw(t, "answered "+string(id)) {
				starts[id] = time.Duration(rapid.IntRange(0, int(now)).Draw(t, "start "+string(id)))
			}
		}
		got, ok := quorumStart(ids, self, now, starts)
		want, wantOK := bruteForceQuorumStart(ids, self, now, starts)
		if got != want || ok != wantOK {
			t.Fatalf("quorumStart = %v, %v; want %v, %v", got, ok, want, wantOK)
		}
	})
}

func bruteForceQuorumStart(voters []raft.ServerID, self raft.ServerID, now time.Duration, starts map[raft.ServerID]time.Duration) (time.Duration, bool) {
	for t := now; t >= 0; t-- {
		count := 0
		for _, id := range voters {
			start, ok := starts[id]
			if id == self || ok && start >= t {
				count++
			}
		}
		if 2*count > len(voters) {
			return t, true
		}
	}
	return 0, false
}

func TestAcknowledgementsOfTheNewestTermCountAndTheNewestStartPerPeer(t *testing.T) {
	t.Parallel()
	type ack struct {
		id    raft.ServerID
		term  uint64
		start time.Duration
	}
	tests := map[string]struct {
		acks []ack
		term uint64
		want map[raft.ServerID]time.Duration
	}{
		"nothing yet":                          {nil, 1, nil},
		"one per peer":                         {[]ack{{"b", 2, 10}, {"c", 2, 11}}, 2, map[raft.ServerID]time.Duration{"b": 10, "c": 11}},
		"a late reply to an older request":     {[]ack{{"b", 2, 20}, {"b", 2, 10}}, 2, map[raft.ServerID]time.Duration{"b": 20}},
		"a newer term forgets the older":       {[]ack{{"b", 2, 10}, {"c", 3, 30}}, 3, map[raft.ServerID]time.Duration{"c": 30}},
		"a reply from an older term is late":   {[]ack{{"b", 3, 30}, {"c", 2, 31}}, 3, map[raft.ServerID]time.Duration{"b": 30}},
		"another term than the one asked for":  {[]ack{{"b", 3, 30}}, 2, nil},
		"the start of the clock is an instant": {[]ack{{"b", 3, 0}}, 3, map[raft.ServerID]time.Duration{"b": 0}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEvidence()
			for _, a := range test.acks {
				e.acknowledge(a.id, a.term, a.start, false)
			}
			got := e.of(test.term)
			if len(got) == 0 && len(test.want) == 0 {
				return
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("stamps (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWaitersSeeEachNewAcknowledgement(t *testing.T) {
	t.Parallel()
	e := newEvidence()
	changed := e.changes()
	e.acknowledge("b", 1, 10, false)
	select {
	case <-changed:
	default:
		t.Error("an acknowledgement woke nobody")
	}
	changed = e.changes()
	e.acknowledge("b", 1, 5, false)
	select {
	case <-changed:
		t.Error("an acknowledgement that changes nothing woke someone")
	default:
	}
	if ids := slices.Collect(maps.Keys(e.of(1))); len(ids) != 1 {
		t.Errorf("stamps of %v", ids)
	}
}
