package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
)

const (
	maxHTTPHeader = 64 << 10 // bytes of a response that are read at most
	maxHTTPBody   = 64 << 10
)

// httpProber sends a GET.
type httpProber struct {
	cfg    HTTPConfig
	client *http.Client
}

func newHTTPProber(cfg HTTPConfig) httpProber {
	if len(cfg.Status) == 0 {
		cfg.Status = []StatusRange{{Min: 200, Max: 399}}
	}
	return httpProber{cfg: cfg, client: &http.Client{
		// Each probe opens a connection of its own: it goes through the accept queue, as clients do, and a kept one would
		// stay with the old worker after a reload. Proxy is unset because it is our own HAProxy that is to answer.
		Transport: &http.Transport{
			DialContext:            new(net.Dialer).DialContext,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHTTPHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (p httpProber) probe(ctx context.Context, asked func()) (string, error) {
	trace := &httptrace.ClientTrace{WroteRequest: func(info httptrace.WroteRequestInfo) {
		if info.Err == nil {
			asked()
		}
	}}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodGet, p.cfg.URL, nil)
	if err != nil {
		return "", fmt.Errorf("make request: %w", err)
	}
	req.Host = p.cfg.Host // empty: that of the URL
	req.Header.Set("User-Agent", "hacluster")
	resp, err := p.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if _, err := io.CopyN(io.Discard, resp.Body, maxHTTPBody); err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read response: %w", err)
	}
	if !slices.ContainsFunc(p.cfg.Status, func(r StatusRange) bool { return r.contains(resp.StatusCode) }) {
		return "", fmt.Errorf("answered %d, not %s", resp.StatusCode, statusText(p.cfg.Status))
	}
	return fmt.Sprintf("answered %d", resp.StatusCode), nil
}

func (r StatusRange) contains(status int) bool { return status >= r.Min && status <= r.Max }

func statusText(ranges []StatusRange) string {
	texts := make([]string, len(ranges))
	for i, r := range ranges {
		texts[i] = fmt.Sprint(r.Min)
		if r.Max != r.Min {
			texts[i] = fmt.Sprintf("%d-%d", r.Min, r.Max)
		}
	}
	return strings.Join(texts, " or ")
}

// tcpProber opens a connection and closes it.
type tcpProber struct{ address string }

func (p tcpProber) probe(ctx context.Context, _ func()) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.address)
	if err != nil {
		return "", err
	}
	if err := conn.Close(); err != nil {
		return "", fmt.Errorf("close connection: %w", err)
	}
	return "accepted a connection", nil
}
