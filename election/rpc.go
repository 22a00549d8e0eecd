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
	return call(ctx, n.client, sender{n.cfg.Cluster, n.generation()}, peerName, path, in, out)
}

// sender is what a call says of who makes it.
type sender struct {
	cluster    string
	generation generation
}

func call(ctx context.Context, client *http.Client, from sender, peerName, path string, in, out any) error {
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
	request.Header.Set(clusterHeader, from.cluster)
	request.Header.Set(generationHeader, string(from.generation))
	response, err := client.Do(request)
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

// newClient makes the HTTP client of Call: the host of a URL is the name of a peer, which lookup finds and connect dials.
func newClient(lookup func(name string) (Peer, bool), connect func(ctx context.Context, address, protocol, target string) (net.Conn, error)) *http.Client {
	dial := func(ctx context.Context, _, hostPort string) (net.Conn, error) {
		name, _, err := net.SplitHostPort(hostPort)
		if err != nil {
			return nil, fmt.Errorf("split %q: %w", hostPort, err)
		}
		peer, ok := lookup(name)
		if !ok {
			return nil, fmt.Errorf("%w: %q is neither configured nor a member", ErrUnknownNode, name)
		}
		return connect(ctx, peer.Address, rpcProtocol, name)
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         dial,
			MaxIdleConnsPerHost: 4,
			IdleConnTimeout:     90 * time.Second,
			DisableCompression:  true,
		},
		// A redirect is an answer like any other: followed, it would be a call in this node's name that the peer has chosen.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
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
	counted := n.countForbidden(routes)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A caller that means somebody else has a wrong address or a wrong cluster in its configuration.
		if r.Host != n.cfg.Name || r.Header.Get(clusterHeader) != n.cfg.Cluster {
			err := fmt.Errorf("this is node %q of cluster %q, not node %q of cluster %q", n.cfg.Name, n.cfg.Cluster, r.Host, r.Header.Get(clusterHeader))
			n.refuse(w, r, http.StatusMisdirectedRequest, refusal{misdirected, err})
			return
		}
		if err := n.mayCall(r); err != nil {
			n.refuse(w, r, http.StatusForbidden, err)
			return
		}
		if !n.sameGeneration(w, r) {
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		counted.ServeHTTP(w, r)
	})
}

func (n *Node) refuse(w http.ResponseWriter, r *http.Request, status int, err error) {
	n.mux.refused.request(remote(r.RemoteAddr), err)
	http.Error(w, err.Error(), status)
}

// countForbidden counts the requests that a handler refuses for who asks.
func (n *Node) countForbidden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &statusWriter{ResponseWriter: w}
		next.ServeHTTP(answer, r)
		if answer.status == http.StatusForbidden {
			who, _ := r.Context().Value(callerKey{}).(principal)
			n.mux.refused.request(remote(r.RemoteAddr), refusal{forbidden, fmt.Errorf("%q asks for %.100q", who.name, r.URL.Path)})
		}
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// remote is an address as net/http tells it.
type remote string

func (r remote) String() string { return string(r) }

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	// An error means that the caller is gone.
	_ = json.NewEncoder(w).Encode(value)
}

// Reason shortens a failed call for a line of status, or for who made it: what the operator needs is "connection refused".
func Reason(err error) string {
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
	case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		// Under TLS 1.3 the refusal of a certificate comes after the handshake, and may be overtaken by a write that fails.
		return "it ended the connection; its log may say why: a certificate that it refuses, for example"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer"
	default:
		return err.Error()
	}
}
