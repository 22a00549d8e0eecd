package eip

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

// One address through its life, by the calls that a takeover and a handover make.
func TestMoves(t *testing.T) {
	fake, c := newPair(t)
	observe := func() Address {
		t.Helper()
		a, err := c.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	want := Address{AllocationID: testAlloc, PublicIP: netip.MustParseAddr("203.0.113.10")}
	if got := observe(); got != want || !got.Free() || got.At(here()) {
		t.Fatalf("at first: %+v, want a free address", got)
	}

	id, err := c.Associate(t.Context(), false, permit)
	if err != nil {
		t.Fatal(err)
	}
	want.AssociationID, want.ENI, want.PrivateIP, want.InstanceID = id, here().ENI, here().PrivateIP, "i-a"
	if got := observe(); got != want || !got.At(here()) || got.At(there()) {
		t.Errorf("associated: %+v, want %+v", got, want)
	}
	if again, err := c.Associate(t.Context(), false, permit); err != nil || again != id {
		t.Errorf("repeat: %s, %v; want %s", again, err, id)
	}

	foreign, err := fake.Associate(string(testAlloc), there().PrivateIP)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Associate(t.Context(), false, permit)
	wantClass(t, err, Conflict)
	if err := c.Disassociate(t.Context(), id, permit); err != nil {
		t.Errorf("an id that is gone: %v, want success", err)
	}
	if got := observe(); got.AssociationID != AssociationID(foreign) || !got.At(there()) {
		t.Errorf("a stale id moved the address: %+v", got)
	}
	if err := c.Disassociate(t.Context(), AssociationID(foreign), permit); err != nil {
		t.Fatal(err)
	}
	if got := observe(); !got.Free() {
		t.Errorf("disassociated: %+v, want free", got)
	}

	if _, err := fake.Associate(string(testAlloc), there().PrivateIP); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Associate(t.Context(), true, permit); err != nil {
		t.Fatal(err)
	}
	if got := observe(); !got.At(here()) {
		t.Errorf("taken: %+v", got)
	}
}

// The outcome of one call, its class, and what the operator is told.
func TestOutcomes(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault ec2fake.Fault
		class Class
		says  []string
	}{
		{"fine", ec2fake.Fault{Kind: ec2fake.Latency}, Done, nil},
		{"denied", ec2fake.Fault{Kind: ec2fake.Deny}, Denied,
			[]string{"associate address eipalloc-1: access denied: allow ec2:AssociateAddress in the policy of the instance role"}},
		{"throttled", ec2fake.Fault{Kind: ec2fake.Throttle}, Throttled, []string{"RequestLimitExceeded"}},
		{"overloaded", ec2fake.Fault{Kind: ec2fake.ErrorBefore, Code: "Unavailable", Status: 503}, Unknown, []string{"Unavailable"}},
		{"wrong state", ec2fake.Fault{Kind: ec2fake.ErrorBefore, Code: "IncorrectInstanceState", Status: 400}, Retry, nil},
		{"clock off", ec2fake.Fault{Kind: ec2fake.ErrorBefore, Code: "RequestExpired", Status: 400}, Retry, []string{"check the clock"}},
		{"credentials", ec2fake.Fault{Kind: ec2fake.ErrorBefore, Code: "AuthFailure", Status: 401}, Denied, []string{"credentials are not valid"}},
		{"region", ec2fake.Fault{Kind: ec2fake.ErrorBefore, Code: "OptInRequired", Status: 403}, Denied, []string{"aws.region"}},
		{"no such interface", ec2fake.Fault{Kind: ec2fake.ErrorBefore, Code: "InvalidNetworkInterfaceID.NotFound", Status: 400}, Gone,
			[]string{"no network interface eni-a in region eu-central-1: check aws.network_interface_id"}},
		{"internal error, not done", ec2fake.Fault{Kind: ec2fake.ErrorBefore}, Unknown, []string{"InternalError"}},
		{"internal error, done", ec2fake.Fault{Kind: ec2fake.ErrorAfter}, Unknown, []string{"InternalError"}},
		{"a code nobody knows", ec2fake.Fault{Kind: ec2fake.ErrorBefore, Code: "TeapotIsShort", Status: 400}, Unknown, []string{"TeapotIsShort"}},
		{"dropped", ec2fake.Fault{Kind: ec2fake.Drop}, Unknown, []string{"EOF"}},
		{"answer lost", ec2fake.Fault{Kind: ec2fake.LostAnswer}, Unknown, []string{"EOF"}},
		{"too slow", ec2fake.Fault{Kind: ec2fake.Latency, Delay: millis(800)}, Unknown, []string{"deadline exceeded"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fake, c := newPair(t, func(cfg *Config) {
				if cfg.AttemptTimeout = 5 * time.Second; tc.fault.Delay > 0 {
					cfg.AttemptTimeout = 500 * time.Millisecond
				}
			})
			inject(t, fake, tc.fault)
			_, err := c.Associate(t.Context(), true, permit)
			wantClass(t, err, tc.class)
			if tc.class != Done {
				wantText(t, err, append(tc.says, "associate address eipalloc-1: ")...)
			}
			if n := len(fake.Calls(0)); n != 1 {
				t.Errorf("%d requests, want exactly one", n)
			}
		})
	}
}

