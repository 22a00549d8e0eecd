package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
)

// The requests between nodes.
const (
	reportPath   = "/v1/report"
	releasePath  = "/v1/release"
	transferPath = "/v1/transfer"
	drainPath    = "/v1/drain"
)

// maxRequest bounds a request's body in bytes; a report has some hundred.
const maxRequest = 8 << 10

type releaseRequest struct {
	Address fsm.AllocationID `json:"allocation_id"`
	Term    uint64           `json:"term"`
	Ends    uint64           `json:"ends"`
}

type releaseAnswer struct {
	Settled bool `json:"settled"`
	Alone   bool `json:"alone"`
}

type transferRequest struct {
	To fsm.NodeName `json:"to,omitempty"`
}

type drainRequest struct {
	Node    fsm.NodeName `json:"node"`
	Drained bool         `json:"drained"`
}

// TransferAnswer names the node that the address moves to.
type TransferAnswer struct {
	To fsm.NodeName `json:"to"`
}

// Handler serves the requests of other nodes.
func (d *Driver) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+reportPath, d.serveReport)
	mux.HandleFunc("POST "+releasePath, d.serveRelease)
	mux.HandleFunc("POST "+transferPath, d.serveTransfer)
	mux.HandleFunc("POST "+drainPath, d.serveDrain)
	mux.HandleFunc("POST "+silencePath, d.serveSilence)
	mux.HandleFunc("POST "+election.AdmitPath, d.serveAdmit)
	mux.HandleFunc("POST "+removePath, d.serveRemove)
	mux.HandleFunc("POST "+membersPath, d.serveMembers)
	mux.HandleFunc("POST "+HeardPath, d.serveHeard)
	mux.HandleFunc("POST "+reachPath, d.serveReach)
	return mux
}

func (d *Driver) serveReport(w http.ResponseWriter, r *http.Request) {
	var facts Facts
	if !read(w, r, &facts) {
		return
	}
	if by := caller(r); by != "" && by != facts.Node.Name {
		http.Error(w, fmt.Sprintf("%s reports as %q: a node reports its own facts only", by, facts.Node.Name), http.StatusForbidden)
		return
	}
	if err := d.Tell(r.Context(), PeerReported{Facts: facts}); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	write(w, struct{}{})
}

func (d *Driver) serveRelease(w http.ResponseWriter, r *http.Request) {
	var in releaseRequest
	if !read(w, r, &in) {
		return
	}
	reply, err := d.Ask(r.Context(), func(op Op) Event {
		return ReleaseAsked{Op: op, By: caller(r), Address: in.Address, Term: in.Term, Ends: in.Ends}
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	write(w, releaseAnswer{Settled: reply.Settled, Alone: reply.Alone})
}

func (d *Driver) serveSilence(w http.ResponseWriter, r *http.Request) {
	var in silenceRequest
	if !read(w, r, &in) {
		return
	}
	reply, err := d.Ask(r.Context(), func(op Op) Event { return SilenceAsked{Op: op, Term: in.Term, Suspect: in.Suspect} })
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	answer := silenceAnswer{Misses: reply.Misses}
	if d.ports.Ballot != nil {
		answer.LastIndex = d.ports.Ballot.LastIndex()
	}
	write(w, answer)
}

func (d *Driver) serveTransfer(w http.ResponseWriter, r *http.Request) {
	var in transferRequest
	if !read(w, r, &in) {
		return
	}
	answer, err := d.transferAsLeader(r.Context(), in.To)
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	write(w, answer)
}

// RequestTransfer asks the leader, whoever it is, to move the address to a node ("" = the best candidate). It returns the
// chosen node as soon as the leader agreed; the move itself shows in the committed state.
func (d *Driver) RequestTransfer(ctx context.Context, to fsm.NodeName) (TransferAnswer, error) {
	var answer TransferAnswer
	err := d.askLeader(ctx, transferPath, transferRequest{To: to}, &answer, func() (err error) {
		answer, err = d.transferAsLeader(ctx, to)
		return err
	})
	return answer, err
}

// askLeader puts an operator's request to the leader: here if this node leads, else over rpc.
func (d *Driver) askLeader(ctx context.Context, path string, in, out any, here func() error) error {
	lead := d.View().Leadership
	switch {
	case lead.Self:
		return here()
	case lead.Leader == "":
		return errNoLeader
	}
	err := d.ports.Peers.Call(ctx, string(lead.Leader), path, in, out)
	if refused := (*election.CallError)(nil); errors.As(err, &refused) {
		return errors.New(refused.Message) // the leader's words, for the operator
	}
	return err
}

func (d *Driver) transferAsLeader(ctx context.Context, to fsm.NodeName) (TransferAnswer, error) {
	reply, err := d.Ask(ctx, func(op Op) Event { return TransferAsked{Op: op, To: to} })
	return TransferAnswer{To: reply.To}, err
}

func (d *Driver) serveDrain(w http.ResponseWriter, r *http.Request) {
	var in drainRequest
	if !read(w, r, &in) {
		return
	}
	if err := d.drainAsLeader(r.Context(), in.Node, in.Drained); err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	write(w, struct{}{})
}

// caller returns the node that a request comes from, "" without TLS: then nobody knows.
func caller(r *http.Request) fsm.NodeName {
	name, _ := election.Caller(r.Context())
	return fsm.NodeName(name)
}

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	if err := d.Decode(into); err != nil {
		http.Error(w, fmt.Sprintf("read request: %v", err), http.StatusBadRequest)
		return false
	}
	return true
}

func write(w http.ResponseWriter, answer any) {
	w.Header().Set("Content-Type", "application/json")
	// A client that is gone is not an error of this node.
	_ = json.NewEncoder(w).Encode(answer)
}

var errNoLeader = errors.New("no leader is known: is a quorum of nodes up? see 'hacluster status'")
