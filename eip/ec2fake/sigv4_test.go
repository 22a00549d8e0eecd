package ec2fake_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

func TestSignaturesThatAreRefused(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*ec2.Options)
		clock  time.Duration // the server's clock, ahead of the client's
		code   string
	}{
		{"good", func(*ec2.Options) {}, 0, ""},
		{"good, just in time", func(*ec2.Options) {}, 14*time.Minute + 50*time.Second, ""},
		{"wrong secret", func(o *ec2.Options) {
			o.Credentials = credentials.NewStaticCredentialsProvider(keyID, "another secret", "")
		}, 0, "AuthFailure"},
		{"unknown key", func(o *ec2.Options) {
			o.Credentials = credentials.NewStaticCredentialsProvider("AKIANOBODY", keySecret, "")
		}, 0, "AuthFailure"},
		{"a session token that nobody gave", func(o *ec2.Options) {
			o.Credentials = credentials.NewStaticCredentialsProvider(keyID, keySecret, "token")
		}, 0, "AuthFailure"},
		{"signed too long ago", func(*ec2.Options) {}, 15*time.Minute + 10*time.Second, "RequestExpired"},
		{"signed in the future", func(*ec2.Options) {}, -15*time.Minute - 10*time.Second, "RequestExpired"},
		{"signed for another region", func(o *ec2.Options) { o.Region = "us-east-1" }, 0, "AuthFailure"},
		{"not signed", func(o *ec2.Options) { o.Credentials = aws.AnonymousCredentials{} }, 0, "MissingAuthenticationToken"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, func(c *ec2fake.Config) {
				c.Now = func() time.Time { return time.Now().Add(tc.clock) }
			})
			_, err := w.sdk(tc.change).AssociateAddress(t.Context(), &ec2.AssociateAddressInput{
				AllocationId: aws.String(alloc1), NetworkInterfaceId: aws.String(eniA),
			})
			wantCode(t, err, tc.code)
			if id, _ := w.holder(); (id == "") != (tc.code != "") {
				t.Errorf("association %q afterwards", id)
			}
		})
	}
}

// A request that was changed on its way, in the body or in a signed header, is refused.
func TestTamperedRequestsAreRefused(t *testing.T) {
	const body = "Action=DescribeAddresses&Version=2016-11-15"
	for _, tc := range []struct {
		name   string
		tamper func(*http.Request)
		status int
	}{
		{"untouched", func(*http.Request) {}, http.StatusOK},
		{"an unsigned header more", func(r *http.Request) { r.Header.Set("X-Trace", "1") }, http.StatusOK},
		{"another body", func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(strings.Replace(body, "Addresses", "Instances", 1)))
		}, http.StatusUnauthorized},
		{"another signed header", func(r *http.Request) { r.Header.Set("X-Amz-Meta", "b") }, http.StatusUnauthorized},
		{"another date", func(r *http.Request) {
			r.Header.Set("X-Amz-Date", time.Now().UTC().Add(-time.Minute).Format("20060102T150405Z"))
		}, http.StatusUnauthorized},
		{"another path", func(r *http.Request) { r.URL.Path = "/x" }, http.StatusBadRequest},
		{"a header that is no signature", func(r *http.Request) { r.Header.Set("Authorization", "Basic eDp5") }, http.StatusBadRequest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			r := w.signed(body)
			tc.tamper(r)
			resp, err := w.http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tc.status {
				text, _ := io.ReadAll(resp.Body)
				t.Errorf("status %d, want %d\n%s", resp.StatusCode, tc.status, text)
			}
		})
	}
}

// signed returns a request with that body and a good signature.
func (w *world) signed(body string) *http.Request {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.ec2.URL+"/", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Amz-Meta", "  a   spaced value ") // canonical form: trimmed, single spaces
	creds := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: keySecret}
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(body)))
	if err := v4.NewSigner().SignHTTP(w.t.Context(), creds, r, hash, "ec2", region, time.Now()); err != nil {
		w.t.Fatal(err)
	}
	return r
}

// What the SDK would never send, in EC2's own words.
func TestMalformedRequests(t *testing.T) {
	for body, want := range map[string]string{
		"Version=2016-11-15":                                                "<Code>MissingAction</Code>",
		"Action=LaunchRocket&Version=2016-11-15":                            "<Code>InvalidAction</Code>",
		"Action=DescribeAddresses&Version=2009-01-01":                       "<Code>NoSuchVersion</Code>",
		"Action=DescribeAddresses&Version=2016-11-15&DryRun=perhaps":        "<Code>InvalidParameterValue</Code>",
		"Action=DescribeAddresses&Version=2016-11-15&DryRun=1":              "<Code>InvalidParameterValue</Code>", // never a real call
		"Action=DescribeAddresses;%zz":                                      "<Code>MalformedQueryString</Code>",
		"Action=DescribeAddresses&Version=2016-11-15&A=" + big():            "<Code>MalformedQueryString</Code>",
		"Action=DescribeAddresses&Version=2016-11-15&AllocationId.1=ipal-9": "<Code>InvalidAllocationID.NotFound</Code>",
	} {
		w := newWorld(t)
		resp, err := w.http.Do(w.signed(body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), want) ||
			!strings.Contains(string(text), "<Response>") || !strings.Contains(string(text), "<RequestID>") {
			t.Errorf("%.60s: %d %s (%v), want %s", body, resp.StatusCode, text, err, want)
		}
	}
}

// big is more than a request may have.
func big() string { return strings.Repeat("x", 2<<20) }