// A class that says "certainly not done" must be true: the emulator knows.
func TestCertaintyAgreesWithTheTruth(t *testing.T) {
	for _, kind := range []ec2fake.Kind{ec2fake.Latency, ec2fake.Drop, ec2fake.LostAnswer, ec2fake.LateEffect, ec2fake.ErrorBefore,
		ec2fake.ErrorAfter, ec2fake.Throttle, ec2fake.Deny} {
		fake, c := newPair(t)
		inject(t, fake, ec2fake.Fault{Kind: kind, Delay: millis(20)})
		_, err := c.Associate(t.Context(), true, permit)
		class := Classify(err)
		deadline := time.Now().Add(10 * time.Second)
		for !fake.Calls(0)[0].Done && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond) // the emulator's late effect is a process of its own
		}
		done := fake.Calls(0)[0].Changed
		if class.CertainlyNotDone() && done || class == Done && !done {
			t.Errorf("%s: class %q, but done: %v", kind, class, done)
		}
	}
}

func TestObserveErrors(t *testing.T) {
	fake, c := newPair(t, func(cfg *Config) { cfg.AllocationID = "eipalloc-9" })
	_, err := c.Observe(t.Context())
	wantClass(t, err, Gone)
	wantText(t, err, "describe address eipalloc-9: no such Elastic IP in region eu-central-1: check eip.allocation_id and aws.region")
	inject(t, fake, ec2fake.Fault{Kind: ec2fake.Deny})
	_, err = c.Observe(t.Context())
	wantText(t, err, "allow ec2:DescribeAddresses")
	if strings.Contains(err.Error(), "Encoded") {
		t.Errorf("a kilobyte of encoded message in the log: %v", err)
	}
}

// What EC2 never answers: it must be an error, and never "not done".
func TestAnswersThatAreNone(t *testing.T) {
	for _, tc := range []struct {
		name    string
		handler http.HandlerFunc
	}{
		{"200 that is not XML", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }},
		{"200 that is another page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/xml")
			_, _ = w.Write([]byte("<html>captive portal</html>"))
		}},
		{"200 of three megabytes", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/xml")
			_, _ = w.Write([]byte("<AssociateAddressResponse>" + strings.Repeat("<x>y</x>", 3<<17) +
				"<associationId>eipassoc-1</associationId></AssociateAddressResponse>"))
		}},
		{"502 of a proxy", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<html>bad gateway", http.StatusBadGateway)
		}},
		{"503 without a body", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }},
		{"400 without a body", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }},
		{"a redirect that keeps the method", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}},
		{"a redirect to a GET", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/?Action=x", http.StatusFound) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			requests := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				tc.handler(w, r)
			}))
			defer srv.Close()
			_, err := newClient(t, srv.URL).Associate(t.Context(), true, permit)
			wantClass(t, err, Unknown)
			if err == nil || requests != 1 {
				t.Errorf("%d requests, error %v; want one request and an error", requests, err)
			}
		})
	}
}

// DisassociateAddress answers with nothing that could be checked but its type.
func TestDisassociateAnsweredByNoEC2(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>hello")) }))
	defer srv.Close()
	wantClass(t, newClient(t, srv.URL).Disassociate(t.Context(), "eipassoc-1", permit), Unknown)
}

