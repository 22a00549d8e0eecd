package adminapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/hacluster/hacluster/internal/controller"
	"github.com/hacluster/hacluster/internal/legible"
)

// maxAnswer bounds what a client reads, in bytes.
const maxAnswer = 4 << 20

// Client talks to the agent behind one socket.
type Client struct {
	path string
	http *http.Client
}

// NewClient returns a client for the agent at the unix socket path.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{path: path, http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Status asks the agent how things are. Its text can be shown on a terminal.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.call(ctx, http.MethodGet, statusPath, nil, &s)
	legible.Strings(&s)
	return s, err
}

// History asks for the claims that the cluster remembers, oldest first. Its text can be shown on a terminal.
func (c *Client) History(ctx context.Context) ([]Move, error) {
	var all []Move
	err := c.call(ctx, http.MethodGet, historyPath, nil, &all)
	legible.Strings(&all)
	return all, err
}

// Events copies the agent's events to w, a line of JSON each, until ctx ends, which is no error, or the agent does.
func (c *Client) Events(ctx context.Context, w io.Writer) error {
	resp, err := c.request(ctx, http.MethodGet, eventsPath, nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(w, resp.Body)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("copy events: %w", err)
	default:
		return errors.New("the agent has ended")
	}
}

// Transfer asks for a move of the address to a node ("" = the best candidate) and returns the node chosen.
func (c *Client) Transfer(ctx context.Context, to string) (string, error) {
	var out controller.TransferAnswer
	err := c.call(ctx, http.MethodPost, transferPath, transferRequest{To: to}, &out)
	return string(out.To), err
}

// Drain takes a node out of the candidates, or back among them. It returns when the cluster has committed that.
func (c *Client) Drain(ctx context.Context, node string, drained bool) error {
	return c.call(ctx, http.MethodPost, drainPath, drainRequest{Node: node, Drained: drained}, &struct{}{})
}

// Reload lets the agent read its configuration file anew.
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	var out Reloaded
	err := c.call(ctx, http.MethodPost, reloadPath, struct{}{}, &out)
	return out, err
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the agent's answer: %w", err)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("read the agent's answer: %w", err)
	}
	return nil
}

// request returns an answer that says OK; its body is the caller's to close.
func (c *Client) request(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, &body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &Unreachable{c.unreachable(err)}
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the agent's answer: %w", err)
	}
	return nil, errors.New(legible.Line(strings.TrimSpace(string(text))))
}

// Unreachable is the error of a request that no agent has answered. Its words name the remedy.
type Unreachable struct{ error }

// Unwrap returns the cause, where it tells more.
func (e *Unreachable) Unwrap() error { return e.error }

func (c *Client) unreachable(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no agent answers at %s: start it with 'systemctl start hacluster', or name its socket with --socket", c.path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("no permission for %s: run this as root, or join its group (admin.group, 'ls -l %s'): %w", c.path, c.path, fs.ErrPermission)
	default:
		return fmt.Errorf("ask the agent at %s: %w", c.path, err)
	}
}
