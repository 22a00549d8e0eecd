// Package probe is the lab's client: it asks for a page through the Elastic IP, over a new connection, every few
// milliseconds, and tells for how long clients were not served.
package probe

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// Every is the time between two requests.
	Every = 5 * time.Millisecond
	// Timeout is how long one request may take, connecting included.
	Timeout = 500 * time.Millisecond
	// NodeHeader is the response header in which HAProxy tells its node's name.
	NodeHeader = "X-Node"
)

// Result is the outcome of one request.
type Result struct {
	Start time.Time     `json:"start"`
	Took  time.Duration `json:"took"`
	// Connected tells whether the TCP connection was established, also when the request failed afterwards.
	Connected bool `json:"connected"`
	// Node served the request; empty when it failed.
	Node string `json:"node,omitempty"`
	// Error is empty for a request that was answered with 200.
	Error string `json:"error,omitempty"`
}

// OK reports whether the request was served.
func (r Result) OK() bool { return r.Error == "" }

// Run asks target ("host:port") every Every until ctx ends and writes each Result to w as a line of JSON. Requests do
// not wait for one another, so a request that hangs hides nothing. A slot that the machine was too busy for is left out,
// not caught up.
func Run(ctx context.Context, target string, w io.Writer) error {
	results := make(chan Result, Timeout/Every) // as many as can be in flight: nobody waits for the writer
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return write(ctx, w, results) })
	group.Go(func() error {
		ticker := time.NewTicker(Every)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-ticker.C:
				group.Go(func() error {
					result := ask(ctx, target)
					if ctx.Err() != nil {
						return nil // cut short by the end, not by the server
					}
					select {
					case results <- result:
					case <-ctx.Done():
					}
					return nil
				})
			}
		}
	})
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func write(ctx context.Context, w io.Writer, results <-chan Result) error {
	enc := json.NewEncoder(w)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-results:
			if err := enc.Encode(r); err != nil {
				return fmt.Errorf("write result: %w", err)
			}
		}
	}
}

func ask(ctx context.Context, target string) Result {
	r := Result{Start: time.Now()}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	err := r.get(ctx, target)
	r.Took = time.Since(r.Start)
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

func (r *Result) get(ctx context.Context, target string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", target)
	if err != nil {
		return err
	}
	defer conn.Close()
	r.Connected = true
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	request := "GET / HTTP/1.1\r\nHost: " + target + "\r\nConnection: close\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", response.Status)
	}
	r.Node = response.Header.Get(NodeHeader)
	return nil
}

// Client is the role of the client host: Run, writing to the lab. It ends with the host.
func Client(line *os.File, args []string) error {
	return Run(context.Background(), args[0], line)
}