func TestNothingSent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	l.Close()

	t.Run("connection refused", func(t *testing.T) {
		_, err := newClient(t, closed).Associate(t.Context(), true, permit)
		wantClass(t, err, NotSent)
		wantText(t, err, "the EC2 endpoint "+closed+" was not reached", "VPC endpoint", "connection refused")
	})
	t.Run("no such host", func(t *testing.T) {
		_, err := newClient(t, "http://ec2.invalid").Associate(t.Context(), true, permit)
		wantClass(t, err, NotSent)
	})
	t.Run("no credentials", func(t *testing.T) {
		_, err := newClient(t, closed, func(cfg *Config) {
			cfg.Credentials, cfg.IMDSEndpoint, cfg.AttemptTimeout = nil, closed, 10*time.Second
		}).Associate(t.Context(), true, permit)
		wantClass(t, err, NotSent)
		wantText(t, err, "no AWS credentials: attach an instance profile")
	})
	t.Run("cancelled before", func(t *testing.T) {
		fake, c := newPair(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := c.Associate(ctx, true, permit)
		wantClass(t, err, NotSent)
		if n := len(fake.Calls(0)); n != 0 {
			t.Errorf("%d requests, want none", n)
		}
	})
	t.Run("no association id", func(t *testing.T) {
		fake, c := newPair(t)
		wantClass(t, c.Disassociate(t.Context(), "", permit), NotSent)
		if n := len(fake.Calls(0)); n != 0 {
			t.Errorf("%d requests, want none", n)
		}
	})
}

func TestPreflight(t *testing.T) {
	for _, tc := range []struct {
		name  string
		setup func(*testing.T, *ec2fake.Server)
		says  []string // nil: no objection
	}{
		{"free address", func(*testing.T, *ec2fake.Server) {}, nil},
		{"held by another", func(t *testing.T, f *ec2fake.Server) {
			if _, err := f.Associate(string(testAlloc), there().PrivateIP); err != nil {
				t.Fatal(err)
			}
		}, nil},
		{"may not associate", func(t *testing.T, f *ec2fake.Server) {
			inject(t, f, ec2fake.Fault{Kind: ec2fake.Deny, Action: "AssociateAddress"})
		}, []string{"allow ec2:AssociateAddress"}},
		{"may do nothing", func(t *testing.T, f *ec2fake.Server) { inject(t, f, ec2fake.Fault{Kind: ec2fake.Deny}) },
			[]string{"allow ec2:DescribeAddresses", "allow ec2:AssociateAddress", "allow ec2:DisassociateAddress"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fake, c := newPair(t)
			tc.setup(t, fake)
			before := fake.State().Addresses[0]
			err := c.Preflight(t.Context())
			if tc.says == nil && err != nil {
				t.Errorf("objects: %v", err)
			} else if tc.says != nil {
				wantText(t, err, tc.says...)
			}
			if fake.State().Addresses[0] != before {
				t.Error("changed the address")
			}
			if n := len(fake.Calls(0)); n != 3 {
				t.Errorf("%d requests, want a read and two dry runs", n)
			}
			for _, call := range fake.Calls(0) {
				if call.Mutating() {
					t.Errorf("a call that is no dry run: %+v", call)
				}
			}
		})
	}
}

func TestRoleCredentialsAndRegionByIMDS(t *testing.T) {
	fake := newFake(t)
	api, meta := httptest.NewServer(fake.EC2()), httptest.NewServer(fake.IMDS())
	defer api.Close()
	defer meta.Close()
	c := newClient(t, api.URL, func(cfg *Config) { cfg.Region, cfg.Credentials, cfg.IMDSEndpoint = "", nil, meta.URL })
	if _, err := c.Associate(t.Context(), false, permit); err != nil {
		t.Fatal(err)
	}
	if call := fake.Calls(0)[0]; !strings.HasPrefix(call.AccessKey, "ASIA") || call.Code != ec2fake.OutcomeOK {
		t.Errorf("call: %+v, want one by a role", call)
	}
}

func TestConfigIsRefused(t *testing.T) {
	_, err := New(t.Context(), Config{AttemptTimeout: -1})
	wantText(t, err, "eip.allocation_id", "aws.network_interface_id", "aws.private_ip", "negative")
	_, err = New(t.Context(), Config{AllocationID: testAlloc, Target: Target{ENI: "eni-a", PrivateIP: netip.MustParseAddr("2001:db8::1")}})
	wantText(t, err, "2001:db8::1 is not an IPv4 address")
}
