package main_test

import (
	"fmt"
	"net"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

// TestThreeAddressesMoveTogether: two nodes and a witness hold three Elastic IPs, each at a private address of its own. They move together;
// one that a person takes away comes back alone.
func TestThreeAddressesMoveTogether(t *testing.T) {
	needRoot(t)
	haproxy, err := net.Listen("tcp", "127.0.0.1:0") // as far as the tcp check can tell
	must(t, err)
	t.Cleanup(func() { _ = haproxy.Close() })
	cloud := threeAddresses(t)
	server := httptest.NewServer(cloud.EC2())
	t.Cleanup(server.Close)
	port := freePort(t)
	var members []*member
	for i, name := range []string{"node-a", "node-b", "node-c"} {
		members = append(members, runMember(t, name, server.URL, func(m *member) string {
			text := memberFile(m, i+1, port, haproxy.Addr().String(), []string{patientRaft})
			return strings.NewReplacer("allocation_id: "+allocation, "allocation_ids: ["+strings.Join(ids(), ", ")+"]",
				fmt.Sprintf(", private_ip: 127.0.0.%d", i+1), "",
				"priority: 102", "priority: 102, private_ips: [127.0.0.1, 127.0.1.1, 127.0.2.1]",
				"priority: 101", "priority: 101, private_ips: [127.0.0.2, 127.0.1.2, 127.0.2.2]").Replace(text)
		}))
	}
	holder := ""
	waitLong(t, "one holder of all three and another candidate", func() bool {
		s, err := members[2].status()
		holder = s.Holder
		return err == nil && s.Held() && len(s.Addresses) == 3 && candidates(s) == 2
	})
	other := map[string]string{"node-a": "node-b", "node-b": "node-a"}[holder]
	out, err := members[2].hacluster("transfer", "--to", other)
	if err != nil {
		t.Fatalf("transfer: %v: %s", err, out)
	}
	number := map[string]int{"node-a": 1, "node-b": 2}
	if got, want := places(cloud), placesOf(number[other]); !slices.Equal(got, want) {
		t.Errorf("the addresses are at %v, want %v", got, want)
	}
	before := len(changes(cloud))
	_, err = cloud.Associate(ids()[1], netip.MustParseAddr(placesOf(number[holder])[1]))
	must(t, err)
	waitLong(t, "the second address back, seen by a person who looks", func() bool {
		return slices.Equal(places(cloud), placesOf(number[other]))
	})
	if made := changes(cloud)[before:]; !slices.Equal(made, []string{"DisassociateAddress", "AssociateAddress"}) {
		t.Errorf("the repair made the calls %v", made)
	}
	waitFor(t, "agreement about the repair", func() bool {
		s, err := members[2].status()
		return err == nil && s.Held() && s.Holder == other
	})
	waitFor(t, "the same in words, at another node", func() bool {
		out, err := members[0].hacluster("status")
		return err == nil && strings.Count(out, "is held by "+other) == 3
	})
}

func ids() []string {
	return []string{"eipalloc-0123456789abcde01", "eipalloc-0123456789abcde02", "eipalloc-0123456789abcde03"}
}

// placesOf are the private addresses of a node, in the order of the Elastic IPs.
func placesOf(number int) []string {
	return []string{fmt.Sprintf("127.0.0.%d", number), fmt.Sprintf("127.0.1.%d", number), fmt.Sprintf("127.0.2.%d", number)}
}

func threeAddresses(t *testing.T) *ec2fake.Server {
	t.Helper()
	cfg := ec2fake.Config{AccessKeys: []ec2fake.AccessKey{{ID: "AKIDEXAMPLE", Secret: "right"}}}
	for i, id := range ids() {
		cfg.Addresses = append(cfg.Addresses, ec2fake.AddressSpec{AllocationID: id, PublicIP: netip.AddrFrom4([4]byte{203, 0, 113, byte(10 + i)})})
	}
	for number := 1; number <= 2; number++ {
		instance := ec2fake.InstanceSpec{ID: fmt.Sprintf("i-0aaaaaaaaaaaaaaa%d", number), ENI: fmt.Sprintf("eni-0aaaaaaaaaaaaaaa%d", number)}
		for _, place := range placesOf(number) {
			instance.PrivateIPs = append(instance.PrivateIPs, netip.MustParseAddr(place))
		}
		cfg.Instances = append(cfg.Instances, instance)
	}
	fake, err := ec2fake.New(cfg)
	must(t, err)
	return fake
}

func places(cloud *ec2fake.Server) []string {
	var at []string
	for _, a := range cloud.State().Addresses {
		at = append(at, a.PrivateIP.String())
	}
	return at
}

// changes are the calls that changed something, by name.
func changes(cloud *ec2fake.Server) []string {
	var made []string
	for _, c := range cloud.Calls(0) {
		if c.Mutating() && c.Changed {
			made = append(made, c.Action)
		}
	}
	return made
}
