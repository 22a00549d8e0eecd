package election

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// echo answers /echo with what it got, and /long with more than the client accepts.
func echo() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		var value any
		if err := json.NewDecoder(r.Body).Decode(&value); err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		writeJSON(w, value)
	})
	routes.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", maxBody+1))
	})
	routes.HandleFunc("/busy", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "come back later", http.StatusServiceUnavailable)
	})
	return routes
}

func TestCallReachesAPeerByName(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, func(cfg *Config) { cfg.RPC = echo() })
	c.start()
	a := c.nodes["node-a"]
	var got map[string]int
	if err := a.Call(t.Context(), "node-b", "/echo", map[string]int{"n": 7}, &got); err != nil || got["n"] != 7 {
		t.Errorf("echo = %v, %v", got, err)
	}
	if err := a.Call(t.Context(), "node-a", "/echo", map[string]int{"n": 8}, &got); err != nil || got["n"] != 8 {
		t.Errorf("echo from itself = %v, %v", got, err)
	}
	if err := a.Call(t.Context(), "node-b", "/echo", nil, nil); err != nil {
		t.Errorf("call without request and answer = %v", err)
	}
	if err := a.Call(t.Context(), "node-x", "/echo", nil, nil); !errors.Is(err, ErrUnknownNode) {
		t.Errorf("call of an unknown node = %v, want ErrUnknownNode", err)
	}
	for path, want := range map[string]CallError{
		"/busy":    {Peer: "node-b", Status: http.StatusServiceUnavailable, Message: "come back later"},
		"/nothing": {Peer: "node-b", Status: http.StatusNotFound, Message: "404 page not found"},
	} {
		var answered *CallError
		if err := a.Call(t.Context(), "node-b", path, nil, nil); !errors.As(err, &answered) || *answered != want {
			t.Errorf("call of %s = %v, want %v", path, err, want)
		}
	}
}

func TestBodiesOfCallsAreBounded(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, func(cfg *Config) { cfg.RPC = echo() })
	c.start()
	a := c.nodes["node-a"]
	expectSentence(t, a.Call(t.Context(), "node-b", "/echo", strings.Repeat("x", maxBody), nil), "exceeds 1048576")
	expectSentence(t, a.Call(t.Context(), "node-b", "/long", nil, nil), "exceeds 1048576")
}

func TestARefusedConnectionComesBackAtOnce(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	c.start("node-a")
	began := time.Now()
	err := c.nodes["node-a"].Call(t.Context(), "node-b", "/echo", nil, nil)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("call of a node that is not there = %v, want ECONNREFUSED", err)
	}
	expectSentence(t, err, "call /echo of node-b")
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
}

// A peer that is somebody else says who it is: an address or a cluster name is wrong in some configuration.
func TestAMisdirectedCallSaysWhoIsThere(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	b := c.config("node-b")
	b.Peers = b.Peers[1:] // a cluster of its own, which does not mind the others
	start(t, b)

	foreign := c.config("node-a")
	foreign.Cluster = "other"
	expectSentence(t, start(t, foreign).failure(t), `peer node-b at `,
		`this is node "node-b" of cluster "test", not node "node-b" of cluster "other"`, "correct its address or the cluster name")

	swapped := c.config("node-a")
	swapped.DataDir = t.TempDir()
	swapped.Peers = []Peer{swapped.Peers[0], {Name: "node-c", Address: swapped.Peers[1].Address}}
	expectSentence(t, start(t, swapped).failure(t), `this is node "node-b" of cluster "test", not node "node-c" of cluster "test"`)
}
