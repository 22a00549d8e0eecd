package election

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"go.uber.org/zap"
)

// AdmitPath is where a node asks to be let in. Calls to it reach Config.RPC from every node with a certificate of the cluster's authority,
// a member or not; the handler judges by Caller.
const AdmitPath = "/v1/admit"

// Ask makes one call as the node of cfg, which need not run: before its first start it asks a peer that it is configured with. It is
// otherwise as Node.Call.
func Ask(ctx context.Context, cfg Config, peerName, path string, in, out any) error {
	cfg = cfg.withDefaults()
	m := newMux(cfg)
	client := newClient(m, cfg.peer)
	defer client.CloseIdleConnections()
	return call(ctx, client, cfg, peerName, path, in, out)
}

// Caller returns the name of the node whose certificate vouches for a request to Config.RPC. ok is false without TLS: then anybody may be
// anybody.
func Caller(ctx context.Context) (name string, ok bool) {
	s, secured := ctx.Value(callerKey{}).(*session)
	if !secured || !s.isNode {
		return "", false
	}
	return s.peer, true
}

// callerKey is where a request's context has the session of its connection.
type callerKey struct{}

// withCaller is the ConnContext of the rpc server.
func withCaller(ctx context.Context, conn net.Conn) context.Context {
	if c, ok := conn.(*muxConn); ok && c.session != nil {
		return context.WithValue(ctx, callerKey{}, c.session)
	}
	return ctx
}

// mayCall says why the caller of a request may not use its path, or nil. Operators may ask a node who it is, and nothing that changes
// anything. Nodes that are no members may ask that, and to be let in.
func (n *Node) mayCall(r *http.Request) error {
	s, secured := r.Context().Value(callerKey{}).(*session)
	switch path := r.URL.Path; {
	case !secured || path == identityPath:
		return nil
	case !s.isNode:
		return fmt.Errorf("only nodes may call %s", path)
	case path == joinPath || path == AdmitPath || n.roster.isMember(s.peer):
		return nil
	}
	err := stranger(s.peer)
	n.mux.refused.note(s.conn.RemoteAddr(), err)
	n.log.Debug("refused a call", zap.String("path", r.URL.Path), zap.Error(err))
	return err
}
