package eip

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

const launched = "2026-11-01T08:00:00Z"

// newFinder finds by the tag hacluster=edge-1.
func newFinder(t *testing.T, endpoint string) *Finder {
	t.Helper()
	newClient(t, endpoint) // for its environment
	f, err := NewFinder(t.Context(), FinderConfig{Region: testRegion, Endpoint: endpoint, Tag: Tag{"hacluster", "edge-1"}, Credentials: staticKey()})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// tagged is instance n of the emulator's account.
func tagged(n int, value string) ec2fake.InstanceSpec {
	when, _ := time.Parse(time.RFC3339, launched)
	first, second := netip.AddrFrom4([4]byte{10, 1, byte(n), 1}), netip.AddrFrom4([4]byte{10, 1, byte(n), 2})
	return ec2fake.InstanceSpec{ID: fmt.Sprintf("i-%03d", n), ENI: fmt.Sprintf("eni-%03d", n), PrivateIPs: []netip.Addr{first, second},
		Tags: map[string]string{"hacluster": value}, Launched: when}
}

func startTagged(t *testing.T, count int) (*ec2fake.Server, string) {
	t.Helper()
	cfg := ec2fake.Config{Region: testRegion, AccessKeys: []ec2fake.AccessKey{{ID: "AKIATEST", Secret: "a secret"}}}
	for n := range count {
		cfg.Instances = append(cfg.Instances, tagged(n, "edge-1"))
	}
	cfg.Instances = append(cfg.Instances, tagged(200, "edge-2"))
	fake, err := ec2fake.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(fake.EC2())
	t.Cleanup(server.Close)
	return fake, server.URL
}

// TestFind: all that run and have the tag, however many pages that are, and nothing else.
func TestFind(t *testing.T) {
	fake, url := startTagged(t, 120)
	f := newFinder(t, url)
	find := func() []Instance {
		t.Helper()
		found, err := f.Find(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	found := find()
	if len(found) != 120 {
		t.Fatalf("found %d instances, want 120", len(found))
	}
	if calls := fake.Calls(0); len(calls) != 3 {
		t.Errorf("%d calls, want 3 pages", len(calls))
	}
	when, _ := time.Parse(time.RFC3339, launched)
	want := Instance{ID: "i-007", AvailabilityZone: "eu-central-1a", Launched: when,
		Addresses: []netip.Addr{netip.MustParseAddr("10.1.7.1"), netip.MustParseAddr("10.1.7.2")}}
	if got := found[7]; got.ID != want.ID || got.AvailabilityZone != want.AvailabilityZone || !got.Launched.Equal(want.Launched) ||
		!slices.Equal(got.Addresses, want.Addresses) {
		t.Errorf("found %+v, want %+v", got, want)
	}
	if err := fake.Terminate("i-007"); err != nil {
		t.Fatal(err)
	}
	if err := fake.Launch(tagged(130, "edge-1")); err != nil {
		t.Fatal(err)
	}
	found = find()
	is := func(id string) bool { return slices.ContainsFunc(found, func(i Instance) bool { return i.ID == id }) }
	if len(found) != 120 || is("i-007") || !is("i-130") {
		t.Errorf("found %d instances; terminated %v, launched %v", len(found), is("i-007"), is("i-130"))
	}
}

// TestFindAllOrNothing: a list of which a part is missing, or that is not what was asked for, is an error.
func TestFindAllOrNothing(t *testing.T) {
	t.Run("the second page is refused", func(t *testing.T) {
		fake, _ := startTagged(t, 120)
		calls := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if calls++; calls == 2 {
				w.Header().Set("Content-Type", "text/xml")
				w.WriteHeader(http.StatusServiceUnavailable)
				fmt.Fprint(w, `<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>m</Message></Error></Errors></Response>`)
				return
			}
			fake.EC2().ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		expectNothing(t, server.URL, "RequestLimitExceeded")
	})
	t.Run("an endpoint that knows no filters", func(t *testing.T) {
		expectNothing(t, answers(t, `<reservationSet><item><instancesSet><item><instanceId>i-1</instanceId><instanceState><name>running</name></instanceState>`+
			`</item></instancesSet></item></reservationSet>`), "not asked for")
	})
	t.Run("pages without an end", func(t *testing.T) {
		n := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			n++
			w.Header().Set("Content-Type", "text/xml")
			fmt.Fprintf(w, response, fmt.Sprintf("<reservationSet/><nextToken>%d</nextToken>", n))
		}))
		t.Cleanup(server.Close)
		expectNothing(t, server.URL, "more than 1000 instances")
		if n != 20 {
			t.Errorf("%d pages were read, want 20", n)
		}
	})
	t.Run("no text of EC2's", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>log in</html>") }))
		t.Cleanup(server.Close)
		expectNothing(t, server.URL, "is not EC2's")
	})
	t.Run("not allowed", func(t *testing.T) {
		fake, url := startTagged(t, 3)
		if err := fake.SetFaults([]ec2fake.Fault{{Kind: ec2fake.Deny}}); err != nil {
			t.Fatal(err)
		}
		expectNothing(t, url, "allow ec2:DescribeInstances in the policy of the instance role")
	})
	t.Run("nobody there", func(t *testing.T) {
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		expectNothing(t, server.URL, "needs an interface VPC endpoint of EC2")
	})
}

const response = `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">%s</DescribeInstancesResponse>`

func answers(t *testing.T, body string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprintf(w, response, body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func expectNothing(t *testing.T, url, want string) {
	t.Helper()
	found, err := newFinder(t, url).Find(t.Context())
	if len(found) > 0 || err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "tag hacluster=edge-1") {
		t.Errorf("found %v, error %v; want nothing and %q", found, err, want)
	}
}

// TestTheOrderOfAddresses is the same at each read and on each node, whatever EC2 says: one of them is the node's VRRP address.
func TestTheOrderOfAddresses(t *testing.T) {
	nic := func(addresses ...string) string {
		var list strings.Builder
		for _, a := range addresses {
			fmt.Fprintf(&list, "<item><privateIpAddress>%s</privateIpAddress></item>", a)
		}
		return "<item><privateIpAddressesSet>" + list.String() + "</privateIpAddressesSet></item>"
	}
	var want []netip.Addr
	for _, a := range []string{"10.1.0.9", "10.1.0.4", "10.9.0.2", "10.9.0.3"} {
		want = append(want, netip.MustParseAddr(a))
	}
	for _, nics := range []string{
		nic("10.1.0.9", "10.1.0.4") + nic("10.9.0.2", "10.9.0.3"),
		nic("10.9.0.3", "10.9.0.2") + nic("10.1.0.4", "10.1.0.9"),
	} {
		found, err := newFinder(t, answers(t, instanceText(nics))).Find(t.Context())
		if err != nil || len(found) != 1 || !slices.Equal(found[0].Addresses, want) {
			t.Errorf("found %v, error %v; want the addresses %v", found, err, want)
		}
	}
}

// instanceText is one running instance with the tag and the primary address 10.1.0.9.
func instanceText(nics string) string {
	return "<reservationSet><item><instancesSet><item><instanceId>i-1</instanceId><instanceState><name>running</name></instanceState>" +
		"<tagSet><item><key>hacluster</key><value>edge-1</value></item></tagSet><privateIpAddress>10.1.0.9</privateIpAddress>" +
		"<networkInterfaceSet>" + nics + "</networkInterfaceSet></item></instancesSet></item></reservationSet>"
}
