package adminapi

import (
	"context"
	"net/http"

	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
)

const (
	membersPath = "/v1/members"
	admitPath   = "/v1/members/add"
	removePath  = "/v1/members/remove"
)

// Membership is what the socket needs to show and change the members.
type Membership interface {
	Members(ctx context.Context) controller.MemberList
	RequestAdmit(ctx context.Context, node fsm.Attributes) (controller.MembershipAnswer, error)
	RequestRemove(ctx context.Context, name fsm.NodeName) (controller.MembershipAnswer, error)
}

// SetMembership gives the server the members. It is called before Run.
func (s *Server) SetMembership(m Membership) { s.membership = m }

func (s *Server) routeMembers(mux *http.ServeMux) {
	if s.membership == nil {
		return
	}
	mux.HandleFunc("GET "+membersPath, func(w http.ResponseWriter, r *http.Request) { answer(w, s.membership.Members(r.Context())) })
	mux.HandleFunc("POST "+admitPath, func(w http.ResponseWriter, r *http.Request) {
		change(w, r, s.membership.RequestAdmit)
	})
	mux.HandleFunc("POST "+removePath, func(w http.ResponseWriter, r *http.Request) {
		change(w, r, s.membership.RequestRemove)
	})
}

// change reads what a request is about and does it.
func change[In any](w http.ResponseWriter, r *http.Request, do func(context.Context, In) (controller.MembershipAnswer, error)) {
	var in In
	if !read(w, r, &in) {
		return
	}
	out, err := do(r.Context(), in)
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	answer(w, out)
}

// Members asks for the members as the leader sees them, or the agent if no leader answers.
func (c *Client) Members(ctx context.Context) (controller.MemberList, error) {
	var list controller.MemberList
	err := c.call(ctx, http.MethodGet, membersPath, nil, &list)
	return list, err
}

// Admit asks to let a node in.
func (c *Client) Admit(ctx context.Context, node fsm.Attributes) (controller.MembershipAnswer, error) {
	var out controller.MembershipAnswer
	err := c.call(ctx, http.MethodPost, admitPath, node, &out)
	return out, err
}

// Remove asks to remove a node, and returns when it is done.
func (c *Client) Remove(ctx context.Context, name string) (controller.MembershipAnswer, error) {
	var out controller.MembershipAnswer
	err := c.call(ctx, http.MethodPost, removePath, name, &out)
	return out, err
}
