package election

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// FuzzIdentityAnswer: whatever a peer answers, it makes a node bootstrap only if it says that it is that peer, that it has no past,
// and that it is configured alike (I7).
func FuzzIdentityAnswer(f *testing.F) {
	cfg := Config{Cluster: "test", Name: "node-a", Peers: []Peer{{Name: "node-a", Address: "10.0.0.1:7400"}, {Name: "node-b", Address: "10.0.0.2:7400"}}}
	f.Fuzz(func(t *testing.T, body []byte) {
		response := &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body))}
		var answer identityAnswer
		if err := readAnswer(response, "node-b", identityPath, &answer); err != nil {
			return
		}
		surviveTheWire(t, answer)
		if err := answer.check(cfg.Cluster, "node-b"); err != nil {
			return
		}
		if got := nodeName(answer.serverID()); got != "node-b" {
			t.Errorf("%+v would be %q in the configuration", answer, got)
		}
		verdict, err := decide(cfg, fresh, map[string]identityAnswer{"node-b": answer}, nil)
		alike := slices.Equal(answer.Peers, cfg.peerNames())
		switch {
		case err != nil:
			if alike {
				t.Errorf("%+v is refused: %v", answer, err)
			}
		case verdict.next == bootstrapNow && (answer.Initialized || len(answer.Members) > 0 || !alike):
			t.Errorf("bootstraps on %+v", answer)
		case verdict.next == startNow && len(answer.Members) == 0:
			t.Errorf("starts on %+v", answer)
		case verdict.next == keepWaiting && len(verdict.waiting) == 0:
			t.Errorf("waits for nobody on %+v", answer)
		}
	})
}

// FuzzJoin: whatever is posted to a leader, nobody gets into the cluster who is not at a configured address.
func FuzzJoin(f *testing.F) {
	c := newCluster(f, 2)
	n, err := Open(c.config("node-a"), &ledger{})
	must(f, err)
	alone := n.firstMembers(nil)[:1] // node-b is configured, is no member, and does not run
	must(f, n.store.bootstrap(n.raftConfig(), alone))
	must(f, n.initialize())
	must(f, n.Close())
	c.start("node-a")
	leader, term := c.leader()
	f.Fuzz(func(t *testing.T, body []byte) {
		// The address of node-b is another in each run.
		body = bytes.ReplaceAll(body, []byte("10.0.0.2:7400"), []byte(c.config("node-b").address()))
		var join joinRequest
		if json.Unmarshal(body, &join) == nil {
			surviveTheWire(t, join)
		}
		recorder := httptest.NewRecorder()
		leader.answerJoin(recorder, httptest.NewRequest(http.MethodPost, joinPath, bytes.NewReader(body)))
		if recorder.Code != http.StatusBadRequest && recorder.Code != http.StatusForbidden {
			t.Errorf("answered %d %s", recorder.Code, recorder.Body)
		}
		if got := servers(leader.raft.Load()); !slices.Equal(got, alone) || !leader.Leading(term) {
			t.Fatalf("the cluster is %v, and this node %+v", got, leader.Status())
		}
	})
}

// surviveTheWire: what was decoded means the same after another turn.
func surviveTheWire[T any](t *testing.T, value T) {
	t.Helper()
	first, err := json.Marshal(value)
	must(t, err)
	var again T
	must(t, json.Unmarshal(first, &again))
	if second, err := json.Marshal(again); err != nil || !bytes.Equal(first, second) {
		t.Errorf("%s became %s, %v", first, second, err)
	}
}
