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
	return out, c.call(ctx, http.MethodPost, reloadPath, struct{}{}, &out)
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, &body)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the agent's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(legible.Line(strings.TrimSpace(string(text))))
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("read the agent's answer: %w", err)
	}
	return nil
}

func (c *Client) unreachable(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no agent answers at %s: start it with 'hacluster agent --config FILE', or name its socket with --socket", c.path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("no permission for %s: run this as root, or join its group (admin.group, 'ls -l %s'): %w", c.path, c.path, fs.ErrPermission)
	default:
		return fmt.Errorf("ask the agent at %s: %w", c.path, err)
	}
}
