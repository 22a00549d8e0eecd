package bench

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/lab"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// What keepalived is told is written out in testdata, so that an expert can say whether it is the best that it can do.
func TestRecipes(t *testing.T) {
	tools := Tools{Watch: "/usr/local/bin/watch", Associate: "/usr/local/bin/associate"}
	for _, s := range systems(tools, true) {
		k, ok := s.(keepalived)
		if !ok {
			continue
		}
		data := exampleData(k)
		golden(t, k.name+".conf", render, k.recipe, data)
		if k.name == Classic {
			golden(t, "master.sh", render, masterScript, data)
		}
	}
}

func exampleData(k keepalived) recipeData {
	node := &lab.Node{}
	node.Name, node.Priority, node.Instance, node.ENI = "node-a", 150, "i-0aa00000000000001", "eni-0bb00000000000001"
	node.Address = netip.MustParsePrefix("10.20.0.11/24")
	return recipeData{
		keepalived: k, Node: node, First: true,
		Peers: []netip.Addr{netip.MustParseAddr("10.20.0.12"), netip.MustParseAddr("10.20.0.13")},
		Gone:  goneFile, Silent: silentFile, Watch: k.tools.Watch, Associate: k.tools.Associate,
		Check: "/etc/keepalived/check.sh", Master: "/etc/keepalived/master.sh", URL: "http://127.0.0.1/healthz",
		Endpoint: lab.Endpoint(k.tls), Region: lab.Region, Allocation: lab.AllocationID, PublicIP: lab.ElasticIP,
	}
}

func golden(t *testing.T, name string, render func(string, recipeData) ([]byte, error), text string, data recipeData) {
	t.Helper()
	got, err := render(text, data)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs (look at it, then run the test with -update):\n%s", path, got)
	}
}

func TestLastState(t *testing.T) {
	for name, test := range map[string]struct{ log, want string }{
		"nothing yet":     {"Starting Keepalived v2.2.7\nStartup complete\n", ""},
		"backup":          {"(VI_1) Entering BACKUP STATE (init)\n", "BACKUP"},
		"the last counts": {"(VI_1) Entering BACKUP STATE (init)\n(VI_1) Entering MASTER STATE\n", "MASTER"},
		"fault, in small": {"(VI_1) Entering MASTER STATE\n(VI_1) entering FAULT state\n", "FAULT"},
		"another boot":    {"(VI_1) Entering BACKUP STATE\nStarting Keepalived v2.2.7\n", ""},
		"another program": {`{"msg":"state transition","keepalived":"(VI_2) Entering MASTER STATE"}` + "\n", ""},
	} {
		if got := lastState(test.log); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// keepalived knows no planned handover but being stopped; everything else happens to it as to hacluster.
func TestAdapt(t *testing.T) {
	k := keepalived{name: Tuned, Interval: 10 * time.Millisecond}
	if got := k.Adapt(mustFault("handover")); got.Name != "handover" || got.Story != mustFault("stop").Story {
		t.Errorf("handover became %s: %s", got.Name, got.Story)
	}
	if got := k.Adapt(mustFault("partition")); got.Story != mustFault("partition").Story {
		t.Errorf("partition became %s", got.Story)
	}
}
