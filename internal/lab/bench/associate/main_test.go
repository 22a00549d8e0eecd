package main

import (
	"encoding/pem"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

const (
	region  = "eu-central-1"
	address = "eipalloc-0a1b2c3d4e5f60718"
	node    = "eni-0bb00000000000001"
)

// The emulator recomputes each signature, and keeps what was called.
func account(t *testing.T) (*ec2fake.Server, string) {
	t.Helper()
	server, err := ec2fake.New(ec2fake.Config{
		Region:     region,
		Addresses:  []ec2fake.AddressSpec{{AllocationID: address, PublicIP: netip.MustParseAddr("203.0.113.10")}},
		Instances:  []ec2fake.InstanceSpec{{ID: "i-0aa00000000000001", ENI: node, PrivateIPs: []netip.Addr{netip.MustParseAddr("10.20.0.11")}}},
		AccessKeys: []ec2fake.AccessKey{{ID: "AKIAIOSFODNN7EXAMPLE", Secret: "secret"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewTLSServer(server.EC2())
	t.Cleanup(func() {
		api.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw})
	if err := os.WriteFile(bundle, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	return server, api.URL
}

func TestAssociate(t *testing.T) {
	server, endpoint := account(t)
	if err := associate(endpoint, region, address, node); err != nil {
		t.Fatal(err)
	}
	if state := server.State(); state.Addresses[0].ENI != node || state.Calls != 1 {
		t.Errorf("after one call the address is with %q, calls: %d", state.Addresses[0].ENI, state.Calls)
	}
}

func TestAssociateRefused(t *testing.T) {
	_, endpoint := account(t)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "another")
	if err := associate(endpoint, region, address, node); err == nil || !strings.Contains(err.Error(), "AuthFailure") {
		t.Errorf("a wrong key: %v", err)
	}
}
