package eip

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

// newGroup returns an emulator of n Elastic IPs, eipalloc-1 and so on, and a Group of them: each has a private address of its own here, and
// one on another instance.
func newGroup(t *testing.T, n int) (*ec2fake.Server, *Group) {
	t.Helper()
	cfg := ec2fake.Config{
		Region: testRegion, AccessKeys: []ec2fake.AccessKey{{ID: "AKIATEST", Secret: "a secret"}},
		Instances: []ec2fake.InstanceSpec{{ID: "i-a", ENI: "eni-a"}, {ID: "i-b", ENI: "eni-b"}},
	}
	for i := 1; i <= n; i++ {
		cfg.Addresses = append(cfg.Addresses, ec2fake.AddressSpec{AllocationID: fmt.Sprintf("eipalloc-%d", i), PublicIP: netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})})
		cfg.Instances[0].PrivateIPs = append(cfg.Instances[0].PrivateIPs, atA(i))
		cfg.Instances[1].PrivateIPs = append(cfg.Instances[1].PrivateIPs, atB(i))
	}
	fake, err := ec2fake.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(fake.EC2())
	t.Cleanup(srv.Close)
	g := &Group{access: newClient(t, srv.URL).access}
	for i := 1; i <= n; i++ {
		g.clients = append(g.clients, &Client{access: g.access, id: AllocationID(fmt.Sprintf("eipalloc-%d", i)), target: Target{ENI: "eni-a", PrivateIP: atA(i)}})
	}
	return fake, g
}

func atA(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 20, 1, byte(i)}) }
func atB(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 20, 2, byte(i)}) }

// actions counts the requests, and fails the test if one would have changed anything.
func actions(t *testing.T, fake *ec2fake.Server) string {
	t.Helper()
	count := map[string]int{}
	for _, call := range fake.Calls(0) {
		count[call.Action]++
		if call.Mutating() {
			t.Errorf("a call that is no dry run: %+v", call)
		}
	}
	return fmt.Sprintf("%d reads, %d associate, %d disassociate", count["DescribeAddresses"], count["AssociateAddress"], count["DisassociateAddress"])
}

// TestPreflightOfSeveral: each address is tried, whatever is wrong with the one before, and all are read at once.
func TestPreflightOfSeveral(t *testing.T) {
	for _, tc := range []struct {
		name  string
		setup func(*testing.T, *ec2fake.Server, *Group)
		calls string
		says  []string // nil: no objection
	}{
		{"all is well", func(*testing.T, *ec2fake.Server, *Group) {}, "1 reads, 3 associate, 3 disassociate", nil},
		{"one may not be associated", func(t *testing.T, f *ec2fake.Server, _ *Group) {
			inject(t, f, ec2fake.Fault{Kind: ec2fake.Deny, Action: "AssociateAddress", Count: 1})
		}, "1 reads, 3 associate, 3 disassociate", []string{"associate address eipalloc-1", "allow ec2:AssociateAddress"}},
		{"one is gone", func(_ *testing.T, _ *ec2fake.Server, g *Group) { g.clients[1].id = "eipalloc-9" },
			"3 reads, 3 associate, 3 disassociate", []string{"describe address eipalloc-9", "no such Elastic IP"}},
		{"nothing may be read", func(t *testing.T, f *ec2fake.Server, _ *Group) {
			inject(t, f, ec2fake.Fault{Kind: ec2fake.Deny, Action: "DescribeAddresses"})
		}, "1 reads, 3 associate, 3 disassociate", []string{"allow ec2:DescribeAddresses"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fake, g := newGroup(t, 3)
			tc.setup(t, fake, g)
			err := g.Preflight(t.Context())
			if tc.says == nil && err != nil {
				t.Errorf("objects: %v", err)
			} else if tc.says != nil {
				wantText(t, err, tc.says...)
				if n := strings.Count(err.Error(), tc.says[0]); n != 1 {
					t.Errorf("it is said %d times: %v", n, err)
				}
			}
			if got := actions(t, fake); got != tc.calls {
				t.Errorf("%s, want %s", got, tc.calls)
			}
		})
	}
}

// TestPreflightEndsWhereEC2Throttles: what EC2 has ready is for the whole account, and who goes on asking takes what comes after.
func TestPreflightEndsWhereEC2Throttles(t *testing.T) {
	fake, g := newGroup(t, 20)
	for range 2 {
		if err := g.Preflight(t.Context()); err != nil {
			t.Fatalf("two starts are within the 50 calls that EC2 has ready: %v", err)
		}
	}
	inject(t, fake, ec2fake.Fault{Kind: ec2fake.Throttle, Action: "DisassociateAddress"})
	wantClass(t, g.Preflight(t.Context()), Throttled)
	if got, want := actions(t, fake), "3 reads, 41 associate, 41 disassociate"; got != want {
		t.Errorf("%s, want %s: it went on", got, want)
	}
	inject(t, fake, ec2fake.Fault{Kind: ec2fake.Deny, Action: "AssociateAddress"}, ec2fake.Fault{Kind: ec2fake.Throttle, Action: "DisassociateAddress"})
	wantClass(t, g.Preflight(t.Context()), Denied) // a refusal is not hidden by it
}

// TestPreflightEndsWhereEC2IsSilent: a start would wait for as many time-outs as there are calls to try.
func TestPreflightEndsWhereEC2IsSilent(t *testing.T) {
	fake, g := newGroup(t, 3)
	inject(t, fake, ec2fake.Fault{Kind: ec2fake.Drop})
	wantClass(t, g.Preflight(t.Context()), Unknown)
	if got, want := actions(t, fake), "1 reads, 0 associate, 0 disassociate"; got != want {
		t.Errorf("%s, want %s: it went on", got, want)
	}
}

// TestInspectSeveral: in the order of the configuration, each with its own error.
func TestInspectSeveral(t *testing.T) {
	fake, g := newGroup(t, 3)
	if _, err := fake.Associate("eipalloc-3", atB(1)); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(g.clients)
	g.clients[1].id = "eipalloc-9"
	found := g.Inspect(t.Context())
	if len(found) != 3 || found[0].AllocationID != "eipalloc-3" || found[0].InstanceID != "i-b" || found[0].Domain != "vpc" || found[2].AllocationID != "eipalloc-1" {
		t.Errorf("%+v", found)
	}
	if found[0].Err != nil || !MeansAddress(found[1].Err) || found[2].Err != nil {
		t.Errorf("%v, %v, %v; want an error of the second", found[0].Err, found[1].Err, found[2].Err)
	}
}

// TestAtTargets finds what is with a target, whichever Elastic IP that is, and nothing that is elsewhere.
func TestAtTargets(t *testing.T) {
	fake, g := newGroup(t, 3)
	g.clients = g.clients[:2]
	for _, tc := range []struct {
		where netip.Addr
		found []AllocationID
	}{
		{atB(1), nil},
		{atA(3), nil}, // the same interface, an address that is no target
		{atA(1), []AllocationID{"eipalloc-3"}},
		{atA(2), []AllocationID{"eipalloc-3"}},
	} {
		if _, err := fake.Associate("eipalloc-3", tc.where); err != nil {
			t.Fatal(err)
		}
		addresses, err := g.AtTargets(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var found []AllocationID
		for _, a := range addresses {
			found = append(found, a.AllocationID)
		}
		if !slices.Equal(found, tc.found) {
			t.Errorf("eipalloc-3 at %s: found %q, want %q", tc.where, found, tc.found)
		}
	}
}
