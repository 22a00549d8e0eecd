package ec2fake_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"
	"go.uber.org/goleak"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The account of all tests: two Elastic IPs, and three instances of which a has a second private address and is where
// requests from 127.0.0.1 come from.
const (
	region     = "eu-central-1"
	alloc1     = "eipalloc-1"
	alloc2     = "eipalloc-2"
	public1    = "203.0.113.10"
	public2    = "203.0.113.20"
	instanceA  = "i-a"
	instanceB  = "i-b"
	instanceC  = "i-c"
	eniA       = "eni-a"
	eniB       = "eni-b"
	eniC       = "eni-c"
	privateA   = "10.20.0.11"
	privateA2  = "10.20.0.111"
	privateB   = "10.20.0.12"
	privateC   = "10.20.0.13"
	keyID      = "AKIATEST"
	keySecret  = "a secret"
	waitForAll = 10 * time.Second // never reached unless a test fails
)

func testConfig() ec2fake.Config {
	addr := netip.MustParseAddr
	return ec2fake.Config{
		Region: region,
		Addresses: []ec2fake.AddressSpec{
			{AllocationID: alloc1, PublicIP: addr(public1), Tags: map[string]string{"Name": "front", "hacluster": "demo"}},
			{AllocationID: alloc2, PublicIP: addr(public2)},
		},
		Instances: []ec2fake.InstanceSpec{
			{ID: instanceA, ENI: eniA, PrivateIPs: []netip.Addr{addr(privateA), addr(privateA2)},
				SourceIPs: []netip.Addr{addr("127.0.0.1")}, Tags: map[string]string{"hacluster": "demo"}},
			{ID: instanceB, ENI: eniB, PrivateIPs: []netip.Addr{addr(privateB)}, SourceIPs: []netip.Addr{addr("127.0.0.2")}},
			{ID: instanceC, ENI: eniC, PrivateIPs: []netip.Addr{addr(privateC)}},
		},
		AccessKeys: []ec2fake.AccessKey{{ID: keyID, Secret: keySecret}},
	}
}

// world is an emulator behind real HTTP servers.
type world struct {
	t    *testing.T
	fake *ec2fake.Server
	ec2  *httptest.Server
	imds *httptest.Server
	http *http.Client
}

func newWorld(t *testing.T, change ...func(*ec2fake.Config)) *world {
	t.Helper()
	cfg := testConfig()
	for _, f := range change {
		f(&cfg)
	}
	fake, err := ec2fake.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, fake: fake, ec2: httptest.NewServer(fake.EC2()), imds: httptest.NewServer(fake.IMDS()),
		http: &http.Client{Transport: &http.Transport{}},
	}
	t.Cleanup(func() {
		w.http.CloseIdleConnections()
		if err := fake.Close(); err != nil {
			t.Error(err)
		}
		w.ec2.Close()
		w.imds.Close()
	})
	return w
}

// sdk returns an unmodified SDK client with retries off.
func (w *world) sdk(change ...func(*ec2.Options)) *ec2.Client {
	o := ec2.Options{
		Region: region, BaseEndpoint: aws.String(w.ec2.URL), Retryer: aws.NopRetryer{}, HTTPClient: w.http,
		Credentials: credentials.NewStaticCredentialsProvider(keyID, keySecret, ""),
	}
	return ec2.New(o, change...)
}

// associate moves an address to an ENI's primary private address; allow nil leaves AllowReassociation out.
func (w *world) associate(allocation, eni string, allow *bool) (string, error) {
	w.t.Helper()
	out, err := w.sdk().AssociateAddress(w.t.Context(), &ec2.AssociateAddressInput{
		AllocationId: &allocation, NetworkInterfaceId: &eni, AllowReassociation: allow,
	})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.AssociationId), nil
}

func (w *world) mustAssociate(allocation, eni string) string {
	w.t.Helper()
	id, err := w.associate(allocation, eni, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) disassociate(id string) error {
	_, err := w.sdk().DisassociateAddress(w.t.Context(), &ec2.DisassociateAddressInput{AssociationId: &id})
	return err
}

// holder returns the truth about the first address: association id and instance.
func (w *world) holder() (id, instance string) {
	a := w.fake.State().Addresses[0]
	return a.AssociationID, a.Instance
}

// code returns the EC2 error code in err, "" for nil, and the error's text if it has none.
func code(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &api):
		return api.ErrorCode()
	default:
		return "no EC2 code: " + err.Error()
	}
}

func wantCode(t *testing.T, err error, want string) {
	t.Helper()
	if got := code(err); got != want {
		t.Errorf("got error code %q, want %q (%v)", got, want, err)
	}
}

// eventually polls until ok, because a delayed effect lands on another goroutine.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(waitForAll)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not reached: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// clock is a Config.Now that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// buffer is a bytes.Buffer that a test may read while the Server writes.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.b.Bytes())
}
