package convert_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/internal/config"
	"github.com/hacluster/hacluster/internal/keepalived/convert"
)

// An advert of keepalived's can name more addresses than hacluster's. Then none is named, and the report says what follows.
func TestTooManyAddresses(t *testing.T) {
	for count, named := range map[int]bool{20: true, 21: false} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			var block strings.Builder
			for i := range count {
				fmt.Fprintf(&block, " 10.0.0.%d\n", 100+i)
			}
			node := func(own, peer string) string {
				return "vrrp_instance VI_1 {\n virtual_router_id 51\n unicast_src_ip " + own + "\n unicast_peer {\n " + peer + "\n }\n virtual_ipaddress {\n" +
					block.String() + " }\n}\n"
			}
			text, report, err := convert.Convert(inMemory{"a.conf": node("10.0.1.11", "10.0.2.11"), "b.conf": node("10.0.2.11", "10.0.1.11")}, convert.Request{
				Configs: []string{"a.conf", "b.conf"}, Names: []string{"lb-a", "lb-b"}, Third: witness(), AllocationID: "eipalloc-0123456789abcdef0"})
			if err != nil || report.Result != convert.Complete {
				t.Fatalf("%s, %v", report.Result, err)
			}
			cfg, err := config.Parse("hacluster.yaml", append(text, "node: lb-c\n"...))
			if err != nil {
				t.Fatal(err)
			}
			var printed strings.Builder
			if err := report.Write(&printed); err != nil {
				t.Fatal(err)
			}
			said := strings.Contains(printed.String(), "virtual_ipaddress with 21 addresses")
			if got := len(cfg.VRRP.Addresses); named && got != count || !named && got != 0 || said == named {
				t.Errorf("%d addresses are named; the report:\n%s", got, printed.String())
			}
		})
	}
}
