package eip

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

// metadataService is the emulator's IMDS without sockets, for the SDK's own provider of role credentials. It counts who waits.
type metadataService struct {
	fake          *ec2fake.Server
	onPath, ahead atomic.Int32 // requests while a call waits, and others
	hangs         atomic.Bool
}

// Do implements imds.HTTPClient.
func (m *metadataService) Do(req *http.Request) (*http.Response, error) {
	if gateOf(req.Context()) != nil {
		m.onPath.Add(1)
	} else {
		m.ahead.Add(1)
	}
	if m.hangs.Load() {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	req.RemoteAddr = "127.0.0.1:1"
	answer := httptest.NewRecorder()
	m.fake.IMDS().ServeHTTP(answer, req)
	return answer.Result(), nil
}

// role is the SDK's provider of role credentials, as the default chain builds it.
func role(m *metadataService) aws.CredentialsProvider {
	provider := ec2rolecreds.New(func(o *ec2rolecreds.Options) {
		o.Client = imds.New(imds.Options{HTTPClient: m, Retryer: aws.NopRetryer{}})
	})
	return aws.NewCredentialsCache(provider, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = 5 * time.Minute })
}

// Role credentials expire every hour (the SDK's cap). Of two hours of calls, one a minute, only the first waits for IMDS.
func TestNoCallWaitsForCredentials(t *testing.T) {
	m := &metadataService{}
	inBubble(t, nil, func(b *bubble) {
		m.fake = b.fake
		b.read()
		if m.onPath.Swap(0) == 0 {
			b.Fatal("the first call asked nobody: nothing is counted")
		}
		for range 130 {
			b.pass(time.Minute)
			b.read()
			if expire := b.client.Warm().CredentialsExpire; !expire.After(time.Now()) {
				b.Fatalf("now %s, the credentials expired at %s", time.Now(), expire)
			}
		}
		if n := m.onPath.Load(); n != 0 {
			b.Errorf("calls waited for %d requests to IMDS, want none", n)
		}
		if n := m.ahead.Load(); n < 3*2 || n > 3*3 {
			b.Errorf("%d requests to IMDS in 130 minutes, want about three an hour", n)
		}
	}, func(cfg *Config) { cfg.Credentials = role(m) })
}

// inRole runs test with a store of role credentials, kept fresh if keep says so.
func inRole(t *testing.T, keep bool, test func(*testing.T, *metadataService, *credentialStore)) {
	synctest.Test(t, func(t *testing.T) {
		m := &metadataService{fake: newFake(t)}
		store := &credentialStore{source: role(m)}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if keep {
				store.run(ctx)
			}
		}()
		defer func() { stop(); <-ended }()
		test(t, m, store)
	})
}

// sign asks for credentials as a call does.
func sign(t *testing.T, store *credentialStore) aws.Credentials {
	t.Helper()
	creds, err := store.Retrieve(withGate(t.Context(), &gate{}))
	if err != nil {
		t.Fatal(err)
	}
	return creds
}

// Without Run the store behaves as the SDK does: who finds the credentials expired fetches new ones.
func TestCredentialsWithoutRun(t *testing.T) {
	inRole(t, false, func(t *testing.T, m *metadataService, store *credentialStore) {
		sign(t, store)
		m.onPath.Store(0)
		time.Sleep(time.Hour) // virtual
		if creds := sign(t, store); creds.Expired() || m.onPath.Load() == 0 {
			t.Errorf("expired %v after %d requests to IMDS", creds.Expired(), m.onPath.Load())
		}
	})
}

// IMDS hangs for longer than the credentials last. A call waits for it a moment, then signs with what it has: EC2 may still
// honour that (the SDK dates the expiry back, and AWS extends credentials when it cannot renew them).
func TestCredentialsOutliveIMDS(t *testing.T) {
	inRole(t, true, func(t *testing.T, m *metadataService, store *credentialStore) {
		held := sign(t, store)
		m.hangs.Store(true)
		time.Sleep(time.Hour) // virtual
		start := time.Now()
		if creds := sign(t, store); creds.AccessKeyID != held.AccessKeyID || time.Since(start) > fetchWithin {
			t.Errorf("signed with %q after %s, want the old %q within %s", creds.AccessKeyID, time.Since(start), held.AccessKeyID, fetchWithin)
		}
		if _, err := store.newest(); !errors.Is(err, errNoCredentials) {
			t.Errorf("nobody is told: %v", err)
		}
		m.hangs.Store(false)
		time.Sleep(2 * refreshEvery)
		if creds := sign(t, store); creds.Expired() {
			t.Errorf("IMDS is back, and the credentials are still those that expired at %s", creds.Expires)
		}
	})
}

// A clock that is off is found out by the first answer, and the next call is signed with the time corrected: in one request.
func TestClockSkewIsCorrectedAhead(t *testing.T) {
	const ahead = 20 * time.Minute // EC2 accepts 15
	fake, err := ec2fake.New(ec2fake.Config{
		Region: testRegion, Addresses: []ec2fake.AddressSpec{{AllocationID: string(testAlloc), PublicIP: publicIP()}},
		Instances:  []ec2fake.InstanceSpec{{ID: "i-a", ENI: string(here().ENI), PrivateIPs: []netip.Addr{here().PrivateIP}}},
		AccessKeys: []ec2fake.AccessKey{{ID: "AKIATEST", Secret: "a secret"}},
		Now:        func() time.Time { return time.Now().Add(ahead) },
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		fake.EC2().ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	c := newClient(t, srv.URL)
	_, err = c.Observe(t.Context())
	wantClass(t, err, Retry)
	if _, err := c.Associate(t.Context(), true, permit); err != nil {
		t.Errorf("after an answer with the right time: %v", err)
	}
	if n := len(fake.Calls(0)); n != 2 {
		t.Errorf("%d requests, want one a call", n)
	}
}
