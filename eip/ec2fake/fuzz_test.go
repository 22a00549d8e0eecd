package ec2fake_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

// FuzzQuery: whatever form is sent, with a good signature, the answer is one of EC2's, and only what asks for a change makes
// one. Seeds are in testdata/fuzz.
func FuzzQuery(f *testing.F) {
	f.Fuzz(func(t *testing.T, form string) {
		fake, err := ec2fake.New(testConfig())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fake.Associate(alloc1, netip.MustParseAddr(privateA)); err != nil {
			t.Fatal(err)
		}
		before := fake.State().Addresses
		resp := httptest.NewRecorder()
		fake.EC2().ServeHTTP(resp, signedForm(t, form))
		after, call := fake.State().Addresses, fake.Calls(0)[0]

		statuses := []int{http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusPreconditionFailed}
		if !slices.Contains(statuses, resp.Code) || (resp.Code == http.StatusOK) != (call.Code == ec2fake.OutcomeOK) {
			t.Errorf("answered %d, recorded as %s", resp.Code, call.Code)
		}
		if err := wellFormed(resp.Body.Bytes()); err != nil {
			t.Errorf("answer: %v\n%s", err, resp.Body)
		}
		if changed := !slices.Equal(before, after); changed != call.Changed || changed && (!call.Mutating() || resp.Code != http.StatusOK) {
			t.Errorf("changed %v by a call that is recorded as %+v", changed, call)
		}
		if values, err := url.ParseQuery(form); err == nil && values.Has("DryRun") && values.Get("DryRun") != "false" && call.Changed {
			t.Errorf("a dry run changed the state: %v", after)
		}
		checkAddresses(t, after)
	})
}

// checkAddresses: an Elastic IP is at an address of its interface, and no two are at the same one.
func checkAddresses(t *testing.T, addresses []ec2fake.AddressState) {
	t.Helper()
	owner := map[string]string{privateA: eniA, privateA2: eniA, privateB: eniB, privateC: eniC}
	seen := make(map[netip.Addr]bool)
	for _, a := range addresses {
		if a.AssociationID == "" {
			continue
		}
		if owner[a.PrivateIP.String()] != a.ENI || seen[a.PrivateIP] {
			t.Errorf("impossible state: %+v", addresses)
		}
		seen[a.PrivateIP] = true
	}
}

func signedForm(t *testing.T, form string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://ec2.invalid/", strings.NewReader(form))
	creds := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: keySecret}
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(form)))
	if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, hash, "ec2", region, time.Now()); err != nil {
		t.Fatal(err)
	}
	return r
}

func wellFormed(text []byte) error {
	d := xml.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
