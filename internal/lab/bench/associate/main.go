// Command associate is the notify_master of the tuned keepalived: one AssociateAddress and nothing else, by a static binary
// that needs a few milliseconds. Keys and AWS_CA_BUNDLE come from the environment, as an operator in a hurry would have it:
// asking the instance metadata would cost two more requests.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const service = "ec2"

func main() {
	endpoint := flag.String("endpoint", "", "URL of the EC2 API")
	region := flag.String("region", "", "AWS region")
	address := flag.String("allocation-id", "", "the Elastic IP")
	target := flag.String("network-interface-id", "", "where it goes")
	flag.Parse()
	if err := associate(*endpoint, *region, *address, *target); err != nil {
		fmt.Fprintln(os.Stderr, "associate:", err)
		os.Exit(1)
	}
}

func associate(endpoint, region, address, target string) error {
	form := url.Values{
		"Action": {"AssociateAddress"}, "Version": {"2016-11-15"}, "AllowReassociation": {"true"},
		"AllocationId": {address}, "NetworkInterfaceId": {target},
	}
	body := form.Encode()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, endpoint+"/", strings.NewReader(body))
	if err != nil {
		return err
	}
	sign(request, region, body, time.Now().UTC())
	client, err := newClient()
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, answer)
	}
	return err
}

func newClient() (*http.Client, error) {
	transport := &http.Transport{}
	if file := os.Getenv("AWS_CA_BUNDLE"); file != "" {
		bundle, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(bundle)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}, nil
}

// sign adds a signature of AWS, version 4.
func sign(r *http.Request, region, body string, now time.Time) {
	const headers = "content-type;host;x-amz-date"
	stamp, day := now.Format("20060102T150405Z"), now.Format("20060102")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	r.Header.Set("X-Amz-Date", stamp)
	canonical := strings.Join([]string{
		r.Method, "/", "",
		"content-type:" + r.Header.Get("Content-Type"), "host:" + r.URL.Host, "x-amz-date:" + stamp, "",
		headers, digest(body),
	}, "\n")
	scope := strings.Join([]string{day, region, service, "aws4_request"}, "/")
	key := []byte("AWS4" + os.Getenv("AWS_SECRET_ACCESS_KEY"))
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	signature := mac(key, strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, digest(canonical)}, "\n"))
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x",
		os.Getenv("AWS_ACCESS_KEY_ID"), scope, headers, signature))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
