package election

import (
	"context"
	"fmt"
	"net"
	"net/http"
)

// AdmitPath is where a node asks to be let in. Calls to it reach Config.RPC from every node with a certificate of the cluster's authority,
// a member or not; the handler judges by Caller.
const AdmitPath = "/v1/admit"

// Ask makes one call as the node of cfg, which need not run: before its first start it asks a peer that it is configured with. It is
// otherwise as Node.Call.
func Ask(ctx context.Context, cfg Config, peerName, path string, in, out any) error {
	v := NewVisitor(cfg)
	defer v.Close()
	return v.Call(ctx, peerName, path, in, out)
}

// Caller returns the name of the node whose certificate vouches for a request to Config.RPC. ok is false without TLS: then anybody may be
// anybody.
func Caller(ctx context.Context) (name string, ok bool) {
	c, _ := ctx.Value(callerKey{}).(principal)
	return c.name, c.isNode
}

// WithCaller returns the context of a request that comes from a node. It is for tests of handlers.
func WithCaller(ctx context.Context, node string) context.Context {
	return context.WithValue(ctx, callerKey{}, principal{node, true})
}

// callerKey is where a request's context has the caller.
type callerKey struct{}

// principal is who is at the other end of a connection under TLS.
type principal struct {
	name   string
	isNode bool
}

// withCaller is the ConnContext of the rpc server.
func withCaller(ctx context.Context, conn net.Conn) context.Context {
	if c, ok := conn.(*muxConn); ok && c.session != nil {
		return context.WithValue(ctx, callerKey{}, principal{c.session.peer, c.session.isNode})
	}
	return ctx
}

// mayCall says why the caller of a request may not use its path, or nil. Operators may ask a node who it is, and nothing that changes
// anything. Nodes that are no members may ask that, and to be let in.
func (n *Node) mayCall(r *http.Request) error {
	c, secured := r.Context().Value(callerKey{}).(principal)
	switch path := r.URL.Path; {
	case !secured || path == identityPath:
		return nil
	case !c.isNode:
		return refusal{forbidden, fmt.Errorf("only nodes may call %s, and %q is none", path, c.name)}
	case path == joinPath || path == AdmitPath || n.roster.isMember(c.name):
		return nil
	}
	return stranger(c.name)
}
