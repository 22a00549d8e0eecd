package eip

import (
	"errors"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/goleak"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testRegion = "eu-central-1"
	testAlloc  = AllocationID("eipalloc-1")
)

var errNotLeader = errors.New("not the leader of term 7")

// here is the target of this node, there of another one.
func here() Target  { return Target{ENI: "eni-a", PrivateIP: netip.MustParseAddr("10.20.0.11")} }
func there() Target { return Target{ENI: "eni-b", PrivateIP: netip.MustParseAddr("10.20.0.12")} }

func publicIP() netip.Addr { return netip.MustParseAddr("203.0.113.10") }

func staticKey() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider("AKIATEST", "a secret", "")
}

func newFake(t *testing.T) *ec2fake.Server {
	t.Helper()
	fake, err := ec2fake.New(ec2fake.Config{
		Region:    testRegion,
		Addresses: []ec2fake.AddressSpec{{AllocationID: string(testAlloc), PublicIP: publicIP()}},
		Instances: []ec2fake.InstanceSpec{
			{ID: "i-a", ENI: "eni-a", PrivateIPs: []netip.Addr{here().PrivateIP, netip.MustParseAddr("10.20.0.111")},
				SourceIPs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}},
			{ID: "i-b", ENI: "eni-b", PrivateIPs: []netip.Addr{there().PrivateIP}},
		},
		AccessKeys: []ec2fake.AccessKey{{ID: "AKIATEST", Secret: "a secret"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fake.Close(); err != nil {
			t.Error(err)
		}
	})
	return fake
}

// newClient returns a client of an EC2 endpoint; change may alter its configuration.
func newClient(t testing.TB, endpoint string, change ...func(*Config)) *Client {
	t.Helper()
	// The machine's own AWS configuration must not matter.
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_CA_BUNDLE", "AWS_ACCESS_KEY_ID",
		"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_EC2_METADATA_DISABLED", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
	cfg := Config{Region: testRegion, Endpoint: endpoint, AllocationID: testAlloc, Target: here(), Credentials: staticKey()}
	for _, f := range change {
		f(&cfg)
	}
	c, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.transport.CloseIdleConnections)
	return c
}

// newPair returns an emulator served over HTTP and a client of it.
func newPair(t *testing.T, change ...func(*Config)) (*ec2fake.Server, *Client) {
	t.Helper()
	fake := newFake(t)
	srv := httptest.NewServer(fake.EC2())
	t.Cleanup(srv.Close)
	return fake, newClient(t, srv.URL, change...)
}

func inject(t *testing.T, fake *ec2fake.Server, faults ...ec2fake.Fault) {
	t.Helper()
	if err := fake.SetFaults(faults); err != nil {
		t.Fatal(err)
	}
}

func wantClass(t *testing.T, err error, want Class) {
	t.Helper()
	if got := Classify(err); got != want {
		t.Errorf("class %q, want %q: %v", got, want, err)
	}
}

func wantText(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error does not say %q: %v", p, err)
		}
	}
}

func permit() error { return nil }

func millis(n int) ec2fake.Duration { return ec2fake.Duration(time.Duration(n) * time.Millisecond) }
