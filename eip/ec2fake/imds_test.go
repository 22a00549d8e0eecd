package ec2fake_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

// from returns a client whose requests come from that loopback address.
func from(t *testing.T, source string) *http.Client {
	tr := &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}).DialContext}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// request sends one IMDS request with one header and returns status and body.
func request(t *testing.T, c *http.Client, method, url, header, value string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != "" {
		r.Header.Set(header, value)
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(text))
}

const (
	ttlHeader   = "X-aws-ec2-metadata-token-ttl-seconds"
	tokenHeader = "X-aws-ec2-metadata-token"
)

func TestMetadataTree(t *testing.T) {
	w := newWorld(t)
	w.mustAssociate(alloc1, eniA)
	_, token := request(t, w.http, http.MethodPut, w.imds.URL+"/latest/api/token", ttlHeader, "60")
	const mac = "0a:00:00:00:00:00"
	for path, want := range map[string]string{
		"meta-data/instance-id":                                      instanceA,
		"meta-data/mac":                                              mac,
		"meta-data/local-ipv4":                                       privateA,
		"meta-data/public-ipv4":                                      public1,
		"meta-data/placement/":                                       "availability-zone\nregion",
		"meta-data/placement/region":                                 region,
		"meta-data/placement/availability-zone":                      region + "a",
		"meta-data/network/interfaces/macs/":                         mac + "/",
		"meta-data/network/interfaces/macs/" + mac + "/interface-id": eniA,
		"meta-data/network/interfaces/macs/" + mac + "/local-ipv4s":  privateA + "\n" + privateA2,
		"meta-data/network/interfaces/macs/" + mac + "/ipv4-associations/" + public1: privateA,
		"meta-data/iam/security-credentials/":                                        "hacluster",
	} {
		if status, got := request(t, w.http, http.MethodGet, w.imds.URL+"/latest/"+path, tokenHeader, token); status != 200 || got != want {
			t.Errorf("%s: %d %q, want %q", path, status, got, want)
		}
	}
	if status, _ := request(t, w.http, http.MethodGet, w.imds.URL+"/latest/meta-data/nothing", tokenHeader, token); status != 404 {
		t.Errorf("unknown path: %d, want 404", status)
	}
}

func TestMetadataTokens(t *testing.T) {
	now := newClock()
	w := newWorld(t, func(c *ec2fake.Config) { c.Now = now.Now })
	for _, ttl := range []string{"", "0", "21601", "-1", "soon"} {
		if status, _ := request(t, w.http, http.MethodPut, w.imds.URL+"/latest/api/token", ttlHeader, ttl); status != 400 {
			t.Errorf("ttl %q: %d, want 400", ttl, status)
		}
	}
	_, token := request(t, w.http, http.MethodPut, w.imds.URL+"/latest/api/token", ttlHeader, "60")
	get := func(c *http.Client, token string) int {
		status, _ := request(t, c, http.MethodGet, w.imds.URL+"/latest/meta-data/instance-id", tokenHeader, token)
		return status
	}
	if got := get(w.http, ""); got != 401 {
		t.Errorf("without a token (version 1): %d, want 401", got)
	}
	if got := get(w.http, token); got != 200 {
		t.Errorf("with a token: %d, want 200", got)
	}
	if got := get(from(t, "127.0.0.2"), token); got != 401 {
		t.Errorf("with another instance's token: %d, want 401", got)
	}
	if got := get(from(t, "127.0.0.9"), token); got != 403 {
		t.Errorf("from no instance: %d, want 403", got)
	}
	now.advance(time.Minute)
	if got := get(w.http, token); got != 401 {
		t.Errorf("with a token of a minute ago: %d, want 401", got)
	}
}

func TestEachInstanceSeesItself(t *testing.T) {
	w := newWorld(t)
	for source, want := range map[string]string{"127.0.0.1": instanceA, "127.0.0.2": instanceB} {
		client := imds.New(imds.Options{Endpoint: w.imds.URL, HTTPClient: from(t, source), EnableFallback: aws.FalseTernary})
		doc, err := client.GetInstanceIdentityDocument(t.Context(), nil)
		if err != nil || doc.InstanceID != want || doc.Region != region {
			t.Errorf("from %s: got %+v, %v; want %s", source, doc, err, want)
		}
	}
}

// The whole chain with nothing configured but the endpoints: role credentials by IMDS, signed calls, expiry, renewal.
func TestRoleCredentialsEndToEnd(t *testing.T) {
	noAmbientCredentials(t)
	now := newClock()
	w := newWorld(t, func(c *ec2fake.Config) { c.Now, c.SessionLifetime = now.Now, time.Hour })
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", w.imds.URL) // a machine would have 169.254.169.254
	load := func() *ec2.Client {
		cfg, err := config.LoadDefaultConfig(t.Context(), config.WithEC2IMDSRegion(),
			config.WithBaseEndpoint(w.ec2.URL), config.WithHTTPClient(w.http), config.WithRetryMaxAttempts(1))
		if err != nil {
			t.Fatal(err)
		}
		return ec2.NewFromConfig(cfg)
	}
	describe := func(c *ec2.Client) error {
		_, err := c.DescribeAddresses(context.WithoutCancel(t.Context()), &ec2.DescribeAddressesInput{}, func(o *ec2.Options) {
			o.Retryer = aws.NopRetryer{}
		})
		return err
	}
	client := load()
	wantCode(t, describe(client), "")
	call := w.fake.Calls(0)[0]
	if !strings.HasPrefix(call.AccessKey, "ASIA") || call.Instance != instanceA {
		t.Errorf("called with %s from %s, want a session key from %s", call.AccessKey, call.Instance, instanceA)
	}
	creds, err := client.Options().Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The token is part of the credentials: without it the key is nothing.
	bare := w.sdk(func(o *ec2.Options) {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: creds.AccessKeyID, SecretAccessKey: creds.SecretAccessKey}, nil
		})
	})
	wantCode(t, describe(bare), "AuthFailure")

	now.advance(time.Hour)
	wantCode(t, describe(client), "RequestExpired") // the SDK's own clock still says that they are good
	fresh, err := load().Options().Credentials.Retrieve(t.Context())
	if err != nil || fresh.AccessKeyID == creds.AccessKeyID {
		t.Errorf("an hour later: %s, %v; want another key", fresh.AccessKeyID, err)
	}
}

// noAmbientCredentials hides what the machine may have configured.
func noAmbientCredentials(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_CA_BUNDLE",
		"AWS_DEFAULT_REGION", "AWS_EC2_METADATA_DISABLED", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
}
