package election

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

const (
	maxBody       = 1 << 20 // bytes of a request or an answer
	maxMessage    = 4 << 10 // bytes of an error message
	clusterHeader = "Hacluster-Cluster"
)

// Call posts in as JSON to path at the named peer and decodes the answer into out; both may be nil, and neither may exceed
// 1 MiB. An answer other than 2xx is a *CallError. A refused connection comes back at once; otherwise ctx bounds the call.
func (n *Node) Call(ctx context.Context, peerName, path string, in, out any) error {
	if _, ok := n.cfg.peer(peerName); !ok {
		return fmt.Errorf("%w: %q is not configured", ErrUnknownNode, peerName)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode call to %s of %s: %w", path, peerName, err)
	}
	if len(body) > maxBody {
		return fmt.Errorf("call %s of %s: request of %d bytes exceeds %d", path, peerName, len(body), maxBody)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+peerName+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("call %s of %s: %w", path, peerName, err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(clusterHeader, n.cfg.Cluster)
	request.Header.Set(generationHeader, string(n.generation()))
	response, err := n.client.Do(request)
	if err != nil {
		return fmt.Errorf("call %s of %s: %w", path, peerName, withoutURL(err))
	}
	defer func() { _ = response.Body.Close() }()
	return readAnswer(response, peerName, path, out)
}

func readAnswer(response *http.Response, peerName, path string, out any) error {
	if response.StatusCode/100 != 2 {
		message, _ := io.ReadAll(io.LimitReader(response.Body, maxMessage))
		return &CallError{Peer: peerName, Status: response.StatusCode, Message: strings.TrimSpace(string(message))}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return fmt.Errorf("read answer to %s of %s: %w", path, peerName, err)
	}
	if len(body) > maxBody {
		return fmt.Errorf("read answer to %s of %s: it exceeds %d bytes", path, peerName, maxBody)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("decode answer to %s of %s: %w", path, peerName, err)
	}
	return nil
}

// withoutURL drops the URL that net/http puts around an error: its host is a node name, which misleads.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// newClient makes the HTTP client of Call: the host of a URL is the name of a peer.
func newClient(cfg Config, m *mux) *http.Client {
	dial := func(ctx context.Context, _, hostPort string) (net.Conn, error) {
		name, _, err := net.SplitHostPort(hostPort)
		if err != nil {
			return nil, fmt.Errorf("split %q: %w", hostPort, err)
		}
		peer, ok := cfg.peer(name)
		if !ok {
			return nil, fmt.Errorf("%w: %q is not configured", ErrUnknownNode, name)
		}
		return m.dial(ctx, peer.Address, rpcProtocol, name)
	}
	return &http.Client{Transport: &http.Transport{
		DialContext:         dial,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
	}}
}

// serveRPC answers calls until the mux is closed.
func (n *Node) serveRPC(ctx context.Context) error {
	server := &http.Server{
		Handler:           n.rpcHandler(),
		ReadHeaderTimeout: handshakeDeadline,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          stdLogger(n.log),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       withCaller,
	}
	err := server.Serve(n.mux.rpc)
	// The connections are closed, which cancels the requests; wait until their handlers have noticed.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	if stopErr := server.Shutdown(grace); stopErr != nil {
		return fmt.Errorf("await the end of rpc handlers: %w", stopErr)
	}
	if !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve rpc: %w", err)
	}
	return nil
}

func (n *Node) rpcHandler() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc(identityPath, n.answerIdentity)
	routes.HandleFunc("POST "+joinPath, n.answerJoin)
	if n.cfg.RPC != nil {
		routes.Handle("/", n.cfg.RPC)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A caller that means somebody else has a wrong address or a wrong cluster in its configuration.
		if r.Host != n.cfg.Name || r.Header.Get(clusterHeader) != n.cfg.Cluster {
			http.Error(w, fmt.Sprintf("this is node %q of cluster %q, not node %q of cluster %q",
				n.cfg.Name, n.cfg.Cluster, r.Host, r.Header.Get(clusterHeader)), http.StatusMisdirectedRequest)
			return
		}
		if !mayCall(r) {
			http.Error(w, "only nodes may call "+r.URL.Path, http.StatusForbidden)
			return
		}
		if !n.sameGeneration(w, r) {
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		routes.ServeHTTP(w, r)
	})
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	// An error means that the caller is gone.
	_ = json.NewEncoder(w).Encode(value)
}

// reason shortens a failed call for a line of status: what the operator needs is "connection refused".
func reason(err error) string {
	var answered *CallError
	var errno syscall.Errno
	var timeout net.Error
	var alert *net.OpError
	var refused interface {
		error
		Reason() string
	}
	switch {
	case errors.As(err, &answered):
		return answered.Message
	case errors.As(err, &alert) && alert.Op == "remote error":
		return fmt.Sprintf("it refuses the certificate of this node (%v), and its log says why", alert.Err)
	case errors.As(err, &refused): // by Security, in a sentence
		return refused.Error()
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer"
	default:
		return err.Error()
	}
}
