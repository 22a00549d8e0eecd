package eip

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

const (
	maxMetadata = 64 << 10 // bytes of one answer; a role's credentials have about 2 KiB
	// metadataWithin bounds a connection to IMDS, and the wait for its answer: it is on this machine.
	metadataWithin = time.Second
)

// newMetadata returns a client of the instance metadata service, version 2 only. The SDK's own reads a token to its end, however far
// that is, and follows redirects. A nil retryer is the SDK's.
func newMetadata(endpoint string, retryer aws.Retryer) *imds.Client {
	base := awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = metadataWithin }).
		WithTransportOptions(func(t *http.Transport) {
			t.ResponseHeaderTimeout, t.MaxResponseHeaderBytes, t.Proxy = metadataWithin, maxHeader, nil
		}).GetTransport()
	client := &http.Client{
		Transport:     shortAnswers{base},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return imds.New(imds.Options{Endpoint: endpoint, EnableFallback: aws.FalseTernary, HTTPClient: client, Retryer: retryer})
}

// shortAnswers is a RoundTripper whose answers end after maxMetadata bytes.
type shortAnswers struct{ base *http.Transport }

// RoundTrip implements http.RoundTripper.
func (s shortAnswers) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, maxMetadata)
	return resp, nil
}

// CloseIdleConnections closes the connections that carry no request.
func (s shortAnswers) CloseIdleConnections() { s.base.CloseIdleConnections() }

// readMetadata reads an answer, which is plain ASCII in all that is asked for here.
func readMetadata(body io.Reader) (string, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return "", err
	}
	for _, b := range text {
		if (b < ' ' || b > '~') && b != '\n' {
			return "", fmt.Errorf("the answer holds the byte %#02x: this is not the metadata service of EC2", b)
		}
	}
	return strings.TrimSpace(string(text)), nil
}

// checkRegion refuses what is no region: the name becomes part of the host that signed requests go to.
func checkRegion(name string) error {
	foreign := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }
	if name == "" || len(name) > maxID || strings.ContainsFunc(name, foreign) {
		return fmt.Errorf("%.40q is no name of a region", name)
	}
	return nil
}
