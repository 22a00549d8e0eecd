package interop

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

const (
	interopPage   = "../../../docs/INTEROP.md"
	migrationPage = "../../../docs/MIGRATION.md"
)

// page is docs/INTEROP.md in the making.
type page struct {
	rows  []string
	story string
}

func (p *page) add(play scenario, s *stage) {
	if s.t.Failed() {
		return
	}
	p.rows = append(p.rows, fmt.Sprintf("| %s | %s |\n", play.title, strings.Join(s.seen, ";<br>")))
	p.story += s.story
}

const pageHead = `# hacluster beside keepalived

Seen in the lab with keepalived 2.2.7 (Debian 12), by ` + "`make interop`" + `, which writes this page. Real keepalived runs on a node of its own, as
peer of the three hacluster nodes, which list it under ` + "`vrrp.extra_peers`" + `; its priority is 100 unless the row says otherwise. Times are between
packets in the switch.

| keepalived is | what was seen |
|---|---|
`

const pageTail = `
Packets are evidence, never authority: no advert moves the Elastic IP, starts an election, or makes a Master step down (I1, I3).

## What both sides have to agree on

| setting | keepalived | hacluster | if they differ |
|---|---|---|---|
| VRID | ` + "`virtual_router_id`" + ` | ` + "`vrrp.virtual_router_id`" + ` | they do not see one another |
| version | ` + "`version`" + ` or ` + "`vrrp_version`" + ` | ` + "`vrrp.version`" + ` | each refuses the other's adverts |
| interval, VRRPv2 | ` + "`advert_int`" + ` | ` + "`vrrp.advertisement_interval`" + ` | each refuses the other's adverts |
| interval, VRRPv3 | ` + "`advert_int`" + ` | ` + "`vrrp.advertisement_interval`" + ` | a BACKUP takes over the Master's |
| addresses | ` + "`virtual_ipaddress`" + ` | ` + "`vrrp.addresses`" + ` | each refuses the other's adverts (keepalived 2.3.3 and later only logs) |
| password, VRRPv2 | ` + "`auth_type PASS`" + `, ` + "`auth_pass`" + ` | ` + "`vrrp.auth_pass`" + ` | each refuses the other's adverts |
| checksum, VRRPv3 | ` + "`v3_checksum_as_v2`" + ` (2.2.8 and later) | ` + "`vrrp.checksum`" + ` | each refuses the other's adverts |

keepalived 2.2.7 refuses a VRRPv3 instance without a ` + "`virtual_ipaddress`" + ` ("No VIP specified; at least one is required"). An address that nobody
uses, on ` + "`lo`" + `, does; hacluster names it too, and configures nothing on the machine. ` + "`v3_checksum_as_v2`" + ` could not be tried: 2.2.7 does
not know it.

## The classic walkthrough

HAProxy is stopped on the first node and started again, with the configuration imported from keepalived (so ` + "`placement.preempt`" + ` is on). A search for
keepalived's phrases finds the same lines in the same order on each node as it does with keepalived. Times are left out.

`

func (p *page) text() string {
	return pageHead + strings.Join(p.rows, "") + pageTail + "```\n" + p.story + "```\n"
}

// figure is what differs from run to run: times and counts.
var figure = regexp.MustCompile(`\d+(\.\d+)? (s after|s between|packets|requests)`)

// check compares the page in docs with what was seen, apart from the figures. If some scenarios did not run there is nothing to compare.
func (p *page) check(t *testing.T, scenarios int) {
	t.Helper()
	if len(p.rows) < scenarios {
		return
	}
	if *update {
		if err := os.WriteFile(interopPage, []byte(p.text()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(interopPage)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := figure.ReplaceAllString(p.text(), "N $2"), figure.ReplaceAllString(string(written), "N $2"); got != want {
		t.Errorf("%s differs (look at it, then run the test with -update):\n%s", interopPage, p.text())
	}
}

// migration is docs/MIGRATION.md as the test follows it.
type migration struct {
	there, back []command
	guard       string // what goes into master.sh before going back
}

func readMigration(t *testing.T) migration {
	t.Helper()
	data, err := os.ReadFile(migrationPage)
	if err != nil {
		t.Fatal(err)
	}
	there, back, found := strings.Cut(string(data), "\n## Back")
	if !found {
		t.Fatalf("%s has no section about going back", migrationPage)
	}
	_, guard, _ := strings.Cut(back, "```sh\n")
	guard, _, _ = strings.Cut(guard, "```")
	m := migration{there: readCommands(there), back: readCommands(back), guard: guard}
	if len(m.there) == 0 || len(m.back) == 0 || m.guard == "" {
		t.Fatalf("%s does not say what to do: %+v", migrationPage, m)
	}
	return m
}
