package eip

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

func TestInspect(t *testing.T) {
	fake, c := newPair(t)
	got, err := c.Inspect(t.Context())
	if err != nil || got.Domain != "vpc" || !got.Free() || got.InterfaceOwner != "" || got.PublicIP != publicIP() {
		t.Errorf("free: %+v, %v", got, err)
	}
	id, err := fake.Associate(string(testAlloc), there().PrivateIP)
	if err != nil {
		t.Fatal(err)
	}
	got, err = c.Inspect(t.Context())
	if err != nil || string(got.AssociationID) != id || got.InstanceID != "i-b" || got.InterfaceOwner == "" {
		t.Errorf("associated: %+v, %v", got, err)
	}
}

// What cannot be told from a right clock is no offset: the date has whole seconds, and the answer took its time.
func TestClockOffset(t *testing.T) {
	date := time.Date(2026, 11, 23, 12, 0, 10, 0, time.UTC)
	at := func(seconds float64) time.Time { return date.Add(time.Duration(seconds * float64(time.Second))) }
	for _, tc := range []struct {
		name           string
		sent, answered float64 // seconds after the date
		want           time.Duration
	}{
		{"right", 0.2, 0.3, 0},
		{"a second that has just ended", 0.9, 1.1, 0},
		{"an answer of a slow EC2", -2, 0.5, 0},
		{"ahead", 31, 31.2, 30 * time.Second},
		{"behind", -40.2, -40, -40 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := Contact{Date: date, Sent: at(tc.sent), Answered: at(tc.answered)}
			if got := c.ClockOffset(); got != tc.want {
				t.Errorf("offset %v, want %v", got, tc.want)
			}
		})
	}
	if got := (Contact{Sent: date, Answered: date}).ClockOffset(); got != 0 {
		t.Errorf("without a date the offset is %v", got)
	}
}

// A refusal tells the time as well as an answer does: with a clock that is far off, there is nothing else.
func TestContactOfARefusal(t *testing.T) {
	wrong := func() time.Time { return time.Now().Add(-time.Hour) }
	fake, err := ec2fake.New(ec2fake.Config{Region: testRegion, Now: wrong, AccessKeys: []ec2fake.AccessKey{{ID: "AKIATEST", Secret: "a secret"}}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(fake.EC2())
	t.Cleanup(srv.Close)
	c := newClient(t, srv.URL)
	if _, ok := c.Contact(); ok {
		t.Error("a contact before any call")
	}
	_, err = c.Observe(t.Context())
	if !MeansClock(err) || !Answered(err) {
		t.Errorf("not understood as a wrong clock: %v", err)
	}
	contact, ok := c.Contact()
	if off := contact.ClockOffset(); !ok || off < 59*time.Minute || off > 61*time.Minute {
		t.Errorf("contact %t, offset %v, want an hour", ok, off)
	}
	if want := srv.Listener.Addr().String(); contact.Remote.String() != want || !contact.Local.IsValid() || contact.Proxied {
		t.Errorf("way %v to %v (proxied %t), want %s", contact.Local, contact.Remote, contact.Proxied, want)
	}
}

func TestMeanings(t *testing.T) {
	for _, tc := range []struct {
		code                        string
		address, permission, clocks bool
	}{
		{"InvalidAllocationID.NotFound", true, false, false},
		{"InvalidAddress.NotFound", true, false, false},
		{"UnauthorizedOperation", false, true, false},
		{"RequestExpired", false, false, true},
		{"RequestLimitExceeded", false, false, false},
	} {
		t.Run(tc.code, func(t *testing.T) {
			fake, c := newPair(t)
			inject(t, fake, ec2fake.Fault{Kind: ec2fake.ErrorBefore, Code: tc.code, Status: 400})
			_, err := c.Inspect(t.Context())
			if MeansAddress(err) != tc.address || MeansPermission(err) != tc.permission || MeansClock(err) != tc.clocks || !Answered(err) {
				t.Errorf("address %t, permission %t, clock %t, answered %t: %v",
					MeansAddress(err), MeansPermission(err), MeansClock(err), Answered(err), err)
			}
		})
	}
	c := newClient(t, "http://127.0.0.1:1") // refused
	if _, err := c.Inspect(t.Context()); err == nil || Answered(err) {
		t.Errorf("nobody answered, and that was not noticed: %v", err)
	}
}

func TestExplain(t *testing.T) {
	fake, c := newPair(t)
	inject(t, fake, ec2fake.Fault{Kind: ec2fake.Deny, Action: "AssociateAddress"})
	text, remedy := Explain(c.TryAssociate(t.Context()))
	if want := "associate address eipalloc-1: UnauthorizedOperation: You are not authorized to perform this operation."; text != want {
		t.Errorf("text %q, want %q", text, want)
	}
	if want := "access denied: allow ec2:AssociateAddress in the policy of the instance role"; remedy != want {
		t.Errorf("remedy %q, want %q", remedy, want)
	}
	_, err := newClient(t, "http://127.0.0.1:1").Inspect(t.Context())
	if text, _ := Explain(err); text != "describe address eipalloc-1: dial tcp 127.0.0.1:1: connect: connection refused" {
		t.Errorf("text %q", text)
	}
	if err := c.TryDisassociate(t.Context(), ""); err != nil {
		t.Errorf("it may disassociate, and there is nothing to disassociate: %v", err)
	}
}

// Credentials that have ended are returned: that they have is what somebody wants to know.
func TestCredentials(t *testing.T) {
	fake := newFake(t)
	metadata := httptest.NewServer(fake.IMDS())
	t.Cleanup(metadata.Close)
	ask := func() Credentials {
		t.Helper()
		c := newClient(t, "http://127.0.0.1:1", func(cfg *Config) { cfg.Credentials, cfg.IMDSEndpoint = nil, metadata.URL })
		got, err := c.Credentials(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := ask(); got.Source != "EC2RoleProvider" || time.Until(got.Expires) < 10*time.Minute {
		t.Errorf("of a role: %+v", got)
	}
	fake.StaleCredentials(true)
	if got := ask(); got.Expires.IsZero() || got.Expires.After(time.Now()) {
		t.Errorf("expired ones of a role: %+v", got)
	}
	fake.StaleCredentials(false)
	if got := ask(); time.Until(got.Expires) < 10*time.Minute {
		t.Errorf("renewed ones: %+v", got)
	}
	if got, err := newClient(t, "http://127.0.0.1:1").Credentials(t.Context()); err != nil || !got.Expires.IsZero() || got.AccessKeyID != "AKIATEST" {
		t.Errorf("long-lived ones: %+v, %v", got, err)
	}
}

// answering is a metadata service that answers everything with one status.
func answering(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}
