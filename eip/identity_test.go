package eip

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func TestIdentify(t *testing.T) {
	second := netip.MustParseAddr("10.20.0.111")
	whole := Identity{InstanceID: "i-a", Region: testRegion, AvailabilityZone: testRegion + "a", Target: here(),
		Addresses: []netip.Addr{here().PrivateIP, second}}
	with := func(change func(*Identity)) Identity { id := whole; change(&id); return id }
	for _, tc := range []struct {
		name  string
		cfg   IdentityConfig
		want  Identity
		says  string // of the error
		quiet bool   // IMDS must not be asked
	}{
		{"nothing configured", IdentityConfig{}, whole, "", false},
		{"the interface", IdentityConfig{ENI: "eni-a"}, whole, "", false},
		{"a secondary address", IdentityConfig{PrivateIP: second}, with(func(i *Identity) { i.PrivateIP = second }), "", false},
		{"the region", IdentityConfig{Region: "us-east-1"}, with(func(i *Identity) { i.Region = "us-east-1" }), "", false},
		{"everything", IdentityConfig{Region: "us-east-1", ENI: "eni-z", PrivateIP: second},
			Identity{Region: "us-east-1", Target: Target{ENI: "eni-z", PrivateIP: second}}, "", true},
		{"another's interface", IdentityConfig{ENI: "eni-b"}, Identity{}, `matches aws.network_interface_id "eni-b"`, false},
		{"another's address", IdentityConfig{PrivateIP: there().PrivateIP}, Identity{}, "aws.private_ip 10.20.0.12", false},
		{"an address of another interface", IdentityConfig{ENI: "eni-a", PrivateIP: there().PrivateIP}, Identity{}, "matches", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fake, asked := newFake(t), 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				fake.IMDS().ServeHTTP(w, r)
			}))
			defer srv.Close()
			tc.cfg.IMDSEndpoint = srv.URL
			got, err := Identify(t.Context(), tc.cfg)
			if tc.says != "" {
				wantText(t, err, "identify this instance: ", tc.says)
			} else if err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, tc.want)
			}
			if (asked == 0) != tc.quiet {
				t.Errorf("IMDS asked %d times", asked)
			}
		})
	}
}

// Version 1 of IMDS answers without a token, which a request forged through the HAProxy beside us could use. Never ask it.
func TestIdentifyNeverFallsBackToVersion1(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			http.Error(w, "no version 2 here", http.StatusNotFound)
			return
		}
		t.Errorf("asked without a token: %s", r.URL)
	}))
	defer srv.Close()
	start := time.Now()
	_, err := Identify(t.Context(), IdentityConfig{IMDSEndpoint: srv.URL})
	wantText(t, err, "IMDSv2 does not answer", "hop limit 2", "aws.network_interface_id")
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}
