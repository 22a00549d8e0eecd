package eip

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// canned answers every AssociateAddress in memory.
type canned struct{}

// Do implements the SDK's HTTPClient.
func (canned) Do(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/xml"}},
		Body: io.NopCloser(strings.NewReader(okAnswer))}, nil
}

// BenchmarkAssociate is the time and memory that one call costs this node, EC2 and the network left out: in the SDK alone, and in
// the SDK, the gate and net/http on a fresh connection in memory.
func BenchmarkAssociate(b *testing.B) {
	b.Run("sdk", func(b *testing.B) {
		c := newClient(b, "https://ec2.eu-central-1.amazonaws.com")
		c.api = callsOf(ec2.New(ec2.Options{Region: c.region, Credentials: c.credentials, HTTPClient: canned{}, Retryer: aws.NopRetryer{}}))
		associate(b, c)
	})
	b.Run("whole", func(b *testing.B) {
		associate(b, newClient(b, "http://ec2.invalid", func(cfg *Config) { cfg.Dial = dialCanned }))
	})
}

func associate(b *testing.B, c *Client) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Associate(b.Context(), true, permit); err != nil {
			b.Fatal(err)
		}
	}
}

func dialCanned(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		if serveOne(far) == nil {
			_, _ = bufio.NewReader(far).ReadByte() // until the client hangs up
		}
	}()
	return near, nil
}
