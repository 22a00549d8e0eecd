package controller

import (
	"context"
	"net/http"

	"github.com/hacluster/hacluster/fsm"
)

// reachPath asks a leader which nodes answer it: only it knows.
const reachPath = "/v1/reach"

type reachAnswer struct {
	Nodes []fsm.NodeName `json:"nodes"`
}

// Answering returns the nodes that answer the leader, the leader included. A follower asks the leader for that.
func (d *Driver) Answering(ctx context.Context) ([]fsm.NodeName, error) {
	var answer reachAnswer
	err := d.askLeader(ctx, reachPath, struct{}{}, &answer, func() error {
		answer.Nodes = d.answeringHere()
		return nil
	})
	return answer.Nodes, err
}

// answeringHere asks Raft and not the core, which looks every contactEvery only: until then an operator who asks right after a failover
// would read that no node answers.
func (d *Driver) answeringHere() []fsm.NodeName {
	return append([]fsm.NodeName{d.cfg.Self.Name}, nodeNames(d.ports.Quorum.Reachable(contactWithin))...)
}

func (d *Driver) serveReach(w http.ResponseWriter, r *http.Request) {
	if !read(w, r, &struct{}{}) {
		return
	}
	if !d.View().Leadership.Self {
		http.Error(w, errNotLeading.Error(), http.StatusConflict)
		return
	}
	write(w, reachAnswer{Nodes: d.answeringHere()})
}
